"""The counter: products, the drawer, purchases, refunds, invoices to send."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards
from tallybook.db.metadata import HexId, Instant

revision = "0002"
down_revision = "0001"

_APPEND_ONLY = (
    "stock_movements",
    "purchases",
    "purchase_items",
    "refunds",
    "refund_items",
    "drawer_movements",
)


def upgrade() -> None:
    """Make the counter's tables, and the triggers that keep documents as they were written."""
    _make_catalogue()
    _make_drawer()
    _make_documents()
    _make_mail()
    connection = op.get_bind()
    for table in _APPEND_ONLY:
        guards.make_append_only(connection, table)
    guards.refuse_deletes(connection, "products")
    guards.refuse_deletes(connection, "drawers")
    guards.refuse_deletes(connection, "denominations")


def _make_catalogue() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_folded", sa.String(length=765), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=True),
        sa.Column("stock", sa.BigInteger(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_ppm", sa.Integer(), nullable=False),
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False),
        sa.Column("oversell_limit", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("oversell_limit >= 0", name="products_oversell_limit_positive"),
        sa.CheckConstraint("price_minor > 0", name="products_price_minor_positive"),
        sa.CheckConstraint("stock >= -oversell_limit", name="products_stock_sufficient"),
        sa.CheckConstraint("tax_ppm BETWEEN 0 AND 1000000", name="products_tax_ppm_percent"),
        sa.PrimaryKeyConstraint("id", name="products_pkey"),
    )
    op.create_index(
        "products_name_folded_unique",
        "products",
        ["name_folded"],
        unique=True,
        postgresql_where=sa.text("active"),
        sqlite_where=sa.text("active"),
    )
    op.create_index(
        "products_sku_unique",
        "products",
        ["sku"],
        unique=True,
        postgresql_where=sa.text("active AND sku IS NOT NULL"),
        sqlite_where=sa.text("active AND sku IS NOT NULL"),
    )
    op.create_table(
        "stock_movements",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="stock_movements_product_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="stock_movements_pkey"),
    )
    op.create_index(
        "stock_movements_product_id_index", "stock_movements", ["product_id"], unique=False
    )


def _make_drawer() -> None:
    op.create_table(
        "drawers",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("uncounted_minor", sa.BigInteger(), nullable=False),
        sa.Column("products_count", sa.Integer(), nullable=False),
        sa.Column("purchases_count", sa.BigInteger(), nullable=False),
        sa.Column("refunds_count", sa.BigInteger(), nullable=False),
        sa.Column("movements_count", sa.BigInteger(), nullable=False),
        sa.Column("sessions_count", sa.BigInteger(), nullable=False),
        sa.Column("open_session", sa.BigInteger(), nullable=True),
        sa.Column("purchase_hash", sa.CHAR(length=64), nullable=False),
        sa.Column("refund_hash", sa.CHAR(length=64), nullable=False),
        sa.CheckConstraint("uncounted_minor >= 0", name="drawers_uncounted_minor_positive"),
        sa.PrimaryKeyConstraint("number", name="drawers_pkey"),
    )
    op.create_table(
        "denominations",
        sa.Column("drawer_number", sa.SmallInteger(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("count >= 0", name="denominations_count_positive"),
        sa.CheckConstraint("value_minor > 0", name="denominations_value_minor_positive"),
        sa.ForeignKeyConstraint(
            ["drawer_number"], ["drawers.number"], name="denominations_drawer_number_fkey"
        ),
        sa.PrimaryKeyConstraint("drawer_number", "value_minor", name="denominations_pkey"),
    )
    op.create_table(
        "drawer_sessions",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("expected_minor", sa.BigInteger(), nullable=True),
        sa.Column("counted_minor", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="drawer_sessions_pkey"),
    )
    op.create_index(
        "drawer_sessions_open_unique",
        "drawer_sessions",
        ["currency"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    )


def _make_documents() -> None:
    op.create_table(
        "purchases",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=True),
        sa.Column("customer_email", sa.String(length=254), nullable=True),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("rounding_minor", sa.BigInteger(), nullable=False),
        sa.Column("final_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("tendered", sa.Text(), nullable=True),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("cash_rounding", sa.String(length=32), nullable=False),
        sa.Column("rules_version", sa.SmallInteger(), nullable=False),
        sa.Column("sold_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("session_number", sa.BigInteger(), nullable=True),
        sa.Column("is_imported", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.CHAR(length=64), nullable=False),
        sa.CheckConstraint(
            "final_minor = total_minor + tax_minor + rounding_minor",
            name="purchases_final_minor_sum",
        ),
        sa.CheckConstraint("paid_minor >= final_minor", name="purchases_paid_minor_sufficient"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="purchases_customer_id_fkey"
        ),
        sa.PrimaryKeyConstraint("number", name="purchases_pkey"),
    )
    op.create_index(
        "purchases_customer_id_index",
        "purchases",
        ["customer_id", "number"],
        unique=False,
        postgresql_where=sa.text("customer_id IS NOT NULL"),
        sqlite_where=sa.text("customer_id IS NOT NULL"),
    )
    op.create_index(
        "purchases_reference_unique",
        "purchases",
        ["reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
        sqlite_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "purchase_items",
        sa.Column("purchase_number", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_ppm", sa.Integer(), nullable=False),
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name="purchase_items_amount_minor_positive"),
        sa.CheckConstraint("quantity > 0", name="purchase_items_quantity_positive"),
        sa.CheckConstraint("tax_minor >= 0", name="purchase_items_tax_minor_positive"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="purchase_items_product_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["purchase_number"], ["purchases.number"], name="purchase_items_purchase_number_fkey"
        ),
        sa.PrimaryKeyConstraint("purchase_number", "line", name="purchase_items_pkey"),
    )
    op.create_table(
        "refunds",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("purchase_number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", HexId(), nullable=True),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("rounding_minor", sa.BigInteger(), nullable=False),
        sa.Column("cash_minor", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.Text(), nullable=False),
        sa.Column("uncounted_minor", sa.BigInteger(), nullable=False),
        sa.Column("restock", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refunded_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("session_number", sa.BigInteger(), nullable=True),
        sa.Column("is_imported", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.CHAR(length=64), nullable=False),
        sa.CheckConstraint(
            "cash_minor = total_minor + tax_minor + rounding_minor", name="refunds_cash_minor_sum"
        ),
        sa.CheckConstraint("cash_minor >= 0", name="refunds_cash_minor_positive"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="refunds_customer_id_fkey"),
        sa.ForeignKeyConstraint(
            ["purchase_number"], ["purchases.number"], name="refunds_purchase_number_fkey"
        ),
        sa.PrimaryKeyConstraint("number", name="refunds_pkey"),
    )
    op.create_index("refunds_purchase_number_index", "refunds", ["purchase_number"], unique=False)
    op.create_table(
        "refund_items",
        sa.Column("refund_number", sa.BigInteger(), nullable=False),
        sa.Column("purchase_line", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("purchase_number", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0", name="refund_items_quantity_positive"),
        sa.ForeignKeyConstraint(
            ["purchase_number", "purchase_line"],
            ["purchase_items.purchase_number", "purchase_items.line"],
            name="refund_items_purchase_line_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["refund_number"], ["refunds.number"], name="refund_items_refund_number_fkey"
        ),
        sa.PrimaryKeyConstraint("refund_number", "purchase_line", name="refund_items_pkey"),
    )
    op.create_index(
        "refund_items_purchase_number_index", "refund_items", ["purchase_number"], unique=False
    )
    op.create_table(
        "drawer_movements",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_id", HexId(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("session_number", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.Text(), nullable=False),
        sa.Column("uncounted_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="drawer_movements_pkey"),
    )
    op.create_index(
        "drawer_movements_session_number_index",
        "drawer_movements",
        ["session_number", "number"],
        unique=False,
        postgresql_where=sa.text("session_number IS NOT NULL"),
        sqlite_where=sa.text("session_number IS NOT NULL"),
    )


def _make_mail() -> None:
    op.create_table(
        "mail_cursors",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="mail_cursors_pkey"),
    )
    op.create_table(
        "invoice_retries",
        sa.Column("purchase_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Instant(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["purchase_number"], ["purchases.number"], name="invoice_retries_purchase_number_fkey"
        ),
        sa.PrimaryKeyConstraint("purchase_number", name="invoice_retries_pkey"),
    )
    op.create_index(
        "invoice_retries_next_at_index",
        "invoice_retries",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("open"),
        sqlite_where=sa.text("open"),
    )
