"""The daily run: report, settle, activate and re-plan, send, sum up. Source: A6, T3."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy import Connection

from tallybook.ambient.liveness import is_known_dead, this_process
from tallybook.collection import queries
from tallybook.collection.model import Run, RunState
from tallybook.collection.operations.business import BUSINESSES
from tallybook.collection.operations.reports import OPEN_ITEM, REPORTS_ABOUT, OpenItem
from tallybook.collection.operations.runs import DAILY, KEEP_RUN, START_RUN, KeepRun, StartRun
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.collection.operations.transfers import RELEASE_HOLD, TIME_OUT, MarkTransfer
from tallybook.collection.tasks import due
from tallybook.collection.tasks.capping import Capping, close_answered
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.dates import dates_to_run, refuse_ahead
from tallybook.collection.tasks.insisting import ask_all, ask_one
from tallybook.collection.tasks.matching import gap_item, rule_absent
from tallybook.collection.tasks.reading import read, read_chunks, work_through
from tallybook.collection.tasks.reports import read_in_unread, take_report
from tallybook.collection.tasks.sending import CHUNK, TurnedAway, expire_intents, send_due
from tallybook.collection.tasks.settling import Tally, settle
from tallybook.collection.tasks.stopping import UntilStopping, refuse_when_stopping
from tallybook.collection.views import run_view
from tallybook.kernel.frozen import frozen
from tallybook.kernel.progress import NO_PROGRESS, Progress, Stopped
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import ItemKind, Sending, SendingState, Transfer
from tallybook.processor.port import ReportUnavailable
from tallybook.processor.queries import (
    find_sending,
    first_sent_on,
    has_open_orphans,
    list_override_days,
)
from tallybook.processor.rules import (
    are_reports_missing,
    covered_days,
    covered_days_since,
    has_own_report,
    has_timed_out,
    is_in_gap,
    is_interval_accounted_for,
)
from tallybook.processor.sender import Sent
from tallybook.writer.model import Command, Operation

KEEP_SECONDS = 15
"""How often the holder of a run says that it is alive."""

_STOPPED = "stopped"
"""Why a run sent nothing, or no more: sending is stopped, or the book is a restored copy."""

_MISSED = "missed"
"""Why a run sent nothing, or no more: its date is over. Source: A11."""


@frozen
class RunDone:
    """A run that is finished, and whether it was finished before."""

    view: dict[str, Any]
    was_finished: bool


async def run_day(
    context: CollectionContext, day: date | None = None, *, progress: Progress = NO_PROGRESS
) -> RunDone:
    """Run a business date, after catching up the dates that were missed before it.

    A date that is over sends nothing, whoever asks for it: what was due then goes out in the runs
    to come, one a run (A11). Where days are played ahead of today none is over, and each is run in
    full. Where money moves, a run of a date to come is not resumed either: a clock that was ahead
    began it, and what is due on it is not due yet. A run that is stopped stays open: the next call
    goes on with it.

    Raises: Refused `run_out_of_order`, `run_in_progress`, `run_in_future`, `shutting_down`;
        Stopped.
    """
    day = day or context.clock.today()
    refuse_ahead(context, day)
    done: RunDone | None = None
    watched = UntilStopping(context, progress)
    for each in await dates_to_run(context, day):
        refuse_when_stopping(context)
        context.go_on_from(each)
        done = await _DailyRun(context, each, watched).run()
    assert done is not None
    return done


class _DailyRun:
    """One run of one date, by this process.

    Killed anywhere, the next one goes on and ends alike: every step looks for what is left to do,
    and finds nothing where it was done.
    """

    def __init__(self, context: CollectionContext, day: date, progress: Progress) -> None:
        self._context = context
        self._day = day
        self._progress = progress
        self._holder = this_process()
        self._kept_at = context.clock.monotonic()
        self._report: dict[str, Any] = {"status": "none"}
        self._settled, self._moved, self._sent = Tally(), Tally(), Tally()
        self._told = Tally()

    async def run(self) -> RunDone:
        """Start the run, unless it is finished, and go through its steps."""
        run, was_finished = await self._start()
        if was_finished:
            return RunDone(run_view(run), was_finished=True)
        try:
            return await self._steps()
        except (Stopped, Refused) as ended:
            if isinstance(ended, Stopped) or ended.refusal.code == "shutting_down":
                await self._let_go()
            raise

    async def _steps(self) -> RunDone:
        await self._take_report()
        await self._settle()
        await self._mark_by_time()
        await self._work_of_businesses()
        await self._start_again()
        stopped = await self._send()
        await close_answered(self._context)
        summary = {
            "report": self._report,
            "settled": self._settled.shown(),
            "replanned": self._moved.shown(),
            "sent": self._sent.shown(),
            "sending_stopped": stopped,
            "told": self._told.shown(),
        }
        finished = await self._finish(json.dumps(summary))
        if finished is None:
            raise Refused(Refusal("run_in_progress"))
        return RunDone(run_view(finished), was_finished=False)

    def _is_over(self) -> bool:
        """Tell whether the date is over by now: it was missed, or midnight came meanwhile.

        Then today's report is yet to be taken, and till then time proves nothing (T4); nothing is
        sent either, for today's run sends what is due, one debit a run (A11).
        """
        return self._day < self._context.clock.today()

    async def _start(self) -> tuple[Run, bool]:
        job = await read(self._context, lambda connection: queries.find_job(connection, DAILY))
        is_held = job is not None and job.running_on is not None
        dead = job.holder if job is not None and is_held and is_known_dead(job.holder) else None
        command = Command(START_RUN, StartRun(self._day, self._holder, dead))
        outcome = await self._context.door.ask(command)
        if outcome.refusal is not None:
            raise Refused(outcome.refusal)
        run: Run = outcome.value
        return run, run.state is RunState.FINISHED

    async def _finish(self, summary: str) -> Run | None:
        """Finish the run; None where another process has taken it over."""
        command = Command(KEEP_RUN, KeepRun(self._day, self._holder, summary))
        outcome = await ask_one(self._context.door, command)
        return outcome.value or None

    async def _let_go(self) -> None:
        """Leave the run, of which nothing is under way any more, to whoever comes next."""
        with suppress(Refused):
            command = Command(KEEP_RUN, KeepRun(self._day, self._holder, lets_go=True))
            await self._context.door.ask(command)

    async def _still_ours(self) -> None:
        """Say now and then that this process is alive; stop if another took the run over."""
        refuse_when_stopping(self._context)
        if self._context.clock.monotonic() - self._kept_at < KEEP_SECONDS:
            return
        self._kept_at = self._context.clock.monotonic()
        command = Command(KEEP_RUN, KeepRun(self._day, self._holder))
        if not (await ask_one(self._context.door, command)).value:
            raise Refused(Refusal("run_in_progress"))

    # -- (1) the report

    async def _take_report(self) -> None:
        self._progress.begin("report")
        await expire_intents(self._context)
        await read_in_unread(self._context)
        if self._is_over():
            # Today's report can't be had for a day that is over, and today's run takes it.
            return
        try:
            raw = await self._context.processor.download_report()
        except ReportUnavailable as unavailable:
            self._report = {"status": "unavailable", "reason": unavailable.reason}
            return
        if self._is_over():
            # It came after midnight: nobody can tell of which of the two days it is.
            self._report = {"status": "unavailable", "reason": "date_over"}
            return
        report, _ = await take_report(self._context, raw, self._day)
        self._report = {
            "status": report.state.value,
            "rows": report.rows_count,
            "new": report.new_count,
        }

    # -- (2) settle, (3) activate, (4) re-plan: one command a transfer does all three

    async def _settle(self) -> None:
        done = await settle(self._context, progress=self._progress, between=self._still_ours)
        self._settled, self._moved = done.settled, done.moved

    async def _mark_by_time(self) -> None:
        """Find gaps; and time out and release holds, with today's report. Source: P5, A9, T4."""
        if self._is_over():
            return

        def load(
            connection: Connection,
        ) -> tuple[list[date], list[tuple[date, int]], list[date]]:
            accepted, held = queries.list_open_days(connection), queries.list_held_days(connection)
            oldest = min([*accepted, *(day for day, _ in held)], default=None)
            days = queries.list_report_days(connection, since=oldest) if oldest else []
            return accepted, held, days

        accepted_on, held_on, days = await read(self._context, load)
        covered = covered_days(days)
        for day in accepted_on:
            if has_timed_out(day, self._day, covered):
                await self._mark(TIME_OUT, "timed_out", queries.stream_accepted_of(day))
            elif is_in_gap(day, self._day, covered):
                await self._open_gaps(day)
        for _ in range(await rule_absent(self._context, self._day)):
            self._moved.add("absent")
        if not has_own_report(self._day, covered):
            return
        for day, hold_days in held_on:
            if covered_days_since(day, covered) >= hold_days:
                stream = queries.stream_held_of(day, hold_days)
                await self._mark(RELEASE_HOLD, "released", stream)

    async def _mark(
        self, operation: Operation[MarkTransfer], name: str, stream: queries.TransferStream
    ) -> None:
        async with aclosing(read_chunks(self._context, stream)) as chunks:
            async for transfers in chunks:
                commands = [Command(operation, MarkTransfer(transfer)) for transfer in transfers]
                outcomes = await ask_all(self._context.door, commands)
                for transfer, outcome in zip(transfers, outcomes, strict=True):
                    if isinstance(outcome.value, Transfer):
                        self._moved.add(name, transfer)
                await self._still_ours()

    async def _open_gaps(self, day: date) -> None:
        async with aclosing(read_chunks(self._context, queries.stream_accepted_of(day))) as chunks:
            async for transfers in chunks:
                opened = await ask_all(self._context.door, [gap_item(each) for each in transfers])
                for outcome in opened:
                    if outcome.value:
                        self._moved.add("gap")

    async def _work_of_businesses(self) -> None:
        """Let each business do what a new day brings, such as tell who has become delinquent."""
        for kind, work in BUSINESSES.daily.items():
            stream = partial(work, day=self._day)
            async for commands in read_chunks(self._context, stream):
                outcomes = await ask_all(self._context.door, commands)
                for outcome in outcomes:
                    if outcome.value:
                        self._told.add(f"{kind.value}s")
                await self._still_ours()

    # -- (5) send

    def _are_reports_missing(self, connection: Connection) -> bool:
        last = queries.last_report_on(connection, self._day)
        # A person's word does for three days what a report would have done.
        days = [
            *([last] if last else []),
            *list_override_days(connection, self._context.clock.date_of),
        ]
        return are_reports_missing(days, first_sent_on(connection), self._day)

    async def _stop_without_reports(self) -> str:
        detail = (
            "No complete report has come for three days, so no new debits are sent. Fetch one, or"
            " override to let debits go out for three days without."
        )
        item = OpenItem(ItemKind.REPORTS_MISSING, REPORTS_ABOUT, detail)
        await ask_one(self._context.door, Command(OPEN_ITEM, item))
        return "reports_missing"

    def _why_not(self) -> str | None:
        if self._is_over():
            return _MISSED
        return None if self._context.sending.is_open() else _STOPPED

    async def _send(self) -> str | None:
        if (stopped := self._why_not()) is not None:
            return stopped

        def load(connection: Connection) -> tuple[int, Capping] | None:
            if self._are_reports_missing(connection):
                return None
            caps = self._context.sending.caps
            capping = Capping(connection, caps, self._day, self._context.currency)
            return due.count_due(connection, self._day, caps), capping

        found = await read(self._context, load)
        if found is None:
            return await self._stop_without_reports()
        total, capping = found
        self._progress.begin("send", total)
        if not total:
            return None
        turned_away = TurnedAway()
        async with aclosing(self._send_all(capping)) as sending:
            async for rows, answered in sending:
                for transfer, sent in answered:
                    turned_away.count(sent)
                    self._sent.add(sent.outcome, transfer)
                if turned_away.why is not None:
                    return turned_away.why if self._context.sending.is_open() else _STOPPED
                if capping.is_run_over:
                    return "run_capped"
                if (stopped := self._why_not()) is not None:
                    return stopped
                self._progress.advance(len(rows))
                await self._still_ours()
        return None

    def _send_all(
        self, capping: Capping
    ) -> AsyncGenerator[tuple[list[due.DueRow], list[tuple[Transfer, Sent]]]]:
        width, caps = self._context.door.bulk_width, self._context.sending.caps
        chunks = read_chunks(
            self._context,
            lambda connection: due.stream_due(connection, self._day, CHUNK // width, caps),
        )

        async def send(rows: list[due.DueRow]) -> list[tuple[Transfer, Sent]]:
            if self._is_over():
                return []
            admitted, items = capping.admit(rows)
            await ask_all(self._context.door, items)
            return await send_due(self._context, admitted, run_on=self._day, sender=self._holder)

        return work_through(chunks, send, at_once=width)

    # -- a restored copy

    async def _start_again(self) -> None:
        """Let sending start by itself once reports account for what a restored copy lost."""
        if self._is_over():
            return

        def load(connection: Connection) -> Sending | None:
            sending = find_sending(connection)
            if sending is None or sending.state is not SendingState.RECONCILING:
                return None
            if sending.lost_from is None or sending.lost_until is None:
                return None
            days = queries.list_report_days(connection, since=sending.lost_from)
            accounted = is_interval_accounted_for(
                sending.lost_from, sending.lost_until, self._day, covered_days(days)
            )
            return sending if accounted and not has_open_orphans(connection) else None

        sending = await read(self._context, load)
        if sending is None:
            return
        reason = (
            f"complete reports cover {sending.lost_from} to {sending.lost_until} and five days"
            " more, and nothing in them is unexplained"
        )
        asked = SetSending(SendingState.OPEN, reason, "tallybook", only_from=sending)
        await ask_one(self._context.door, Command(SET_SENDING, asked))
        self._context.sending.look_again()
