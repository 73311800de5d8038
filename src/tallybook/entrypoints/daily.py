"""The daily run, wired: for the scheduler, and as the command `tallybook run-day`."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from tallybook.collection.operations.runs import DAILY
from tallybook.collection.queries import find_job
from tallybook.collection.tasks.run import run_day
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.scheduler import Scheduler
from tallybook.kernel.progress import Progress


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
    """Tell up to which date all runs are finished; None where none was ever started."""
    with engine.database.reader() as connection:
        job = find_job(connection, DAILY)
    if job is None or job.last_finished_on is not None:
        return job and job.last_finished_on
    # The very first run was never finished: it is still to be done.
    return job.running_on and job.running_on - timedelta(days=1)
