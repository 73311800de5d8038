"""The clock: the only place that asks what time it is."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from tallybook.kernel.calendar import business_date, day_begins


class Clock(Protocol):
    """What time it is, for everyone who may know. Rules are given `now` and `today` instead."""

    def now(self) -> datetime:
        """Tell the instant, in UTC."""
        ...

    def today(self) -> date:
        """Tell the business date."""
        ...

    def date_of(self, instant: datetime) -> date:
        """Tell the business date of an instant. Source: T1."""
        ...

    def begin_of(self, day: date) -> datetime:
        """Tell the first instant of a business date. Source: T1."""
        ...

    def monotonic(self) -> float:
        """Tell seconds on a clock that never goes back. Units: seconds."""
        ...


class SystemClock:
    """The machine's clock, with the installation's time zone for business dates. Source: T1."""

    def __init__(self, zone: str = "UTC") -> None:
        self.zone = zone

    def now(self) -> datetime:
        """Tell the instant, in UTC."""
        return datetime.now(UTC)

    def today(self) -> date:
        """Tell the business date."""
        return business_date(self.now(), self.zone)

    def date_of(self, instant: datetime) -> date:
        """Tell the business date of an instant."""
        return business_date(instant, self.zone)

    def begin_of(self, day: date) -> datetime:
        """Tell the first instant of a business date."""
        return day_begins(day, self.zone)

    def monotonic(self) -> float:
        """Tell seconds on a clock that never goes back. Units: seconds."""
        return time.monotonic()


_HOUR = timedelta(hours=1)


class PlayedClock(SystemClock):
    """The machine's clock, put forward by whole days: where no money moves, days may be played."""

    def __init__(self, zone: str = "UTC") -> None:
        super().__init__(zone)
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Tell the instant, as many days on as were played."""
        return super().now() + self._ahead

    def turn_to(self, day: date) -> None:
        """Go on to a date; it never goes back, and the time of day stays the machine's."""
        if day <= self.today():
            return
        real, ahead = super().now(), self._ahead + (day - self.today())
        # Where clocks are put forward or back on the way, that much off may be the next day.
        while (reached := business_date(real + ahead, self.zone)) != day:
            ahead += _HOUR if reached < day else -_HOUR
        self._ahead = ahead


class ManualClock:
    """A clock that a test or a demo turns by hand: weeks pass in milliseconds."""

    def __init__(self, start: datetime, zone: str = "UTC") -> None:
        assert start.tzinfo is not None, "instants carry their zone"
        self._now = start
        self.zone = zone

    def now(self) -> datetime:
        """Tell the instant it was turned to."""
        return self._now

    def today(self) -> date:
        """Tell the business date of that instant."""
        return business_date(self._now, self.zone)

    def date_of(self, instant: datetime) -> date:
        """Tell the business date of an instant."""
        return business_date(instant, self.zone)

    def begin_of(self, day: date) -> datetime:
        """Tell the first instant of a business date."""
        return day_begins(day, self.zone)

    def monotonic(self) -> float:
        """Tell real seconds: leases and deadlines stay real while the date is played."""
        return time.monotonic()

    def turn_to(self, day: date) -> None:
        """Turn the clock to nine in the morning of a date, UTC."""
        self._now = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)

    def advance(self, **by: float) -> None:
        """Turn the clock on by a timedelta's arguments."""
        self._now += timedelta(**by)
