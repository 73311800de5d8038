"""Loans and their payments; plans by the month; since when a customer is in bad standing."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards
from tallybook.db.metadata import HexId, Instant

revision = "0004"
down_revision = "0003"

_TERMS = (
    "customer_id",
    "principal_minor",
    "interest_rate",
    "interest_minor",
    "currency",
    "installments",
    "interval",
    "start_on",
    "rounding_unit",
    "payment_policy",
    "delinquent_after",
    "collection",
    "created_at",
)
_PAID = ("loan_id", "sequence", "amount_minor", "method", "effective_on", "received_at")
_MOVES = (
    "(OLD.status = 'pending' AND NEW.status IN ('pending', 'paid', 'failed'))"
    " OR (OLD.status = 'paid' AND NEW.status = 'reversed')"
)


def upgrade() -> None:
    """Make the tables of loans, and the triggers that keep terms and payments as they were."""
    _make_loans()
    _make_payments()
    _widen()
    connection = op.get_bind()
    guards.refuse_deletes(connection, "loans")
    guards.refuse_deletes(connection, "loan_payments")
    guards.refuse_updates_when(connection, "loans", "loans_terms_fixed", _differ(_TERMS))
    guards.refuse_updates_when(
        connection,
        "loan_payments",
        "loan_payments_fixed",
        f"{_differ(_PAID)} OR NOT ({_MOVES})",
    )


def _differ(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"OLD.{name} <> NEW.{name}" for name in columns)


def _make_loans() -> None:
    op.create_table(
        "loans",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=False),
        sa.Column("bank_account_id", HexId(), nullable=True),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_rate", sa.String(length=40), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("installments", sa.Integer(), nullable=False),
        sa.Column("interval", sa.String(length=16), nullable=False),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("rounding_unit", sa.Integer(), nullable=False),
        sa.Column("payment_policy", sa.String(length=16), nullable=False),
        sa.Column("delinquent_after", sa.Integer(), nullable=False),
        sa.Column("collection", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("payments_count", sa.Integer(), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=False),
        sa.Column("applied_minor", sa.BigInteger(), nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("kept_minor", sa.BigInteger(), nullable=False),
        sa.Column("earned_minor", sa.BigInteger(), nullable=False),
        sa.Column("written_off_minor", sa.BigInteger(), nullable=False),
        sa.Column("written_off_at_minor", sa.BigInteger(), nullable=False),
        sa.Column("written_off_on", sa.Date(), nullable=True),
        sa.Column("delinquent_on", sa.Date(), nullable=True),
        sa.Column("is_delinquent", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "(status = 'written_off') = (written_off_on IS NOT NULL)",
            name="loans_written_off_on_known",
        ),
        sa.CheckConstraint(
            "collection = 'customer_pays' OR bank_account_id IS NOT NULL",
            name="loans_bank_account_id_needed",
        ),
        sa.CheckConstraint(
            "collection IN ('customer_pays', 'auto_debit')", name="loans_collection_known"
        ),
        sa.CheckConstraint(
            "interval IN ('weekly', 'biweekly', 'monthly')", name="loans_interval_known"
        ),
        sa.CheckConstraint(
            "payment_policy IN ('exact', 'flexible')", name="loans_payment_policy_known"
        ),
        sa.CheckConstraint(
            "status IN ('active', 'closed', 'written_off')", name="loans_status_known"
        ),
        sa.CheckConstraint("applied_minor >= 0", name="loans_applied_minor_positive"),
        sa.CheckConstraint("credited_minor >= kept_minor", name="loans_credited_minor_kept"),
        sa.CheckConstraint("delinquent_after >= 1", name="loans_delinquent_after_positive"),
        sa.CheckConstraint(
            "earned_minor BETWEEN 0 AND interest_minor", name="loans_earned_minor_bounded"
        ),
        sa.CheckConstraint("installments BETWEEN 1 AND 10000", name="loans_installments_bounded"),
        sa.CheckConstraint("interest_minor >= 0", name="loans_interest_minor_positive"),
        sa.CheckConstraint("kept_minor >= 0", name="loans_kept_minor_positive"),
        sa.CheckConstraint("principal_minor > 0", name="loans_principal_minor_positive"),
        sa.CheckConstraint(
            "received_minor + applied_minor - credited_minor <= principal_minor + interest_minor",
            name="loans_paid_minor_owed",
        ),
        sa.CheckConstraint("received_minor >= 0", name="loans_received_minor_positive"),
        sa.CheckConstraint("rounding_unit >= 1", name="loans_rounding_unit_positive"),
        sa.ForeignKeyConstraint(
            ["bank_account_id"], ["bank_accounts.id"], name="loans_bank_account_id_fkey"
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="loans_customer_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="loans_pkey"),
    )
    op.create_index(
        "loans_customer_id_delinquent_index",
        "loans",
        ["customer_id"],
        unique=False,
        postgresql_where=sa.text("is_delinquent"),
        sqlite_where=sa.text("is_delinquent"),
    )
    op.create_index("loans_customer_id_id_index", "loans", ["customer_id", "id"], unique=False)
    op.create_index(
        "loans_delinquent_on_untold_index",
        "loans",
        ["delinquent_on"],
        unique=False,
        postgresql_where=sa.text("delinquent_on IS NOT NULL AND NOT is_delinquent"),
        sqlite_where=sa.text("delinquent_on IS NOT NULL AND NOT is_delinquent"),
    )
    op.create_index("loans_status_id_index", "loans", ["status", "id"], unique=False)


def _make_payments() -> None:
    op.create_table(
        "loan_payments",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("loan_id", HexId(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("installment_number", sa.Integer(), nullable=True),
        sa.Column("kept_minor", sa.BigInteger(), nullable=False),
        sa.Column("reversed_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("transfer_id", HexId(), nullable=True),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("request_key", sa.String(length=255), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(status = 'reversed') = (reversed_on IS NOT NULL)",
            name="loan_payments_reversed_on_known",
        ),
        sa.CheckConstraint(
            "status IN ('paid', 'pending', 'failed', 'reversed')", name="loan_payments_status_known"
        ),
        sa.CheckConstraint("amount_minor > 0", name="loan_payments_amount_minor_positive"),
        sa.CheckConstraint("kept_minor >= 0", name="loan_payments_kept_minor_positive"),
        sa.CheckConstraint("reversed_on >= effective_on", name="loan_payments_reversed_on_after"),
        sa.ForeignKeyConstraint(["loan_id"], ["loans.id"], name="loan_payments_loan_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="loan_payments_pkey"),
        sa.UniqueConstraint("loan_id", "sequence", name="loan_payments_loan_id_sequence_unique"),
    )
    op.create_index(
        "loan_payments_installment_live_unique",
        "loan_payments",
        ["loan_id", "installment_number"],
        unique=True,
        postgresql_where=sa.text(
            "installment_number IS NOT NULL AND status IN ('paid', 'pending')"
        ),
        sqlite_where=sa.text("installment_number IS NOT NULL AND status IN ('paid', 'pending')"),
    )
    op.create_index(
        "loan_payments_pending_index",
        "loan_payments",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "loan_payments_transfer_id_unique",
        "loan_payments",
        ["transfer_id"],
        unique=True,
        postgresql_where=sa.text("transfer_id IS NOT NULL AND status = 'paid'"),
        sqlite_where=sa.text("transfer_id IS NOT NULL AND status = 'paid'"),
    )


def _widen() -> None:
    op.add_column(
        "plans",
        sa.Column("interval_months", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("plans", sa.Column("anchor_on", sa.Date(), nullable=True))
    op.add_column("standings", sa.Column("since_on", sa.Date(), nullable=True))
