"""How a plan is made and kept right: the split, the plan equation, moves, claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

from tallybook.collection.model import (
    NOT_ATTEMPTED,
    Installment,
    InstallmentState,
    OnFailedDebit,
    Period,
    Plan,
    PlanStatus,
)
from tallybook.kernel.arithmetic import split_evenly
from tallybook.kernel.calendar import add_days
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.processor.model import Transfer, TransferState
from tallybook.processor.rules import IN_FLIGHT

ROWS_A_DAY_MAX = 2
"""Where a failed debit goes to the next date, how many rows a date may hold. Source: A8, L9."""


@frozen
class Slot:
    """One due date of a schedule, and what is due. Units: minor units."""

    number: int
    due_on: date
    amount_minor: int


def lay_out(
    total_minor: int, count: int, anchor: date, period: Period, *, unit: int = 1
) -> list[Slot]:
    """Lay out a schedule: near-equal amounts, one a period after the anchor, that sum exactly.

    The one schedule of advances and loans. Units: minor units. Source: A4, L2.
    """
    return [
        Slot(number, period.date_after(anchor, number), amount)
        for number, amount in enumerate(split_evenly(total_minor, count, unit=unit), start=1)
    ]


def plan_rows(plan: Plan, count: int, ids: Ids | None, *, unit: int = 1) -> list[Installment]:
    """Lay out a plan: near-equal rows, one a period, that sum exactly to the total.

    Rows that are only to be shown need no ids: they have none until they are on record.

    Source: A4.
    """
    return [
        Installment(
            id="" if ids is None else ids.fresh(),
            subject_id=plan.subject_id,
            number=slot.number,
            due_on=slot.due_on,
            amount_minor=slot.amount_minor,
            state=InstallmentState.PLANNED,
            replaces=None,
            attempt=1,
        )
        for slot in lay_out(plan.total_minor, count, plan.anchor, plan.period, unit=unit)
    ]


@frozen
class PlanChange:
    """A plan after something happened to one of its transfers, and the rows that change."""

    plan: Plan
    changed: tuple[Installment, ...] = ()
    added: tuple[Installment, ...] = ()
    is_exhausted: bool = False
    """A chain of attempts has reached its end. Source: A12."""


def needs_rows(plan: Plan, before: Transfer, after: Transfer) -> bool:
    """Tell whether a change of a transfer can touch the plan's unsent rows.

    A debit that goes from in flight to in flight or to success leaves the plan equation as it
    is: by far the most common case, decided without reading a row.
    """
    quiet = after.state in IN_FLIGHT or after.state is TransferState.SUCCEEDED
    return not (quiet and before.state in IN_FLIGHT and plan.status is PlanStatus.ACTIVE)


def replan(
    plan: Plan,
    rows: Sequence[Installment],
    row: Installment | None,
    before: Transfer,
    after: Transfer,
    *,
    run_on: date,
    ids: Ids,
    oldest_first: Callable[[Installment], int] | None = None,
) -> PlanChange:
    """Restore the plan equation after one transfer changed its state.

    `rows` are the planned and waiting rows, `row` the one the transfer was sent for; both may
    be left out where `needs_rows` says so. A surplus goes from the end, or by `oldest_first`.

    Source: A7, A8, A9, A10.
    """
    plan = _recount(plan, before, after)
    if not needs_rows(plan, before, after):
        return PlanChange(plan)
    work = _Work(plan, rows, run_on, ids, oldest_first)
    if row is not None and _stays_due(after):
        work.put_back(row, after)
    elif row is not None and after.held and not before.held:
        work.stand_by(row, after.amount_minor)
    if row is not None and before.held and not after.held:
        work.release(row)
    work.settle(row)
    exhausted = (
        row is not None
        and 0 < plan.max_attempts <= row.attempt
        and _is_miss(after)
        and not _is_miss(before)
    )
    return work.change(is_exhausted=exhausted)


def retotal(
    plan: Plan,
    rows: Sequence[Installment],
    total_minor: int,
    *,
    run_on: date,
    ids: Ids,
    replaced: Installment | None = None,
    oldest_first: Callable[[Installment], int] | None = None,
) -> PlanChange:
    """Restore the plan equation for another total; a row that is added takes `replaced`'s place."""
    excess = max(0, plan.claimed_minor - total_minor)
    aimed = replace(plan, total_minor=total_minor, excess_minor=excess)
    work = _Work(aimed, rows, run_on, ids, oldest_first)
    work.settle(replaced)
    return work.change(is_exhausted=False)


def close_plan(plan: Plan, rows: Sequence[Installment]) -> PlanChange:
    """Withdraw everything unsent: nothing is collected any more."""
    withdrawn = tuple(replace(row, state=InstallmentState.CANCELLED) for row in rows)
    return PlanChange(replace(plan, status=PlanStatus.CLOSED, unsent_minor=0), changed=withdrawn)


