"""Products, the drawer, purchases, refunds and sessions, as they are on disk. Source: R9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from tallybook.customers.store import CUSTOMERS_TABLE
from tallybook.db.reading import fetch, select_rows
from tallybook.db.tables import RowMap
from tallybook.retail.model import (
    DRAWER,
    Denomination,
    Drawer,
    DrawerMovement,
    DrawerSession,
    Product,
    Purchase,
    PurchaseItem,
    Refund,
    RefundItem,
)
from tallybook.retail.store import (
    DENOMINATIONS,
    DENOMINATIONS_TABLE,
    DRAWER_MOVEMENTS,
    DRAWER_MOVEMENTS_TABLE,
    DRAWER_SESSIONS_TABLE,
    DRAWERS,
    DRAWERS_TABLE,
    PRODUCTS,
    PRODUCTS_TABLE,
    PURCHASE_ITEMS,
    PURCHASE_ITEMS_TABLE,
    PURCHASES,
    PURCHASES_TABLE,
    REFUND_ITEMS,
    REFUND_ITEMS_TABLE,
    REFUNDS,
    REFUNDS_TABLE,
    SESSIONS,
)

R = TypeVar("R")

Sold = tuple[Purchase, Sequence[PurchaseItem]]
GivenBack = tuple[Refund, Sequence[RefundItem]]


def find_product(connection: Connection, product_id: int) -> Product | None:
    """Find a product by number, retired ones too."""
    return _one(connection, PRODUCTS.rows, PRODUCTS_TABLE.c.id == product_id)


def list_products(
    connection: Connection,
    *,
    active: bool | None = True,
    sku: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Product]:
    """List products, the newest first; retired ones where `active` is None or False."""
    wanted = select_rows(PRODUCTS.rows).order_by(PRODUCTS_TABLE.c.id.desc()).limit(limit)
    if active is not None:
        wanted = wanted.where(PRODUCTS_TABLE.c.active.is_(active))
    if sku is not None:
        wanted = wanted.where(PRODUCTS_TABLE.c.sku == sku)
    if before is not None:
        wanted = wanted.where(PRODUCTS_TABLE.c.id < before)
    return fetch(connection, PRODUCTS.rows, wanted)


def find_drawer(connection: Connection) -> Drawer | None:
    """Find the drawer; None before its first use."""
    return _one(connection, DRAWERS.rows, DRAWERS_TABLE.c.number == DRAWER)


def list_denominations(connection: Connection) -> list[Denomination]:
    """List what is known to be in the drawer, smallest value first."""
    wanted = select_rows(DENOMINATIONS.rows).order_by(DENOMINATIONS_TABLE.c.value_minor)
    return fetch(connection, DENOMINATIONS.rows, wanted)


def find_purchase(connection: Connection, number: int) -> Sold | None:
    """Find a purchase with its lines by receipt number."""
    purchase = _one(connection, PURCHASES.rows, PURCHASES_TABLE.c.number == number)
    if purchase is None:
        return None
    return purchase, _items_of(connection, [number])[number]


def list_purchases(
    connection: Connection,
    *,
    email_folded: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Sold]:
    """List purchases with their lines, the newest first. Source: R9."""
    wanted = select_rows(PURCHASES.rows).order_by(PURCHASES_TABLE.c.number.desc()).limit(limit)
    if email_folded is not None:
        found = select(CUSTOMERS_TABLE.c.id).where(CUSTOMERS_TABLE.c.email_folded == email_folded)
        customer_id = connection.execute(found).scalar()
        if customer_id is None:
            return []
        # By its id, not by a join: the index of this very customer's purchases is then walked.
        wanted = wanted.where(PURCHASES_TABLE.c.customer_id == customer_id)
    if before is not None:
        wanted = wanted.where(PURCHASES_TABLE.c.number < before)
    purchases = fetch(connection, PURCHASES.rows, wanted)
    items = _items_of(connection, [purchase.number for purchase in purchases])
    return [(purchase, items[purchase.number]) for purchase in purchases]


def list_refunds(connection: Connection, purchase_number: int) -> list[GivenBack]:
    """List the refunds of a purchase, the oldest first."""
    wanted = (
        select_rows(REFUNDS.rows)
        .where(REFUNDS_TABLE.c.purchase_number == purchase_number)
        .order_by(REFUNDS_TABLE.c.number)
    )
    refunds = fetch(connection, REFUNDS.rows, wanted)
    lines = (
        select_rows(REFUND_ITEMS.rows)
        .where(REFUND_ITEMS_TABLE.c.purchase_number == purchase_number)
        .order_by(REFUND_ITEMS_TABLE.c.refund_number, REFUND_ITEMS_TABLE.c.purchase_line)
    )
    by_refund: dict[int, list[RefundItem]] = {refund.number: [] for refund in refunds}
    for item in fetch(connection, REFUND_ITEMS.rows, lines):
        by_refund[item.refund_number].append(item)
    return [(refund, by_refund[refund.number]) for refund in refunds]


def find_session(connection: Connection, number: int) -> DrawerSession | None:
    """Find a drawer session."""
    return _one(connection, SESSIONS.rows, DRAWER_SESSIONS_TABLE.c.number == number)


def list_sessions(
    connection: Connection, *, before: int | None = None, limit: int
) -> list[DrawerSession]:
    """List drawer sessions, the newest first."""
    wanted = select_rows(SESSIONS.rows).order_by(DRAWER_SESSIONS_TABLE.c.number.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(DRAWER_SESSIONS_TABLE.c.number < before)
    return fetch(connection, SESSIONS.rows, wanted)


def list_movements(
    connection: Connection, session_number: int, *, before: int | None = None, limit: int
) -> list[DrawerMovement]:
    """List what moved the drawer's cash in a session besides selling, the newest first."""
    number = DRAWER_MOVEMENTS_TABLE.c.number
    wanted = (
        select_rows(DRAWER_MOVEMENTS.rows)
        .where(DRAWER_MOVEMENTS_TABLE.c.session_number == session_number)
        .order_by(number.desc())
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(number < before)
    return fetch(connection, DRAWER_MOVEMENTS.rows, wanted)


def rows_of(
    connection: Connection,
    rows: RowMap[R],
    order: Any,  # noqa: ANN401 - a column, or several
    condition: Any = None,  # noqa: ANN401 - a condition in SQL
    *,
    limit: int | None = None,
) -> list[R]:
    """Read rows of one table in an order, all of them or those that meet a condition."""
    columns = order if isinstance(order, list) else [order]
    wanted = select_rows(rows).order_by(*columns).limit(limit)
    if condition is not None:
        wanted = wanted.where(condition)
    return fetch(connection, rows, wanted)


def _items_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[PurchaseItem]]:
    wanted = (
        select_rows(PURCHASE_ITEMS.rows)
        .where(PURCHASE_ITEMS_TABLE.c.purchase_number.in_(numbers))
        .order_by(PURCHASE_ITEMS_TABLE.c.purchase_number, PURCHASE_ITEMS_TABLE.c.line)
    )
    items: dict[int, list[PurchaseItem]] = {number: [] for number in numbers}
    for item in fetch(connection, PURCHASE_ITEMS.rows, wanted):
        items[item.purchase_number].append(item)
    return items


def _one(connection: Connection, rows: RowMap[R], condition: Any) -> R | None:  # noqa: ANN401 - a condition in SQL
    found = fetch(connection, rows, select_rows(rows).where(condition))
    return found[0] if found else None
