"""The daily run, wired: for the scheduler, and as the command `tallybook run-day`."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from tallybook.collection.operations.runs import DAILY
from tallybook.collection.queries import find_job
from tallybook.collection.tasks.run import run_day
from tallybook.entrypoints.engine import Engine, last_date
from tallybook.entrypoints.scheduler import Scheduler, date_due
from tallybook.kernel.progress import Progress
from tallybook.writer.queries import first_event_at

FOLLOW_SECONDS = 0.25
"""How often a server looks whether another process has played days. Units: seconds."""
_log = logging.getLogger("tallybook.serve")


async def follow_played_days(engine: Engine) -> None:
    """Take part in days that `tallybook run-day --date` plays beside a server, until cancelled.

    Else the server would write into days that are over: its simulator too, in whose reports
    nobody looks for them any more. Where money moves no days are played, and this ends at once.
    """
    while not engine.is_live:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            engine.go_on_from(await asyncio.to_thread(last_date, engine))
        except SQLAlchemyError:
            _log.warning("the book can't be asked which days were played", exc_info=True)


def make_scheduler(engine: Engine) -> Scheduler:
    """Make the scheduler of an engine. It does nothing until it is served."""

    async def run(day: date, progress: Progress) -> object:
        return await run_day(engine, day, progress=progress)

    async def last() -> date | None:
        return await asyncio.to_thread(last_run, engine)

    return Scheduler(
        clock=engine.clock,
        zone=engine.settings.timezone,
        hour=engine.settings.run_hour,
        last_run=last,
        run_day=run,
    )


def last_run(engine: Engine) -> date | None:
    """Tell up to which date all runs are finished; None in a book in which nothing ever happened.

    Before the very first run, the hour that had come when the book was begun counts as over: a
    first run in the middle of that day would close it to whoever sets things up. Every later one
    is to be run, whether or not a server was up at it.
    """
    with engine.database.reader() as connection:
        job = find_job(connection, DAILY)
        begun_at = first_event_at(connection) if job is None else None
    if begun_at is not None:
        return date_due(begun_at, ZoneInfo(engine.settings.timezone), engine.settings.run_hour)
    if job is None or job.last_finished_on is not None:
        return job and job.last_finished_on
    # The very first run was never finished: it is still to be done.
    return job.running_on and job.running_on - timedelta(days=1)
