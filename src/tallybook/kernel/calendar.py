"""Calendar arithmetic: due dates counted from an anchor, and the business date of an instant."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Dates outside are refused at the door: they are typing errors, and SQL has other limits."""
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def add_months(anchor: date, months: int) -> date:
    """Move a date by whole months, to the month's last day where the month is shorter.

    Always counted from the anchor, so that the 31st comes back after February. Source: L1.

    >>> add_months(date(2026, 1, 31), 1), add_months(date(2026, 1, 31), 2)
    (datetime.date(2026, 2, 28), datetime.date(2026, 3, 31))
    """
    years, month_index = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, month_index + 1
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


def add_days(day: date, days: int) -> date:
    """Move a date by whole calendar days."""
    return day + timedelta(days=days)


def whole_months(first: date, last: date) -> int:
    """Count the months that `add_months` can move a date by without passing another.

    >>> (
    ...     whole_months(date(2026, 1, 31), date(2026, 2, 28)),
    ...     whole_months(date(2026, 1, 31), date(2026, 3, 30)),
    ... )
    (1, 1)
    """
    months = (last.year - first.year) * 12 + last.month - first.month
    return months if add_months(first, months) <= last else months - 1


def business_date(instant: datetime, zone: str) -> date:
    """Tell which business date an instant falls on. Source: T1.

    >>> from datetime import UTC
    >>> business_date(datetime(2026, 3, 1, 20, 0, tzinfo=UTC), "Asia/Kolkata")
    datetime.date(2026, 3, 2)
    """
    assert instant.tzinfo is not None, "instants carry their zone"
    return instant.astimezone(ZoneInfo(zone)).date()


def day_begins(day: date, zone: str) -> datetime:
    """Tell the first instant of a business date, in UTC. Source: T1.

    >>> day_begins(date(2026, 3, 2), "Asia/Kolkata")
    datetime.datetime(2026, 3, 1, 18, 30, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def parse_date(text: str) -> date | None:
    """Read YYYY-MM-DD, or None where it is not a plausible date. Weeks of a year are none.

    >>> parse_date("2026-02-31"), parse_date("20260203"), parse_date("2026-02-03")
    (None, None, datetime.date(2026, 2, 3))
    """
    if not _WRITTEN.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None
