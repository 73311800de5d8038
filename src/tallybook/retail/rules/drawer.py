"""The drawer: which pieces are in it, what may leave it, and what a count means. Source: R5-R11."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallybook.kernel.frozen import frozen
from tallybook.retail.model import Pieces, value_of
from tallybook.retail.rules.change import find_change, nearest_amounts

DENOMINATIONS_MAX = 100
"""As many as a count may name: a value that no count can name could never be counted. It bounds
what the search for change may cost, too."""


@frozen
class CashOut:
    """How an amount leaves the drawer. Units: minor units."""

    pieces: Pieces
    uncounted_minor: int
    """The part taken from cash that nobody has told the pieces of."""


@frozen
class CountResult:
    """What a count of the drawer found. Units: minor units."""

    expected_minor: int
    counted_minor: int
    differences: Pieces
    """By value, how many pieces more (or fewer) than were known."""


def sort_pieces(pieces: Iterable[tuple[int, int]]) -> Pieces:
    """Put pieces in order, largest value first, equal values added up.

    >>> sort_pieces([(100, 1), (500, 2), (100, 3), (50, 0)])
    ((500, 2), (100, 4))
    """
    counts: dict[int, int] = {}
    for value, count in pieces:
        counts[value] = counts.get(value, 0) + count
    return tuple((value, counts[value]) for value in sorted(counts, reverse=True) if counts[value])


def add_pieces(counts: Mapping[int, int], pieces: Pieces, sign: int = 1) -> dict[int, int]:
    """Put pieces into a drawer, or take them out with `sign` -1.

    >>> add_pieces({500: 1}, ((500, 1), (100, 2)))
    {500: 2, 100: 2}
    """
    after = dict(counts)
    for value, count in pieces:
        after[value] = after.get(value, 0) + sign * count
    return after


def take_out(amount_minor: int, counts: Mapping[int, int], uncounted_minor: int) -> CashOut | None:
    """Take an amount out of the drawer: in exact pieces, else with the help of uncounted cash.

    None where the drawer doesn't hold it. Source: R8.

    >>> take_out(70, {50: 1, 20: 1}, 100)
    CashOut(pieces=((50, 1), (20, 1)), uncounted_minor=0)
    >>> take_out(60, {50: 1, 20: 1}, 100)
    CashOut(pieces=((50, 1),), uncounted_minor=10)
    """
    drawer = sort_pieces(counts.items())
    exact = find_change(amount_minor, drawer)
    if exact is not None:
        return CashOut(exact, 0)
    below, _ = nearest_amounts(amount_minor, drawer)
    if amount_minor - below > uncounted_minor:
        return None
    pieces = find_change(below, drawer)
    assert pieces is not None, "an amount that can be made has pieces"
    return CashOut(pieces, amount_minor - below)


def compare_count(counts: Mapping[int, int], uncounted_minor: int, counted: Pieces) -> CountResult:
    """Compare what was counted with what should be there: known pieces and uncounted cash.

    A value that was not counted has no pieces. Source: R11.

    >>> compare_count({500: 1, 100: 2}, 300, ((500, 1), (100, 4)))
    CountResult(expected_minor=1000, counted_minor=900, differences=((100, 2),))
    """
    known = sort_pieces(counts.items())
    differences = add_pieces(add_pieces({}, counted), known, -1)
    return CountResult(
        value_of(known) + uncounted_minor, value_of(counted), sort_pieces(differences.items())
    )
