"""The Processor's tables: transfers, reports, facts and operator items."""

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
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tallybook.db.metadata import METADATA, MINOR, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.processor.model import Fact, ItemKind, OperatorItem, Report, Sending, Transfer
from tallybook.writer.model import Index as RowIndex
from tallybook.writer.model import Shelf

TRANSFERS_TABLE = Table(
    "transfers",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("direction", String(6), nullable=False),
    Column("customer_id", HexId, nullable=False),
    Column("bank_account_id", HexId, nullable=False),
    Column("subject_id", HexId, nullable=False),
    Column("installment_id", HexId),
    Column("installment_number", Integer),
    Column("amount_minor", MINOR, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("held", Boolean, nullable=False),
    Column("transaction_id", String(255)),
    Column("sent_on", Date, nullable=False),
    Column("intent_at", Instant, nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("sender", String(200), nullable=False),
    Column("resolved_at", Instant),
    Column("resolved_on", Date),
    Column("reason", String(200)),
    Column("is_ruled", Boolean, nullable=False),
    Column("request_key", String(255)),
    CheckConstraint("amount_minor > 0", name="amount_minor_positive"),
    CheckConstraint("direction IN ('credit', 'debit')", name="direction_known"),
    CheckConstraint(
        "state IN ('intent', 'accepted', 'rejected', 'unknown', 'succeeded', 'failed',"
        " 'timed_out', 'returned', 'not_executed')",
        name="state_known",
    ),
    CheckConstraint("NOT held OR state = 'timed_out'", name="held_timed_out"),
    Index("transfers_transaction_id_unique", "transaction_id", unique=True),
    partial_index(
        "transfers_installment_id_live_unique",
        "installment_id",
        where="state IN ('intent', 'accepted', 'unknown', 'timed_out', 'succeeded')",
        unique=True,
    ),
    partial_index(
        "transfers_sent_on_open_index",
        "sent_on",
        where="state IN ('intent', 'accepted', 'unknown')",
    ),
    partial_index("transfers_held_index", "sent_on", where="held"),
    Index("transfers_subject_id_index", "subject_id"),
    Index("transfers_bank_account_id_sent_on_index", "bank_account_id", "sent_on"),
    Index("transfers_sent_on_id_index", "sent_on", "id"),
    partial_index(
        "transfers_resolved_on_id_index", "resolved_on", "id", where="resolved_on IS NOT NULL"
    ),
    partial_index("transfers_resolved_at_index", "resolved_at", where="resolved_at IS NOT NULL"),
)

REPORTS_TABLE = Table(
    "processor_reports",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column("report_on", Date, nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("sha256", CHAR(64), nullable=False),
    Column("raw_sealed", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("rows_count", Integer, nullable=False),
    Column("new_count", Integer, nullable=False),
    Column("missing_count", Integer, nullable=False),
    Column("is_rich", Boolean, nullable=False),
    Column("problems", Text, nullable=False),
    UniqueConstraint("report_on", "sha256", name="processor_reports_report_on_sha256_unique"),
)

FACTS_TABLE = Table(
    "report_facts",
    METADATA,
    Column("transaction_id", String(255), primary_key=True),
    Column("result", String(8), primary_key=True),
    Column("first_on", Date, nullable=False),
    Column("happened_on", Date, nullable=False),
    Column("not_before", Date, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("amount_minor", MINOR),
    Column("account_hash", CHAR(64)),
    Column("direction", String(6)),
    Column("reason", String(200)),
    CheckConstraint("result IN ('success', 'fail')", name="result_known"),
    partial_index("report_facts_unapplied_index", "transaction_id", where="NOT applied"),
    Index("report_facts_not_before_index", "not_before"),
)

ITEMS_TABLE = Table(
    "operator_items",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("about", String(255), nullable=False),
    Column("transfer_id", HexId, ForeignKey("transfers.id", name="operator_items_transfer_fkey")),
    Column("subject_id", HexId),
    Column("customer_id", HexId),
    Column("transfer_kind", String(16)),
    Column("amount_minor", MINOR),
    Column("currency", CHAR(3)),
    Column("detail", Text, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("opened_on", Date, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("action", String(24)),
    Column("reason", Text),
    Column("resolved_by", String(100)),
    Column("resolved_at", Instant),
    CheckConstraint("is_open OR action IS NOT NULL", name="resolved_by_action"),
    CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="amount_has_currency"),
    partial_index(
        "operator_items_about_open_unique", "about", "kind", where="is_open", unique=True
    ),
    partial_index("operator_items_open_index", "id", where="is_open"),
    Index("operator_items_transfer_id_index", "transfer_id"),
)

SENDING_TABLE = Table(
    "sending_states",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_by", String(100), nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("lost_from", Date),
    Column("lost_until", Date),
    CheckConstraint("state IN ('open', 'stopped', 'reconciling')", name="state_known"),
)

SENDING = Shelf(RowMap(SENDING_TABLE, Sending, key=("name",)), rank=3)
TRANSFERS = Shelf(RowMap(TRANSFERS_TABLE, Transfer, key=("id",)), rank=45)
REPORTS = Shelf(RowMap(REPORTS_TABLE, Report, key=("id",)), rank=54)
FACTS = Shelf(RowMap(FACTS_TABLE, Fact, key=("transaction_id", "result")), rank=55)
ITEMS = Shelf(RowMap(ITEMS_TABLE, OperatorItem, key=("id",)), rank=60)

TRANSFER_BY_TRANSACTION = RowIndex(TRANSFERS, ("transaction_id",))
TRANSFERS_OF = RowIndex(TRANSFERS, ("subject_id",))
FACTS_OF = RowIndex(FACTS, ("transaction_id",))
REPORT_BY_CONTENT = RowIndex(REPORTS, ("report_on", "sha256"))
OPEN_EXCESS_OF = RowIndex(
    ITEMS,
    ("subject_id",),
    where="is_open AND kind = 'excess'",
    matches=lambda item: item.is_open and item.kind is ItemKind.EXCESS,
)
OPEN_ITEMS_ABOUT = RowIndex(ITEMS, ("about",), where="is_open", matches=lambda item: item.is_open)
