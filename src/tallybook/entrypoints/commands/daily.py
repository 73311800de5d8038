"""`tallybook run-day`: one business date, with progress and a summary."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.garbage import keep_what_is_loaded
from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.collection.tasks.run import RunDone
from tallybook.collection.tasks.run import run_day as run_one
from tallybook.entrypoints import loops
from tallybook.entrypoints.daily import FOLLOW_SECONDS
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.progress import StopWhen, show_progress, stop_at_signals
from tallybook.entrypoints.tables import format_table


def run_day(day: date | None, **given: object) -> None:
    """Run a date and print what it did."""
    settings = load_settings(**given)
    log_to(level="WARNING", style=settings.log_format)
    engine = Engine.open(settings, may_create=False)
    keep_what_is_loaded()
    today = SystemClock(settings.timezone).today()
    done = loops.run(_run(engine, day))
    print("\n".join(run_lines(done)))
    if day is None and engine.clock.today() > today:
        print(
            f"Dates after today ({today}) were run before: without --date the last of them is"
            " meant. A later --date goes on from there."
        )


async def _run(engine: Engine, day: date | None) -> RunDone:
    async with engine:
        with stop_at_signals() as stop, show_progress() as shown:
            done = await run_one(engine, day, progress=StopWhen(stop.is_set, shown))
        if engine.clock.today() > SystemClock(engine.settings.timezone).today():
            # A server beside it follows meanwhile: what is asked of it next is of the day just run.
            await asyncio.sleep(2 * FOLLOW_SECONDS)
        return done


def run_lines(done: RunDone) -> list[str]:
    """Write a run's summary for a person.

    >>> summary = {
    ...     "report": {"status": "complete", "rows": 2},
    ...     "settled": {},
    ...     "replanned": {},
    ...     "sent": {"accepted": {"count": 2, "USD": "20.00"}},
    ...     "sending_stopped": None,
    ... }
    >>> view = {"business_date": "2026-03-01", "summary": summary}
    >>> for line in run_lines(RunDone(view, was_finished=False)):
    ...     print(line)
    2026-03-01 is done.
    step    what      count  sum
    report  complete      2
    sent    accepted      2  20.00 USD
    """
    summary = done.view["summary"]
    already = "was done before; nothing was changed" if done.was_finished else "is done"
    lines = [f"{done.view['business_date']} {already}."]
    report = summary.get("report", {})
    rows = [
        ("report", report.get("reason") or report.get("status", ""), report.get("rows", ""), "")
    ]
    for step in ("settled", "replanned", "sent"):
        rows += [
            (step, what, figures["count"], _sums(figures))
            for what, figures in summary.get(step, {}).items()
        ]
    lines += format_table(("step", "what", "count", "sum"), rows, right=("count",))
    if stopped := summary.get("sending_stopped"):
        lines.append(_STOPPED.get(stopped, f"Nothing more was sent: {stopped}."))
    return lines


_STOPPED = {
    "reports_missing": "No debit was sent: three days have had no complete report.",
    "not_let_in": "Sending stopped: the Processor lets nobody in. What is due stays due. Look at"
    " TALLYBOOK_PROCESSOR_TOKEN.",
    "not_connected": "Sending stopped: the Processor could not be reached. What is due stays due.",
}


def _sums(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in figures.items() if name != "count")
