"""Proof of the counter's book: everything that is kept is worked out again from its documents.

Each difference is a sentence. None means: stock, pieces, uncounted cash, numbers, sums and hash
chains are what the purchases, refunds and movements say. Source: G, R2, R8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from tallybook.retail.model import (
    Drawer,
    Purchase,
    PurchaseItem,
    Refund,
    RefundItem,
    read_pieces,
    value_of,
)
from tallybook.retail.queries.reads import find_drawer, list_denominations, rows_of
from tallybook.retail.rules.documents import FIRST_HASH, purchase_hash, refund_hash
from tallybook.retail.rules.drawer import add_pieces
from tallybook.retail.store import (
    DRAWER_MOVEMENTS,
    DRAWER_MOVEMENTS_TABLE,
    PRODUCTS_TABLE,
    PURCHASE_ITEMS,
    PURCHASE_ITEMS_TABLE,
    PURCHASES,
    PURCHASES_TABLE,
    REFUND_ITEMS,
    REFUND_ITEMS_TABLE,
    REFUNDS,
    REFUNDS_TABLE,
    STOCK_MOVEMENTS_TABLE,
)

_CHUNK = 5_000


@dataclass(slots=True)
class _Recount:
    """What the documents add up to. Units: minor units."""

    counts: dict[int, int] = field(default_factory=dict[int, int])
    uncounted_minor: int = 0
    purchases: int = 0
    refunds: int = 0
    movements: int = 0
    cash_minor: int = 0
    """What cash:drawer must hold."""


def find_discrepancies(connection: Connection) -> Iterator[str]:
    """Compare what the counter keeps with what its documents say, document by document."""
    drawer = find_drawer(connection)
    if drawer is None:
        return
    found = _Recount()
    chained = FIRST_HASH
    for purchase, items in _purchases(connection):
        found.purchases += 1
        yield from _check_purchase(purchase, items, found.purchases)
        chained = purchase_hash(chained, purchase, items)
        if chained != purchase.hash:
            yield f"purchase {purchase.number}: it or one before it was changed (hash chain)"
            chained = purchase.hash
        _add_purchase(found, purchase)
    if chained != drawer.purchase_hash or found.purchases != drawer.purchases_count:
        yield f"purchases: {found.purchases} are there, the drawer counts {drawer.purchases_count}"
    yield from _check_refunds(connection, found, drawer)
    for movement in rows_of(connection, DRAWER_MOVEMENTS.rows, DRAWER_MOVEMENTS_TABLE.c.number):
        found.movements += 1
        if movement.number != found.movements:
            yield f"drawer movement {found.movements} is missing"
            found.movements = movement.number
        found.counts = add_pieces(found.counts, read_pieces(movement.pieces))
        found.uncounted_minor += movement.uncounted_minor
        found.cash_minor += movement.amount_minor
    yield from _check_drawer(connection, found, drawer)
    yield from _check_stock(connection)


def drawer_cash(connection: Connection) -> tuple[str, int] | None:
    """Tell what cash:drawer must hold: known pieces and uncounted cash. Units: minor units."""
    drawer = find_drawer(connection)
    if drawer is None:
        return None
    pieces = sum(item.value_minor * item.count for item in list_denominations(connection))
    return drawer.currency, pieces + drawer.uncounted_minor


def _add_purchase(found: _Recount, purchase: Purchase) -> None:
    if purchase.is_imported:
        return
    found.cash_minor += purchase.final_minor
    if purchase.tendered is None:
        found.uncounted_minor += purchase.paid_minor
    else:
        found.counts = add_pieces(found.counts, read_pieces(purchase.tendered))
    found.counts = add_pieces(found.counts, read_pieces(purchase.change), -1)


def _check_purchase(
    purchase: Purchase, items: Sequence[PurchaseItem], expected: int
) -> Iterator[str]:
    name = f"purchase {purchase.number}"
    if purchase.number != expected:
        yield f"{name}: receipt number {expected} is missing"
    if purchase.total_minor != sum(item.amount_minor for item in items):
        yield f"{name}: its lines do not add up to its total"
    if purchase.tax_minor != sum(item.tax_minor for item in items):
        yield f"{name}: its lines' tax does not add up to its tax"
    if value_of(read_pieces(purchase.change)) != purchase.paid_minor - purchase.final_minor:
        yield f"{name}: its change is not what was paid less what it cost"


def _check_refunds(connection: Connection, found: _Recount, drawer: Drawer) -> Iterator[str]:
    chained = FIRST_HASH
    for refund, items in _refunds(connection):
        found.refunds += 1
        if refund.number != found.refunds:
            yield f"refund {found.refunds} is missing"
            found.refunds = refund.number
        chained = refund_hash(chained, refund, items)
        if chained != refund.hash:
            yield f"refund {refund.number}: it or one before it was changed (hash chain)"
            chained = refund.hash
        if not refund.is_imported:
            found.counts = add_pieces(found.counts, read_pieces(refund.pieces), -1)
            found.uncounted_minor -= refund.uncounted_minor
            found.cash_minor -= refund.cash_minor
    if chained != drawer.refund_hash or found.refunds != drawer.refunds_count:
        yield f"refunds: {found.refunds} are there, the drawer counts {drawer.refunds_count}"
    refunded = (
        select(REFUNDS_TABLE.c.purchase_number, func.sum(REFUNDS_TABLE.c.cash_minor).label("cash"))
        .group_by(REFUNDS_TABLE.c.purchase_number)
        .subquery()
    )
    exceeding = (
        select(PURCHASES_TABLE.c.number)
        .join(refunded, refunded.c.purchase_number == PURCHASES_TABLE.c.number)
        .where(refunded.c.cash > PURCHASES_TABLE.c.final_minor)
        .order_by(PURCHASES_TABLE.c.number)
    )
    for number in connection.execute(exceeding).scalars():
        yield f"purchase {number}: more was refunded than was paid"


def _check_drawer(connection: Connection, found: _Recount, drawer: Drawer) -> Iterator[str]:
    if found.uncounted_minor != drawer.uncounted_minor:
        yield (
            f"drawer: {drawer.uncounted_minor} minor units are uncounted,"
            f" the documents say {found.uncounted_minor}"
        )
    kept = {item.value_minor: item.count for item in list_denominations(connection)}
    for value in sorted({*kept, *found.counts}):
        if kept.get(value, 0) != found.counts.get(value, 0):
            yield (
                f"drawer: {kept.get(value, 0)} pieces of {value} minor units,"
                f" the documents say {found.counts.get(value, 0)}"
            )
    if (cash := drawer_cash(connection)) is not None and cash[1] != found.cash_minor:
        yield f"drawer: it holds {cash[1]} minor units, the documents say {found.cash_minor}"


def _check_stock(connection: Connection) -> Iterator[str]:
    sums: list[Any] = [
        (STOCK_MOVEMENTS_TABLE.c.product_id, STOCK_MOVEMENTS_TABLE.c.change, None, 1),
        (
            PURCHASE_ITEMS_TABLE.c.product_id,
            PURCHASE_ITEMS_TABLE.c.quantity,
            (
                PURCHASES_TABLE,
                PURCHASES_TABLE.c.number == PURCHASE_ITEMS_TABLE.c.purchase_number,
                PURCHASES_TABLE.c.is_imported.is_(False),
            ),
            -1,
        ),
        (
            REFUND_ITEMS_TABLE.c.product_id,
            REFUND_ITEMS_TABLE.c.quantity,
            (
                REFUNDS_TABLE,
                REFUNDS_TABLE.c.number == REFUND_ITEMS_TABLE.c.refund_number,
                REFUNDS_TABLE.c.restock.is_(True),
            ),
            1,
        ),
    ]
    stock: dict[int, int] = {}
    for product_id, amount, joined, sign in sums:
        wanted = select(product_id, func.sum(amount)).group_by(product_id)
        if joined is not None:
            table, on, where = joined
            wanted = wanted.join(table, on).where(where)
        for ident, total in connection.execute(wanted):
            stock[ident] = stock.get(ident, 0) + sign * int(total)
    kept = select(PRODUCTS_TABLE.c.id, PRODUCTS_TABLE.c.stock).order_by(PRODUCTS_TABLE.c.id)
    for ident, count in connection.execute(kept):
        if count != stock.get(ident, 0):
            yield f"product {ident}: {count} in stock, the documents say {stock.get(ident, 0)}"


def _purchases(connection: Connection) -> Iterator[tuple[Purchase, list[PurchaseItem]]]:
    after = 0
    number, owner = PURCHASES_TABLE.c.number, PURCHASE_ITEMS_TABLE.c.purchase_number
    while True:
        found = rows_of(connection, PURCHASES.rows, number, number > after, limit=_CHUNK)
        if not found:
            return
        last = found[-1].number
        items: dict[int, list[PurchaseItem]] = {purchase.number: [] for purchase in found}
        line = PURCHASE_ITEMS_TABLE.c.line
        within = (owner > after) & (owner <= last)
        for item in rows_of(connection, PURCHASE_ITEMS.rows, [owner, line], within):
            items[item.purchase_number].append(item)
        for purchase in found:
            yield purchase, items[purchase.number]
        after = last


def _refunds(connection: Connection) -> Iterator[tuple[Refund, list[RefundItem]]]:
    after = 0
    number, owner = REFUNDS_TABLE.c.number, REFUND_ITEMS_TABLE.c.refund_number
    while True:
        found = rows_of(connection, REFUNDS.rows, number, number > after, limit=_CHUNK)
        if not found:
            return
        last = found[-1].number
        items: dict[int, list[RefundItem]] = {refund.number: [] for refund in found}
        line = REFUND_ITEMS_TABLE.c.purchase_line
        within = (owner > after) & (owner <= last)
        for item in rows_of(connection, REFUND_ITEMS.rows, [owner, line], within):
            items[item.refund_number].append(item)
        for refund in found:
            yield refund, items[refund.number]
        after = last
