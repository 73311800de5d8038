"""The daily run over many active plans, with the simulator in this process.

    python -m bench.daily_run --plans 1000000 [--days 1]

bench/daily_past.py lays out the plans and five days that were run; the days from there on are run
and measured. Beside the time on the wall stands the processor time of this program and of the
database: other load disturbs it less.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from bench.daily_past import FAULTS, FIRST_DAY, PAST_DAYS
from bench.surroundings import DatabaseTime, Place, places, report
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.garbage import keep_what_is_loaded
from tallybook.ambient.settings import Settings
from tallybook.collection.tasks.run import run_day
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.simulator import SimulatedProcessor

HEADER = (
    "day",
    "seconds",
    "own CPU s",
    "database CPU s",
    "report rows",
    "settled",
    "sent",
    "us a debit",
    "CPU us a debit",
    "peak MB",
)


class Steps:
    """Watches a run: how long each of its steps took."""

    def __init__(self) -> None:
        self._began: list[tuple[str, float]] = []

    def begin(self, step: str, total: int | None = None) -> None:
        """Note when a step began."""
        del total
        self._began.append((step, time.perf_counter()))

    def advance(self, count: int = 1) -> None:
        """Note nothing: only whole steps are told."""

    def shown(self) -> str:
        """Tell the seconds of each step."""
        ends = [*(at for _, at in self._began[1:]), time.perf_counter()]
        parts = zip(self._began, ends, strict=True)
        return " ".join(f"{step} {end - began:.1f}" for (step, began), end in parts)


async def measure(place: Place, days: int) -> list[tuple[str, ...]]:
    """Run the days; gives a row for each."""
    first = FIRST_DAY + timedelta(days=PAST_DAYS)
    clock = ManualClock(datetime(first.year, first.month, first.day, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(
        place.home / "simulator.db", seed=1, clock=clock, faults=Faults.parse(FAULTS)
    )
    settings = Settings(database_url=SecretStr(place.url), home=place.home)
    engine = Engine.open(settings, clock=clock, processor=simulator)
    keep_what_is_loaded()
    database_time = DatabaseTime(place.url)
    rows: list[tuple[str, ...]] = [HEADER]
    for place_in in range(days):
        day = first + timedelta(days=place_in)
        clock.turn_to(day)
        steps = Steps()
        before = time.perf_counter(), time.process_time(), database_time.seconds()
        summary = (await run_day(engine, day, progress=steps)).view["summary"]
        after = time.perf_counter(), time.process_time(), database_time.seconds()
        wall, own, its = (end - start for start, end in zip(before, after, strict=True))
        sent = sum(each["count"] for each in summary["sent"].values())
        rows.append(
            (
                day.isoformat(),
                f"{wall:.1f}",
                f"{own:.1f}",
                f"{its:.1f}",
                f"{summary['report'].get('rows', 0):,}",
                f"{sum(each['count'] for each in summary['settled'].values()):,}",
                f"{sent:,}",
                f"{1e6 * wall / sent:.0f}",
                f"{1e6 * (own + its) / sent:.0f}",
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}",
            )
        )
        print("  ".join(rows[-1]), "|", steps.shown(), file=sys.stderr, flush=True)
    await engine.aclose()
    return rows


def main() -> None:
    """Run on PostgreSQL and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--database")
    arguments = parser.parse_args()
    for place in places(arguments.database, kinds=("postgresql",)):
        started = time.perf_counter()
        work = [place.url, str(place.home), str(arguments.plans)]
        subprocess.run([sys.executable, "-m", "bench.daily_past", *work], check=True)
        seconds = time.perf_counter() - started
        print(f"laid out {arguments.plans:,} plans in {seconds:.0f} s", file=sys.stderr)
        rows = asyncio.run(measure(place, arguments.days))
        report(f"daily run, {arguments.plans:,} plans, {place.name}", rows)


if __name__ == "__main__":
    main()