def target_unsent(plan: Plan) -> int:
    """Tell what the unsent rows must sum to: the plan equation. Source: A7."""
    if not plan.has_rows:
        return 0
    return max(0, plan.total_minor - plan.succeeded_minor - plan.in_flight_minor - plan.held_minor)


def may_send(plan: Plan, row: Installment) -> bool:
    """Tell whether a row may go out: never more than is owed. Source: A5, A10."""
    return (
        plan.status is PlanStatus.ACTIVE
        and row.state is InstallmentState.PLANNED
        and plan.claimed_minor + row.amount_minor <= plan.total_minor
    )


def send_row(plan: Plan, row: Installment) -> tuple[Plan, Installment]:
    """Move a row's amount from unsent to in flight."""
    assert may_send(plan, row)
    claimed = plan.claimed_minor + row.amount_minor
    sent = replace(
        plan,
        in_flight_minor=plan.in_flight_minor + row.amount_minor,
        unsent_minor=plan.unsent_minor - row.amount_minor,
        # The excess stays what it was: should this be one too many, the database refuses it.
        claimed_minor=claimed,
    )
    return sent, replace(row, state=InstallmentState.SENT)


def resume_plan(plan: Plan, rows: Sequence[Installment]) -> PlanChange:
    """Let a paused plan send again; its chains count their attempts from one. Source: A12."""
    fresh = tuple(replace(row, attempt=1) for row in rows if row.attempt != 1)
    return PlanChange(replace(plan, status=PlanStatus.ACTIVE), changed=fresh)


def _recount(plan: Plan, before: Transfer, after: Transfer) -> Plan:
    amount = after.amount_minor
    in_flight = amount * ((after.state in IN_FLIGHT) - (before.state in IN_FLIGHT))
    success = TransferState.SUCCEEDED
    succeeded = amount * ((after.state is success) - (before.state is success))
    held = amount * (after.held - before.held)
    claimed = plan.claimed_minor + in_flight + succeeded + held
    return replace(
        plan,
        in_flight_minor=plan.in_flight_minor + in_flight,
        succeeded_minor=plan.succeeded_minor + succeeded,
        held_minor=plan.held_minor + held,
        claimed_minor=claimed,
        excess_minor=max(0, claimed - plan.total_minor),
    )


def _stays_due(after: Transfer) -> bool:
    """Nothing reached the Processor, or nothing came of it: the same row goes out again."""
    if after.state is TransferState.NOT_EXECUTED:
        return True
    return after.state is TransferState.REJECTED and after.reason in NOT_ATTEMPTED


def _is_miss(transfer: Transfer) -> bool:
    """Tell whether an attempt was made and missed, time-outs included. Source: A12."""
    if transfer.state is TransferState.REJECTED:
        return transfer.reason not in NOT_ATTEMPTED
    return transfer.state in (
        TransferState.FAILED,
        TransferState.RETURNED,
        TransferState.TIMED_OUT,
    )


