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
    seen: set[int] = set()
    chunks = _fact_chunks(context, stream, report.report_on, not_before, seen)
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
                is_rich=stream.is_rich,
                problems=json.dumps(stream.problems[:100]),
            ),
        )
    )
    result: Report = judged.value
    return result


def _fact_chunks(
    context: CollectionContext,
    stream: ReportStream,
    report_on: date,
    not_before: date,
    seen: set[int],
) -> Iterator[tuple[int, Sequence[Fact]]]:
    """Turn rows into distinct facts, a bounded number at a time."""
    for rows in stream:
        for start in range(0, len(rows), FACTS_A_COMMAND):
            part = rows[start : start + FACTS_A_COMMAND]
            facts: list[Fact] = []
            for row in part:
                # Only a hash is kept of what was seen: a report may have a million rows.
                mark = hash((row.transaction_id, row.result))
                if mark not in seen:
                    seen.add(mark)
                    facts.append(_fact(context, row, report_on, not_before))
            yield len(part), facts


def _fact(context: CollectionContext, row: ReportRow, report_on: date, not_before: date) -> Fact:
    happened_on = row.date if row.date is not None and row.date <= report_on else report_on
    return Fact(
        transaction_id=row.transaction_id,
        result=row.result,
        first_on=report_on,
        happened_on=happened_on,
        not_before=happened_on if row.date is not None else not_before,
        applied=False,
        amount_minor=_amount(row.amount, context.currency),
        account_hash=context.secrets.keyed_hash(_normal(row.account)) if row.account else None,
        direction=row.direction,
        reason=(row.reason or None) and row.reason[:200],
    )


def _amount(text: str | None, currency: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_amount(text, currency)
    except Refused:
        return None


def _normal(number: str) -> str:
    return number.replace(" ", "").replace("-", "").upper()


def report_context(report_on: date, digest: str) -> str:
    """Name the place that a report's raw text is sealed for."""
    return f"processor_reports.raw:{report_on.isoformat()}:{digest}"
