"""What can go wrong at a Processor, as knobs, and what they do to one call. Pure.

Every draw is taken from a digest of the seed and of what the call asks for, never from a stream
that calls share, so that neither concurrency nor order of arrival changes what happens to which
transfer.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from hashlib import blake2b
from itertools import accumulate
from types import MappingProxyType
from typing import Any, NamedTuple

from tallybook.kernel.frozen import frozen
from tallybook.processor.model import Result
from tallybook.processor.port import Direction

CALL, TIMING, REPORT, ALONE = "call", "timing", "report", "alone"
"""Groups of knobs. At most one fault of a group strikes at a time; `alone` ones are independent."""

LONGEST_LAG = 30


def _knob(group: str, text: str) -> Any:  # noqa: ANN401 - dataclasses.field() is Any as well
    return field(default=0.0, metadata={"group": group, "help": text})


@frozen
class Faults:
    """The knobs of a simulated Processor: a probability each, and none of them by default.

    Raises: ValueError where a value is out of range; the text names the knob.
    """

    refused: float = _knob(CALL, "the connection is refused; nothing is sent")
    lost_before: float = _knob(CALL, "the connection is reset before the transfer is executed")
    lost_after: float = _knob(CALL, "the transfer is executed, then the connection is reset")
    hang_before: float = _knob(CALL, "no answer at all, and nothing executed")
    hang_after: float = _knob(CALL, "executed, but no answer at all")
    error_before: float = _knob(CALL, "a 5xx answer, and nothing executed")
    error_after: float = _knob(CALL, "a 5xx answer, though executed")
    busy_before: float = _knob(CALL, "408, 409, 425 or 429, and nothing executed")
    busy_after: float = _knob(CALL, "408, 409, 425 or 429, though executed")
    rejected: float = _knob(CALL, "a definite 4xx refusal with a reason")
    broken_reply: float = _knob(CALL, "executed; the reply is empty, cut off, HTML or not an id")
    drip: float = _knob(CALL, "executed; the reply comes one byte a second")
    crossed: float = _knob(CALL, "executed; the reply carries the id of another transfer")
    same_id: float = _knob(CALL, "executed under an id that another transfer has already")
    doubled: float = _knob(CALL, "executed twice by the Processor itself")

    fail: float = _knob(ALONE, "a debit fails")
    fail_credit: float = _knob(ALONE, "a credit fails")
    returned: float = _knob(ALONE, "a success is followed by a fail 1 to 5 days later")
    contradicted: float = _knob(ALONE, "a fail is followed by a success 1 to 5 days later")
    next_day: float = _knob(ALONE, "executed with the next day's date")
    no_funds: float = _knob(ALONE, "asked for its balance, an account holds 0")

    late: float = _knob(TIMING, "the result is reported 2 to 4 days after the transfer")
    very_late: float = _knob(TIMING, "the result is reported 8 to 12 days after the transfer")
    never_reported: float = _knob(TIMING, "the result is never reported")

    missing_report: float = _knob(REPORT, "there is no report today")
    cut_report: float = _knob(REPORT, "the connection is cut in the middle of the report")
    duplicate_report: float = _knob(REPORT, "yesterday's report is given again")
    truncated_report: float = _knob(REPORT, "the report ends early, without its trailer")
    empty_report: float = _knob(REPORT, "the report has no byte")
    html_report: float = _knob(REPORT, "the report is an HTML page")

    duplicate_rows: float = _knob(ALONE, "a report repeats some of its rows")
    shuffled_rows: float = _knob(ALONE, "a report's rows are out of order")
    unknown_rows: float = _knob(ALONE, "a report has rows with ids that nobody was given")
    wrong_amounts: float = _knob(ALONE, "a rich report has another amount in some rows")
    odd_numbers: float = _knob(ALONE, "a rich report writes 1250.50 as 1250,50")
    odd_encoding: float = _knob(ALONE, "a report is in UTF-16, or has bytes that are not UTF-8")

    lag: int = field(
        default=1,
        metadata={"group": "days", "help": "days until a result is reported (a whole number)"},
    )

    def __post_init__(self) -> None:
        sums: dict[str, float] = {CALL: 0.0, TIMING: 0.0, REPORT: 0.0}
        for name, group in _groups(self):
            value = getattr(self, name)
            if group == "days":
                if not 0 <= value <= LONGEST_LAG:
                    raise ValueError(f"{name} must be 0 to {LONGEST_LAG} days")
                continue
            if not 0 <= value <= 1:  # NaN fails this as well
                raise ValueError(f"{name} is a probability: 0 to 1")
            if group in sums:
                sums[group] += value
        for group, total in sums.items():
            if total > 1 and not math.isclose(total, 1):
                names = ", ".join(name for name, of in _groups(self) if of == group)
                raise ValueError(f"these exclude each other and must sum to at most 1: {names}")

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read faults as a person writes them on a command line; empty text is none.

        Raises: ValueError that says what is wrong and lists the knobs.

        >>> Faults.parse("fail=0.1, lag=2") == Faults(fail=0.1, lag=2)
        True
        """
        values: dict[str, float] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, number = (piece.strip() for piece in part.partition("="))
            if not equals or name not in KNOBS or name in values:
                problem = "is given twice" if name in values else "is not NAME=NUMBER with a knob"
                raise ValueError(f"'{part}' {problem}. {_list_knobs()}")
            try:
                values[name] = int(number) if name == "lag" else float(number)
            except ValueError:
                raise ValueError(f"'{part}' has no number. {_list_knobs()}") from None
        try:
            return cls(**values)  # pyright: ignore[reportArgumentType] - lag was read as an int
        except ValueError as problem:
            raise ValueError(f"{problem}. {_list_knobs()}") from None


