"""Pairing what is told about payments with the movements of money behind them. Source: B8, B9.

One amount at a time, over all notices and movements of that amount at once: the best evidence
first, then as many pairs as can be made, then the nearest in time. So twelve equal payments stay
twelve, and who came first makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from tallybook.bills.rules.placing import visible_end
from tallybook.kernel.frozen import frozen

WINDOW = timedelta(days=2)
"""How far apart a payment's notice and its movement may be. Policy."""
_EXACT_MOST = 1_000_000
"""Beyond so many possible pairs in one stretch they are paired in order instead."""
SAME_WORDING = timedelta(minutes=10)
"""How far apart two wordings of one payment may be. Source: B9."""


@frozen
class Signal:
    """One sign of a payment: a notice about it, or the movement itself."""

    id: str
    at: datetime
    hash: str
    amount: int
    """More than zero, and as `currencies.number_of` writes it: equal numbers are equal amounts."""
    currency: str | None
    """None where nobody said."""
    is_in: bool = False
    """Whether money came in: a refund is no other wording of what it gives back."""
    reference: str | None = None
    numbers: tuple[str, ...] = ()
    """Account numbers that it names, the payer's or the biller's."""
    paid_from: str | None = None
    issuer: str | None = None
    words: str = ""

    @property
    def order(self) -> tuple[datetime, str]:
        """Order signals by time; the hash decides between equals."""
        return self.at, self.hash


@frozen
class Pair:
    """A notice and its movement, and why they are believed to be one payment."""

    notice: str
    movement: str
    why: str


def pair_signals(notices: Sequence[Signal], movements: Sequence[Signal]) -> list[Pair]:
    """Pair notices with movements, one to one, by the best evidence over the whole window."""
    by_amount: dict[int, tuple[list[Signal], list[Signal]]] = {}
    for notice in notices:
        by_amount.setdefault(notice.amount, ([], []))[0].append(notice)
    for movement in movements:
        if movement.amount in by_amount:
            by_amount[movement.amount][1].append(movement)
    pairs: list[Pair] = []
    for left, right in by_amount.values():
        if right:
            pairs += _pair_group(
                sorted(left, key=lambda signal: signal.order),
                sorted(right, key=lambda signal: signal.order),
            )
    return pairs


def _pair_group(notices: list[Signal], movements: list[Signal]) -> list[Pair]:
    pairs: list[Pair] = []
    for tier in _TIERS:
        by_key: dict[tuple[str, ...], list[Signal]] = {}
        for notice in notices:
            by_key.setdefault(tier.key(notice), []).append(notice)
        for key in sorted(by_key):
            alike = by_key[key]
            fitting = [movement for movement in movements if tier.agree(alike[0], movement)]
            if not fitting:
                continue
            found = _most_pairs(alike, fitting)
            pairs += [
                Pair(notice.id, movement.id, _say(tier.why, notice, movement))
                for notice, movement in found
            ]
            paired = {notice.id for notice, _ in found}
            taken = {movement.id for _, movement in found}
            notices = [notice for notice in notices if notice.id not in paired]
            movements = [movement for movement in movements if movement.id not in taken]
    return pairs


def _most_pairs(
    notices: Sequence[Signal], movements: Sequence[Signal]
) -> list[tuple[Signal, Signal]]:
    """Make as many pairs as can be made, nearest in time, without crossing: exact, not greedy.

    Both sides are in order of time and any two near each other may be a pair, so a best pairing
    that crosses can be uncrossed at no cost. Stretches further apart than the window are paired by
    themselves, so that a long history costs little more than its length.
    """
    pairs: list[tuple[Signal, Signal]] = []
    for some_notices, some_movements in _stretches(notices, movements):
        if len(some_notices) * len(some_movements) <= _EXACT_MOST:
            pairs += _pairs_of_stretch(some_notices, some_movements)
        else:
            pairs += _pairs_in_order(some_notices, some_movements)
    return pairs


def _pairs_in_order(
    notices: Sequence[Signal], movements: Sequence[Signal]
) -> list[tuple[Signal, Signal]]:
    """Pair the earliest with the earliest within the window: as many pairs, not always nearest."""
    pairs: list[tuple[Signal, Signal]] = []
    row = column = 0
    while row < len(notices) and column < len(movements):
        apart = notices[row].at - movements[column].at
        if abs(apart) <= WINDOW:
            pairs.append((notices[row], movements[column]))
            row, column = row + 1, column + 1
        elif apart < timedelta(0):
            row += 1
        else:
            column += 1
    return pairs


def _stretches(
    notices: Sequence[Signal], movements: Sequence[Signal]
) -> list[tuple[list[Signal], list[Signal]]]:
    merged = sorted(
        [(signal.at, 0, signal.hash, signal) for signal in notices]
        + [(signal.at, 1, signal.hash, signal) for signal in movements],
        key=lambda item: item[:3],
    )
    stretches: list[tuple[list[Signal], list[Signal]]] = []
    last: datetime | None = None
    for at, side, _, signal in merged:
        if last is None or at - last > WINDOW:
            stretches.append(([], []))
        stretches[-1][side].append(signal)
        last = at
    return [stretch for stretch in stretches if stretch[0] and stretch[1]]


