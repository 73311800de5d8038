"""Taking a report in: stored raw and sealed first, then read chunk by chunk, then judged."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple, TypeVar

from tallybook.collection.operations.reports import (
    ADD_FACTS,
    JUDGE_REPORT,
    TAKE_REPORT,
    AddFacts,
    FactsAdded,
    JudgeReport,
    TakeReport,
)
from tallybook.collection.queries import (
    count_to_repeat,
    list_contents,
    list_report_days,
    list_unread_reports,
)
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.insisting import ask_all, ask_one
from tallybook.customers.rules import normalise_number
from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Fact, Report, ReportState
from tallybook.processor.queries import list_complete
from tallybook.processor.report_reader import ReportRow, ReportStream
from tallybook.processor.rules import (
    WINDOW_DAYS,
    earliest_day,
    join_facts,
    row_days,
    unchanged_days,
)
from tallybook.writer.model import Command

FACTS_A_COMMAND = 2_000
SMALL_BYTES = 16 * 1024
"""A report as short as that keeps the event loop no longer than a request does."""

_AROUND = timedelta(days=2 * WINDOW_DAYS)
"""How far to look for the same file: what it shows has left the window long before."""

T = TypeVar("T")


async def take_report(
    context: CollectionContext, raw: bytes, report_on: date
) -> tuple[Report, bool]:
    """Store a report and read it in; the same report of the same day changes nothing.

    Returns: the report as it was judged, and whether it is a new one.
    """
    digest = hashlib.sha256(raw).hexdigest()
    packed = await _in_thread(len(raw), lambda: zlib.compress(raw, 1))
    sealed = context.secrets.seal_bytes(packed, context=report_context(report_on, digest))
    asked = TakeReport(report_on, digest, sealed)
    taken = await ask_one(context.door, Command(TAKE_REPORT, asked))
    report: Report = taken.value
    if report.state is not ReportState.TAKEN:
        return report, False
    return await _read_in(context, report, raw), True


async def _judge_others(
    context: CollectionContext, report: Report, stuck: tuple[date, date] | None
) -> None:
    """Judge complete reports again of which a new one tells what they hide, or that they are old.

    Those of the days after a late one; and the same file of other days, where it is stuck and was
    taken for proof of absence. Their facts are known; read once more, they are counted anew.

    Source: P4, P6, T4.
    """

    def load() -> list[Report]:
        with context.database.reader() as connection:
            last = report.report_on + timedelta(days=WINDOW_DAYS - 1)
            later = list_complete(connection, after=report.report_on, until=last)
            if stuck is None:
                return later
            since, until = stuck
            around = list_complete(connection, after=since, until=until)
            same = [each for each in around if each.sha256 == report.sha256 and each.is_rich]
            return [*later, *(each for each in same if each not in later)]

    for each in await asyncio.to_thread(load):
        await _read_in(context, each, _unpacked(context, each), is_again=True)


def _unpacked(context: CollectionContext, report: Report) -> bytes:
    place = report_context(report.report_on, report.sha256)
    return zlib.decompress(context.secrets.unseal_bytes(report.raw_sealed, context=place))


async def _in_thread(size: int, work: Callable[[], T]) -> T:
    """Do work on so many bytes in a thread of the pool, unless it takes less than going there."""
    return work() if size < SMALL_BYTES else await asyncio.to_thread(work)


async def read_in_unread(context: CollectionContext) -> int:
    """Read in reports that were stored by a process which died before it had read them."""

    def load() -> list[Report]:
        with context.database.reader() as connection:
            return list_unread_reports(connection)

    unread = await asyncio.to_thread(load)
    for report in unread:
        await _read_in(context, report, _unpacked(context, report))
    return len(unread)


async def _read_in(
    context: CollectionContext, report: Report, raw: bytes, *, is_again: bool = False
) -> Report:
    def expectations() -> tuple[int, date, tuple[date, date]]:
        with context.database.reader() as connection:
            day, content = report.report_on, report.sha256
            start = day - timedelta(days=WINDOW_DAYS - 1)
            days = list_report_days(connection, since=start)
            around = list_contents(connection, day - _AROUND, day + _AROUND, content)
            return (
                count_to_repeat(connection, day, start),
                earliest_day(day, days),
                unchanged_days(day, content, around),
            )

    to_repeat, not_before, unchanged = await asyncio.to_thread(expectations)
    came_before = unchanged if unchanged[0] < report.report_on else None
    stream = ReportStream(raw)
    rows = new = repeated = left = 0
    reader = _FactReader(context, report.report_on, not_before)
    chunks = reader.read(stream)
    while True:
        part = await _in_thread(len(raw), lambda: next(chunks, None))
        if part is None:
            break
        rows += part.rows_count
        if part.facts or part.again:
            asked = AddFacts(report.id, report.report_on, part.facts, part.again, came_before)
            command = Command(ADD_FACTS, asked)
            (outcome,) = await ask_all(context.door, [command])
            added: FactsAdded = outcome.value
            new += added.new_count
            repeated += added.repeated_count
            left += added.left_count
    if not is_again:
        # Before this one is judged: who dies here finds it unread, and goes on.
        await _judge_others(context, report, unchanged if left else None)
    problems = [*stream.problems[:100], *([(1, "file_of_a_day_before")] if left else [])]
    judged = await ask_one(
        context.door,
        Command(
            JUDGE_REPORT,
            JudgeReport(
                report.id,
                ended=stream.ended,
                rows_count=rows,
                new_count=report.new_count + new,
                missing_count=max(0, to_repeat - repeated),
                is_rich=stream.is_rich and reader.tells_apart and not left,
                problems=json.dumps(problems),
            ),
        ),
    )
    result: Report = judged.value
    return result


class _Piece(NamedTuple):
    """A piece of a report."""

    rows_count: int
    facts: tuple[Fact, ...]
    again: tuple[Fact, ...]
    """Those that the report has named in an earlier piece, with a later date or other words."""


_BACK_BITS = 3
_BACK_MASK = 2**_BACK_BITS - 1
"""Beside a row's content, how many days before the report it is dated: not more than five."""


