"""Which pieces go back: exact, out of what is in the drawer, and as few as possible. Source: R5."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import gcd

from tallybook.retail.model import Pieces, value_of

SPARE = (0, 1, 3, 7)
"""How many pieces above the bound from below are allowed, in turn, before any number is."""

REACH_MAX = 2_000_000
"""How far sums are tabled, in units of the values' greatest common divisor: 20,000.00 in cents.
What stands between the bounds counts, not the change. Beyond it, and only where taking the largest
first fails, the search gives up after `STEPS_MAX` steps, change is sought with the largest pieces
down to the tables, and the nearest other amounts are not always the very nearest: the one not above
is payable, the one above can be made of the pieces there but may be refused in its turn."""

TABLES_MAX = 32 * REACH_MAX
"""How many sums all tables of one search hold, in bits. So with more than 32 values tables end
below `REACH_MAX`: a hundred values are tabled to 6,400.00 in cents."""

GREEDY_VALUES = 32
"""With more values nobody asks whether taking the largest first is right: asking costs too much."""

STEP = 8
"""What a step costs apart from the values it looks at, in values."""

STEPS_MAX = 300_000
"""What each search may cost, in values looked at: nobody's basket may stop everyone else's.
A search with tables that has not ended by then gives the best it has found, which is exact but may
not be the fewest pieces. What was measured needs less than a half (`bench/change.py`)."""


def find_change(amount_minor: int, drawer: Pieces) -> Pieces | None:
    """Choose the fewest pieces that make an amount exactly; None where none do.

    Of several ways with equally few pieces it takes the one with more of the larger values.

    Units: minor units; `drawer` is sorted, largest value first.

    >>> find_change(60, ((50, 1), (20, 3)))
    ((20, 3),)
    >>> find_change(643_00, ((500_00, 2), (100_00, 5), (20_00, 9), (2_00, 1), (1_00, 9)))
    ((50000, 1), (10000, 1), (2000, 2), (200, 1), (100, 1))
    """
    assert amount_minor >= 0, amount_minor
    if amount_minor == 0:
        return ()
    there = tuple([piece for piece in drawer if piece[1] > 0])
    # Right for all values there, it is right for those that are no larger than this amount.
    if len(there) <= GREEDY_VALUES and _is_greedy_right(tuple([value for value, _ in there])):
        found = _greedy(amount_minor, there)
        if found is not None:
            return found
    return _search(amount_minor, there)


def _search(amount_minor: int, there: Pieces) -> Pieces | None:
    usable = tuple((value, count) for value, count in there if value <= amount_minor)
    if value_of(usable) < amount_minor:
        return None
    unit = _divisor(tuple(value for value, _ in usable))
    wanted, rest = divmod(amount_minor, unit)
    if rest:
        return None
    scaled = tuple((value // unit, count) for value, count in usable)
    found = _search_in_steps(wanted, scaled)
    if found is None:
        return None
    return tuple((value * unit, count) for value, count in found)


def _search_in_steps(amount: int, usable: Pieces) -> Pieces | None:
    """Allow few pieces more than there must be, then any number.

    The fewer are allowed, the narrower are the bounds for each value. So the fewest of odd values
    up to large amounts are found in milliseconds, and without a table of all sums.
    """
    fewest = _at_least(usable, amount)
    for spare in SPARE:
        bounds = _bounds(amount, usable, fewest + spare)
        if bounds == [(0, count) for _, count in usable]:
            break
        found = _search_within(amount, usable, bounds, fewest + spare)
        if found is not None:
            return found
    found = _Search(amount, usable).find()
    if found is None and not _is_tabled(amount, usable):
        return _search_the_rest(amount, usable)
    return found


def _search_the_rest(amount: int, usable: Pieces) -> Pieces | None:
    """Take the largest pieces down to where the tables begin, and make the rest out of any.

    It finds the amount not above that `_nearest_by_steps` names, for it goes the same way there.
    """
    width = min(REACH_MAX, TABLES_MAX // len(usable))
    kept: dict[int, int] = {}
    left = amount
    for value, count in usable:
        kept[value] = min(count, left // value, max(0, -((width - left) // value)))
        left -= kept[value] * value
    if left > width:
        return None
    rest = _Search(left, tuple((value, count - kept[value]) for value, count in usable)).find()
    if rest is None:
        return None
    more = dict(rest)
    taken = ((value, kept[value] + more.get(value, 0)) for value in kept)
    return tuple(piece for piece in taken if piece[1])


def _search_within(
    amount: int, usable: Pieces, bounds: Sequence[tuple[int, int]], pieces: int
) -> Pieces | None:
    bounded = [(value, *bound) for (value, _), bound in zip(usable, bounds, strict=True)]
    kept = tuple((value, least) for value, least, _ in bounded)
    free = tuple((value, most - least) for value, least, most in bounded)
    left = amount - value_of(kept)
    if left < 0 or not _is_tabled(left, free):
        return None
    found = _Search(left, free, pieces - sum(least for _, least in kept)).find()
    if found is None:
        return None
    more = dict(found)
    taken = ((value, least + more.get(value, 0)) for value, least in kept)
    return tuple(piece for piece in taken if piece[1])


def _bounds(amount: int, usable: Pieces, pieces: int) -> list[tuple[int, int]]:
    """Bound how many of each value a handful of so many pieces or fewer has.

    If pieces could be cut, the fewest were all of the largest values and some of the pivot, the
    value that fills up the amount. Each larger piece left out and each smaller one put in costs its
    difference to the pivot, in parts of a pivot piece, and `pieces` says how much may be spent.

    >>> _bounds(1000, ((100, 3), (20, 90), (1, 90)), pieces=39)
    [(3, 3), (35, 90), (0, 1)]
    """
    left, place = amount, 0
    while left > value_of(usable[place : place + 1]):
        left -= value_of(usable[place : place + 1])
        place += 1
    larger, (pivot, most), smaller = usable[:place], usable[place], usable[place + 1 :]
    spend = (pieces - sum(count for _, count in larger)) * pivot - left
    smaller_worth = 0
    if smaller:
        largest = smaller[0][0]
        smaller_worth = min(value_of(smaller), spend * largest // (pivot - largest))
    return [
        *((max(0, count - spend // (value - pivot)), count) for value, count in larger),
        (max(0, -((smaller_worth - left) // pivot)), most),
        *((0, min(count, spend // (pivot - value))) for value, count in smaller),
    ]


def nearest_amounts(amount_minor: int, drawer: Pieces) -> tuple[int, int | None]:
    """Tell the nearest amounts, not above and above, that the drawer's pieces do make.

    `find_change` finds the one not above, and, up to `REACH_MAX`, the one above.

    Units: minor units.

    >>> nearest_amounts(70, ((50, 1), (20, 1)))
    (70, None)
    >>> nearest_amounts(60, ((50, 1), (20, 1)))
    (50, 70)
    """
    usable = tuple((value, count) for value, count in drawer if count > 0)
    total = value_of(usable)
    if amount_minor >= total:
        return total, None
    unit = _divisor(tuple(value for value, _ in usable))
    scaled = tuple((value // unit, count) for value, count in usable)
    wanted = amount_minor // unit
    # From one reachable sum to the next above it is never further than the largest value.
    width = min(wanted + scaled[0][0], total // unit)
    if not _is_tabled(width, scaled):
        return _nearest_by_steps(amount_minor, usable)
    reach = 1
    for value, count in scaled:
        reach = _with_pieces(reach, value, count, width)
    below = (reach & ((1 << (wanted + 1)) - 1)).bit_length() - 1
    above = reach >> (wanted + 1)
    lowest = (above & -above).bit_length() - 1
    return below * unit, (wanted + 1 + lowest) * unit


def _divisor(values: tuple[int, ...]) -> int:
    return gcd(*values) or 1


def _nearest_by_steps(amount_minor: int, usable: Pieces) -> tuple[int, int | None]:
    """Fill up from the largest value down: not always the very nearest.

    The amount not above is one that `find_change` finds. The one above exists, but the search for
    it may end before it is found. To try it here would make a refusal as dear as two searches.
    """
    below, above = 0, None
    for value, count in usable:
        most = min(count, (amount_minor - below) // value)
        if most < count:
            above = below + (most + 1) * value
        below += most * value
    return below, above


def _is_tabled(width: int, usable: Pieces) -> bool:
    return width <= REACH_MAX and width * len(usable) <= TABLES_MAX


def _with_pieces(reach: int, value: int, count: int, width: int) -> int:
    """Add some pieces of one value to a table of reachable sums, one bit a sum.

    Counts double, so that a thousand pieces take ten shifts.
    """
    mask = (1 << (width + 1)) - 1
    left = min(count, width // value)
    step = 1
    while left > 0:
        taken = min(step, left)
        reach |= (reach << (taken * value)) & mask
        left -= taken
        step *= 2
    return reach


def _greedy(amount: int, usable: Pieces) -> Pieces | None:
    """Take the largest first; None where that meets the end of a value's pieces, or fails."""
    taken: list[tuple[int, int]] = []
    for value, count in usable:
        wanted, amount_left = divmod(amount, value)
        if wanted > count:
            return None
        if wanted:
            taken.append((value, wanted))
        amount = amount_left
    return tuple(taken) if amount == 0 else None


