"""A basket: what was asked for, merged, priced and snapshotted. Source: R2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tallybook.kernel.frozen import frozen
from tallybook.kernel.money import MINOR_MAX
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import Product, PurchaseItem
from tallybook.retail.rules.totals import line_total


@frozen
class BasketLine:
    """One product, one price, one quantity."""

    product: Product
    quantity: int
    unit_price_minor: int
    tax_ppm: int


@frozen
class Basket:
    """A priced basket. Units: minor units."""

    items: tuple[PurchaseItem, ...]
    total_minor: int
    """Before tax."""
    tax_minor: int

    @property
    def net_minor(self) -> int:
        """What it comes to with tax, before cash rounding."""
        return self.total_minor + self.tax_minor


LINE_NUMBER_MAX = 32_767
"""The highest number that a purchase's line can have."""


def merge_lines(lines: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Merge lines of one product: repeated ones must not pass the stock one by one.

    >>> merge_lines([(7, 1), (3, 2), (7, 5)])
    ((7, 6), (3, 2))
    """
    quantities: dict[int, int] = {}
    for product_id, quantity in lines:
        quantities[product_id] = quantities.get(product_id, 0) + quantity
    return tuple(quantities.items())


def check_product(product: Product | None, product_id: int, currency: str) -> Product | Refusal:
    """Tell whether a product can be sold at all. Source: R1."""
    if product is None:
        return Refusal("product_not_found", param="items", details={"product_id": product_id})
    if not product.active:
        return Refusal("product_retired", param="items", details={"product_id": product_id})
    if product.currency != currency:
        return Refusal("drawer_currency_differs", details={"currency": currency})
    return product


def check_stock(product: Product, quantity: int) -> Refusal | None:
    """Tell whether there is enough of a product. Source: R2, R7."""
    available = product.stock + product.oversell_limit
    if quantity <= available:
        return None
    details = {
        "product_id": product.id,
        "wanted": quantity,
        "available": max(0, available),
    }
    return Refusal("stock_insufficient", param="items", details=details)


def check_size(lines_count: int, net_minor: int) -> Refusal | None:
    """Tell whether a purchase can hold so many lines, and so much in all. Units: minor units."""
    if lines_count > LINE_NUMBER_MAX or net_minor > MINOR_MAX:
        return Refusal("purchase_too_large", param="items")
    return None


def price_basket(lines: Sequence[BasketLine], number: int) -> Basket | Refusal:
    """Work out a purchase's lines and totals; tax is rounded once per line.

    Units: minor units. Source: R2, R3.
    """
    items: list[PurchaseItem] = []
    total = tax = 0
    for place, line in enumerate(lines, start=1):
        product = line.product
        amount, line_tax = line_total(
            line.unit_price_minor,
            line.quantity,
            line.tax_ppm,
            tax_inclusive=product.tax_inclusive,
        )
        items.append(
            PurchaseItem(
                purchase_number=number,
                line=place,
                product_id=product.id,
                name=product.name,
                sku=product.sku,
                quantity=line.quantity,
                unit_price_minor=line.unit_price_minor,
                tax_ppm=line.tax_ppm,
                tax_inclusive=product.tax_inclusive,
                amount_minor=amount,
                tax_minor=line_tax,
            )
        )
        total += amount
        tax += line_tax
    if (refusal := check_size(len(items), total + tax)) is not None:
        return refusal
    return Basket(tuple(items), total, tax)
