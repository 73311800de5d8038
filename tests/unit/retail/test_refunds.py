"""Refunds in any order and any parts end exactly at what was paid, and never exceed it."""

import os
import random

from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import PurchaseItem
from tallybook.retail.rules.refunds import choose_lines, plan_refund
from tallybook.retail.rules.totals import cash_rounding_of, line_total, round_cash

BASKETS = int(os.environ.get("TALLYBOOK_TEST_BASKETS", "2000"))
"""100,000 take half a minute."""
POLICIES = ("none", "floor_to_unit", "nearest_5", "nearest_100", "nearest_7")


def line(
    number: int, product: int, price: int, quantity: int, ppm: int, inclusive: bool
) -> PurchaseItem:
    amount, tax = line_total(price, quantity, ppm, tax_inclusive=inclusive)
    return PurchaseItem(1, number, product, "x", None, quantity, price, ppm, inclusive, amount, tax)


def random_basket(dice: random.Random) -> list[PurchaseItem]:
    lines: list[PurchaseItem] = []
    for number in range(1, dice.randrange(1, 7) + 1):
        # Now and then one product at two prices, as an import brings it.
        product = dice.randrange(1, 5) if dice.random() < 0.2 else number + 10
        price = dice.choice([1, 2, 3, 99, 100, dice.randrange(1, 100_000)])
        quantity = dice.choice([1, 1, 2, 3, 7, dice.randrange(1, 1_000)])
        ppm = dice.choice([0, 1, 50_000, 125_000, 180_000, 99_750, 1_000_000])
        lines.append(line(number, product, price, quantity, ppm, dice.random() < 0.3))
    return lines


def test_parts_always_end_at_the_whole() -> None:
    dice = random.Random(1848)
    for _ in range(BASKETS):
        items = random_basket(dice)
        rounding = cash_rounding_of(dice.choice(POLICIES), "USD")
        total = sum(item.amount_minor for item in items)
        tax = sum(item.tax_minor for item in items)
        final = round_cash(total + tax, rounding)
        so_far: dict[int, int] = {}
        cash = given_total = given_tax = 0
        while True:
            wanted = None
            if dice.random() < 0.8:
                product = dice.choice(items).product_id
                wanted = {product: dice.randrange(1, 400)}
            chosen = choose_lines(items, so_far, wanted)
            if isinstance(chosen, Refusal):
                if chosen.code == "nothing_to_refund":
                    break
                assert chosen.code == "refund_exceeds_purchase"
                continue
            plan = plan_refund(items, so_far, cash, chosen, rounding)
            assert all(part.amount_minor >= 0 and part.tax_minor >= 0 for part in plan.lines)
            assert plan.cash_minor >= 0
            assert plan.cash_minor == plan.total_minor + plan.tax_minor + plan.rounding_minor
            for number, quantity in chosen.items():
                so_far[number] = so_far.get(number, 0) + quantity
            cash += plan.cash_minor
            given_total += plan.total_minor
            given_tax += plan.tax_minor
            assert cash <= final
            assert given_tax <= tax
            assert given_total <= total
        assert (cash, given_total, given_tax) == (final, total, tax)


def test_what_was_not_bought_is_not_refunded() -> None:
    items = [line(1, 7, 100, 2, 0, False)]
    strange = choose_lines(items, {}, {8: 1})
    assert isinstance(strange, Refusal)
    assert strange.code == "item_not_in_purchase"
    too_much = choose_lines(items, {1: 1}, {7: 2})
    assert isinstance(too_much, Refusal)
    assert too_much.details == {"product_id": 7, "refundable": 1}


def test_a_product_at_two_prices_goes_back_in_the_order_of_its_lines() -> None:
    items = [line(1, 7, 100, 2, 0, False), line(2, 7, 90, 2, 0, False)]
    assert choose_lines(items, {1: 1}, {7: 2}) == {1: 1, 2: 1}