def _groups(faults: Faults | type[Faults]) -> list[tuple[str, str]]:
    return [(knob.name, knob.metadata["group"]) for knob in dataclasses.fields(faults)]


KNOBS: Mapping[str, str] = MappingProxyType(
    {knob.name: knob.metadata["help"] for knob in dataclasses.fields(Faults)}
)
"""Every knob with a sentence that says what it does, for `--help`."""


def _list_knobs() -> str:
    return "The knobs are: " + ", ".join(KNOBS)


class CallFault(StrEnum):
    """What went wrong with one call, by the name of its knob; `NONE` where nothing did."""

    NONE = "accepted"
    REFUSED = "refused"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    BUSY_BEFORE = "busy_before"
    BUSY_AFTER = "busy_after"
    REJECTED = "rejected"
    BROKEN_REPLY = "broken_reply"
    DRIP = "drip"
    CROSSED = "crossed"
    SAME_ID = "same_id"
    DOUBLED = "doubled"

    @property
    def executes(self) -> bool:
        """Whether the transfer happens in spite of it."""
        return self not in _WITHOUT_EFFECT


_WITHOUT_EFFECT = frozenset(
    {
        CallFault.REFUSED,
        CallFault.LOST_BEFORE,
        CallFault.HANG_BEFORE,
        CallFault.ERROR_BEFORE,
        CallFault.BUSY_BEFORE,
        CallFault.REJECTED,
    }
)


class ReportFault(StrEnum):
    """What went wrong with a whole report, by the name of its knob."""

    NONE = "given"
    MISSING = "missing_report"
    CUT = "cut_report"
    DUPLICATE = "duplicate_report"
    TRUNCATED = "truncated_report"
    EMPTY = "empty_report"
    HTML = "html_report"


class Fate(NamedTuple):
    """What will happen to one call and to the transfer it asks for. Units: days."""

    fault: CallFault
    variant: int
    """Picks among the forms that a fault can take."""
    transaction_id: str
    pivot: str
    """A place among all transaction ids, from which another's id is looked for."""
    booked_after: int
    """From the call to its booking: 0, or 1 where it is booked on the next day."""
    result: Result
    result_after: int | None
    """From the booking to the day of the result; None: no report ever shows it."""
    second_result: Result | None
    second_after: int
    """From the first result to the second, where there is a second."""


