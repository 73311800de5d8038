"""What a person asks of an advance: cancel, resume, write off, pay with credit. Source: A13, C3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallybook.advances.model import Advance, AdvanceStatus, Payout
from tallybook.advances.operations.booking import (
    Draft,
    close_default_items,
    end_default,
    tell_standing,
)
from tallybook.advances.rules import amount_to_collect, outstanding, status_of
from tallybook.advances.store import ADVANCES, OWING_OF, STANDING_ABOUT
from tallybook.advances.views import advance_view
from tallybook.collection.model import Installment, Plan, PlanStatus
from tallybook.collection.rules import close_plan, resume_plan, retotal
from tallybook.collection.store import INSTALLMENTS_OF, PLANS, UNSENT_OF
from tallybook.collection.views import item_view
from tallybook.customers.model import CustomerCredit
from tallybook.customers.store import CREDITS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import Action
from tallybook.processor.store import ITEMS, OPEN_ITEMS_ABOUT, TRANSFERS_OF
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

_CANCELLABLE = (AdvanceStatus.ACTIVE, AdvanceStatus.IN_DEFAULT)
_WRITE_OFF = (AdvanceStatus.ACTIVE, AdvanceStatus.IN_DEFAULT, AdvanceStatus.CANCELLED)


@frozen
class RuleAdvance:
    """What a person asks about one advance."""

    advance_id: str
    reason: str
    forgive: bool = False
    by: str = "operator"
    item_id: str | None = None
    """The operator item that is answered by it; the reply then shows the item."""


class _Ruling:
    """What all rulings on an advance share."""

    action: Action

    def needs(self, command: RuleAdvance, seen: View) -> Needs:
        """Lock advance and plan; read all that is shown, the standing and the open items."""
        del seen
        subject = command.advance_id
        item = ((ITEMS, command.item_id),) if command.item_id else ()
        return Needs(
            lock=((ADVANCES, subject), (PLANS, subject), *item),
            read=(
                (UNSENT_OF, subject),
                (INSTALLMENTS_OF, subject),
                (TRANSFERS_OF, subject),
                (STANDING_ABOUT, subject),
                (OPEN_ITEMS_ABOUT, subject),
            ),
        )

    def _draft(
        self, view: View, command: RuleAdvance, allowed: Sequence[AdvanceStatus]
    ) -> Draft | Refusal:
        advance, plan = view.row(ADVANCES, command.advance_id), view.row(PLANS, command.advance_id)
        if advance is None or plan is None:
            return Refusal("advance_not_found")
        item = view.row(ITEMS, command.item_id) if command.item_id else None
        if item is not None and not item.is_open:
            return Refusal("operator_item_resolved")
        if advance.status not in allowed or advance.payout is not Payout.PAID:
            return Refusal("advance_state_wrong", details={"status": advance.status.value})
        return Draft(advance, plan, advance, plan)

    def _decide(
        self, view: View, draft: Draft, command: RuleAdvance, moment: Moment, verb: str
    ) -> Decision:
        tell_standing(view, draft)
        close_default_items(
            view, draft, self.action.value, moment, reason=command.reason, by=command.by
        )
        draft.events.append(
            Event(
                f"advances.advance.{verb}",
                draft.advance.id,
                {"reason": command.reason, "by": command.by},
                draft.advance.customer_id,
            )
        )
        reply = Reply(200, self._shown(view, draft, command))
        return draft.decision(f"advances.advance.{verb}", moment.today, reply)

    def _shown(self, view: View, draft: Draft, command: RuleAdvance) -> dict[str, Any]:
        if command.item_id is not None:
            closed = {row.id: row for shelf, row in draft.changed if shelf is ITEMS}
            return item_view(closed[command.item_id])
        subject = draft.plan.subject_id
        rows = _rows_after(draft, view.rows(INSTALLMENTS_OF, subject))
        return advance_view(draft.advance, draft.plan, rows, view.rows(TRANSFERS_OF, subject))


def _rows_after(draft: Draft, rows: Sequence[Installment]) -> list[Installment]:
    now = {row.id: row for row in rows}
    now |= {
        row.id: row for _, row in (*draft.changed, *draft.added) if isinstance(row, Installment)
    }
    return list(now.values())


class CancelAdvanceOperation(_Ruling):
    """Withdraws what is unsent; the rest is forgiven or stays owed. Source: A13."""

    name = "advances.cancel"
    action = Action.CANCEL

    def decide(
        self, view: View, command: RuleAdvance, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Cancel an advance that is paid out and not complete."""
        del ids
        draft = self._draft(view, command, _CANCELLABLE)
        if isinstance(draft, Refusal):
            return draft
        if command.forgive:
            _give_up(draft)
        draft.advance = replace(draft.advance, status=AdvanceStatus.CANCELLED)
        draft.take(close_plan(draft.plan, view.rows(UNSENT_OF, draft.plan.subject_id)))
        return self._decide(view, draft, command, moment, "cancellation_ruled")