@lru_cache(maxsize=1024)
def _is_greedy_right(values: tuple[int, ...]) -> bool:
    """Tell whether taking the largest first gives the fewest pieces for every amount it makes.

    Were there an amount for which it doesn't, the smallest such one would be found among these
    few candidates (Pearson, A polynomial-time algorithm for the change-making problem, 2005).
    It holds for unbounded pieces, so it holds where no bound is met.
    """
    if not values or any(value % values[-1] for value in values):
        return False
    values = tuple(value // values[-1] for value in values)
    unbounded = tuple((value, 1 << 62) for value in values)
    for i in range(len(values) - 1):
        pieces = dict(_greedy(values[i] - 1, unbounded) or ())
        for j in range(i + 1, len(values)):
            numbers = [pieces.get(value, 0) for value in values[: j + 1]]
            numbers[j] += 1
            candidate = sum(value * number for value, number in zip(values, numbers, strict=False))
            made = _greedy(candidate, unbounded) or ()
            if sum(number for _, number in made) > sum(numbers):
                return False
    return True


class _Search:
    """Branch and bound over the values, largest first, pruned by what smaller ones can reach.

    Exact. Of equally good solutions the first found stays, which has more of the larger values.
    It ends after `STEPS_MAX` steps, with the best so far; with tables, and where any number of
    pieces will do, never without any.
    """

    def __init__(self, amount: int, usable: Pieces, most: int | None = None) -> None:
        self._amount = amount
        self._usable = usable
        # What the values from each position on are worth in all, and which sums they reach.
        worths = list(accumulate((v * n for v, n in reversed(usable)), initial=0))
        self._worth = worths[::-1]
        self._reach = self._tables() if _is_tabled(amount, usable) else None
        self._best: tuple[int, ...] | None = None
        self._is_unbounded = most is None
        self._fewest = 1 + (amount if most is None else most)
        self._seen: dict[tuple[int, int], int] = {}
        self._steps = 0

    def find(self) -> Pieces | None:
        """Give the pieces, or None where the amount can't be made."""
        if self._can_reach(0, self._amount):
            self._descend()
        if self._best is None:
            return None
        return tuple(
            (value, taken)
            for (value, _), taken in zip(self._usable, self._best, strict=False)
            if taken
        )

    def _tables(self) -> list[bytes]:
        reach, tables = 1, [b"\x01"]
        for value, count in reversed(self._usable):
            reach = _with_pieces(reach, value, count, self._amount)
            tables.append(reach.to_bytes(self._amount // 8 + 1, "little"))
        return tables[::-1]

    def _can_reach(self, position: int, amount: int) -> bool:
        if self._reach is None:
            return amount <= self._worth[position]
        table = self._reach[position]
        byte = amount >> 3
        return byte < len(table) and bool(table[byte] >> (amount & 7) & 1)

    def _descend(self) -> None:
        """Try each number of each value, largest first, without a frame of Python's per value."""
        # One place per value being tried: what is left for it and those after it, the pieces of
        # those before it, and the numbers still to try, from the largest down to the least.
        usable, rests = self._usable, [self._usable[i:] for i in range(len(self._usable) + 1)]
        lefts, useds, nexts, leasts = [self._amount], [0], [0], [0]
        nexts[0], leasts[0] = self._numbers(0, self._amount)
        while nexts:
            position, number = len(nexts) - 1, nexts[-1]
            if number < leasts[-1]:
                del lefts[-1], useds[-1], nexts[-1], leasts[-1]
                continue
            nexts[-1] = number - 1
            self._steps += STEP + len(usable) - position
            if self._steps > STEPS_MAX and not self._is_first_way_certain():
                return
            after = lefts[-1] - number * usable[position][0]
            pieces = useds[-1] + number
            # Fewer of this value mean no fewer pieces in all: all further ones are bounded too.
            if pieces + _at_least(rests[position + 1], after) >= self._fewest:
                nexts[-1] = -1
                continue
            if not self._can_reach(position + 1, after):
                continue
            within = self._first_within(after)
            if within > position + 1 and pieces + _at_least(rests[within], after) >= self._fewest:
                continue
            place = position + 1, after
            if self._seen.get(place, self._fewest) <= pieces:
                continue
            self._seen[place] = pieces
            if after == 0:
                # Whoever got here was bounded by the fewest so far, so this is fewer.
                self._best, self._fewest = tuple([tried + 1 for tried in nexts]), pieces
                continue
            first, least = self._numbers(position + 1, after)
            lefts.append(after)
            useds.append(pieces)
            nexts.append(first)
            leasts.append(least)

    def _numbers(self, position: int, left: int) -> tuple[int, int]:
        """Bound how many of a value may be taken: at most what is left, at least what must be."""
        value, count = self._usable[position]
        least = max(0, -((self._worth[position + 1] - left) // value))
        return min(count, left // value), least

    def _is_first_way_certain(self) -> bool:
        """Tell whether the first way down must end with the amount, and hasn't yet.

        Where no number of pieces is given, the tables lead there without a step back.
        """
        return self._best is None and self._reach is not None and self._is_unbounded

    def _first_within(self, amount: int) -> int:
        """Tell from which position on values are no larger than an amount."""
        return bisect_left(self._usable, -amount, key=lambda piece: -piece[0])


def _at_least(usable: Pieces, left: int) -> int:
    """Bound from below how many pieces an amount takes.

    As if pieces could be cut: the largest first, and of the last one what is left. A value that
    is larger than what is left counts all the same, for fewer of those before it may go with
    it; so the bound never falls where an amount grows by a larger value.
    """
    pieces = 0
    for value, count in usable:
        if left <= value * count:
            return pieces - (-left // value)
        pieces += count
        left -= value * count
    return pieces if left == 0 else pieces + left