_Best = tuple[int, int]
"""Pairs made, and the seconds between them counted as negative: more is better."""


def _pairs_of_stretch(
    notices: Sequence[Signal], movements: Sequence[Signal]
) -> list[tuple[Signal, Signal]]:
    rows, columns = len(notices), len(movements)
    best: list[list[_Best]] = [[(0, 0)] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            here = max(best[row + 1][column], best[row][column + 1])
            if abs(notices[row].at - movements[column].at) <= WINDOW:
                made, apart = best[row + 1][column + 1]
                seconds = int(abs(notices[row].at - movements[column].at).total_seconds())
                here = max(here, (made + 1, apart - seconds))
            best[row][column] = here
    pairs: list[tuple[Signal, Signal]] = []
    row = column = 0
    while row < rows and column < columns:
        if best[row][column] == best[row + 1][column]:
            row += 1
        elif best[row][column] == best[row][column + 1]:
            column += 1
        else:
            pairs.append((notices[row], movements[column]))
            row, column = row + 1, column + 1
    return pairs


# -- evidence ------------------------------------------------------------------------------------


def _can_be_one(notice: Signal, movement: Signal) -> bool:
    """Tell whether, but for their times, nothing stands against two signs being of one payment."""
    if not _currencies_agree(notice, movement):
        return False
    if notice.paid_from is not None and movement.paid_from is not None:
        return _same_number(notice.paid_from, movement.paid_from)
    return True


def _same_reference(notice: Signal, movement: Signal) -> bool:
    return (
        _can_be_one(notice, movement)
        and notice.reference is not None
        and movement.reference is not None
        and fold_reference(notice.reference) == fold_reference(movement.reference)
    )


def _same_account(notice: Signal, movement: Signal) -> bool:
    if not _can_be_one(notice, movement):
        return False
    if any(_same_number(one, other) for one in notice.numbers for other in movement.numbers):
        return True
    return notice.issuer is not None and notice.issuer.casefold() in movement.words.casefold()


def _key(notice: Signal, *parts: str | None) -> tuple[str, ...]:
    return tuple(part or "" for part in (notice.currency, notice.paid_from, *parts))


@frozen
class _Tier:
    """One sort of evidence: notices with one key agree with the same movements."""

    key: Callable[[Signal], tuple[str, ...]]
    agree: Callable[[Signal, Signal], bool]
    why: str


_TIERS = (
    _Tier(
        lambda notice: _key(notice, notice.reference and fold_reference(notice.reference)),
        _same_reference,
        "the same reference",
    ),
    _Tier(
        lambda notice: _key(notice, notice.issuer, *notice.numbers),
        _same_account,
        "the same account or issuer",
    ),
    _Tier(_key, _can_be_one, "the same amount"),
)


def _same_number(one: str, other: str) -> bool:
    ends = visible_end(one), visible_end(other)
    return ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])


@lru_cache(maxsize=16_384)
def fold_reference(reference: str) -> str:
    """Write a reference the one way in which references are compared."""
    return reference.replace("-", "").replace(" ", "").upper().lstrip("0")


def _say(why: str, notice: Signal, movement: Signal) -> str:
    apart = abs(notice.at - movement.at)
    hours = int(apart.total_seconds()) // 3600
    distance = "within the hour" if hours == 0 else f"{hours} hours apart"
    return f"{why}, {distance}"


# -- another wording of the same payment ---------------------------------------------------------


def find_duplicates(signals: Sequence[Signal]) -> dict[str, str]:
    """Find other wordings of one payment: equal account, amount and reference within minutes.

    The amount with its sign, and of one currency where both say theirs.

    Without a reference nothing is called a duplicate: equal payments are common. Source: B9.

    Returns: the id of each duplicate, with the id of the first.
    """
    first_of: dict[tuple[bool, int, str], list[Signal]] = {}
    duplicates: dict[str, str] = {}
    for signal in sorted(signals, key=lambda signal: signal.order):
        if signal.reference is None:
            continue
        key = (signal.is_in, signal.amount, fold_reference(signal.reference))
        known = first_of.setdefault(key, [])
        for first in known:
            is_near = signal.at - first.at <= SAME_WORDING
            if is_near and _currencies_agree(first, signal) and _accounts_agree(first, signal):
                duplicates[signal.id] = first.id
                break
        else:
            known.append(signal)
    return duplicates


def _currencies_agree(one: Signal, other: Signal) -> bool:
    return one.currency is None or other.currency is None or one.currency == other.currency


def _accounts_agree(one: Signal, other: Signal) -> bool:
    if not one.numbers or not other.numbers:
        return True
    return any(_same_number(a, b) for a in one.numbers for b in other.numbers)
