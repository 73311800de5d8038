"""The book: writer, ledger, customers, Processor, collection and advances."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards
from tallybook.db.metadata import HexId, Instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of the first version, and the triggers that keep history."""
    _make_writer()
    _make_ledger()
    _make_customers()
    _make_processor()
    _make_collection()
    _make_advances()
    _guard()
    op.execute(
        "INSERT INTO chain_heads"
        " (name, event_seq, event_hash, entry_seq, entry_hash, account_seq)"
        f" VALUES ('book', 0, '{'0' * 64}', 0, '{'0' * 64}', 0)"
    )


def _guard() -> None:
    connection = op.get_bind()
    for table in ("events", "entries", "postings"):
        guards.make_append_only(connection, table)
    guards.balance_entries(connection)
    for table in (
        "commands",
        "transfers",
        "processor_reports",
        "report_facts",
        "operator_items",
        "installments",
        "runs",
    ):
        guards.refuse_deletes(connection, table)
    guards.refuse_updates_when(
        connection, "commands", "commands_reply_kept", "OLD.status IS NOT NULL"
    )
    guards.refuse_updates_when(connection, "transfers", "transfers_state_moves", _refused_moves())
    guards.refuse_updates_when(
        connection,
        "transfers",
        "transfers_order_kept",
        "OLD.amount_minor <> NEW.amount_minor OR OLD.direction <> NEW.direction"
        " OR OLD.bank_account_id <> NEW.bank_account_id OR OLD.currency <> NEW.currency"
        " OR OLD.subject_id <> NEW.subject_id",
    )


def _refused_moves() -> str:
    """Say in SQL which moves of a transfer are refused: all but those of processor/rules.py."""
    allowed = {
        "intent": "'accepted', 'rejected', 'unknown'",
        "accepted": "'succeeded', 'failed', 'returned', 'timed_out', 'not_executed'",
        "timed_out": "'succeeded', 'failed', 'returned', 'not_executed'",
        "succeeded": "'returned', 'failed'",
        "unknown": "'accepted', 'not_executed', 'succeeded', 'failed', 'returned'",
        "not_executed": "'accepted', 'succeeded', 'failed', 'returned'",
        "failed": "'accepted', 'succeeded', 'returned'",
        "returned": "'accepted', 'succeeded', 'failed'",
    }
    fine = " OR ".join(
        f"(OLD.state = '{state}' AND NEW.state IN ({after}))" for state, after in allowed.items()
    )
    return f"OLD.state <> NEW.state AND NOT ({fine})"


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, postgresql_where=condition, sqlite_where=condition
    )


