"""What people ask for over the wire that takes long: a run, a report taken now. Source: T3, T5."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any

from pydantic_core import to_json

from tallybook.collection.operations.requests import (
    BEGIN_REQUEST,
    COMPLETE_REQUEST,
    BeginRequest,
    CompleteRequest,
)
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.run import run_day
from tallybook.collection.tasks.settling import settle
from tallybook.collection.tasks.stopping import (
    UntilStopping,
    refuse_when_stopping,
    see_through,
)
from tallybook.collection.views import report_view
from tallybook.kernel.progress import NO_PROGRESS
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import ReportState
from tallybook.processor.port import ReportUnavailable
from tallybook.writer.model import Command, Outcome, Reply
from tallybook.writer.transact import refused

COPY_SECONDS = 60
"""How long a copy of a request waits for the first one's reply before it does the work itself.

The work may be done twice, and a process that began it may have died.
"""

_TROUBLE = 500
"""From here on a status tells of trouble of ours or the Processor's: no reply for ever."""


async def request_run(
    context: CollectionContext, day: date | None, *, key: str | None = None
) -> Outcome:
    """Run a business date: 201 with what it did, 200 where it was finished before."""

    async def work() -> Reply:
        done = await run_day(context, day)
        return Reply(200 if done.was_finished else 201, done.view)

    asked = BeginRequest("runs", (day and day.isoformat(),))
    return await _once(context, asked, key, work)


async def request_report(
    context: CollectionContext,
    raw: bytes | None,
    report_on: date | None,
    *,
    key: str | None = None,
) -> Outcome:
    """Take a report in, one that is given or today's of the Processor, and settle with it.

    201 with what it changed, 200 where the same report of that day was taken before.
    """

    async def work() -> Reply:
        refuse_when_stopping(context)
        today = context.clock.today()
        if report_on is not None and report_on > today:
            details = {"today": today.isoformat()}
            raise Refused(Refusal("date_in_future", param="report_on", details=details))
        if raw is None and report_on not in (None, today):
            # What is downloaded shows today's window, and would claim to cover another.
            details = {"report_on": str(report_on)}
            raise Refused(Refusal("report_file_needed", param="report_on", details=details))
        return await _take_and_settle(context, raw, report_on or today)

    digest = None if raw is None else hashlib.sha256(raw).hexdigest()
    asked = BeginRequest("processor_reports", (report_on and report_on.isoformat(), digest))
    return await _once(context, asked, key, work)


async def _take_and_settle(context: CollectionContext, raw: bytes | None, report_on: date) -> Reply:
    if raw is None:
        try:
            raw = await context.processor.download_report()
        except ReportUnavailable as unavailable:
            details = {"reason": unavailable.reason}
            raise Refused(Refusal("processor_unavailable", details=details)) from None
        if report_on != context.clock.today():
            # It came after midnight: nobody can tell of which of the two days it is.
            raise Refused(Refusal("processor_unavailable", details={"reason": "date_over"}))
    report, is_new = await take_report(context, raw, report_on)
    problems = report_view(report)["problems"]
    if report.state is ReportState.INCOMPLETE and report.rows_count == 0 and problems:
        raise Refused(Refusal("report_unreadable", details={"problems": problems}))
    done = await settle(context, progress=UntilStopping(context, NO_PROGRESS))
    shown = {"settled": done.settled.shown(), "replanned": done.moved.shown()}
    return Reply(201 if is_new else 200, {**report_view(report), **shown})


async def _once(
    context: CollectionContext,
    asked: BeginRequest,
    key: str | None,
    work: Callable[[], Coroutine[Any, Any, Reply]],
) -> Outcome:
    """Do the work of a request, and keep its reply under its key; copies wait for it.

    Whoever asked may go away: what was begun is not cut off, and ends early where the program
    stops.
    """
    if key is None:
        return _outcome(await see_through(_result(work)))
    command = Command(BEGIN_REQUEST, asked, key)
    begun = await context.door.ask(command)
    if not begun.pending:
        return begun
    if begun.replayed:
        try:
            async with asyncio.timeout(COPY_SECONDS):
                return await context.door.ask_until_complete(command)
        except TimeoutError:
            pass

    async def work_and_reply() -> Outcome:
        result = await _result(work)
        if isinstance(result, Refusal) and (
            result.kind.status >= _TROUBLE
            # Whoever began it may be at work still, and theirs will be the reply.
            or (begun.replayed and result.kind.retry)
        ):
            return _outcome(result)
        completion = Command(COMPLETE_REQUEST, CompleteRequest(asked.call, key, result))
        outcome = await context.door.ask(completion)
        # The database refuses a second reply: then the first one is the reply.
        stored = await context.door.ask(command)
        return outcome if stored.pending or outcome.body == stored.body else stored

    return await see_through(work_and_reply())


async def _result(work: Callable[[], Coroutine[Any, Any, Reply]]) -> Reply | Refusal:
    try:
        return await work()
    except Refused as no:
        return no.refusal


def _outcome(result: Reply | Refusal) -> Outcome:
    if isinstance(result, Refusal):
        return refused(result)
    return Outcome(result.status, to_json(result.body).decode())
