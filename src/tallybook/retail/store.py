"""The counter's tables, and the shelves and indexes that commands reach them through.

Whoever sells, refunds or counts locks the one drawer row first, so that everything it numbers or
guards (pieces, documents) is decided one after another; the group commit makes that cheap.
"""

from __future__ import annotations

from sqlalchemy import (
    CHAR,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
)

from tallybook.db.metadata import METADATA, MINOR, NUMBER, HexId, Instant, partial_index
from tallybook.db.tables import RowMap
from tallybook.retail import model
from tallybook.writer import model as writer

PRODUCTS_TABLE = Table(
    "products",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    # Folding may make a name up to three times as long.
    Column("name_folded", String(765), nullable=False),
    Column("sku", String(64)),
    Column("stock", NUMBER, nullable=False),
    Column("price_minor", MINOR, nullable=False),
    Column("tax_ppm", Integer, nullable=False),
    Column("tax_inclusive", Boolean, nullable=False),
    Column("oversell_limit", NUMBER, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("stock >= -oversell_limit", name="stock_sufficient"),
    CheckConstraint("price_minor > 0", name="price_minor_positive"),
    CheckConstraint("tax_ppm BETWEEN 0 AND 1000000", name="tax_ppm_percent"),
    CheckConstraint("oversell_limit >= 0", name="oversell_limit_positive"),
    partial_index("products_name_folded_unique", "name_folded", where="active", unique=True),
    partial_index("products_sku_unique", "sku", where="active AND sku IS NOT NULL", unique=True),
)

STOCK_MOVEMENTS_TABLE = Table(
    "stock_movements",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column(
        "product_id",
        Integer,
        ForeignKey("products.id", name="stock_movements_product_id_fkey"),
        nullable=False,
    ),
    Column("change", NUMBER, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Index("stock_movements_product_id_index", "product_id"),
)

DRAWERS_TABLE = Table(
    "drawers",
    METADATA,
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("currency", CHAR(3), nullable=False),
    Column("uncounted_minor", MINOR, nullable=False),
    Column("products_count", Integer, nullable=False),
    Column("purchases_count", NUMBER, nullable=False),
    Column("refunds_count", NUMBER, nullable=False),
    Column("movements_count", NUMBER, nullable=False),
    Column("sessions_count", NUMBER, nullable=False),
    Column("open_session", NUMBER),
    Column("purchase_hash", CHAR(64), nullable=False),
    Column("refund_hash", CHAR(64), nullable=False),
    CheckConstraint("uncounted_minor >= 0", name="uncounted_minor_positive"),
)

DENOMINATIONS_TABLE = Table(
    "denominations",
    METADATA,
    Column(
        "drawer_number",
        SmallInteger,
        ForeignKey("drawers.number", name="denominations_drawer_number_fkey"),
        primary_key=True,
    ),
    Column("value_minor", MINOR, primary_key=True, autoincrement=False),
    Column("count", NUMBER, nullable=False),
    CheckConstraint("value_minor > 0", name="value_minor_positive"),
    CheckConstraint("count >= 0", name="count_positive"),
)

PURCHASES_TABLE = Table(
    "purchases",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("subject_id", HexId, nullable=False),
    Column("customer_id", HexId, ForeignKey("customers.id", name="purchases_customer_id_fkey")),
    Column("customer_email", String(254)),
    Column("currency", CHAR(3), nullable=False),
    Column("total_minor", MINOR, nullable=False),
    Column("tax_minor", MINOR, nullable=False),
    Column("rounding_minor", MINOR, nullable=False),
    Column("final_minor", MINOR, nullable=False),
    Column("paid_minor", MINOR, nullable=False),
    Column("tendered", Text),
    Column("change", Text, nullable=False),
    Column("cash_rounding", String(32), nullable=False),
    Column("rules_version", SmallInteger, nullable=False),
    Column("sold_on", Date, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("session_number", NUMBER),
    Column("is_imported", Boolean, nullable=False),
    Column("reference", String(64)),
    Column("hash", CHAR(64), nullable=False),
    CheckConstraint(
        "final_minor = total_minor + tax_minor + rounding_minor", name="final_minor_sum"
    ),
    CheckConstraint("paid_minor >= final_minor", name="paid_minor_sufficient"),
    partial_index(
        "purchases_customer_id_index", "customer_id", "number", where="customer_id IS NOT NULL"
    ),
    partial_index(
        "purchases_reference_unique", "reference", where="reference IS NOT NULL", unique=True
    ),
)

PURCHASE_ITEMS_TABLE = Table(
    "purchase_items",
    METADATA,
    Column(
        "purchase_number",
        NUMBER,
        ForeignKey("purchases.number", name="purchase_items_purchase_number_fkey"),
        primary_key=True,
    ),
    Column("line", SmallInteger, primary_key=True, autoincrement=False),
    Column(
        "product_id",
        Integer,
        ForeignKey("products.id", name="purchase_items_product_id_fkey"),
        nullable=False,
    ),
    Column("name", String(255), nullable=False),
    Column("sku", String(64)),
    Column("quantity", NUMBER, nullable=False),
    Column("unit_price_minor", MINOR, nullable=False),
    Column("tax_ppm", Integer, nullable=False),
    Column("tax_inclusive", Boolean, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("tax_minor", MINOR, nullable=False),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint("amount_minor >= 0", name="amount_minor_positive"),
    CheckConstraint("tax_minor >= 0", name="tax_minor_positive"),
)

REFUNDS_TABLE = Table(
    "refunds",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("subject_id", HexId, nullable=False),
    Column(
        "purchase_number",
        NUMBER,
        ForeignKey("purchases.number", name="refunds_purchase_number_fkey"),
        nullable=False,
    ),
    Column("customer_id", HexId, ForeignKey("customers.id", name="refunds_customer_id_fkey")),
    Column("currency", CHAR(3), nullable=False),
    Column("total_minor", MINOR, nullable=False),
    Column("tax_minor", MINOR, nullable=False),
    Column("rounding_minor", MINOR, nullable=False),
    Column("cash_minor", MINOR, nullable=False),
    Column("pieces", Text, nullable=False),
    Column("uncounted_minor", MINOR, nullable=False),
    Column("restock", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("refunded_on", Date, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("session_number", NUMBER),
    Column("is_imported", Boolean, nullable=False),
    Column("reference", String(64)),
    Column("hash", CHAR(64), nullable=False),
    CheckConstraint("cash_minor = total_minor + tax_minor + rounding_minor", name="cash_minor_sum"),
    CheckConstraint("cash_minor >= 0", name="cash_minor_positive"),
    Index("refunds_purchase_number_index", "purchase_number"),
)

REFUND_ITEMS_TABLE = Table(
    "refund_items",
    METADATA,
    Column(
        "refund_number",
        NUMBER,
        ForeignKey("refunds.number", name="refund_items_refund_number_fkey"),
        primary_key=True,
    ),
    Column("purchase_line", SmallInteger, primary_key=True, autoincrement=False),
    Column("purchase_number", NUMBER, nullable=False),
    Column("product_id", Integer, nullable=False),
    Column("quantity", NUMBER, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("tax_minor", MINOR, nullable=False),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    ForeignKeyConstraint(
        ["purchase_number", "purchase_line"],
        ["purchase_items.purchase_number", "purchase_items.line"],
        name="refund_items_purchase_line_fkey",
    ),
    Index("refund_items_purchase_number_index", "purchase_number"),
)

DRAWER_MOVEMENTS_TABLE = Table(
    "drawer_movements",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("subject_id", HexId, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("session_number", NUMBER),
    Column("currency", CHAR(3), nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("pieces", Text, nullable=False),
    Column("uncounted_minor", MINOR, nullable=False),
    Column("reason", Text, nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    partial_index(
        "drawer_movements_session_number_index",
        "session_number",
        "number",
        where="session_number IS NOT NULL",
    ),
)

DRAWER_SESSIONS_TABLE = Table(
    "drawer_sessions",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("currency", CHAR(3), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("opening_minor", MINOR, nullable=False),
    Column("closed_at", Instant),
    Column("expected_minor", MINOR),
    Column("counted_minor", MINOR),
    # At most one is open: any two open ones would have equal columns here.
    partial_index(
        "drawer_sessions_open_unique", "currency", where="closed_at IS NULL", unique=True
    ),
)

MAIL_CURSORS_TABLE = Table(
    "mail_cursors",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("event_seq", NUMBER, nullable=False),
)

INVOICE_RETRIES_TABLE = Table(
    "invoice_retries",
    METADATA,
    Column(
        "purchase_number",
        NUMBER,
        ForeignKey("purchases.number", name="invoice_retries_purchase_number_fkey"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("problem", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    partial_index("invoice_retries_next_at_index", "next_at", where="open"),
)

PRODUCTS = writer.Shelf(
    RowMap(PRODUCTS_TABLE, model.Product, key=("id",)), rank=70, follows=("stock",)
)
STOCK_MOVEMENTS = writer.Shelf(
    RowMap(STOCK_MOVEMENTS_TABLE, model.StockMovement, key=("id",)), rank=72
)
DRAWERS = writer.Shelf(RowMap(DRAWERS_TABLE, model.Drawer, key=("number",)), rank=75)
DENOMINATIONS = writer.Shelf(
    RowMap(DENOMINATIONS_TABLE, model.Denomination, key=("drawer_number", "value_minor")),
    rank=80,
    guards=(("drawers", "drawer_number"),),
)
SESSIONS = writer.Shelf(
    RowMap(DRAWER_SESSIONS_TABLE, model.DrawerSession, key=("number",)), rank=81
)
PURCHASES = writer.Shelf(
    RowMap(PURCHASES_TABLE, model.Purchase, key=("number",)), rank=82, is_sealed=False
)
PURCHASE_ITEMS = writer.Shelf(
    RowMap(PURCHASE_ITEMS_TABLE, model.PurchaseItem, key=("purchase_number", "line")),
    rank=83,
    is_sealed=False,
)
REFUNDS = writer.Shelf(RowMap(REFUNDS_TABLE, model.Refund, key=("number",)), rank=84)
REFUND_ITEMS = writer.Shelf(
    RowMap(REFUND_ITEMS_TABLE, model.RefundItem, key=("refund_number", "purchase_line")), rank=85
)
DRAWER_MOVEMENTS = writer.Shelf(
    RowMap(DRAWER_MOVEMENTS_TABLE, model.DrawerMovement, key=("number",)), rank=86
)
MAIL_CURSORS = writer.Shelf(RowMap(MAIL_CURSORS_TABLE, model.MailCursor, key=("name",)), rank=88)
INVOICE_RETRIES = writer.Shelf(
    RowMap(INVOICE_RETRIES_TABLE, model.InvoiceRetry, key=("purchase_number",)), rank=89
)

PRODUCT_BY_NAME = writer.Index(
    PRODUCTS, ("name_folded",), where="active", matches=lambda product: product.active
)
PRODUCT_BY_SKU = writer.Index(
    PRODUCTS,
    ("sku",),
    where="active AND sku IS NOT NULL",
    matches=lambda product: product.active and product.sku is not None,
)
DENOMINATIONS_OF = writer.Index(DENOMINATIONS, ("drawer_number",))
PURCHASE_BY_NUMBER = writer.Index(PURCHASES, ("number",))
"""Purchases never change, so they are looked up without a lock."""
PURCHASE_BY_REFERENCE = writer.Index(
    PURCHASES,
    ("reference",),
    where="reference IS NOT NULL",
    matches=lambda purchase: purchase.reference is not None,
)
ITEMS_OF = writer.Index(PURCHASE_ITEMS, ("purchase_number",))
REFUNDS_OF = writer.Index(REFUNDS, ("purchase_number",))
REFUND_ITEMS_OF = writer.Index(REFUND_ITEMS, ("purchase_number",))
"""By purchase, so that a refund sees those that came before it in its own batch."""
