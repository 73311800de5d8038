"""What earlier imports of past sales have brought in, by the references that it had. Source: R8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, func, select

from tallybook.kernel.frozen import frozen
from tallybook.retail.store import (
    PURCHASE_ITEMS_TABLE,
    PURCHASES_TABLE,
    REFUND_ITEMS_TABLE,
    REFUNDS_TABLE,
)


@frozen
class ImportedLine:
    """A line of a sale that is in the book. Units: minor units."""

    line: int
    sku: str
    quantity: int
    unit_price_minor: int
    tax_ppm: int
    tax_inclusive: bool
    left: int
    """What no refund has taken back yet, whether it came in or was given at this counter."""


@frozen
class ImportedSale:
    """A sale that is in the book under the reference that it had elsewhere."""

    number: int
    sold_on: date
    email: str | None
    lines: tuple[ImportedLine, ...]


@dataclass(slots=True)
class TakenBack:
    """What the refunds under one reference take back in all."""

    refunds: int = 0
    quantities: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """By sku and unit price in minor units."""

    def add(self, sku: str, price_minor: int, quantity: int) -> None:
        """Add what one more line takes back. Units: minor units."""
        key = sku, price_minor
        self.quantities[key] = self.quantities.get(key, 0) + quantity


def find_imported_sales(
    connection: Connection, references: Sequence[str]
) -> dict[str, ImportedSale]:
    """Find the sales that are in the book under some references."""
    sold, item, given = PURCHASES_TABLE.c, PURCHASE_ITEMS_TABLE.c, REFUND_ITEMS_TABLE.c
    columns = sold.number, sold.reference, sold.sold_on, sold.customer_email
    wanted = select(*columns).where(sold.reference.in_(references))
    found = {row.number: row for row in connection.execute(wanted)}
    back = (
        select(given.purchase_number, given.purchase_line, func.sum(given.quantity))
        .where(given.purchase_number.in_(list(found)))
        .group_by(given.purchase_number, given.purchase_line)
    )
    refunded = {(number, line): int(count) for number, line, count in connection.execute(back)}
    columns = item.purchase_number, item.line, item.sku, item.quantity
    items = (
        select(*columns, item.unit_price_minor, item.tax_ppm, item.tax_inclusive)
        .where(item.purchase_number.in_(list(found)))
        .order_by(item.purchase_number, item.line)
    )
    lines: dict[int, list[ImportedLine]] = {number: [] for number in found}
    for number, line, sku, quantity, price, tax_ppm, inclusive in connection.execute(items):
        left = quantity - refunded.get((number, line), 0)
        known = ImportedLine(line, sku or "", quantity, price, tax_ppm, inclusive, left)
        lines[number].append(known)
    return {
        row.reference: ImportedSale(number, row.sold_on, row.customer_email, tuple(lines[number]))
        for number, row in found.items()
    }


def list_taken_back(connection: Connection) -> dict[str, TakenBack]:
    """List what imported refunds take back, by reference.

    All of it in one read: no index leads to a refund's reference, and cancellations are few.
    """
    refund, item, given = REFUNDS_TABLE.c, PURCHASE_ITEMS_TABLE.c, REFUND_ITEMS_TABLE.c
    which = refund.is_imported.is_(True), refund.reference.is_not(None)
    found: dict[str, TakenBack] = {}
    for reference in connection.execute(select(refund.reference).where(*which)).scalars():
        found.setdefault(reference, TakenBack()).refunds += 1
    same_line = (item.purchase_number == given.purchase_number) & (item.line == given.purchase_line)
    lines = (
        select(refund.reference, item.sku, item.unit_price_minor, given.quantity)
        .join(REFUND_ITEMS_TABLE, given.refund_number == refund.number)
        .join(PURCHASE_ITEMS_TABLE, same_line)
        .where(*which)
    )
    for reference, sku, price, quantity in connection.execute(lines):
        found[reference].add(sku or "", price, quantity)
    return found
