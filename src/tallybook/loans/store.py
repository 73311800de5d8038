"""The tables of loans and their payments."""

from __future__ import annotations

from sqlalchemy import (
    CHAR,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from tallybook.customers.store import STANDINGS
from tallybook.db.metadata import METADATA, MINOR, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.loans.model import Loan, Payment, PaymentStatus
from tallybook.writer import model as writer

LOANS_TABLE = Table(
    "loans",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name="loans_customer_id_fkey"),
        nullable=False,
    ),
    Column("reference", String(64)),
    Column(
        "bank_account_id",
        HexId,
        ForeignKey("bank_accounts.id", name="loans_bank_account_id_fkey"),
    ),
    Column("principal_minor", MINOR, nullable=False),
    Column("interest_rate", String(40), nullable=False),
    Column("interest_minor", MINOR, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("installments", Integer, nullable=False),
    Column("interval", String(16), nullable=False),
    Column("start_on", Date, nullable=False),
    Column("rounding_unit", Integer, nullable=False),
    Column("payment_policy", String(16), nullable=False),
    Column("delinquent_after", Integer, nullable=False),
    Column("collection", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("payments_count", Integer, nullable=False),
    Column("received_minor", MINOR, nullable=False),
    Column("applied_minor", MINOR, nullable=False),
    Column("credited_minor", MINOR, nullable=False),
    Column("kept_minor", MINOR, nullable=False),
    Column("earned_minor", MINOR, nullable=False),
    Column("written_off_minor", MINOR, nullable=False),
    Column("written_off_at_minor", MINOR, nullable=False),
    Column("written_off_on", Date),
    Column("delinquent_on", Date),
    Column("is_delinquent", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("principal_minor > 0", name="principal_minor_positive"),
    CheckConstraint("interest_minor >= 0", name="interest_minor_positive"),
    CheckConstraint("installments BETWEEN 1 AND 10000", name="installments_bounded"),
    CheckConstraint("rounding_unit >= 1", name="rounding_unit_positive"),
    CheckConstraint("delinquent_after >= 1", name="delinquent_after_positive"),
    CheckConstraint("interval IN ('weekly', 'biweekly', 'monthly')", name="interval_known"),
    CheckConstraint("payment_policy IN ('exact', 'flexible')", name="payment_policy_known"),
    CheckConstraint("collection IN ('customer_pays', 'auto_debit')", name="collection_known"),
    CheckConstraint(
        "collection = 'customer_pays' OR bank_account_id IS NOT NULL",
        name="bank_account_id_needed",
    ),
    CheckConstraint("status IN ('active', 'closed', 'written_off')", name="status_known"),
    CheckConstraint(
        "(status = 'written_off') = (written_off_on IS NOT NULL)", name="written_off_on_known"
    ),
    CheckConstraint("received_minor >= 0", name="received_minor_positive"),
    CheckConstraint("applied_minor >= 0", name="applied_minor_positive"),
    CheckConstraint("kept_minor >= 0", name="kept_minor_positive"),
    CheckConstraint("credited_minor >= kept_minor", name="credited_minor_kept"),
    CheckConstraint("earned_minor BETWEEN 0 AND interest_minor", name="earned_minor_bounded"),
    # Never less than nothing is owed: what is too much is credit.
    CheckConstraint(
        "received_minor + applied_minor - credited_minor <= principal_minor + interest_minor",
        name="paid_minor_owed",
    ),
    partial_index(
        "loans_reference_unique", "reference", where="reference IS NOT NULL", unique=True
    ),
    Index("loans_customer_id_id_index", "customer_id", "id"),
    Index("loans_status_id_index", "status", "id"),
    partial_index("loans_customer_id_delinquent_index", "customer_id", where="is_delinquent"),
    partial_index(
        "loans_delinquent_on_untold_index",
        "delinquent_on",
        where="delinquent_on IS NOT NULL AND NOT is_delinquent",
    ),
)

PAYMENTS_TABLE = Table(
    "loan_payments",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column(
        "loan_id", HexId, ForeignKey("loans.id", name="loan_payments_loan_id_fkey"), nullable=False
    ),
    Column("sequence", Integer, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("method", String(40), nullable=False),
    Column("status", String(16), nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("installment_number", Integer),
    Column("kept_minor", MINOR, nullable=False),
    Column("reversed_on", Date),
    Column("reason", String(500)),
    Column("transfer_id", HexId),
    Column("reference", String(255)),
    Column("request_key", String(255)),
    Column("received_at", Instant, nullable=False),
    Column("settled_at", Instant),
    UniqueConstraint("loan_id", "sequence", name="loan_payments_loan_id_sequence_unique"),
    CheckConstraint("amount_minor > 0", name="amount_minor_positive"),
    CheckConstraint("kept_minor >= 0", name="kept_minor_positive"),
    CheckConstraint("status IN ('paid', 'pending', 'failed', 'reversed')", name="status_known"),
    CheckConstraint("(status = 'reversed') = (reversed_on IS NOT NULL)", name="reversed_on_known"),
    CheckConstraint("reversed_on >= effective_on", name="reversed_on_after"),
    # No row is paid twice, or while another payment for it is pending.
    partial_index(
        "loan_payments_installment_live_unique",
        "loan_id",
        "installment_number",
        where="installment_number IS NOT NULL AND status IN ('paid', 'pending')",
        unique=True,
    ),
    partial_index("loan_payments_pending_index", "received_at", where="status = 'pending'"),
    partial_index(
        "loan_payments_transfer_id_unique",
        "transfer_id",
        where="transfer_id IS NOT NULL AND status = 'paid'",
        unique=True,
    ),
)

LOANS = writer.Shelf(RowMap(LOANS_TABLE, Loan, key=("id",)), rank=31)
PAYMENTS = writer.Shelf(
    RowMap(PAYMENTS_TABLE, Payment, key=("id",)), rank=33, guards=(("loans", "loan_id"),)
)

LOAN_BY_ID = writer.Index(LOANS, ("id",))
"""For finding whose a loan is, before anything is locked: that never changes."""
LOAN_BY_REFERENCE = writer.Index(
    LOANS,
    ("reference",),
    where="reference IS NOT NULL",
    matches=lambda loan: loan.reference is not None,
)
"""A reference never changes, so it is looked up without a lock."""
DELINQUENT_LOANS_OF = writer.Index(
    LOANS,
    ("customer_id",),
    where="is_delinquent",
    matches=lambda loan: loan.is_delinquent,
)
"""The loans for which a customer was told to be delinquent; guarded by the customer's lock."""
LOANS_OF = writer.Index(LOANS, ("customer_id",))

_LIVE = (PaymentStatus.PAID, PaymentStatus.PENDING)
LIVE_PAYMENTS_OF = writer.Index(
    PAYMENTS,
    ("loan_id",),
    where="status IN ('paid', 'pending')",
    matches=lambda payment: payment.status in _LIVE,
)
"""The payments that count, or may yet: what a loan is folded from, under its lock."""
PAYMENTS_OF = writer.Index(PAYMENTS, ("loan_id",))
"""All payments of a loan, where it is shown whole."""
PAYMENT_BY_TRANSFER = writer.Index(
    PAYMENTS,
    ("transfer_id",),
    where="status = 'paid' AND transfer_id IS NOT NULL",
    matches=lambda payment: (
        payment.status is PaymentStatus.PAID and payment.transfer_id is not None
    ),
)
"""The payment that a debit has made, while it is not taken back."""
PAYMENT_BY_ID = writer.Index(PAYMENTS, ("id",))
"""For reading one payment under its loan's lock."""
STANDING_ABOUT_LOAN = writer.Index(STANDINGS, ("subject_id",))
"""A loan's own standing row: only changes under the loan's lock."""