class WriteOffAdvanceOperation(_Ruling):
    """Gives up what is owed; what still comes in is a recovery. Source: G."""

    name = "advances.write_off"
    action = Action.WRITE_OFF

    def decide(
        self, view: View, command: RuleAdvance, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Write off an advance that is paid out and still owed."""
        del ids
        draft = self._draft(view, command, _WRITE_OFF)
        if isinstance(draft, Refusal):
            return draft
        # Nor where nothing is owed: what comes to be owed later could not be given up any more.
        owed = outstanding(draft.advance, draft.plan.succeeded_minor)
        if draft.advance.written_off_minor or owed <= 0:
            return Refusal("advance_state_wrong", details={"status": draft.advance.status.value})
        _give_up(draft)
        draft.advance = replace(draft.advance, status=AdvanceStatus.WRITTEN_OFF)
        draft.take(close_plan(draft.plan, view.rows(UNSENT_OF, draft.plan.subject_id)))
        return self._decide(view, draft, command, moment, "write_off_ruled")


class ResumeAdvanceOperation(_Ruling):
    """Lets an advance in default be collected again. Source: A12."""

    name = "advances.resume"
    action = Action.RESUME

    def decide(
        self, view: View, command: RuleAdvance, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Resume an advance in default; its chains count their attempts from one."""
        del ids
        draft = self._draft(view, command, (AdvanceStatus.IN_DEFAULT,))
        if isinstance(draft, Refusal):
            return draft
        draft.take(resume_plan(draft.plan, view.rows(UNSENT_OF, draft.plan.subject_id)))
        draft.advance = replace(draft.advance, status=AdvanceStatus.ACTIVE)
        return self._decide(view, draft, command, moment, "resumption_ruled")


def _give_up(draft: Draft) -> None:
    """Write down what is owed now as given up. Units: minor units."""
    succeeded = draft.plan.succeeded_minor
    draft.advance = replace(
        draft.advance,
        written_off_minor=outstanding(draft.advance, succeeded),
        written_off_at_minor=succeeded,
    )


@frozen
class ApplyCredit:
    """Customer credit to be used for an advance."""

    advance_id: str | None
    """None takes the oldest one on which something is owed."""
    customer_id: str
    amount_minor: int
    currency: str
    reason: str


class ApplyCreditOperation:
    """Pays what an advance owes with credit the customer holds. Source: C3."""

    name = "advances.apply_credit"

    def needs(self, command: ApplyCredit, seen: View) -> Needs:
        """Lock the credit and the advance with its plan, or all that may be the oldest owed."""
        credit = (CREDITS, (command.customer_id, command.currency))
        look_up = ((OWING_OF, command.customer_id),) if command.advance_id is None else ()
        subjects = _subjects(command, seen)
        return Needs(
            look_up=look_up,
            lock=(
                credit,
                *((ADVANCES, subject) for subject in subjects),
                *((PLANS, subject) for subject in subjects),
            ),
            read=[
                (index, subject)
                for subject in subjects
                for index in (UNSENT_OF, STANDING_ABOUT, OPEN_ITEMS_ABOUT)
            ],
        )

    def decide(
        self, view: View, command: ApplyCredit, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Use the credit, no more than there is and no more than is owed."""
        owing = _find_owing(view, command)
        if owing is None:
            return Refusal("subject_not_found", param="subject_id")
        advance, plan = owing
        credit = view.row(CREDITS, (command.customer_id, command.currency))
        held = credit.credit_minor if credit else 0
        if credit is None or held < command.amount_minor:
            shown = format_amount(held, command.currency)
            return Refusal("credit_insufficient", details={"credit": shown})
        owed = outstanding(advance, plan.succeeded_minor)
        if advance.written_off_minor or owed < command.amount_minor:
            shown = format_amount(max(0, owed), command.currency)
            return Refusal("subject_owes_less", details={"owed": shown})
        draft = Draft(advance, plan, advance, plan)
        draft.advance = replace(advance, applied_minor=advance.applied_minor + command.amount_minor)
        if plan.status is not PlanStatus.CLOSED:
            total = amount_to_collect(draft.advance, plan.succeeded_minor)
            rows = view.rows(UNSENT_OF, plan.subject_id)
            draft.take(retotal(plan, rows, total, run_on=moment.today, ids=ids))
            draft.advance = replace(draft.advance, status=status_of(draft.advance, draft.plan))
            end_default(view, draft, moment)
        left = CustomerCredit(command.customer_id, command.currency, held - command.amount_minor)
        draft.changed.append((CREDITS, left))
        body = {
            "amount": format_amount(command.amount_minor, command.currency),
            "currency": command.currency,
            "subject_id": show_id("adv", advance.id),
            "credit_left": format_amount(left.credit_minor, command.currency),
        }
        draft.events.append(
            Event(
                "advances.credit.applied",
                advance.id,
                {**body, "reason": command.reason},
                advance.customer_id,
            )
        )
        return draft.decision("advances.credit.applied", moment.today, Reply(201, body))


def _subjects(command: ApplyCredit, seen: View) -> list[str]:
    if command.advance_id is not None:
        return [command.advance_id]
    return [advance.id for advance in seen.rows(OWING_OF, command.customer_id)]


def _find_owing(view: View, command: ApplyCredit) -> tuple[Advance, Plan] | None:
    """Find the advance that is named, or the oldest one of which something is owed."""
    for subject in _subjects(command, view):
        if not (view.has_row(ADVANCES, subject) and view.has_row(PLANS, subject)):
            continue  # made a moment ago, in this very batch
        advance, plan = view.row(ADVANCES, subject), view.row(PLANS, subject)
        if advance is None or plan is None or not _is_theirs(advance, command):
            continue
        if command.advance_id is not None or outstanding(advance, plan.succeeded_minor) > 0:
            return advance, plan
    return None


def _is_theirs(advance: Advance, command: ApplyCredit) -> bool:
    return (
        advance.customer_id == command.customer_id
        and advance.currency == command.currency
        and advance.payout is Payout.PAID
    )


CANCEL_ADVANCE = CancelAdvanceOperation()
WRITE_OFF_ADVANCE = WriteOffAdvanceOperation()
RESUME_ADVANCE = ResumeAdvanceOperation()
APPLY_CREDIT = ApplyCreditOperation()
