"""Change: exact where it exists, the fewest pieces, the same choice each time, and fast."""

import itertools
import random
from collections.abc import Iterator

import pytest

from tallybook.retail.model import Pieces, value_of
from tallybook.retail.rules import change
from tallybook.retail.rules.change import find_change, nearest_amounts
from tallybook.retail.rules.drawer import take_out


def all_ways(drawer: Pieces) -> dict[int, tuple[int, ...]]:
    """Try every handful there is: for each sum the fewest pieces, then more of the larger."""
    best: dict[int, tuple[int, ...]] = {}
    for taken in itertools.product(*(range(count, -1, -1) for _, count in drawer)):
        amount = sum(value * number for (value, _), number in zip(drawer, taken, strict=True))
        if amount not in best or sum(taken) < sum(best[amount]):
            best[amount] = taken
    return best


def drawers() -> Iterator[Pieces]:
    for size in (1, 2, 3):
        for values in itertools.combinations(range(9, 0, -1), size):
            for counts in itertools.product(range(4), repeat=size):
                yield tuple(zip(values, counts, strict=True))


def test_every_small_drawer_gives_what_trying_everything_gives() -> None:
    """129 sets of up to three values, up to three pieces each, every amount: 147,834 cases."""
    for drawer in drawers():
        best = all_ways(drawer)
        for amount in range(value_of(drawer) + 3):
            expected = None
            if amount in best:
                pairs = zip(drawer, best[amount], strict=True)
                expected = tuple((value, number) for (value, _), number in pairs if number)
            assert find_change(amount, drawer) == expected, (amount, drawer)


def test_drawers_of_four_values_too() -> None:
    """Every 97th: with three values no bound on the fewest pieces is ever put to the test."""
    four = (
        tuple(zip(values, counts, strict=True))
        for values in itertools.combinations(range(12, 0, -1), 4)
        for counts in itertools.product(range(4), repeat=4)
    )
    for drawer in itertools.islice(four, 0, None, 97):
        best = all_ways(drawer)
        for amount, taken in best.items():
            pairs = zip(drawer, taken, strict=True)
            expected = tuple((value, number) for (value, _), number in pairs if number)
            assert find_change(amount, drawer) == expected, (amount, drawer)


def test_the_nearest_amounts_are_the_nearest() -> None:
    for drawer in itertools.islice(drawers(), 0, None, 3):
        sums = sorted(all_ways(drawer))
        for amount in range(value_of(drawer) + 3):
            below = max(found for found in sums if found <= amount)
            above = next((found for found in sums if found > amount), None)
            assert nearest_amounts(amount, drawer) == (below, above), (amount, drawer)


@pytest.mark.parametrize(
    ("amount", "drawer", "expected"),
    [
        (60, ((50, 1), (20, 3)), ((20, 3),)),  # greedy takes the fifty and is stuck
        (6, ((4, 9), (3, 9), (1, 9)), ((3, 2),)),  # greedy finds three pieces where two do
        (0, (), ()),
        (5, (), None),
        (10**15, ((5, 3),), None),
        (7, ((5, 3), (2, 0)), None),
    ],
)
def test_known_cases(amount: int, drawer: Pieces, expected: Pieces | None) -> None:
    assert find_change(amount, drawer) == expected


def fewest_pieces(amount: int, drawer: Pieces) -> int | None:
    """Work out the fewest pieces another way: a table over all amounts, counts taken in doubles."""
    none = amount + 1
    table = [0] + [none] * amount
    for value, count in drawer:
        left, together = count, 1
        while left > 0:
            taken = min(together, left)
            worth = taken * value
            for sum_ in range(amount, worth - 1, -1):
                table[sum_] = min(table[sum_], table[sum_ - worth] + taken)
            left -= taken
            together *= 2
    return None if table[amount] == none else table[amount]


