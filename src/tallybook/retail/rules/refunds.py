"""What a refund gives: by whole purchase, by line, by quantity, in any order. Source: R8.

Each amount is what is due for everything refunded so far, less what was given so far. So the parts
always end exactly at what was paid, tax and rounding included, whatever their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tallybook.kernel.arithmetic import round_half_up
from tallybook.kernel.frozen import frozen
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import CashRounding, PurchaseItem
from tallybook.retail.rules.totals import round_cash


@frozen
class RefundLine:
    """How much of a line goes back now, and for how much."""

    item: PurchaseItem
    quantity: int
    amount_minor: int
    tax_minor: int


@frozen
class RefundPlan:
    """A refund, worked out. Units: minor units."""

    lines: tuple[RefundLine, ...]
    cash_minor: int

    @property
    def total_minor(self) -> int:
        """What it gives back before tax."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """What it gives back of tax."""
        return sum(line.tax_minor for line in self.lines)

    @property
    def rounding_minor(self) -> int:
        """What cash rounding adds or takes."""
        return self.cash_minor - self.total_minor - self.tax_minor


def worth_so_far(item: PurchaseItem, quantity: int) -> tuple[int, int]:
    """Tell what a part of a line is worth before tax, and its tax.

    Units: minor units. Source: R8.
    """
    assert 0 <= quantity <= item.quantity, (quantity, item)
    tax = round_half_up(item.tax_minor * quantity, item.quantity)
    price = item.unit_price_minor * quantity
    return (price - tax if item.tax_inclusive else price), tax


def choose_lines(
    items: Sequence[PurchaseItem],
    so_far: Mapping[int, int],
    wanted: Mapping[int, int] | None,
) -> dict[int, int] | Refusal:
    """Spread what is asked, by product, over the purchase's lines in their order.

    `so_far` is by line what was refunded before; without `wanted` everything that is left goes.

    Returns: quantities by line. Refusals: `nothing_to_refund`, `item_not_in_purchase`,
        `refund_exceeds_purchase`.
    """
    left = {item.line: item.quantity - so_far.get(item.line, 0) for item in items}
    if wanted is None:
        chosen = {line: quantity for line, quantity in left.items() if quantity}
        return chosen or Refusal("nothing_to_refund")
    chosen: dict[int, int] = {}
    for product_id, quantity in wanted.items():
        lines = [item.line for item in items if item.product_id == product_id]
        if not lines:
            return Refusal(
                "item_not_in_purchase", param="items", details={"product_id": product_id}
            )
        refundable = sum(left[line] for line in lines)
        if quantity > refundable:
            details = {"product_id": product_id, "refundable": refundable}
            return Refusal("refund_exceeds_purchase", param="items", details=details)
        wanting = quantity
        for line in lines:
            taken = min(wanting, left[line])
            if taken:
                chosen[line] = taken
                wanting -= taken
    return chosen


def check_lines(
    items: Sequence[PurchaseItem], so_far: Mapping[int, int], wanted: Mapping[int, int]
) -> dict[int, int] | Refusal:
    """See that so much is left of each line that is named. Refusals: as `choose_lines`."""
    by_line = {item.line: item for item in items}
    for line, quantity in wanted.items():
        item = by_line.get(line)
        if item is None:
            return Refusal("item_not_in_purchase", param="lines", details={"product_id": None})
        left = item.quantity - so_far.get(line, 0)
        if quantity > left:
            details = {"product_id": item.product_id, "refundable": left}
            return Refusal("refund_exceeds_purchase", param="lines", details=details)
    return dict(wanted)


def plan_refund(
    items: Sequence[PurchaseItem],
    so_far: Mapping[int, int],
    cash_so_far_minor: int,
    chosen: Mapping[int, int],
    rounding: CashRounding,
) -> RefundPlan:
    """Work out what the chosen quantities give back, after what was given back before.

    Units: minor units. Source: R8.
    """
    lines: list[RefundLine] = []
    net_so_far = 0
    for item in items:
        before = so_far.get(item.line, 0)
        quantity = chosen.get(item.line, 0)
        amount, tax = worth_so_far(item, before + quantity)
        net_so_far += amount + tax
        if quantity:
            amount_before, tax_before = worth_so_far(item, before)
            lines.append(RefundLine(item, quantity, amount - amount_before, tax - tax_before))
    return RefundPlan(tuple(lines), round_cash(net_so_far, rounding) - cash_so_far_minor)