def _make_writer() -> None:
    op.create_table(
        "commands",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("input_hash", sa.CHAR(64), nullable=False),
        sa.Column("status", sa.SmallInteger()),
        sa.Column("body", sa.Text()),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("completed_at", Instant()),
        sa.PrimaryKeyConstraint("key", name="commands_pkey"),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("customer_id", HexId()),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.CHAR(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="events_pkey"),
    )
    op.create_index("events_subject_id_index", "events", ["subject_id"], unique=False)
    op.create_table(
        "chain_heads",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("event_hash", sa.CHAR(64), nullable=False),
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("entry_hash", sa.CHAR(64), nullable=False),
        sa.Column("account_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="chain_heads_pkey"),
    )


def _make_ledger() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("book", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.PrimaryKeyConstraint("id", name="accounts_pkey"),
        sa.UniqueConstraint("book", "name", "currency", name="accounts_book_name_unique"),
    )
    op.create_table(
        "entries",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("postings_count", sa.SmallInteger(), nullable=False),
        sa.Column("reverses_seq", sa.BigInteger()),
        sa.Column("hash", sa.CHAR(64), nullable=False),
        sa.CheckConstraint("postings_count >= 2", name=op.f("entries_postings_count_two")),
        sa.ForeignKeyConstraint(
            ["reverses_seq"], ["entries.seq"], name="entries_reverses_seq_fkey"
        ),
        sa.PrimaryKeyConstraint("seq", name="entries_pkey"),
    )
    _partial(
        "entries_reverses_seq_unique",
        "entries",
        ["reverses_seq"],
        "reverses_seq IS NOT NULL",
        unique=True,
    )
    op.create_table(
        "postings",
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", HexId()),
        sa.Column("subject_id", HexId()),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("postings_amount_minor_not_zero")),
        sa.ForeignKeyConstraint(
            ["entry_seq"],
            ["entries.seq"],
            name="postings_entry_seq_fkey",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("entry_seq", "line", name="postings_pkey"),
    )
    op.create_index(
        "postings_account_id_index", "postings", ["account_id", "entry_seq"], unique=False
    )
    _partial(
        "postings_customer_id_index",
        "postings",
        ["customer_id", "entry_seq"],
        "customer_id IS NOT NULL",
        unique=False,
    )
    _partial(
        "postings_subject_id_index",
        "postings",
        ["subject_id"],
        "subject_id IS NOT NULL",
        unique=False,
    )
    op.create_table(
        "balances",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("credit_minor >= 0", name=op.f("balances_credit_minor_positive")),
        sa.CheckConstraint("debit_minor >= 0", name=op.f("balances_debit_minor_positive")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="balances_account_id_fkey"),
        sa.PrimaryKeyConstraint("account_id", "effective_on", name="balances_pkey"),
    )


def _make_customers() -> None:
    op.create_table(
        "customers",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_folded", sa.String(254), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger()),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "credit_limit_minor >= 0", name=op.f("customers_credit_limit_minor_positive")
        ),
        sa.CheckConstraint(
            "status IN ('active', 'suspended')", name=op.f("customers_status_known")
        ),
        sa.PrimaryKeyConstraint("id", name="customers_pkey"),
        sa.UniqueConstraint("email_folded", name="customers_email_folded_unique"),
    )
    op.create_table(
        "bank_accounts",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("number_hash", sa.CHAR(64), nullable=False),
        sa.Column("number_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bank_accounts_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="bank_accounts_pkey"),
        sa.UniqueConstraint("number_hash", name="bank_accounts_number_hash_unique"),
    )
    op.create_index(
        "bank_accounts_customer_id_index", "bank_accounts", ["customer_id"], unique=False
    )
    op.create_table(
        "standings",
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="standings_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("subject_id", name="standings_pkey"),
    )
    _partial("standings_customer_id_index", "standings", ["customer_id"], "active", unique=False)
    op.create_table(
        "customer_credits",
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "credit_minor >= 0", name=op.f("customer_credits_credit_minor_positive")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="customer_credits_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("customer_id", "currency", name="customer_credits_pkey"),
    )


def _make_processor() -> None:
    op.create_table(
        "transfers",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("direction", sa.String(6), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("bank_account_id", HexId(), nullable=False),
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("installment_id", HexId()),
        sa.Column("installment_number", sa.Integer()),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("transaction_id", sa.String(255)),
        sa.Column("sent_on", sa.Date(), nullable=False),
        sa.Column("intent_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=False),
        sa.Column("sender", sa.String(200), nullable=False),
        sa.Column("resolved_at", Instant()),
        sa.Column("resolved_on", sa.Date()),
        sa.Column("reason", sa.String(200)),
        sa.Column("is_ruled", sa.Boolean(), nullable=False),
        sa.Column("request_key", sa.String(255)),
        sa.CheckConstraint("amount_minor > 0", name=op.f("transfers_amount_minor_positive")),
        sa.CheckConstraint(
            "direction IN ('credit', 'debit')", name=op.f("transfers_direction_known")
        ),
        sa.CheckConstraint(
            "NOT held OR state = 'timed_out'", name=op.f("transfers_held_timed_out")
        ),
        sa.CheckConstraint(
            "state IN ('intent', 'accepted', 'rejected', 'unknown', 'succeeded', 'failed',"
            " 'timed_out', 'returned', 'not_executed')",
            name=op.f("transfers_state_known"),
        ),
        sa.PrimaryKeyConstraint("id", name="transfers_pkey"),
    )
    op.create_index(
        "transfers_bank_account_id_sent_on_index",
        "transfers",
        ["bank_account_id", "sent_on"],
        unique=False,
    )
    _partial("transfers_held_index", "transfers", ["sent_on"], "held", unique=False)
    _partial(
        "transfers_installment_id_live_unique",
        "transfers",
        ["installment_id"],
        "state IN ('intent', 'accepted', 'unknown', 'timed_out', 'succeeded')",
        unique=True,
    )
    _partial(
        "transfers_resolved_on_id_index",
        "transfers",
        ["resolved_on", "id"],
        "resolved_on IS NOT NULL",
        unique=False,
    )
    op.create_index("transfers_sent_on_id_index", "transfers", ["sent_on", "id"], unique=False)
    _partial(
        "transfers_sent_on_open_index",
        "transfers",
        ["sent_on"],
        "state IN ('intent', 'accepted', 'unknown')",
        unique=False,
    )
    op.create_index("transfers_subject_id_index", "transfers", ["subject_id"], unique=False)
    op.create_index("transfers_transaction_id_unique", "transfers", ["transaction_id"], unique=True)
    op.create_table(
        "processor_reports",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("report_on", sa.Date(), nullable=False),
        sa.Column("taken_at", Instant(), nullable=False),
        sa.Column("sha256", sa.CHAR(64), nullable=False),
        sa.Column("raw_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rows_count", sa.Integer(), nullable=False),
        sa.Column("new_count", sa.Integer(), nullable=False),
        sa.Column("missing_count", sa.Integer(), nullable=False),
        sa.Column("is_rich", sa.Boolean(), nullable=False),
        sa.Column("problems", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="processor_reports_pkey"),
        sa.UniqueConstraint(
            "report_on", "sha256", name="processor_reports_report_on_sha256_unique"
        ),
    )
    op.create_table(
        "report_facts",
        sa.Column("transaction_id", sa.String(255), nullable=False),
        sa.Column("result", sa.String(8), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("happened_on", sa.Date(), nullable=False),
        sa.Column("not_before", sa.Date(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger()),
        sa.Column("account_hash", sa.CHAR(64)),
        sa.Column("direction", sa.String(6)),
        sa.Column("reason", sa.String(200)),
        sa.CheckConstraint("result IN ('success', 'fail')", name=op.f("report_facts_result_known")),
        sa.PrimaryKeyConstraint("transaction_id", "result", name="report_facts_pkey"),
    )
    op.create_index("report_facts_not_before_index", "report_facts", ["not_before"], unique=False)
    _partial(
        "report_facts_unapplied_index",
        "report_facts",
        ["transaction_id"],
        "NOT applied",
        unique=False,
    )
    op.create_table(
        "operator_items",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("about", sa.String(255), nullable=False),
        sa.Column("transfer_id", HexId()),
        sa.Column("subject_id", HexId()),
        sa.Column("customer_id", HexId()),
        sa.Column("transfer_kind", sa.String(16)),
        sa.Column("amount_minor", sa.BigInteger()),
        sa.Column("currency", sa.CHAR(3)),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("action", sa.String(24)),
        sa.Column("reason", sa.Text()),
        sa.Column("resolved_by", sa.String(100)),
        sa.Column("resolved_at", Instant()),
        sa.CheckConstraint(
            "is_open OR action IS NOT NULL", name=op.f("operator_items_resolved_by_action")
        ),
        sa.CheckConstraint(
            "(amount_minor IS NULL) = (currency IS NULL)",
            name=op.f("operator_items_amount_has_currency"),
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["transfers.id"], name="operator_items_transfer_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="operator_items_pkey"),
    )
    _partial(
        "operator_items_about_open_unique",
        "operator_items",
        ["about", "kind"],
        "is_open",
        unique=True,
    )
    _partial("operator_items_open_index", "operator_items", ["id"], "is_open", unique=False)
    op.create_index(
        "operator_items_transfer_id_index", "operator_items", ["transfer_id"], unique=False
    )


def _make_collection() -> None:
    op.create_table(
        "plans",
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("bank_account_id", HexId(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("succeeded_minor", sa.BigInteger(), nullable=False),
        sa.Column("in_flight_minor", sa.BigInteger(), nullable=False),
        sa.Column("held_minor", sa.BigInteger(), nullable=False),
        sa.Column("unsent_minor", sa.BigInteger(), nullable=False),
        sa.Column("claimed_minor", sa.BigInteger(), nullable=False),
        sa.Column("excess_minor", sa.BigInteger(), nullable=False),
        sa.Column("rows_count", sa.Integer(), nullable=False),
        sa.Column("last_due_on", sa.Date(), nullable=False),
        sa.Column("first_due_on", sa.Date(), nullable=False),
        sa.Column("interval_days", sa.Integer(), nullable=False),
        sa.Column("on_failed_debit", sa.String(16), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("hold_days", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "claimed_minor - excess_minor <= total_minor", name=op.f("plans_claimed_minor_owed")
        ),
        sa.CheckConstraint(
            "claimed_minor = succeeded_minor + in_flight_minor + held_minor",
            name=op.f("plans_claimed_minor_sum"),
        ),
        sa.CheckConstraint("excess_minor >= 0", name=op.f("plans_excess_minor_positive")),
        sa.CheckConstraint("held_minor >= 0", name=op.f("plans_held_minor_positive")),
        sa.CheckConstraint("in_flight_minor >= 0", name=op.f("plans_in_flight_minor_positive")),
        sa.CheckConstraint(
            "status IN ('pending', 'active', 'paused', 'closed')", name=op.f("plans_status_known")
        ),
        sa.CheckConstraint("succeeded_minor >= 0", name=op.f("plans_succeeded_minor_positive")),
        sa.CheckConstraint("total_minor >= 0", name=op.f("plans_total_minor_positive")),
        sa.CheckConstraint("unsent_minor >= 0", name=op.f("plans_unsent_minor_positive")),
        sa.ForeignKeyConstraint(
            ["bank_account_id"], ["bank_accounts.id"], name="plans_bank_account_id_fkey"
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="plans_customer_id_fkey"),
        sa.PrimaryKeyConstraint("subject_id", name="plans_pkey"),
    )
    _partial(
        "plans_customer_id_owing_index",
        "plans",
        ["customer_id"],
        "succeeded_minor < total_minor",
        unique=False,
    )
    op.create_table(
        "installments",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("replaces", sa.Integer()),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("installments_amount_minor_positive")),
        sa.CheckConstraint(
            "state IN ('planned', 'waiting', 'sent', 'cancelled')",
            name=op.f("installments_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["plans.subject_id"], name="installments_subject_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="installments_pkey"),
        sa.UniqueConstraint("subject_id", "number", name="installments_subject_id_number_unique"),
    )
    _partial(
        "installments_due_on_planned_index",
        "installments",
        ["due_on"],
        "state = 'planned'",
        unique=False,
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("last_finished_on", sa.Date()),
        sa.Column("running_on", sa.Date()),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("lease_until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="jobs_pkey"),
    )
    op.create_table(
        "runs",
        sa.Column("job", sa.String(16), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant()),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished')", name=op.f("runs_state_known")),
        sa.PrimaryKeyConstraint("job", "business_date", name="runs_pkey"),
    )


def _make_advances() -> None:
    op.create_table(
        "advances",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("bank_account_id", HexId(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("installments_count", sa.Integer(), nullable=False),
        sa.Column("interval_days", sa.Integer(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("payout", sa.String(16), nullable=False),
        sa.Column("is_fee_booked", sa.Boolean(), nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("applied_minor", sa.BigInteger(), nullable=False),
        sa.Column("written_off_minor", sa.BigInteger(), nullable=False),
        sa.Column("written_off_at_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_transfer_id", HexId(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("advances_amount_minor_positive")),
        sa.CheckConstraint("applied_minor >= 0", name=op.f("advances_applied_minor_positive")),
        sa.CheckConstraint("credited_minor >= 0", name=op.f("advances_credited_minor_positive")),
        sa.CheckConstraint("fee_minor >= 0", name=op.f("advances_fee_minor_positive")),
        sa.CheckConstraint(
            "payout IN ('none', 'in_transit', 'paid', 'void')", name=op.f("advances_payout_known")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'active', 'completed', 'failed', 'in_default',"
            " 'cancelled', 'written_off')",
            name=op.f("advances_status_known"),
        ),
        sa.CheckConstraint(
            "written_off_minor >= 0", name=op.f("advances_written_off_minor_positive")
        ),
        sa.ForeignKeyConstraint(
            ["bank_account_id"], ["bank_accounts.id"], name="advances_bank_account_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="advances_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="advances_pkey"),
    )
    op.create_index(
        "advances_customer_id_id_index", "advances", ["customer_id", "id"], unique=False
    )
    _partial(
        "advances_customer_id_owing_index",
        "advances",
        ["customer_id"],
        "status IN ('pending', 'active', 'in_default', 'cancelled')",
        unique=False,
    )
    op.create_index("advances_status_id_index", "advances", ["status", "id"], unique=False)
