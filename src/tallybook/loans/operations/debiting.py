"""A loan's debits: its plan laid out, and kept in step with what its customer pays themselves.

What is to be debited is what is owed. A payment by the customer withdraws the debit of the row
that it pays: the oldest, so that nobody is debited for what they have just paid. Source: L9, A7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallybook.collection.model import (
    Installment,
    InstallmentState,
    OnFailedDebit,
    Plan,
    PlanStatus,
)
from tallybook.collection.rules import PlanChange, close_plan, plan_rows, retotal
from tallybook.collection.store import INSTALLMENTS, INSTALLMENTS_OF, PLANS
from tallybook.kernel.ids import Ids
from tallybook.loans.model import Collection, Loan, Payment, PaymentStatus
from tallybook.loans.operations.draft import Draft
from tallybook.loans.rules.books import owed
from tallybook.loans.rules.schedule import PERIODS, due_on
from tallybook.processor.model import TransferKind
from tallybook.processor.rules import IN_FLIGHT
from tallybook.processor.store import TRANSFERS_OF
from tallybook.writer.model import Moment, View

_UNSENT = (InstallmentState.PLANNED, InstallmentState.WAITING)


def lay_out_debits(
    loan: Loan, account_id: str, hold_days: int, ids: Ids
) -> tuple[Plan, list[Installment]]:
    """Lay out the debits of a new loan: one a row, on its due date."""
    period = PERIODS[loan.interval]
    plan = Plan(
        subject_id=loan.id,
        kind=TransferKind.LOAN,
        customer_id=loan.customer_id,
        bank_account_id=account_id,
        currency=loan.currency,
        status=PlanStatus.ACTIVE,
        total_minor=loan.total_minor,
        succeeded_minor=0,
        in_flight_minor=0,
        held_minor=0,
        unsent_minor=loan.total_minor,
        claimed_minor=0,
        excess_minor=0,
        rows_count=loan.installments,
        last_due_on=due_on(loan.terms, loan.installments),
        first_due_on=due_on(loan.terms, 1),
        interval_days=period.days,
        on_failed_debit=OnFailedDebit.STAYS_DUE,
        max_attempts=0,
        hold_days=hold_days,
        interval_months=period.months,
        anchor_on=loan.start_on,
    )
    return plan, plan_rows(plan, loan.installments, ids, unit=loan.rounding_unit)


def amount_to_debit(loan: Loan, succeeded_minor: int, payments: Sequence[Payment]) -> int:
    """Tell what a loan's debits collect in all: what they have, and what is owed and not pending.

    Units: minor units. Source: A7, A10.
    """
    pending = sum(each.amount_minor for each in payments if each.status is PaymentStatus.PENDING)
    return succeeded_minor + max(0, owed(loan) - pending)


def replan_debits(
    view: View, draft: Draft, moment: Moment, ids: Ids, reopened: int | None = None
) -> None:
    """Bring a loan's debits in line with what is owed, after a payment came or was reversed.

    `reopened` is the number of the row that a reversed payment had paid, and that is unpaid again.
    """
    plan = _plan_of(view, draft)
    if plan is None or plan.status is PlanStatus.CLOSED:
        return
    total = amount_to_debit(draft.loan, plan.succeeded_minor, draft.payments)
    if total == plan.total_minor:
        return
    rows = view.rows(INSTALLMENTS_OF, draft.loan.id)
    replaced = next((row for row in rows if row.number == reopened), None)
    change = retotal(
        plan,
        unsent_of(rows),
        total,
        run_on=moment.today,
        ids=ids,
        replaced=replaced,
        oldest_first=by_root(rows),
    )
    take(draft, plan, change)


def end_debits(view: View, draft: Draft) -> None:
    """Withdraw all debits of a loan that is given up."""
    plan = _plan_of(view, draft)
    if plan is not None:
        rows = unsent_of(view.rows(INSTALLMENTS_OF, draft.loan.id))
        take(draft, plan, close_plan(plan, rows))


def _plan_of(view: View, draft: Draft) -> Plan | None:
    if draft.loan.collection is not Collection.AUTO_DEBIT or draft.before is None:
        return None
    return view.row(PLANS, draft.loan.id)


def take(draft: Draft, before: Plan, change: PlanChange) -> None:
    """Take over a change of the plan and its rows."""
    if change.plan != before:
        draft.changed.append((PLANS, change.plan))
    draft.changed += ((INSTALLMENTS, row) for row in change.changed)
    draft.added += ((INSTALLMENTS, row) for row in change.added)


def unsent_of(rows: Sequence[Installment]) -> list[Installment]:
    """List a plan's rows that may still go out."""
    return [row for row in rows if row.state in _UNSENT]


def by_root(rows: Sequence[Installment]) -> Callable[[Installment], int]:
    """Make a function that tells which row of the loan's schedule a row of its plan collects.

    A row of the plan may replace another: where row 52 replaces 51, and 51 replaces 3, all three
    collect row 3 of the schedule.
    """
    replaces = {row.number: row.replaces for row in rows}

    def root(row: Installment) -> int:
        number, before = row.number, row.replaces
        while before is not None:
            number, before = before, replaces.get(before)
        return number

    return root


def rows_in_flight(view: View, loan: Loan) -> frozenset[int]:
    """List the schedule's rows whose debit is out, or may have been executed."""
    if loan.collection is not Collection.AUTO_DEBIT:
        return frozenset()
    rows = view.rows(INSTALLMENTS_OF, loan.id)
    root, by_id = by_root(rows), {row.id: row for row in rows}
    return frozenset(
        root(by_id[transfer.installment_id])
        for transfer in view.rows(TRANSFERS_OF, loan.id)
        if transfer.installment_id is not None and (transfer.state in IN_FLIGHT or transfer.held)
    )
