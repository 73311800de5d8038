"""Which dates a run goes through: those that were missed, none that is to come. Source: T3."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Connection

from tallybook.collection import queries
from tallybook.collection.model import Job
from tallybook.collection.operations.runs import DAILY
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.reading import read
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.queries import first_sent_on

_DAY = timedelta(days=1)


def _is_ahead(context: CollectionContext, day: date) -> bool:
    """Tell whether a date is later than today, and money moves: then it may not be run."""
    return context.is_live and day > context.clock.today()


def refuse_ahead(context: CollectionContext, day: date) -> None:
    """See that a date may be run by today. Raises: Refused `run_in_future`."""
    if _is_ahead(context, day):
        today = context.clock.today()
        details = {"today": today.isoformat(), "business_date": day.isoformat()}
        raise Refused(Refusal("run_in_future", details=details))


async def dates_to_run(context: CollectionContext, day: date) -> list[date]:
    """List the dates from the one left unfinished, or missed, up to the one asked for.

    Raises: Refused `run_in_future` where the one left unfinished is still to come.
    """

    def load(connection: Connection) -> tuple[Job | None, date | None]:
        job = queries.find_job(connection, DAILY)
        # A book's first run is late where something was sent on a date before it.
        return job, first_sent_on(connection) if job is None else None

    job, sent_on = await read(context, load)
    left_unfinished = job.running_on if job is not None else None
    last = job.last_finished_on if job is not None else None
    if left_unfinished is not None:
        if last is not None and day <= last and _is_ahead(context, left_unfinished):
            # A finished date stays finished, and one before it is out of order.
            return [day]
        refuse_ahead(context, left_unfinished)
        first = left_unfinished
    elif last is not None:
        first = last + _DAY
    else:
        first = sent_on or day
    if first < day:
        return [first + timedelta(days=back) for back in range((day - first).days + 1)]
    return [first, day] if left_unfinished is not None and first > day else [day]
