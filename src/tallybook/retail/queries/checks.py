"""Proof of the counter's book: everything that is kept is worked out again from its documents.

No difference means: stock, pieces, uncounted cash, numbers, sums and hash chains are what the
purchases, refunds and movements say. Source: G, R2, R8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, func, select

from tallybook.kernel.frozen import frozen
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
from tallybook.writer.model import Shelf

_CHUNK = 5_000

Document = TypeVar("Document", Purchase, Refund)
Line = TypeVar("Line", PurchaseItem, RefundItem)


@frozen
class CounterDifference:
    """One thing that the counter keeps and its documents do not support."""

    subject: str
    """What it is about, such as `purchase 17`."""
    kept: str
    documents: str
    """What there should be, by the documents."""
    sentence: str
    """For people: what is wrong."""


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


def find_differences(connection: Connection) -> Iterator[CounterDifference]:
    """Compare what the counter keeps with what its documents say, document by document."""
    drawer = find_drawer(connection)
    if drawer is None:
        return
    found = _Recount()
    chained = FIRST_HASH
    for purchase, items in _documents(connection, _PURCHASES):
        found.purchases += 1
        yield from _check_purchase(purchase, items, found.purchases)
        chained = purchase_hash(chained, purchase, items)
        if chained != purchase.hash:
            yield _chain_broken(f"purchase {purchase.number}", purchase.hash, chained)
            chained = purchase.hash
        _add_purchase(found, purchase)
    if chained != drawer.purchase_hash or found.purchases != drawer.purchases_count:
        yield _not_counted("purchases", found.purchases, drawer.purchases_count)
    yield from _check_refunds(connection, found, drawer)
    for movement in rows_of(connection, DRAWER_MOVEMENTS.rows, DRAWER_MOVEMENTS_TABLE.c.number):
        found.movements += 1
        if movement.number != found.movements:
            yield _missing("drawer movement", movement.number, found.movements)
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
) -> Iterator[CounterDifference]:
    name = f"purchase {purchase.number}"
    if purchase.number != expected:
        yield _missing("purchase", purchase.number, expected)
    change = purchase.paid_minor - purchase.final_minor
    for what, kept, documents in (
        ("total", purchase.total_minor, sum(item.amount_minor for item in items)),
        ("tax", purchase.tax_minor, sum(item.tax_minor for item in items)),
        ("change", value_of(read_pieces(purchase.change)), change),
    ):
        if kept != documents:
            yield _differs(name, f"its {what} in minor units", kept, documents)


def _missing(kind: str, number: int, expected: int) -> CounterDifference:
    return CounterDifference(
        f"{kind} {expected}", f"{kind} {number}", f"{kind} {expected}",
        f"{kind} {expected} is missing: {kind} {number} comes in its place",
    )  # fmt: skip


def _chain_broken(subject: str, kept: str, documents: str) -> CounterDifference:
    sentence = "it or one before it was changed (hash chain)"
    return CounterDifference(subject, kept, documents, sentence)


def _not_counted(kind: str, there: int, counted: int) -> CounterDifference:
    sentence = f"{there} are there, the drawer counts {counted} or their last one is another"
    return CounterDifference(kind, f"{counted}", f"{there}", sentence)


def _differs(subject: str, what: str, kept: int, documents: int) -> CounterDifference:
    sentence = f"{what}: {kept} kept, the documents say {documents}"
    return CounterDifference(subject, f"{kept}", f"{documents}", sentence)


def _check_refunds(
    connection: Connection, found: _Recount, drawer: Drawer
) -> Iterator[CounterDifference]:
    chained = FIRST_HASH
    for refund, items in _documents(connection, _REFUNDS):
        found.refunds += 1
        if refund.number != found.refunds:
            yield _missing("refund", refund.number, found.refunds)
            found.refunds = refund.number
        chained = refund_hash(chained, refund, items)
        if chained != refund.hash:
            yield _chain_broken(f"refund {refund.number}", refund.hash, chained)
            chained = refund.hash
        if not refund.is_imported:
            found.counts = add_pieces(found.counts, read_pieces(refund.pieces), -1)
            found.uncounted_minor -= refund.uncounted_minor
            found.cash_minor -= refund.cash_minor
    if chained != drawer.refund_hash or found.refunds != drawer.refunds_count:
        yield _not_counted("refunds", found.refunds, drawer.refunds_count)
    refunded = (
        select(REFUNDS_TABLE.c.purchase_number, func.sum(REFUNDS_TABLE.c.cash_minor).label("cash"))
        .group_by(REFUNDS_TABLE.c.purchase_number)
        .subquery()
    )
    exceeding = (
        select(PURCHASES_TABLE.c.number, refunded.c.cash, PURCHASES_TABLE.c.final_minor)
        .join(refunded, refunded.c.purchase_number == PURCHASES_TABLE.c.number)
        .where(refunded.c.cash > PURCHASES_TABLE.c.final_minor)
        .order_by(PURCHASES_TABLE.c.number)
    )
    for number, cash, final in connection.execute(exceeding):
        sentence = f"{cash} minor units were refunded, more than the {final} that were paid"
        yield CounterDifference(f"purchase {number}", f"{cash}", f"{final} at most", sentence)


def _check_drawer(
    connection: Connection, found: _Recount, drawer: Drawer
) -> Iterator[CounterDifference]:
    pairs = [("uncounted minor units", drawer.uncounted_minor, found.uncounted_minor)]
    kept = {item.value_minor: item.count for item in list_denominations(connection)}
    pairs += [
        (f"pieces of {value} minor units", kept.get(value, 0), found.counts.get(value, 0))
        for value in sorted({*kept, *found.counts})
    ]
    if (cash := drawer_cash(connection)) is not None:
        pairs.append(("minor units in all", cash[1], found.cash_minor))
    for what, there, documents in pairs:
        if there != documents:
            yield _differs("drawer", what, there, documents)


def _check_stock(connection: Connection) -> Iterator[CounterDifference]:
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
            yield _differs(f"product {ident}", "pieces in stock", count, stock.get(ident, 0))


@frozen
class _Kind(Generic[Document, Line]):
    """Where one kind of document is, with its lines."""

    shelf: Shelf[Document]
    table: Table
    lines: Shelf[Line]
    lines_table: Table
    owner: str
    """The column of a line that names its document."""
    line: str


_PURCHASES = _Kind(
    PURCHASES, PURCHASES_TABLE, PURCHASE_ITEMS, PURCHASE_ITEMS_TABLE, "purchase_number", "line"
)
_REFUNDS = _Kind(
    REFUNDS, REFUNDS_TABLE, REFUND_ITEMS, REFUND_ITEMS_TABLE, "refund_number", "purchase_line"
)


def _documents(
    connection: Connection, kind: _Kind[Document, Line]
) -> Iterator[tuple[Document, list[Line]]]:
    """Read documents in the order of their numbers, each with its lines, some thousands at once."""
    after = 0
    number = kind.table.c.number
    owner, line = kind.lines_table.c[kind.owner], kind.lines_table.c[kind.line]
    while found := rows_of(connection, kind.shelf.rows, number, number > after, limit=_CHUNK):
        last = found[-1].number
        lines: dict[int, list[Line]] = {document.number: [] for document in found}
        within = (owner > after) & (owner <= last)
        for each in rows_of(connection, kind.lines.rows, [owner, line], within):
            lines[getattr(each, kind.owner)].append(each)
        for document in found:
            yield document, lines[document.number]
        after = last
