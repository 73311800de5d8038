"""The daily run's own row: one a business date, held by one process at a time. Source: T3."""

from __future__ import annotations

from datetime import date, timedelta

from tallybook.collection.model import Job, Run, RunState
from tallybook.collection.store import JOBS, RUNS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.model import Decision, Event, Moment, Needs, View

RUN_LEASE = timedelta(seconds=60)
"""How long a run's holder may be silent before another process takes the run over."""

DAILY = "daily"
NOBODY = "0" * 32
"""The subject of events that are about no one in particular."""


@frozen
class StartRun:
    """That a process wants to run a business date, or to go on with one whose holder died."""

    business_date: date
    holder: str
    dead_holder: str | None = None
    """A holder that the caller knows to be dead: nobody waits for its lease."""


class StartRunOperation:
    """Takes the run of one date. Its value is the run: finished before, or now ours."""

    name = "collection.start_run"

    def needs(self, command: StartRun, seen: View) -> Needs:
        """Lock the job, so that two dates can't start at once, and the run."""
        del seen
        return Needs(lock=((JOBS, DAILY), (RUNS, (DAILY, command.business_date))))

    def decide(self, view: View, command: StartRun, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Start it, take it over from a dead holder, or refuse."""
        del ids
        job = view.row(JOBS, DAILY)
        run = view.row(RUNS, (DAILY, command.business_date))
        if run is not None and run.state is RunState.FINISHED:
            return Decision(value=run)
        last = job.last_finished_on if job is not None else None
        if last is not None and command.business_date < last:
            return Refusal("run_out_of_order", details={"last": last.isoformat()})
        if job is not None and job.running_on is not None:
            is_over = job.lease_until <= moment.now or job.holder == command.dead_holder
            if not is_over or job.running_on != command.business_date:
                details = {"business_date": job.running_on.isoformat()}
                return Refusal("run_in_progress", details=details)
        lease = moment.now + RUN_LEASE
        taken = Job(
            DAILY,
            job.last_finished_on if job else None,
            command.business_date,
            command.holder,
            lease,
        )
        started = run or Run(DAILY, command.business_date, RunState.RUNNING, moment.now, None, "{}")
        return Decision(
            changed=((JOBS, taken),) if job else (),
            added=(
                *(() if job else ((JOBS, taken),)),
                *(() if run else ((RUNS, started),)),
            ),
            events=(_event("started", command.business_date),),
            value=started,
        )


@frozen
class KeepRun:
    """That the holder of a run is alive, or has finished it."""

    business_date: date
    holder: str
    summary: str | None = None
    """The counts and sums as JSON, once the run is done."""
    lets_go: bool = False
    """Whether the holder stops before the end: then nobody waits for its lease."""


class KeepRunOperation:
    """Prolongs the lease of a run, lets go of it, or finishes it.

    Its value says whether it is still ours; once finished, it is the run.
    """

    name = "collection.keep_run"

    def needs(self, command: KeepRun, seen: View) -> Needs:
        """Lock the job and the run."""
        del seen
        return Needs(lock=((JOBS, DAILY), (RUNS, (DAILY, command.business_date))))

    def decide(self, view: View, command: KeepRun, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Keep it while it is ours; another process may have taken it over."""
        del ids
        job = view.row(JOBS, DAILY)
        run = view.row(RUNS, (DAILY, command.business_date))
        if (
            job is None
            or run is None
            or job.holder != command.holder
            or job.running_on != command.business_date
        ):
            return Decision(value=False)
        if command.summary is None:
            lease = moment.now if command.lets_go else moment.now + RUN_LEASE
            kept = replace(job, lease_until=lease)
            return Decision(
                changed=((JOBS, kept),), events=(_event("kept", run.business_date),), value=True
            )
        finished = replace(
            run, state=RunState.FINISHED, finished_at=moment.now, summary=command.summary
        )
        free = replace(job, last_finished_on=run.business_date, running_on=None)
        return Decision(
            changed=((JOBS, free), (RUNS, finished)),
            events=(_event("finished", run.business_date),),
            value=finished,
        )


def _event(verb: str, day: date) -> Event:
    return Event(f"collection.run.{verb}", NOBODY, {"business_date": day})


START_RUN = StartRunOperation()
KEEP_RUN = KeepRunOperation()
