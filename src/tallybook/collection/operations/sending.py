"""Rows that go out: the intent is on record before the Processor is called. Source: A10, A11."""

from __future__ import annotations

from datetime import date, timedelta

from tallybook.collection.model import Installment, Plan
from tallybook.collection.operations.moving import transfer_event
from tallybook.collection.rules import may_send, send_row
from tallybook.collection.store import INSTALLMENTS, PLANS
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import Transfer, TransferKind, TransferState
from tallybook.processor.port import Direction
from tallybook.processor.sender import BEGIN_SECONDS
from tallybook.processor.store import TRANSFERS
from tallybook.writer.model import Decision, Moment, Needs, View

ANSWER_SECONDS = 30
"""How long an answer may take to be put on record, before its intent is given up."""


def lease_for(call_seconds: float) -> timedelta:
    """Tell how long an intent is its process's alone, where a call may take so long.

    Until the last call that may begin has ended and its answer is on record: whoever rules on it
    sooner rules on what is still in the air. Source: P3.
    """
    return timedelta(seconds=BEGIN_SECONDS + call_seconds + ANSWER_SECONDS)


LEASE = lease_for(30)
"""The lease where the deadline of a call is the usual one."""


@frozen
class SendInstallment:
    """A plan row that is due."""

    installment_id: str
    subject_id: str
    run_on: date
    sender: str
    lease: timedelta = LEASE


class SendInstallmentOperation:
    """Puts the intent to collect one row on record, if nothing more than is owed is claimed."""

    name = "collection.send_installment"

    def needs(self, command: SendInstallment, seen: View) -> Needs:
        """Lock the plan, which guards the claims, and the row."""
        del seen
        return Needs(lock=((PLANS, command.subject_id), (INSTALLMENTS, command.installment_id)))

    def decide(
        self, view: View, command: SendInstallment, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Make the intent; the caller gets the transfer to send, or None."""
        plan = view.row(PLANS, command.subject_id)
        row = view.row(INSTALLMENTS, command.installment_id)
        if plan is None or row is None or not may_send(plan, row):
            return Decision()
        plan, row = send_row(plan, row)
        transfer = new_debit(
            plan, row, command.run_on, command.sender, moment, ids, lease=command.lease
        )
        return Decision(
            changed=((PLANS, plan), (INSTALLMENTS, row)),
            added=((TRANSFERS, transfer),),
            events=(transfer_event(transfer),),
            value=transfer,
        )


def new_debit(
    plan: Plan,
    row: Installment,
    sent_on: date,
    sender: str,
    moment: Moment,
    ids: Ids,
    *,
    lease: timedelta = LEASE,
) -> Transfer:
    """Make the intent to collect a plan's row."""
    return new_transfer(
        kind=TransferKind(plan.kind),
        direction=Direction.DEBIT,
        customer_id=plan.customer_id,
        bank_account_id=plan.bank_account_id,
        subject_id=plan.subject_id,
        installment=(row.id, row.number),
        amount_minor=row.amount_minor,
        currency=plan.currency,
        sent_on=sent_on,
        sender=sender,
        lease=lease,
        request_key=None,
        moment=moment,
        ids=ids,
    )


def new_transfer(  # noqa: PLR0913 - a transfer's columns
    *,
    kind: TransferKind,
    direction: Direction,
    customer_id: str,
    bank_account_id: str,
    subject_id: str,
    installment: tuple[str, int] | None,
    amount_minor: int,
    currency: str,
    sent_on: date,
    sender: str,
    lease: timedelta,
    request_key: str | None,
    moment: Moment,
    ids: Ids,
) -> Transfer:
    """Make a transfer's intent."""
    return Transfer(
        id=ids.fresh(),
        kind=kind,
        direction=direction,
        customer_id=customer_id,
        bank_account_id=bank_account_id,
        subject_id=subject_id,
        installment_id=installment[0] if installment else None,
        installment_number=installment[1] if installment else None,
        amount_minor=amount_minor,
        currency=currency,
        state=TransferState.INTENT,
        held=False,
        transaction_id=None,
        sent_on=sent_on,
        intent_at=moment.now,
        lease_until=moment.now + lease,
        sender=sender,
        resolved_at=None,
        resolved_on=None,
        reason=None,
        is_ruled=False,
        request_key=request_key,
    )


SEND_INSTALLMENT = SendInstallmentOperation()