class _FactReader:
    """Turns rows into distinct facts, and sees whether the rows tell transfers apart."""

    def __init__(self, context: CollectionContext, report_on: date, not_before: date) -> None:
        self._context = context
        self._report_on = report_on
        self._not_before = not_before
        # Only hashes are kept of what was seen: a report may have a million rows.
        self._seen: dict[int, int] = {}
        """By what it names: its content, and how far back the earliest row of it is dated."""
        self.tells_apart = True
        """Whether each row so far says of which account and amount it is, and which way.

        A cell that is empty, masked, or no amount of the currency says nothing; and one id with two
        contents is two transfers, of which only one can be known by it.
        """

    def read(self, stream: ReportStream) -> Iterator[_Piece]:
        """Give the facts, a bounded number of rows at a time."""
        for rows in stream:
            for start in range(0, len(rows), FACTS_A_COMMAND):
                part = rows[start : start + FACTS_A_COMMAND]
                facts: dict[int, Fact] = {}
                again: dict[int, Fact] = {}
                for row in part:
                    self._take(row, facts, again)
                yield _Piece(len(part), tuple(facts.values()), tuple(again.values()))

    def _take(self, row: ReportRow, facts: dict[int, Fact], again: dict[int, Fact]) -> None:
        """Keep a row that is new, or that dates back or contradicts what was kept.

        Rows have no order (0003).
        """
        mark = hash((row.transaction_id, row.result))
        content = hash((row.amount, row.account, row.direction))
        known = self._seen.get(mark)
        is_same = known is not None and known >> _BACK_BITS == content
        if is_same and row.date is None:
            return
        happened_on, not_before = row_days(row.date, self._report_on, self._not_before)
        back = (self._report_on - happened_on).days
        if known is not None:
            self.tells_apart &= is_same
            furthest = known & _BACK_MASK
            if is_same and back <= furthest:
                return
            content, back = known >> _BACK_BITS, max(back, furthest)
        self._seen[mark] = (content << _BACK_BITS) | back
        fact = self._fact(row, happened_on, not_before)
        self.tells_apart &= None not in (fact.amount_minor, fact.account_hash, fact.direction)
        # What is asked for together is kept together: the database has a fact once.
        kept = facts if known is None or mark in facts else again
        kept[mark] = join_facts(kept[mark], fact) if mark in kept else fact

    def _fact(self, row: ReportRow, happened_on: date, not_before: date) -> Fact:
        return Fact(
            transaction_id=row.transaction_id,
            result=row.result,
            first_on=self._report_on,
            happened_on=happened_on,
            not_before=not_before,
            applied=False,
            amount_minor=_amount(row.amount, self._context.currency),
            account_hash=self._account_hash(row.account),
            direction=row.direction,
            reason=(row.reason or None) and row.reason[:200],
        )

    def _account_hash(self, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            number = normalise_number(text)
        except Refused:
            return None
        return None if _MASKED in number else self._context.secrets.keyed_hash(number)


def _amount(text: str | None, currency: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_amount(text, currency)
    except Refused:
        return None


_MASKED = "XXX"
"""How some write the digits of an account that they do not show."""


def report_context(report_on: date, digest: str) -> str:
    """Name the place that a report's raw text is sealed for."""
    return f"processor_reports.raw:{report_on.isoformat()}:{digest}"
