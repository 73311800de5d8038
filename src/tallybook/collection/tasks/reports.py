"""Taking a report in: stored raw and sealed first, then read chunk by chunk, then judged."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import TypeVar

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
    list_report_days,
    list_unread_reports,
)
from tallybook.collection.tasks.context import CollectionContext
from tallybook.customers.rules import normalise_number
from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Fact, Report, ReportState
from tallybook.processor.report_reader import ReportRow, ReportStream
from tallybook.processor.rules import WINDOW_DAYS, earliest_day
from tallybook.writer.model import Command

FACTS_A_COMMAND = 2_000
SMALL_BYTES = 16 * 1024
"""A report as short as that keeps the event loop no longer than a request does."""

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
    taken = await context.door.ask(Command(TAKE_REPORT, TakeReport(report_on, digest, sealed)))
    report: Report = taken.value
    if report.state is not ReportState.TAKEN:
        return report, False
    return await _read_in(context, report, raw), True


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
        packed = context.secrets.unseal_bytes(
            report.raw_sealed, context=report_context(report.report_on, report.sha256)
        )
        await _read_in(context, report, zlib.decompress(packed))
    return len(unread)


async def _read_in(context: CollectionContext, report: Report, raw: bytes) -> Report:
    def expectations() -> tuple[int, date]:
        with context.database.reader() as connection:
            start = report.report_on - timedelta(days=WINDOW_DAYS - 1)
            days = list_report_days(connection, since=start)
            return (
                count_to_repeat(connection, report.report_on, start),
                earliest_day(report.report_on, days),
            )

    to_repeat, not_before = await asyncio.to_thread(expectations)
    stream = ReportStream(raw)
    rows = new = repeated = 0
    reader = _FactReader(context, report.report_on, not_before)
    chunks = reader.read(stream)
    while True:
        part = await _in_thread(len(raw), lambda: next(chunks, None))
        if part is None:
            break
        count, facts = part
        rows += count
        if facts:
            command = Command(ADD_FACTS, AddFacts(report.id, report.report_on, tuple(facts)))
            (outcome,) = await context.door.ask_chunk([command])
            added: FactsAdded = outcome.value
            new += added.new_count
            repeated += added.repeated_count
    judged = await context.door.ask(
        Command(
            JUDGE_REPORT,
            JudgeReport(
                report.id,
                ended=stream.ended,
                rows_count=rows,
                new_count=new,
                missing_count=max(0, to_repeat - repeated),
                is_rich=stream.is_rich and reader.tells_apart,
                problems=json.dumps(stream.problems[:100]),
            ),
        )
    )
    result: Report = judged.value
    return result


class _FactReader:
    """Turns rows into distinct facts, and sees whether the rows tell transfers apart."""

    def __init__(self, context: CollectionContext, report_on: date, not_before: date) -> None:
        self._context = context
        self._report_on = report_on
        self._not_before = not_before
        # Only hashes are kept of what was seen: a report may have a million rows.
        self._seen: dict[int, int] = {}
        self.tells_apart = True
        """Whether each row so far says of which account and amount it is, and which way.

        A cell that is empty, masked, or no amount of the currency says nothing; and one id with two
        contents is two transfers, of which only one can be known by it.
        """

    def read(self, stream: ReportStream) -> Iterator[tuple[int, Sequence[Fact]]]:
        """Give the facts, a bounded number of rows at a time, and how many rows they came of."""
        for rows in stream:
            for start in range(0, len(rows), FACTS_A_COMMAND):
                part = rows[start : start + FACTS_A_COMMAND]
                yield len(part), [fact for row in part if (fact := self._take(row)) is not None]

    def _take(self, row: ReportRow) -> Fact | None:
        mark = hash((row.transaction_id, row.result))
        content = hash((row.amount, row.account, row.direction))
        known = self._seen.get(mark)
        if known is not None:
            self.tells_apart &= known == content
            return None
        self._seen[mark] = content
        fact = self._fact(row)
        self.tells_apart &= None not in (fact.amount_minor, fact.account_hash, fact.direction)
        return fact

    def _fact(self, row: ReportRow) -> Fact:
        report_on = self._report_on
        happened_on = row.date if row.date is not None and row.date <= report_on else report_on
        return Fact(
            transaction_id=row.transaction_id,
            result=row.result,
            first_on=report_on,
            happened_on=happened_on,
            not_before=happened_on if row.date is not None else self._not_before,
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