class _Work:
    """The rows of one plan while they are put right."""

    def __init__(
        self,
        plan: Plan,
        rows: Sequence[Installment],
        run_on: date,
        ids: Ids,
        oldest_first: Callable[[Installment], int] | None,
    ) -> None:
        self._plan = plan
        self._oldest_first = oldest_first
        self._rows = {row.id: row for row in rows}
        self._run_on = run_on
        self._ids = ids
        self._changed: dict[str, Installment] = {}
        self._added: dict[str, Installment] = {}

    def put_back(self, row: Installment, after: Transfer) -> None:
        """Let a row go out again on its own date, if there is still something to collect.

        What was ruled not executed may yet turn out executed: then two transfers are true, and
        each needs a row of its own.
        """
        if self._shortfall() < row.amount_minor:
            return
        if after.state is TransferState.NOT_EXECUTED:
            self._add(row, row.amount_minor, InstallmentState.PLANNED, again=True)
        else:
            self._set(replace(row, state=InstallmentState.PLANNED))

    def stand_by(self, row: Installment, amount: int) -> None:
        """Put a replacement at the end that waits while the amount is held. Source: A9."""
        if not self._plan.has_rows:
            return
        self._add(row, amount, InstallmentState.WAITING)

    def release(self, row: Installment) -> None:
        """Let the replacement of a row go out, or withdraw it where nothing is missing."""
        for waiting in list(self._rows.values()):
            if waiting.state is InstallmentState.WAITING and waiting.replaces == row.number:
                amount = min(waiting.amount_minor, max(0, self._shortfall()))
                state = InstallmentState.PLANNED if amount else InstallmentState.CANCELLED
                self._set(
                    replace(waiting, state=state, amount_minor=amount or waiting.amount_minor)
                )

    def settle(self, row: Installment | None) -> None:
        """Add what is missing at the end, or take away what is too much from the end.

        Where rows have an age, the oldest goes: it was paid otherwise.
        """
        shortfall = self._shortfall()
        if shortfall > 0:
            self._add(row, shortfall, InstallmentState.PLANNED)
        surplus = -shortfall
        planned = sorted(
            (each for each in self._rows.values() if each.state is InstallmentState.PLANNED),
            key=lambda each: (each.due_on, each.number),
        )
        if self._oldest_first is not None:
            planned.sort(key=self._oldest_first, reverse=True)
        while surplus > 0 and planned:
            last = planned.pop()
            if last.amount_minor <= surplus:
                self._set(replace(last, state=InstallmentState.CANCELLED))
            else:
                self._set(replace(last, amount_minor=last.amount_minor - surplus))
            surplus -= min(surplus, last.amount_minor)

    def change(self, *, is_exhausted: bool) -> PlanChange:
        """Sum up; the plan equation holds now."""
        plan = replace(self._plan, unsent_minor=self._unsent())
        assert plan.unsent_minor == target_unsent(plan), "the plan equation (A7)"
        return PlanChange(
            plan, tuple(self._changed.values()), tuple(self._added.values()), is_exhausted
        )

    def _unsent(self) -> int:
        return sum(
            row.amount_minor for row in self._rows.values() if row.state is InstallmentState.PLANNED
        )

    def _shortfall(self) -> int:
        return target_unsent(self._plan) - self._unsent()

    def _set(self, row: Installment) -> None:
        self._rows[row.id] = row
        (self._added if row.id in self._added else self._changed)[row.id] = row

    def _add(
        self,
        replaced: Installment | None,
        amount: int,
        state: InstallmentState,
        *,
        again: bool = False,
    ) -> None:
        """Add a row that moves another, or stands in for it on the same date and is no attempt."""
        number = self._plan.rows_count + 1
        attempt = replaced.attempt + (not again) if replaced else 1
        added = Installment(
            id=self._ids.fresh(),
            subject_id=self._plan.subject_id,
            number=number,
            due_on=replaced.due_on if replaced and again else self._due_on(),
            amount_minor=amount,
            state=state,
            replaces=replaced.number if replaced else None,
            attempt=attempt,
        )
        self._rows[added.id] = self._added[added.id] = added
        self._plan = replace(
            self._plan, rows_count=number, last_due_on=max(self._plan.last_due_on, added.due_on)
        )

    def _due_on(self) -> date:
        """Choose the date of a new row, never on or before the run's. Source: A8."""
        if self._plan.on_failed_debit is not OnFailedDebit.END_OF_PLAN:
            unsent = (InstallmentState.PLANNED, InstallmentState.WAITING)
            rows = [row for row in self._rows.values() if row.due_on > self._run_on]
            taken = [row.due_on for row in rows if row.state in unsent]
            for day in sorted(row.due_on for row in rows if row.state is InstallmentState.PLANNED):
                if taken.count(day) < ROWS_A_DAY_MAX:
                    return day
        plan = self._plan
        latest = max(plan.last_due_on, self._run_on)
        count = plan.period.count_before(plan.anchor, add_days(latest, 1)) + 1
        return plan.period.date_after(plan.anchor, count)


@frozen
class Caps:
    """The most that debits may come to. Units: minor units; None: no cap."""

    debit_minor: int | None = None
    account_day_minor: int | None = None
    run_minor: int | None = None

    @property
    def is_set(self) -> bool:
        """Tell whether there is any."""
        return (self.debit_minor, self.account_day_minor, self.run_minor) != (None, None, None)


class CapKeeper:
    """Adds up what a run sends, and says what would be too much."""

    def __init__(self, caps: Caps, sent: Mapping[str, int]) -> None:
        """Go on from what was sent earlier on the same date, by bank account, in minor units."""
        self._caps = caps
        self._by_account = dict(sent)
        self._total = sum(sent.values())

    def take(self, account: str, amount_minor: int, *, is_overridden: bool) -> str | None:
        """Count one debit in, unless a cap is in its way; then tell which one.

        A person may let a single debit past its own caps, and past the run's where it alone is
        more; else the run's stands for everyone.
        """
        caps, run = self._caps, self._caps.run_minor
        today = self._by_account.get(account, 0) + amount_minor
        if not is_overridden:
            if caps.debit_minor is not None and amount_minor > caps.debit_minor:
                return "debit"
            if caps.account_day_minor is not None and today > caps.account_day_minor:
                return "account_day"
            if run is not None and amount_minor > run:
                return "run_alone"  # No run to come has room for it: it would hold up all others.
        if run is not None and self._total + amount_minor > run >= amount_minor:
            return "run"
        self._by_account[account] = today
        self._total += amount_minor
        return None