def test_twelve_values_and_ten_thousand_of_the_smallest() -> None:
    """Few pieces and many, values near each other and far apart; bench/change.py tells the time."""
    dice = random.Random(20)
    made = 0
    for low, high, most in (
        (2, 200, 3),
        (50, 150, 9),
        (900, 1_100, 2),
        (2, 3_000, 40),
        (1, 13, 900),
        (90, 112, 90),
        (20, 45, 60),
    ):
        values = sorted(dice.sample(range(low, high), 12), reverse=True)
        drawer = tuple((value, dice.randrange(1, most + 1)) for value in values)
        for amount in (10_000 - dice.randrange(30), min(10_000, value_of(drawer)) // 2):
            pieces = find_change(amount, drawer)
            assert (None if pieces is None else sum(n for _, n in pieces)) == fewest_pieces(
                amount, drawer
            ), (amount, drawer)
            if pieces is not None:
                made += 1
                assert value_of(pieces) == amount
                assert all(number <= dict(drawer)[value] for value, number in pieces)
    assert made >= 4


def test_large_change_out_of_odd_values_is_found() -> None:
    """With as few pieces as there would be if the last one could be cut, or hardly more."""
    dice = random.Random(5)
    for _ in range(40):
        values = sorted(dice.sample(range(900, 1_100), 12), reverse=True)
        drawer = tuple((value, dice.randrange(2_000, 9_000)) for value in values)
        amount = 9_699_999 + dice.randrange(10_000)
        pieces = find_change(amount, drawer)
        assert pieces is not None, (amount, drawer)
        assert value_of(pieces) == amount
        assert all(number <= dict(drawer)[value] for value, number in pieces)
        left, fewest = amount, 0
        for value, count in drawer:
            taken = min(count, -(-left // value))
            left, fewest = left - taken * value, fewest + taken
            if left <= 0:
                break
        assert fewest <= sum(number for _, number in pieces) <= fewest + 1


HOSTILE = {
    "six values near each other": (1_999_999, [3_000 + 13 * n for n in range(1, 7)], 300),
    "eight values near each other": (1_999_999, [3_000 + 13 * n for n in range(1, 9)], 300),
    "a hundred values": (1_999_837, [1_000 + 7 * n for n in range(100)], 50),
    "a hundred values, none of which will do": (
        1_999_999,
        [10_000 + 137 * n for n in range(100)],
        20,
    ),
    "nine hundred values": (1_999_837, [1_000 + 7 * n for n in range(900)], 50),
    "fourteen hundred values": (1_999_837, [1_000 + 7 * n for n in range(1_400)], 50),
    "every value up to 1,400": (1_999_837, list(range(1, 1_401)), 50),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_drawer_takes_more_than_so_many_steps(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of each search, and all the sums that are tabled: both have an end."""
    amount, values, count = HOSTILE[name]
    drawer = tuple((value, count) for value in sorted(values, reverse=True))
    looks, bits = 0, 0
    at_least, with_pieces = change._at_least, change._with_pieces

    def look(usable: Pieces, left: int) -> int:
        nonlocal looks
        looks += 1
        return at_least(usable, left)

    def table(reach: int, value: int, count: int, width: int) -> int:
        nonlocal bits
        bits += width
        return with_pieces(reach, value, count, width)

    monkeypatch.setattr(change, "_at_least", look)
    monkeypatch.setattr(change, "_with_pieces", table)
    pieces = find_change(amount, drawer)
    searches = len(change.SPARE) + 2
    assert looks <= searches * 2 * change.STEPS_MAX // change.STEP
    assert bits <= searches * change.TABLES_MAX
    if pieces is not None:
        assert value_of(pieces) == amount
        assert all(number <= count for _, number in pieces)
    bits = 0
    below, above = nearest_amounts(amount, drawer)
    assert bits <= change.TABLES_MAX
    assert below <= amount < (above or amount + 1)


@pytest.mark.parametrize(
    "name", ["six values near each other", "eight values near each other", "a hundred values"]
)
def test_out_of_steps_it_is_still_exact(name: str) -> None:
    amount, values, count = HOSTILE[name]
    assert find_change(amount, tuple((value, count) for value in reversed(values))) is not None


def test_out_of_steps_at_once_it_finds_change_wherever_there_is_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first way down the tables ends with the amount."""
    monkeypatch.setattr(change, "STEPS_MAX", 0)
    for drawer in itertools.islice(drawers(), 0, None, 3):
        sums = all_ways(drawer)
        for amount in range(value_of(drawer) + 3):
            pieces = find_change(amount, drawer)
            assert (pieces is not None) == (amount in sums), (amount, drawer)
            if pieces is not None:
                assert value_of(pieces) == amount
                assert all(number <= dict(drawer)[value] for value, number in pieces)


def test_a_hostile_amount_is_answered() -> None:
    """With what pieces there are, or with none; nobody's basket stops everyone else's."""
    drawer = tuple((value, 10**9) for value in (5_003, 4_801, 3_301, 1_999, 1_009))
    pieces = find_change(10**13 + 7, drawer)
    below, above = nearest_amounts(10**13 + 7, drawer)
    assert pieces is None or value_of(pieces) == 10**13 + 7
    assert below <= 10**13 + 7 < (above or 10**14)


def test_beyond_the_tables_and_out_of_steps_the_amount_not_above_can_be_paid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refund of uncounted cash counts on it. The one above can be made, but may not be found."""
    monkeypatch.setattr(change, "STEPS_MAX", 0)
    monkeypatch.setattr(change, "REACH_MAX", 10)
    monkeypatch.setattr(change, "TABLES_MAX", 20)
    refused = 0
    for drawer in itertools.islice(drawers(), 0, None, 3):
        sums = all_ways(drawer)
        for amount in range(value_of(drawer)):
            below, above = nearest_amounts(amount, drawer)
            assert below <= amount < (above or amount + 1)
            assert find_change(below, drawer) is not None, (amount, drawer)
            assert above is None or above in sums, (amount, drawer)
            refused += above is not None and find_change(above, drawer) is None
    assert refused


def test_uncounted_cash_helps_where_pieces_do_not() -> None:
    assert take_out(55, {50: 1, 20: 1}, 4) is None
    out = take_out(55, {50: 1, 20: 1}, 5)
    assert out is not None
    assert (out.pieces, out.uncounted_minor) == (((50, 1),), 5)


def test_exact_pieces_go_out_however_large_the_amount() -> None:
    """The nearest amounts are only near beyond the tables; what can be made is made."""
    drawer = {10_000: 200, 25: 1, 10: 3, 1: 4}
    for uncounted in (0, 100):
        out = take_out(2_000_030, drawer, uncounted)
        assert out is not None
        assert (out.pieces, out.uncounted_minor) == (((10_000, 200), (10, 3)), 0)
