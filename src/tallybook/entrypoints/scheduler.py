"""The scheduler: wakes the daily run. Whether a date still is to be run, the book decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tallybook.ambient.clock import Clock
from tallybook.entrypoints.progress import StopWhen
from tallybook.kernel.progress import Progress, Stopped
from tallybook.kernel.refusal import Refusal, Refused

_log = logging.getLogger("tallybook.scheduler")

LOOK_SECONDS = 20.0
"""How often the clock is looked at. It is looked at and never slept towards, so that a clock that
was set, or a machine that was suspended, costs at most this long."""
BACK_OFF_SECONDS_MAX = 900.0

RunDay = Callable[[date, Progress], Awaitable[object]]
"""Runs a date, after the dates that were missed before it."""
LastRun = Callable[[], Awaitable[date | None]]
"""Tells the date after which runs are still to be done; None where there is nothing to run."""


def date_due(at: datetime, zone: ZoneInfo, hour: int) -> date:
    """Tell the latest date whose hour has come, by the business time zone. Source: T1."""
    local = at.astimezone(zone)
    return local.date() if local.hour >= hour else local.date() - timedelta(days=1)


class Scheduler:
    """Starts the run of each date once its hour has come. Source: T3.

    Nothing relies on what it remembers: the one row per date in the book decides, so that several
    servers may each have a scheduler, and a clock that goes back runs nothing twice.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        zone: str,
        hour: int,
        last_run: LastRun,
        run_day: RunDay,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._clock = clock
        self._zone = ZoneInfo(zone)
        self._hour = hour
        self._last_run = last_run
        self._run_day = run_day
        self._look_seconds = look_seconds
        self._stopping = asyncio.Event()
        self._first_due: date | None = None
        self._refused_due: date | None = None
        self._failures = 0

    async def serve(self) -> None:
        """Look at the clock until told to stop, and run what is due."""
        while not self._stopping.is_set():
            try:
                await self.look()
                self._failures = 0
            except Stopped:
                return
            except Refused as refused:
                self._tell(refused.refusal)
            except Exception:  # noqa: BLE001 - whatever broke, tomorrow's run must still start
                _log.exception("the daily run broke", extra={"attempt": self._failures})
                self._failures += 1
            await self._wait()

    async def look(self) -> None:
        """Run the latest date that is due, unless that was done. Raises: Refused, Stopped."""
        due = self.due()
        last = await self._last_run()
        if last is None:
            # An empty book starts with the first hour that comes, as one does that was set up
            # today (daily.py): a first run in the middle of a day would close that day.
            self._first_due = self._first_due or due
            last = self._first_due
        if last >= due or due == self._refused_due:
            return
        _log.info("the daily run starts", extra={"business_date": due})
        await self._run_day(due, StopWhen(self._stopping.is_set))
        _log.info("the daily run is done", extra={"business_date": due})

    def _tell(self, refusal: Refusal) -> None:
        if refusal.code == "run_in_future":
            # A clock that was ahead began a run that is still to come: no use to ask again today.
            self._refused_due = self.due()
            _log.warning(
                "no daily run before the date of an unfinished one has come",
                extra={"business_date": refusal.details.get("business_date")},
            )
            return
        # Another process runs it, or ran a later date: both are fine.
        _log.info("the daily run was refused", extra={"refusal": refusal.code})

    def due(self) -> date:
        """Tell the latest date whose hour has come."""
        return date_due(self._clock.now(), self._zone, self._hour)

    def stop(self) -> None:
        """End `serve`: at once while it waits, between two items while a run is on."""
        self._stopping.set()

    async def _wait(self) -> None:
        seconds = self._look_seconds
        if self._failures:
            seconds = min(BACK_OFF_SECONDS_MAX, seconds * 2 ** min(self._failures, 10))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
