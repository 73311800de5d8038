"""The customers' tables, and the shelves and indexes that commands reach them through."""

from __future__ import annotations

from sqlalchemy import (
    CHAR,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from tallybook.customers.model import BankAccount, Customer, CustomerCredit, Standing
from tallybook.db.metadata import METADATA, MINOR, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.writer import model as writer

CUSTOMERS_TABLE = Table(
    "customers",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(254), nullable=False),
    Column("email_folded", String(254), nullable=False),
    Column("status", String(16), nullable=False),
    Column("credit_limit_minor", MINOR),
    Column("currency", CHAR(3), nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("email_folded", name="customers_email_folded_unique"),
    CheckConstraint("status IN ('active', 'suspended')", name="status_known"),
    CheckConstraint("credit_limit_minor >= 0", name="credit_limit_minor_positive"),
)

BANK_ACCOUNTS_TABLE = Table(
    "bank_accounts",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name="bank_accounts_customer_id_fkey"),
        nullable=False,
    ),
    Column("number_hash", CHAR(64), nullable=False),
    Column("number_sealed", LargeBinary, nullable=False),
    Column("last4", String(4), nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("number_hash", name="bank_accounts_number_hash_unique"),
    Index("bank_accounts_customer_id_index", "customer_id"),
)

STANDINGS_TABLE = Table(
    "standings",
    METADATA,
    Column("subject_id", HexId, primary_key=True),
    Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name="standings_customer_id_fkey"),
        nullable=False,
    ),
    Column("reason", String(64), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("since_on", Date),
    partial_index("standings_customer_id_index", "customer_id", where="active"),
)

CREDITS_TABLE = Table(
    "customer_credits",
    METADATA,
    Column(
        "customer_id",
        HexId,
        ForeignKey("customers.id", name="customer_credits_customer_id_fkey"),
        primary_key=True,
    ),
    Column("currency", CHAR(3), primary_key=True),
    Column("credit_minor", MINOR, nullable=False),
    CheckConstraint("credit_minor >= 0", name="credit_minor_positive"),
)

CUSTOMER_ROWS = RowMap(CUSTOMERS_TABLE, Customer, key=("id",))
BANK_ACCOUNT_ROWS = RowMap(BANK_ACCOUNTS_TABLE, BankAccount, key=("id",))
STANDING_ROWS = RowMap(STANDINGS_TABLE, Standing, key=("subject_id",))
CREDIT_ROWS = RowMap(CREDITS_TABLE, CustomerCredit, key=("customer_id", "currency"))

CUSTOMERS = writer.Shelf(CUSTOMER_ROWS, rank=10)
BANK_ACCOUNTS = writer.Shelf(BANK_ACCOUNT_ROWS, rank=20)
STANDINGS = writer.Shelf(
    STANDING_ROWS, rank=22, guards=(("plans", "subject_id"), ("loans", "subject_id"))
)
CREDITS = writer.Shelf(CREDIT_ROWS, rank=25)

CUSTOMER_BY_EMAIL = writer.Index(CUSTOMERS, ("email_folded",))
ACCOUNT_BY_NUMBER = writer.Index(BANK_ACCOUNTS, ("number_hash",))
ACCOUNTS_OF = writer.Index(BANK_ACCOUNTS, ("customer_id",))
STANDINGS_OF = writer.Index(
    STANDINGS, ("customer_id",), where="active", matches=lambda standing: standing.active
)
