"""Household bills: messages, what they say, accounts, bills, transactions, people's word."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards
from tallybook.db.metadata import HexId, Instant

revision = "0003"
down_revision = "0002"

_TYPES = "'MOBILE_BILL', 'ELECTRIC_BILL', 'GAS_BILL', 'LOAN', 'CREDITCARD'"
_KINDS = (
    "'BILL_GENERATION', 'BILL_INFORMATION', 'BILL_CONFIRMATION', 'BILL_TXN_CONFIRMATION',"
    " 'BILL_IMMEDIATE', 'BILL_DUE_TODAY'"
)
_STATUSES = (
    "'recorded', 'applied', 'information', 'unmatched', 'review', 'duplicate', 'otp_dropped'"
)
_APPEND_ONLY = ("bill_messages", "bill_links", "bill_resolutions")
_KEPT = ("bill_facts", "bill_accounts", "bills", "bill_transactions")


def upgrade() -> None:
    """Make the tables of household bills, and the triggers that keep what was received."""
    _make_messages()
    _make_accounts()
    _make_payments()
    connection = op.get_bind()
    for table in _APPEND_ONLY:
        guards.make_append_only(connection, table)
    for table in _KEPT:
        guards.refuse_deletes(connection, table)


def _make_messages() -> None:
    op.create_table(
        "bill_messages",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("identity", sa.CHAR(length=64), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.CHAR(length=64), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("source_id", sa.String(length=128), nullable=True),
        sa.Column("rule", sa.String(length=128), nullable=True),
        sa.Column("reading", sa.Text(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bill_messages_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="bill_messages_pkey"),
        sa.UniqueConstraint("identity", name="bill_messages_identity_unique"),
    )
    op.create_index(
        "bill_messages_customer_id_index", "bill_messages", ["customer_id"], unique=False
    )
    op.create_table(
        "bill_facts",
        sa.Column("message_id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("hash", sa.CHAR(length=64), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("folds", sa.Boolean(), nullable=False),
        sa.Column("is_movement", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=True),
        sa.Column("bill_type", sa.String(length=16), nullable=True),
        sa.Column("issuer", sa.String(length=200), nullable=True),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.CHAR(length=3), nullable=True),
        sa.Column("bill_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("paid_from", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("account_id", HexId(), nullable=True),
        sa.Column("bill_id", HexId(), nullable=True),
        sa.Column("transaction_id", HexId(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint(
            f"bill_type IN ({_TYPES})",
            name="bill_facts_bill_type_known",
        ),
        sa.CheckConstraint(
            f"kind IN ({_KINDS})",
            name="bill_facts_kind_known",
        ),
        sa.CheckConstraint(
            f"status IN ({_STATUSES})",
            name="bill_facts_status_known",
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bill_facts_customer_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["bill_messages.id"], name="bill_facts_message_id_fkey"
        ),
        sa.PrimaryKeyConstraint("message_id", name="bill_facts_pkey"),
    )
    op.create_index(
        "bill_facts_customer_id_index",
        "bill_facts",
        ["customer_id"],
        unique=False,
        postgresql_where=sa.text("folds"),
        sqlite_where=sa.text("folds"),
    )
    op.create_index(
        "bill_facts_recorded_index",
        "bill_facts",
        ["customer_id"],
        unique=False,
        postgresql_where=sa.text("status = 'recorded'"),
        sqlite_where=sa.text("status = 'recorded'"),
    )
    op.create_index(
        "bill_facts_review_index",
        "bill_facts",
        ["message_id"],
        unique=False,
        postgresql_where=sa.text("status = 'review'"),
        sqlite_where=sa.text("status = 'review'"),
    )


def _make_accounts() -> None:
    op.create_table(
        "bill_accounts",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("issuer", sa.String(length=200), nullable=True),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("anchor", HexId(), nullable=False),
        sa.Column("cycle_days", sa.Integer(), nullable=True),
        sa.Column("generation_day", sa.SmallInteger(), nullable=True),
        sa.Column("due_day", sa.SmallInteger(), nullable=True),
        sa.Column("merged_into", HexId(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            f"type IN ({_TYPES})",
            name="bill_accounts_type_known",
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bill_accounts_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="bill_accounts_pkey"),
    )
    op.create_index(
        "bill_accounts_customer_id_index", "bill_accounts", ["customer_id"], unique=False
    )
    op.create_table(
        "bills",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("account_id", HexId(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("anchor", HexId(), nullable=False),
        sa.Column("bill_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("dated_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("is_rolled_over", sa.Boolean(), nullable=False),
        sa.Column("merged_into", HexId(), nullable=True),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.CheckConstraint(
            f"type IN ({_TYPES})",
            name="bills_type_known",
        ),
        sa.CheckConstraint("amount_minor >= 0", name="bills_amount_minor_positive"),
        sa.CheckConstraint("paid_minor >= 0", name="bills_paid_minor_positive"),
        sa.ForeignKeyConstraint(["account_id"], ["bill_accounts.id"], name="bills_account_id_fkey"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="bills_customer_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="bills_pkey"),
    )
    op.create_index("bills_customer_id_index", "bills", ["customer_id", "due_on"], unique=False)


def _make_payments() -> None:
    op.create_table(
        "bill_transactions",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("message_id", HexId(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("hash", sa.CHAR(length=64), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("is_currency_stated", sa.Boolean(), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("account_id", HexId(), nullable=True),
        sa.Column("bill_id", HexId(), nullable=True),
        sa.Column("bound", sa.Text(), nullable=False),
        sa.Column("bound_minor", sa.BigInteger(), nullable=False),
        sa.Column("prepaid_minor", sa.BigInteger(), nullable=False),
        sa.Column("duplicate_of", HexId(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name="bill_transactions_amount_minor_not_zero"),
        sa.CheckConstraint("bound_minor >= 0", name="bill_transactions_bound_minor_positive"),
        sa.CheckConstraint("prepaid_minor >= 0", name="bill_transactions_prepaid_minor_positive"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bill_transactions_customer_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["bill_messages.id"], name="bill_transactions_message_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="bill_transactions_pkey"),
        sa.UniqueConstraint("message_id", name="bill_transactions_message_id_unique"),
    )
    op.create_index(
        "bill_transactions_customer_id_index", "bill_transactions", ["customer_id"], unique=False
    )
    op.create_table(
        "bill_links",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("transaction_id", HexId(), nullable=False),
        sa.Column("bill_anchor", HexId(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bill_links_customer_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["bill_transactions.id"], name="bill_links_transaction_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="bill_links_pkey"),
    )
    op.create_index("bill_links_customer_id_index", "bill_links", ["customer_id"], unique=False)
    op.create_table(
        "bill_resolutions",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("message_id", HexId(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("reading", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.CheckConstraint(
            "action IN ('correct', 'dismiss')", name="bill_resolutions_action_known"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="bill_resolutions_customer_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["bill_messages.id"], name="bill_resolutions_message_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="bill_resolutions_pkey"),
    )
    op.create_index(
        "bill_resolutions_message_id_index", "bill_resolutions", ["message_id"], unique=False
    )