class ReportFate(NamedTuple):
    """What will happen to the report of one date."""

    fault: ReportFault
    duplicate_rows: bool
    shuffled_rows: bool
    unknown_rows: bool
    wrong_amounts: bool
    odd_numbers: bool
    odd_encoding: bool
    variant: int


_ONE = 1 << 64
_DRAWS = struct.Struct("<7Q2I")
_ID_HEX = 16


class Odds:
    """Draws fates: the faults and the seed, made ready for hundreds of thousands of calls."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self._seed = str(seed).encode()
        self._calls = self._ladder(faults, CALL)
        self._timings = self._ladder(faults, TIMING)
        self._reports = self._ladder(faults, REPORT)
        self._fail = {
            Direction.DEBIT: _part(faults.fail),
            Direction.CREDIT: _part(faults.fail_credit),
        }
        self._returned = _part(faults.returned)
        self._contradicted = _part(faults.contradicted)
        self._next_day = int(faults.next_day * (1 << 32))

    @staticmethod
    def _ladder(faults: Faults, group: str) -> list[tuple[int, str]]:
        names = [name for name, of in _groups(faults) if of == group and getattr(faults, name)]
        steps = accumulate(_part(getattr(faults, name)) for name in names)
        return list(zip(steps, names, strict=True))

    def key(self, *content: object) -> bytes:
        """Condense what a call asks for: equal calls of one seed have equal keys."""
        text = "|".join(map(str, content)).encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=8, key=self._seed).digest()

    def call_fate(self, key: bytes, occurrence: int, direction: Direction) -> Fate:
        """Draw what happens to the n-th call with one content."""
        digest = blake2b(key + occurrence.to_bytes(8, "big"), digest_size=64).digest()
        call, failing, timing, days, second, second_days, ident, odd, next_day = _DRAWS.unpack(
            digest
        )
        name = _climb(self._calls, call) if self._calls else None
        result_after: int | None = self.faults.lag
        if self._timings and (kind := _climb(self._timings, timing)):
            if kind == "never_reported":
                result_after = None
            else:
                first, count = (2, 3) if kind == "late" else (8, 5)
                result_after = max(self.faults.lag, first + days % count)
        second_result = None
        if failing < self._fail[direction]:
            result = Result.FAIL
            if second < self._contradicted:
                second_result = Result.SUCCESS
        else:
            result = Result.SUCCESS
            if second < self._returned:
                second_result = Result.FAIL
        return Fate(
            CallFault(name) if name else CallFault.NONE,
            odd,
            f"txn_{ident:0{_ID_HEX}x}",
            f"txn_{days:0{_ID_HEX}x}",
            int(next_day < self._next_day),
            result,
            result_after,
            second_result,
            1 + second_days % 5,
        )

    def report_fate(self, ordinal: int) -> ReportFate:
        """Draw what happens to the report of a date, however often it is asked for."""
        first = self.key("report", ordinal)
        whole, *rows, odd, _ = _DRAWS.unpack(blake2b(first, digest_size=64).digest())
        name = _climb(self._reports, whole)
        faults = self.faults
        knobs = (
            faults.duplicate_rows,
            faults.shuffled_rows,
            faults.unknown_rows,
            faults.wrong_amounts,
            faults.odd_numbers,
            faults.odd_encoding,
        )
        struck = [draw < _part(knob) for draw, knob in zip(rows, knobs, strict=True)]
        return ReportFate(ReportFault(name) if name else ReportFault.NONE, *struck, variant=odd)

    def has_no_funds(self, account: str, ordinal: int) -> bool:
        """Draw whether an account tells a balance of nothing on a date."""
        draw = int.from_bytes(self.key("balance", account, ordinal), "big")
        return draw < _part(self.faults.no_funds)


def _part(probability: float) -> int:
    return int(probability * _ONE)


def _climb(ladder: list[tuple[int, str]], draw: int) -> str | None:
    for step, name in ladder:
        if draw < step:
            return name
    return None
