"""How an advance's plan is opened: once its payout has succeeded, be it again. Source: A5."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tallybook.advances.model import Advance, AdvanceStatus
from tallybook.advances.rules import amount_to_collect
from tallybook.collection.model import Installment, InstallmentState, Plan, PlanStatus
from tallybook.collection.rules import PlanChange, plan_rows
from tallybook.collection.store import INSTALLMENTS_OF
from tallybook.kernel.calendar import add_days
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids
from tallybook.processor.store import TRANSFERS_OF
from tallybook.writer.model import View


def activate(
    advance: Advance, plan: Plan, held: Sequence[Installment], run_on: date, ids: Ids
) -> tuple[Advance, PlanChange]:
    """Let the debits begin: the credit has succeeded.

    Opened again after a ruling, the plan is laid out anew for what is still to be collected.
    `held` are the rows whose debits timed out and are not released: each gets its stand-in back,
    which was withdrawn with the rest. Source: A5, A9.
    """
    total = amount_to_collect(advance, plan.succeeded_minor)
    left = replace(plan, total_minor=max(0, total - plan.claimed_minor))
    rows = [
        replace(row, number=row.number + plan.rows_count)
        for row in plan_rows(left, advance.installments_count, ids)
        if row.amount_minor > 0
    ]
    last = max([plan.last_due_on, *(row.due_on for row in rows)])
    for row in held:
        last = _next_date(plan, max(last, run_on))
        number = plan.rows_count + len(rows) + 1
        rows.append(_stand_in(row, number, last, ids))
    active = replace(
        plan,
        status=PlanStatus.ACTIVE,
        total_minor=total,
        excess_minor=max(0, plan.claimed_minor - total),
        unsent_minor=left.total_minor,
        rows_count=plan.rows_count + len(rows),
        last_due_on=last,
    )
    is_done = active.succeeded_minor >= total
    status = AdvanceStatus.COMPLETED if is_done else AdvanceStatus.ACTIVE
    return replace(advance, status=status), PlanChange(active, added=tuple(rows))


def held_rows(view: View, plan: Plan) -> list[Installment]:
    """Find the rows whose debits are held: their amounts may not be collected again yet."""
    if not plan.held_minor:
        return []
    held = {row.installment_id for row in view.rows(TRANSFERS_OF, plan.subject_id) if row.held}
    rows = [row for row in view.rows(INSTALLMENTS_OF, plan.subject_id) if row.id in held]
    return sorted(rows, key=lambda row: row.number)


def _stand_in(row: Installment, number: int, due_on: date, ids: Ids) -> Installment:
    return replace(
        row,
        id=ids.fresh(),
        number=number,
        due_on=due_on,
        state=InstallmentState.WAITING,
        replaces=row.number,
        attempt=row.attempt + 1,
    )


def _next_date(plan: Plan, day: date) -> date:
    """Give the plan's first date after a day."""
    count = plan.period.count_before(plan.anchor, add_days(day, 1)) + 1
    return plan.period.date_after(plan.anchor, count)
