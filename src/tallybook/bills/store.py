"""The tables of household bills, and the shelves and indexes that commands reach them through.

Everything of one customer is guarded by that customer's row, which each command locks first.
"""

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
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tallybook.bills.model import Bill, BillAccount, Fact, Link, Message, Resolution, Transaction
from tallybook.db.metadata import METADATA, MINOR, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.writer import model as writer

_TYPES = "'MOBILE_BILL', 'ELECTRIC_BILL', 'GAS_BILL', 'LOAN', 'CREDITCARD'"
_KINDS = (
    "'BILL_GENERATION', 'BILL_INFORMATION', 'BILL_CONFIRMATION', 'BILL_TXN_CONFIRMATION',"
    " 'BILL_IMMEDIATE', 'BILL_DUE_TODAY'"
)
_STATUSES = (
    "'recorded', 'applied', 'information', 'unmatched', 'review', 'duplicate', 'otp_dropped'"
)


def _customer(table: str) -> Column[str]:
    return Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name=f"{table}_customer_id_fkey"),
        nullable=False,
    )


MESSAGES_TABLE = Table(
    "bill_messages",
    METADATA,
    Column("id", HexId, primary_key=True),
    _customer("bill_messages"),
    Column("identity", CHAR(64), nullable=False),
    Column("sender", String(64)),
    Column("body", Text),
    Column("body_hash", CHAR(64), nullable=False),
    Column("sent_at", Instant),
    Column("received_at", Instant, nullable=False),
    Column("source_id", String(128)),
    Column("rule", String(128)),
    Column("reading", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    UniqueConstraint("identity", name="bill_messages_identity_unique"),
    Index("bill_messages_customer_id_index", "customer_id"),
)

FACTS_TABLE = Table(
    "bill_facts",
    METADATA,
    Column(
        "message_id",
        HexId,
        ForeignKey("bill_messages.id", name="bill_facts_message_id_fkey"),
        primary_key=True,
    ),
    _customer("bill_facts"),
    Column("at", Instant, nullable=False),
    Column("hash", CHAR(64), nullable=False),
    Column("on_day", Date, nullable=False),
    Column("folds", Boolean, nullable=False),
    Column("is_movement", Boolean, nullable=False),
    Column("kind", String(24)),
    Column("bill_type", String(16)),
    Column("issuer", String(200)),
    Column("number", String(64)),
    Column("amount_minor", MINOR),
    Column("minimum_minor", MINOR),
    Column("currency", CHAR(3)),
    Column("bill_on", Date),
    Column("due_on", Date),
    Column("paid_on", Date),
    Column("reference", String(64)),
    Column("paid_from", String(64)),
    Column("status", String(16), nullable=False),
    Column("account_id", HexId),
    Column("bill_id", HexId),
    Column("transaction_id", HexId),
    Column("why", Text, nullable=False),
    CheckConstraint(f"kind IN ({_KINDS})", name="kind_known"),
    CheckConstraint(f"bill_type IN ({_TYPES})", name="bill_type_known"),
    CheckConstraint(f"status IN ({_STATUSES})", name="status_known"),
    partial_index("bill_facts_customer_id_index", "customer_id", where="folds"),
    partial_index("bill_facts_recorded_index", "customer_id", where="status = 'recorded'"),
    partial_index("bill_facts_review_index", "message_id", where="status = 'review'"),
)

ACCOUNTS_TABLE = Table(
    "bill_accounts",
    METADATA,
    Column("id", HexId, primary_key=True),
    _customer("bill_accounts"),
    Column("type", String(16), nullable=False),
    Column("issuer", String(200)),
    Column("number", String(64)),
    Column("anchor", HexId, nullable=False),
    Column("cycle_days", Integer),
    Column("generation_day", SmallInteger),
    Column("due_day", SmallInteger),
    Column("merged_into", HexId),
    Column("created_at", Instant, nullable=False),
    CheckConstraint(f"type IN ({_TYPES})", name="type_known"),
    Index("bill_accounts_customer_id_index", "customer_id"),
)

BILLS_TABLE = Table(
    "bills",
    METADATA,
    Column("id", HexId, primary_key=True),
    _customer("bills"),
    Column(
        "account_id",
        HexId,
        ForeignKey("bill_accounts.id", name="bills_account_id_fkey"),
        nullable=False,
    ),
    Column("type", String(16), nullable=False),
    Column("anchor", HexId, nullable=False),
    Column("bill_on", Date),
    Column("due_on", Date),
    Column("dated_on", Date, nullable=False),
    Column("amount_minor", MINOR),
    Column("minimum_minor", MINOR),
    Column("currency", CHAR(3), nullable=False),
    Column("paid_minor", MINOR, nullable=False),
    Column("paid_on", Date),
    Column("is_rolled_over", Boolean, nullable=False),
    Column("merged_into", HexId),
    Column("history", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    CheckConstraint(f"type IN ({_TYPES})", name="type_known"),
    CheckConstraint("amount_minor >= 0", name="amount_minor_positive"),
    CheckConstraint("paid_minor >= 0", name="paid_minor_positive"),
    Index("bills_customer_id_index", "customer_id", "due_on"),
)

TRANSACTIONS_TABLE = Table(
    "bill_transactions",
    METADATA,
    Column("id", HexId, primary_key=True),
    _customer("bill_transactions"),
    Column(
        "message_id",
        HexId,
        ForeignKey("bill_messages.id", name="bill_transactions_message_id_fkey"),
    ),
    Column("at", Instant, nullable=False),
    Column("hash", CHAR(64), nullable=False),
    Column("on_day", Date, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("is_currency_stated", Boolean, nullable=False),
    Column("description", String(500), nullable=False),
    Column("reference", String(64)),
    Column("number", String(64)),
    Column("account_id", HexId),
    Column("bill_id", HexId),
    Column("bound", Text, nullable=False),
    Column("bound_minor", MINOR, nullable=False),
    Column("prepaid_minor", MINOR, nullable=False),
    Column("duplicate_of", HexId),
    Column("evidence", Text, nullable=False),
    CheckConstraint("amount_minor <> 0", name="amount_minor_not_zero"),
    CheckConstraint("bound_minor >= 0", name="bound_minor_positive"),
    CheckConstraint("prepaid_minor >= 0", name="prepaid_minor_positive"),
    UniqueConstraint("message_id", name="bill_transactions_message_id_unique"),
    Index("bill_transactions_customer_id_index", "customer_id"),
)

LINKS_TABLE = Table(
    "bill_links",
    METADATA,
    Column("id", HexId, primary_key=True),
    _customer("bill_links"),
    Column(
        "transaction_id",
        HexId,
        ForeignKey("bill_transactions.id", name="bill_links_transaction_id_fkey"),
        nullable=False,
    ),
    Column("bill_anchor", HexId),
    Column("at", Instant, nullable=False),
    Index("bill_links_customer_id_index", "customer_id"),
)

RESOLUTIONS_TABLE = Table(
    "bill_resolutions",
    METADATA,
    Column("id", HexId, primary_key=True),
    _customer("bill_resolutions"),
    Column(
        "message_id",
        HexId,
        ForeignKey("bill_messages.id", name="bill_resolutions_message_id_fkey"),
        nullable=False,
    ),
    Column("action", String(16), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("reading", Text, nullable=False),
    Column("at", Instant, nullable=False),
    CheckConstraint("action IN ('correct', 'dismiss')", name="action_known"),
    Index("bill_resolutions_message_id_index", "message_id"),
)

MESSAGE_ROWS = RowMap(MESSAGES_TABLE, Message, key=("id",))
FACT_ROWS = RowMap(FACTS_TABLE, Fact, key=("message_id",))
ACCOUNT_ROWS = RowMap(ACCOUNTS_TABLE, BillAccount, key=("id",))
BILL_ROWS = RowMap(BILLS_TABLE, Bill, key=("id",))
TRANSACTION_ROWS = RowMap(TRANSACTIONS_TABLE, Transaction, key=("id",))
LINK_ROWS = RowMap(LINKS_TABLE, Link, key=("id",))
RESOLUTION_ROWS = RowMap(RESOLUTIONS_TABLE, Resolution, key=("id",))

_OF_CUSTOMER = (("customers", "customer_id"),)

MESSAGES = writer.Shelf(MESSAGE_ROWS, rank=90)
FACTS = writer.Shelf(FACT_ROWS, rank=92, guards=_OF_CUSTOMER)
BILL_ACCOUNTS = writer.Shelf(ACCOUNT_ROWS, rank=94, guards=_OF_CUSTOMER)
BILLS = writer.Shelf(BILL_ROWS, rank=96, guards=_OF_CUSTOMER)
TRANSACTIONS = writer.Shelf(TRANSACTION_ROWS, rank=98, guards=_OF_CUSTOMER)
LINKS = writer.Shelf(LINK_ROWS, rank=100)
RESOLUTIONS = writer.Shelf(RESOLUTION_ROWS, rank=102)

MESSAGE_BY_IDENTITY = writer.Index(MESSAGES, ("identity",))
FACT_OF_MESSAGE = writer.Index(FACTS, ("message_id",))
FACTS_OF = writer.Index(FACTS, ("customer_id",), where="folds", matches=lambda fact: fact.folds)
BILL_ACCOUNTS_OF = writer.Index(BILL_ACCOUNTS, ("customer_id",))
BILLS_OF = writer.Index(BILLS, ("customer_id",))
BILL_BY_ID = writer.Index(BILLS, ("id",))
TRANSACTIONS_OF = writer.Index(TRANSACTIONS, ("customer_id",))
TRANSACTION_BY_ID = writer.Index(TRANSACTIONS, ("id",))
LINKS_OF = writer.Index(LINKS, ("customer_id",))
