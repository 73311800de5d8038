"""The table of advances."""

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
)

from tallybook.advances.model import Advance, AdvanceStatus
from tallybook.customers.store import STANDINGS
from tallybook.db.metadata import METADATA, MINOR, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.writer import model as writer

ADVANCES_TABLE = Table(
    "advances",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name="advances_customer_id_fkey"),
        nullable=False,
    ),
    Column(
        "bank_account_id",
        HexId,
        ForeignKey("bank_accounts.id", name="advances_bank_account_id_fkey"),
        nullable=False,
    ),
    Column("amount_minor", MINOR, nullable=False),
    Column("fee_minor", MINOR, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("installments_count", Integer, nullable=False),
    Column("interval_days", Integer, nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("status", String(16), nullable=False),
    Column("payout", String(16), nullable=False),
    Column("is_fee_booked", Boolean, nullable=False),
    Column("credited_minor", MINOR, nullable=False),
    Column("applied_minor", MINOR, nullable=False),
    Column("written_off_minor", MINOR, nullable=False),
    Column("written_off_at_minor", MINOR, nullable=False),
    Column("credit_transfer_id", HexId, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("amount_minor > 0", name="amount_minor_positive"),
    CheckConstraint("fee_minor >= 0", name="fee_minor_positive"),
    CheckConstraint("credited_minor >= 0", name="credited_minor_positive"),
    CheckConstraint("applied_minor >= 0", name="applied_minor_positive"),
    CheckConstraint("written_off_minor >= 0", name="written_off_minor_positive"),
    CheckConstraint(
        "status IN ('pending', 'active', 'completed', 'failed', 'in_default', 'cancelled',"
        " 'written_off')",
        name="status_known",
    ),
    CheckConstraint("payout IN ('none', 'in_transit', 'paid', 'void')", name="payout_known"),
    Index("advances_customer_id_id_index", "customer_id", "id"),
    Index("advances_status_id_index", "status", "id"),
    partial_index(
        "advances_customer_id_owing_index",
        "customer_id",
        where="status IN ('pending', 'active', 'in_default', 'cancelled')",
    ),
)

_MAY_OWE = (
    AdvanceStatus.PENDING,
    AdvanceStatus.ACTIVE,
    AdvanceStatus.IN_DEFAULT,
    AdvanceStatus.CANCELLED,
)

ADVANCES = writer.Shelf(RowMap(ADVANCES_TABLE, Advance, key=("id",)), rank=30)
OWING_OF = writer.Index(
    ADVANCES,
    ("customer_id",),
    where="status IN ('pending', 'active', 'in_default', 'cancelled')",
    matches=lambda advance: advance.status in _MAY_OWE,
)
"""The advances of a customer that may still be owed; cancelled ones may be kept as owed."""
STANDING_ABOUT = writer.Index(STANDINGS, ("subject_id",))
"""An advance's own standing row: only changes under the advance's lock."""
