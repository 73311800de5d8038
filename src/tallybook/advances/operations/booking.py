"""What becomes of an advance's transfers: plan, entries, credit, status. Source: A5-A13, G."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tallybook.advances.model import Advance, AdvanceStatus, Payout
from tallybook.advances.operations.opening import activate, held_rows
from tallybook.advances.rules import (
    amount_to_collect,
    book_difference,
    closed_by_a_person,
    credit_due,
    status_of,
    with_credit,
)
from tallybook.advances.store import ADVANCES, STANDING_ABOUT
from tallybook.advances.views import advance_view
from tallybook.collection.model import Installment, Plan, PlanStatus
from tallybook.collection.operations.business import TransferChange
from tallybook.collection.operations.moving import (
    close_item,
    open_item,
)
from tallybook.collection.rules import (
    PlanChange,
    close_plan,
    needs_rows,
    plan_rows,
    replan,
    retotal,
)
from tallybook.collection.store import (
    INSTALLMENT_BY_ID,
    INSTALLMENTS,
    INSTALLMENTS_OF,
    PLANS,
    UNSENT_OF,
)
from tallybook.customers.model import CustomerCredit, Standing
from tallybook.customers.store import CREDITS, STANDINGS
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import ItemKind, OperatorItem, Transfer, TransferState
from tallybook.processor.store import (
    ITEMS,
    OPEN_EXCESS_OF,
    OPEN_ITEMS_ABOUT,
    TRANSFERS,
    TRANSFERS_OF,
)
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

_S = TransferState

_CAME_TO_NOTHING = (_S.REJECTED, _S.FAILED, _S.NOT_EXECUTED, _S.RETURNED)

IN_DEFAULT_REASON = "advance_in_default"


@dataclass(slots=True)
class Draft:
    """A decision about one advance while it is put together."""

    advance_before: Advance
    plan_before: Plan
    advance: Advance
    plan: Plan
    changed: list[tuple[Any, Any]] = field(default_factory=list)
    added: list[tuple[Any, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def take(self, change: PlanChange) -> None:
        """Take over a change of the plan and its rows."""
        self.plan = change.plan
        self.changed += ((INSTALLMENTS, row) for row in change.changed)
        self.added += ((INSTALLMENTS, row) for row in change.added)

    def decision(self, kind: str, effective_on: date, reply: Reply | Refusal | None) -> Decision:
        """Sum up, with the entry that takes the books from before to after."""
        if self.advance != self.advance_before:
            self.changed.append((ADVANCES, self.advance))
        if self.plan != self.plan_before:
            self.changed.append((PLANS, self.plan))
        if self.advance.status is not self.advance_before.status:
            body = {"from": self.advance_before.status.value}
            self.events.append(
                Event(
                    f"advances.advance.{self.advance.status.value}",
                    self.advance.id,
                    body,
                    self.advance.customer_id,
                )
            )
        entry = book_difference(
            self.advance_before,
            self.plan_before.succeeded_minor,
            self.advance,
            self.plan.succeeded_minor,
            kind=kind,
            effective_on=effective_on,
        )
        return Decision(
            changed=self.changed,
            added=self.added,
            entries=(entry,) if entry else (),
            events=self.events,
            reply=reply,
        )


class AdvanceBooking:
    """Books what happens to the credits and debits of advances."""

    def needs(self, transfer: Transfer, seen: View, after: Transfer | None) -> Needs:
        """Lock advance and plan; read rows, and lock the credit, only where they may change."""
        subject = transfer.subject_id
        locks: list[tuple[Any, Any]] = [(ADVANCES, subject), (PLANS, subject)]
        reads: list[tuple[Any, Any]] = []
        advance, plan = seen.row(ADVANCES, subject), seen.row(PLANS, subject)
        if advance is not None and plan is not None and after is not None:
            before = seen.row(TRANSFERS, transfer.id) or transfer
            if not transfer.is_debit:
                reads.append((UNSENT_OF, subject))
                if plan.held_minor:
                    reads += ((TRANSFERS_OF, subject), (INSTALLMENTS_OF, subject))
            elif needs_rows(plan, before, after) or advance.credited_minor:
                reads += ((UNSENT_OF, subject), (INSTALLMENT_BY_ID, transfer.installment_id))
            if _touches_credit(advance, plan, after):
                locks.append((CREDITS, (advance.customer_id, advance.currency)))
                reads.append((OPEN_EXCESS_OF, subject))
            if plan.max_attempts or advance.status is AdvanceStatus.IN_DEFAULT:
                reads += ((STANDING_ABOUT, subject), (OPEN_ITEMS_ABOUT, subject))
        return Needs(lock=locks, read=reads)

    def book(self, view: View, change: TransferChange, moment: Moment, ids: Ids) -> Decision:
        """Book a change of a credit or of a debit."""
        advance = view.row(ADVANCES, change.after.subject_id)
        plan = view.row(PLANS, change.after.subject_id)
        assert advance is not None
        assert plan is not None
        draft = Draft(advance, plan, advance, plan)
        state = change.after.state.value
        effective_on = _effective_on(advance, change, moment)
        if change.after.is_debit:
            _book_debit(view, draft, change, moment, ids)
            return draft.decision(f"advances.debit.{state}", effective_on, None)
        _book_credit(view, draft, change, moment, ids)
        reply = _reply(draft, change.after)
        return draft.decision(f"advances.credit.{state}", effective_on, reply)


def _effective_on(advance: Advance, change: TransferChange, moment: Moment) -> date:
    """Tell when it happened, as far as anyone knows; never in the future. Source: T2."""
    after = change.after
    day = after.resolved_on
    if day is None:
        day = moment.today if after.is_debit else advance.effective_on
    return min(day, moment.today)


def _touches_credit(advance: Advance, plan: Plan, after: Transfer) -> bool:
    """Tell whether a change may make customer credit, or take it back."""
    if advance.credited_minor > 0:
        return True
    if not after.is_debit:
        return plan.succeeded_minor > 0 and after.state in _CAME_TO_NOTHING
    if after.state is not _S.SUCCEEDED:
        return False
    return credit_due(advance, plan.succeeded_minor + after.amount_minor) > 0


# -- the payout --------------------------------------------------------------------------------


def _book_credit(
    view: View, draft: Draft, change: TransferChange, moment: Moment, ids: Ids
) -> None:
    state = change.after.state
    rows = view.rows(UNSENT_OF, draft.plan.subject_id)
    # What a person has closed stays closed, whatever becomes of the payout. Source: A13.
    closed = closed_by_a_person(draft.advance)
    if state is _S.ACCEPTED:
        # Pending again, where a ruling that it was not executed has been taken back.
        draft.advance = replace(
            draft.advance, payout=Payout.IN_TRANSIT, status=closed or AdvanceStatus.PENDING
        )
        if draft.plan.status is PlanStatus.CLOSED and closed is None:
            draft.plan = replace(draft.plan, status=PlanStatus.PENDING)
    elif state is _S.SUCCEEDED:
        draft.advance = replace(draft.advance, payout=Payout.PAID, is_fee_booked=True)
        # What was collected before a dispute was settled pays the advance again.
        _settle_credit(view, draft, draft.plan.succeeded_minor, change, moment, ids)
        if closed is not None:
            draft.advance = replace(draft.advance, status=closed)
            return
        held = held_rows(view, draft.plan)
        draft.advance, opened = activate(draft.advance, draft.plan, held, moment.today, ids)
        draft.take(opened)
    elif state in _CAME_TO_NOTHING:
        status = closed or AdvanceStatus.FAILED
        draft.advance = replace(draft.advance, payout=Payout.VOID, status=status)
        draft.take(close_plan(draft.plan, rows))
        _settle_credit(view, draft, draft.plan.succeeded_minor, change, moment, ids)
        end_default(view, draft, moment)


def _reply(draft: Draft, transfer: Transfer) -> Reply | Refusal | None:
    """Answer whoever asked for the advance. Source: A1, A2."""
    advance = draft.advance
    if transfer.state is _S.REJECTED:
        return Refusal(
            "processor_rejected",
            details={"advance_id": show_id("adv", advance.id), "reason": transfer.reason or ""},
        )
    if transfer.state not in (_S.ACCEPTED, _S.UNKNOWN):
        return None
    rows: Sequence[Installment] = plan_rows(draft.plan, advance.installments_count, None)
    body = advance_view(advance, draft.plan, rows, [transfer])
    return Reply(201 if transfer.state is _S.ACCEPTED else 202, body)


# -- the debits --------------------------------------------------------------------------------


def _book_debit(view: View, draft: Draft, change: TransferChange, moment: Moment, ids: Ids) -> None:
    before, after = change.before, change.after
    collected = after.amount_minor * (
        (after.state is _S.SUCCEEDED) - (before.state is _S.SUCCEEDED)
    )
    succeeded = draft.plan.succeeded_minor + collected
    _settle_credit(view, draft, succeeded, change, moment, ids)
    planned = _replan(view, draft, change, succeeded, moment, ids)
    draft.take(planned)
    status = status_of(draft.advance, draft.plan)
    if planned.is_exhausted and status is AdvanceStatus.ACTIVE:
        status = AdvanceStatus.IN_DEFAULT
        draft.plan = replace(draft.plan, status=PlanStatus.PAUSED)
        draft.added.append((ITEMS, _default_item(draft.advance, after, moment, ids)))
    draft.advance = replace(draft.advance, status=status)
    end_default(view, draft, moment)


def _replan(
    view: View,
    draft: Draft,
    change: TransferChange,
    succeeded: int,
    moment: Moment,
    ids: Ids,
) -> PlanChange:
    plan, total = draft.plan, amount_to_collect(draft.advance, succeeded)
    if not needs_rows(plan, change.before, change.after):
        quiet = replan(plan, (), None, change.before, change.after, run_on=moment.today, ids=ids)
        if total == plan.total_minor:
            return quiet
        rows = view.rows(UNSENT_OF, plan.subject_id)
        return retotal(quiet.plan, rows, total, run_on=moment.today, ids=ids)
    if plan.status is not PlanStatus.CLOSED:
        plan = replace(plan, total_minor=total)
    row = view.one(INSTALLMENT_BY_ID, change.after.installment_id)
    rows = view.rows(UNSENT_OF, plan.subject_id)
    return replan(plan, rows, row, change.before, change.after, run_on=moment.today, ids=ids)


def _default_item(advance: Advance, transfer: Transfer, moment: Moment, ids: Ids) -> OperatorItem:
    detail = (
        f"Row {transfer.installment_number} has missed its last attempt."
        " Nothing more is sent until a person resumes, cancels or writes off the advance."
    )
    return open_item(ItemKind.DEFAULT, transfer, detail, moment, ids, about=advance.id)


def end_default(view: View, draft: Draft, moment: Moment) -> None:
    """Let news or money end a default, and keep the customer's standing in step."""
    was_bad = draft.advance_before.status is AdvanceStatus.IN_DEFAULT
    if was_bad and draft.advance.status is not AdvanceStatus.IN_DEFAULT:
        if draft.plan.status is PlanStatus.PAUSED:
            draft.plan = replace(draft.plan, status=PlanStatus.ACTIVE)
        close_default_items(view, draft, "answered_by_news", moment)
    tell_standing(view, draft)


