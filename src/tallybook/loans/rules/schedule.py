"""Interest, rows and due dates: what a loan's terms say is to be paid when. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from tallybook.collection.model import Period
from tallybook.collection.rules import lay_out
from tallybook.kernel.arithmetic import round_half_up, split_evenly
from tallybook.loans.model import Interval, ScheduleRow, Terms

PERIODS: Mapping[Interval, Period] = {
    Interval.WEEKLY: Period(days=7),
    Interval.BIWEEKLY: Period(days=14),
    Interval.MONTHLY: Period(months=1),
}


def interest_of(principal_minor: int, rate: str) -> int:
    """Reckon the interest for the whole term, rounded half-up once to the minor unit.

    Units: minor units; the rate is percent of the principal. Source: L1, L2.

    >>> interest_of(5_000_000_00, "10"), interest_of(1_234_569_00, "10"), interest_of(5, "10")
    (50000000, 12345690, 1)
    """
    numerator, denominator = Decimal(rate).as_integer_ratio()
    return round_half_up(principal_minor * numerator, 100 * denominator)


def schedule(terms: Terms) -> tuple[ScheduleRow, ...]:
    """Lay out a loan's rows: they sum exactly to principal and interest.

    Source: L2, L3.

    >>> from datetime import date
    >>> rows = schedule(Terms(5_000_000, 500_000, 50, Interval.WEEKLY, date(2026, 1, 1)))
    >>> len(rows), rows[0].amount_minor, rows[0].due_on, sum(row.amount_minor for row in rows)
    (50, 110000, datetime.date(2026, 1, 8), 5500000)
    """
    slots = lay_out(
        terms.total_minor,
        terms.installments,
        terms.start_on,
        PERIODS[terms.interval],
        unit=terms.rounding_unit,
    )
    interest = split_evenly(terms.interest_minor, terms.installments, unit=terms.rounding_unit)
    return tuple(
        ScheduleRow(slot.number, slot.due_on, slot.amount_minor, slot.amount_minor - part, part)
        for slot, part in zip(slots, interest, strict=True)
    )


def due_on(terms: Terms, number: int) -> date:
    """Tell when a row is due: start + number intervals. Source: L2."""
    return PERIODS[terms.interval].date_after(terms.start_on, number)


def count_past_due(terms: Terms, as_of: date) -> int:
    """Count the rows that are past due. Due today is not past due. Source: L6."""
    passed = PERIODS[terms.interval].count_before(terms.start_on, as_of)
    return min(max(passed, 0), terms.installments)
