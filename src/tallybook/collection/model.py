"""Plans, their rows, and the daily run. Source: A4-A12, T3."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum

from tallybook.kernel.calendar import add_days, add_months, whole_months
from tallybook.kernel.frozen import frozen
from tallybook.processor.port import CURRENCY_NOT_SERVED, NOT_LET_IN

NOT_CONNECTED = "not_connected"
"""Why a transfer was rejected when no byte of it left this machine: not an attempt. Source: P3."""

ACCOUNT_UNREADABLE = "account_unreadable"
"""Why a transfer was rejected when its account's number could not be unsealed: neither is that."""

NOT_ATTEMPTED = frozenset({NOT_CONNECTED, ACCOUNT_UNREADABLE, CURRENCY_NOT_SERVED, NOT_LET_IN})
"""Why a transfer never left this machine, or was not looked at. Source: P1, P3."""


@frozen
class Period:
    """How far apart the due dates of a plan are: so many days, or so many calendar months.

    Months are always counted from the anchor, so that the 31st comes back after February.
    """

    days: int = 0
    months: int = 0

    def date_after(self, anchor: date, count: int) -> date:
        """Tell the date so many periods after the anchor. Source: A4, L2.

        >>> Period(months=1).date_after(date(2026, 1, 31), 2)
        datetime.date(2026, 3, 31)
        """
        if self.months:
            return add_months(anchor, self.months * count)
        return add_days(anchor, self.days * count)

    def count_before(self, anchor: date, day: date) -> int:
        """Count the dates after the anchor that lie before a day; negative before the anchor.

        >>> Period(days=7).count_before(date(2026, 1, 1), date(2026, 1, 8))
        0
        >>> Period(days=7).count_before(date(2026, 1, 1), date(2026, 1, 9))
        1
        """
        last = day - timedelta(days=1)
        if self.months:
            return whole_months(anchor, last) // self.months
        return (last - anchor).days // self.days


class PlanStatus(StrEnum):
    """Whether a plan's rows may be sent."""

    PENDING = "pending"
    """Its money has not gone out for certain yet. Source: A5."""
    ACTIVE = "active"
    PAUSED = "paused"
    """In default: it keeps its rows, and sends none of them until a person says so. Source: A12."""
    CLOSED = "closed"
    """Nothing is to be collected any more; unsent rows are withdrawn."""


class OnFailedDebit(StrEnum):
    """Where a debit that failed goes. Source: A8."""

    END_OF_PLAN = "end_of_plan"
    NEXT_DUE_DATE = "next_due_date"
    STAYS_DUE = "stays_due"
    """A loan's: tried again on the next due date, and oldest rows are withdrawn first."""


@frozen
class Plan:
    """What is to be collected for one subject, and how much of it stands where.

    Units: minor units. The amounts by state are sums over the plan's transfers; they change by
    what one transfer leaves and enters, so they equal the sums in whatever order news comes.
    """

    subject_id: str
    kind: str
    customer_id: str
    bank_account_id: str
    currency: str
    status: PlanStatus
    total_minor: int
    succeeded_minor: int
    in_flight_minor: int
    held_minor: int
    """Timed out and not released: it may have been collected. Source: A9."""
    unsent_minor: int
    """Sum of the planned rows. The plan equation ties it to the others. Source: A7."""
    claimed_minor: int
    """in flight + succeeded + held. Source: A10."""
    excess_minor: int
    """By how much late news pushed the claims over the total."""
    rows_count: int
    last_due_on: date
    first_due_on: date
    interval_days: int
    """0 where rows are due by the month."""
    on_failed_debit: OnFailedDebit
    max_attempts: int
    """Along a chain of replaced rows; 0 is unlimited. Source: A12."""
    hold_days: int
    interval_months: int = 0
    anchor_on: date | None = None
    """The date that months are counted from."""

    @property
    def has_rows(self) -> bool:
        """Tell whether rows stand for what is left to collect.

        A plan that has not begun has none yet, and a closed one collects nothing more.
        """
        return self.status not in (PlanStatus.PENDING, PlanStatus.CLOSED)

    @property
    def period(self) -> Period:
        """Tell how far apart its due dates are."""
        return Period(days=self.interval_days, months=self.interval_months)

    @property
    def anchor(self) -> date:
        """Tell the date that its due dates are counted from: one period before the first."""
        return self.anchor_on or add_days(self.first_due_on, -self.interval_days)


class InstallmentState(StrEnum):
    """Where a plan row stands; what became of its debit is the transfer's to tell."""

    PLANNED = "planned"
    """Unsent: it goes out when it is due."""
    WAITING = "waiting"
    """Stands in for a held amount: sent only once the hold is released. Source: A9."""
    SENT = "sent"
    CANCELLED = "cancelled"


@frozen
class Installment:
    """One row of a plan."""

    id: str
    subject_id: str
    number: int
    due_on: date
    amount_minor: int
    state: InstallmentState
    replaces: int | None
    """The number of the row whose debit this one makes up for."""
    attempt: int
    """Its place in the chain of replaced rows, from 1."""


class RunState(StrEnum):
    """Whether a run has come to its end."""

    RUNNING = "running"
    FINISHED = "finished"


@frozen
class Run:
    """The run of one job for one business date: there is only one, ever. Source: T3."""

    job: str
    business_date: date
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    summary: str
    """Counts and sums per step, as JSON."""


@frozen
class Job:
    """Who is running a job, and how far it has come."""

    name: str
    last_finished_on: date | None
    running_on: date | None
    holder: str
    """The process that works on it: another takes over only from a dead one."""
    lease_until: datetime