def close_default_items(
    view: View,
    draft: Draft,
    action: str,
    moment: Moment,
    *,
    reason: str | None = None,
    by: str = "tallybook",
) -> None:
    """Close what waits for a person about an advance that is no longer in default."""
    draft.changed += (
        (ITEMS, close_item(item, action, moment, reason=reason, by=by))
        for item in view.rows(OPEN_ITEMS_ABOUT, draft.advance.id)
    )


def tell_standing(view: View, draft: Draft) -> None:
    """Keep the customer's standing in step with the advance's default. Source: A3."""
    is_bad = draft.advance.status is AdvanceStatus.IN_DEFAULT
    was_bad = draft.advance_before.status is AdvanceStatus.IN_DEFAULT
    if is_bad == was_bad:
        return
    known = view.one(STANDING_ABOUT, draft.advance.id)
    if known is not None:
        draft.changed.append((STANDINGS, replace(known, active=is_bad)))
    elif is_bad:
        row = Standing(draft.advance.id, draft.advance.customer_id, IN_DEFAULT_REASON, active=True)
        draft.added.append((STANDINGS, row))


def _settle_credit(
    view: View,
    draft: Draft,
    succeeded: int,
    change: TransferChange,
    moment: Moment,
    ids: Ids,
) -> None:
    """Turn what is too much into customer credit, or take it back while it is unspent.

    Only what this very change makes less too much is taken back: once spent, credit is owed as
    money, and what the customer holds since then came from elsewhere.
    """
    advance, due = draft.advance, credit_due(draft.advance, succeeded)
    was_due = credit_due(draft.advance_before, draft.plan_before.succeeded_minor)
    if was_due <= due <= advance.credited_minor:
        return
    key = (advance.customer_id, advance.currency)
    credit = view.row(CREDITS, key)
    held = credit.credit_minor if credit else 0
    after = with_credit(advance, succeeded, held)
    gained = after.credited_minor - advance.credited_minor
    draft.advance = after
    if due < was_due:
        _take_back_items(view, draft, was_due - due, held + gained, moment)
    if gained == 0:
        return
    row = CustomerCredit(*key, held + gained)
    (draft.changed if credit else draft.added).append((CREDITS, row))
    if gained > 0:
        detail = _excess_detail(gained, advance.currency)
        item = open_item(ItemKind.EXCESS, change.after, detail, moment, ids, amount_minor=gained)
        draft.added.append((ITEMS, item))


def _excess_detail(minor: int, currency: str) -> str:
    shown = format_amount(minor, currency)
    return f"{shown} {currency} more than is owed was collected; it is credit now."


def _take_back_items(view: View, draft: Draft, taken: int, held: int, moment: Moment) -> None:
    """Ask no more about excess that has been taken back; what is left of it may be refunded.

    No more than the customer holds, for the rest they have used.
    """
    items: list[OperatorItem] = view.rows(OPEN_EXCESS_OF, draft.advance.id)
    for item in sorted(items, key=lambda item: item.id, reverse=True):
        amount = item.amount_minor or 0
        left = max(0, min(amount - taken, held))
        taken = max(0, taken - amount)
        if left == amount:
            continue
        after = close_item(item, "answered_by_news", moment)
        if left:
            detail = _excess_detail(left, draft.advance.currency)
            after = replace(item, amount_minor=left, detail=detail)
        draft.changed.append((ITEMS, after))
