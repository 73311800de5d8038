"""Payments that a gateway decides: begun and reserving their row, then settled. Source: L8."""

from __future__ import annotations

from dataclasses import field

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.refusal import Refusal
from tallybook.loans.model import Loan, Payment, PaymentPolicy, PaymentStatus
from tallybook.loans.operations.debiting import replan_debits, rows_in_flight
from tallybook.loans.operations.draft import Draft, loan_needs, open_draft, put_payment
from tallybook.loans.operations.paying import MakePayment, accept, choose_row, receive
from tallybook.loans.store import PAYMENT_BY_ID
from tallybook.loans.views import PAYMENT_PREFIX, payment_view
from tallybook.writer.model import Decision, Moment, Needs, Reply, View


@frozen
class BeginPayment:
    """A payment that a gateway will be asked to make."""

    asked: MakePayment
    request_key: str | None = field(default=None, repr=False, metadata={"hashed": False})
    """The idempotency key of the request: its reply comes with the gateway's answer."""


class BeginPaymentOperation:
    """Puts a payment on record before the gateway is asked. Its value is payment and loan."""

    name = "loans.begin_payment"

    def needs(self, command: BeginPayment, seen: View) -> Needs:
        """Lock the loan."""
        return loan_needs(command.asked.loan_id, seen)

    def decide(
        self, view: View, command: BeginPayment, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Reserve the oldest unpaid row, unless the payment can't be taken."""
        draft = open_draft(view, command.asked.loan_id)
        if draft is None:
            return Refusal("loan_not_found")
        accepted = accept(view, draft, command.asked, PaymentStatus.PENDING, moment, ids)
        if isinstance(accepted, Refusal):
            return accepted
        payment = replace(accepted, request_key=command.request_key)
        draft.loan = replace(draft.loan, payments_count=payment.sequence)
        put_payment(draft, None, payment)
        replan_debits(view, draft, moment, ids)
        draft.add_event("payment.pending", payment_id=payment.id, **_told(draft.loan, payment))
        return draft.decision(
            view,
            moment,
            kind="loans.payment.pending",
            effective_on=payment.effective_on,
            value=(payment, draft.loan),
        )


def _told(loan: Loan, payment: Payment) -> dict[str, object]:
    return {
        "amount_minor": payment.amount_minor,
        "currency": loan.currency,
        "method": payment.method,
        "installment_number": payment.installment_number,
    }


@frozen
class SettlePayment:
    """What the gateway says of a payment, or a person for it."""

    loan_id: str
    payment_id: str
    status: PaymentStatus
    """`paid`, `failed`, or `pending`: it does not know yet."""
    reference: str | None = None
    reason: str | None = None


class SettlePaymentOperation:
    """Records what became of a pending payment, and answers who asked for it.

    Told once more, it answers with the payment as it is and changes nothing: the gateway's word is
    recorded until the book is known to have it (`record_surely`).
    """

    name = "loans.settle_payment"

    def needs(self, command: SettlePayment, seen: View) -> Needs:
        """Lock the loan; read the payment."""
        needs = loan_needs(command.loan_id, seen)
        return replace(needs, read=(*needs.read, (PAYMENT_BY_ID, command.payment_id)))

    def decide(
        self, view: View, command: SettlePayment, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Settle it, if it is still pending; refuse another word than the one it was settled by."""
        draft = open_draft(view, command.loan_id)
        if draft is None:
            return Refusal("loan_not_found")
        before = view.one(PAYMENT_BY_ID, command.payment_id)
        if before is None or before.loan_id != draft.loan.id:
            return Refusal("payment_not_found")
        if _is_told_again(before, command):
            return Decision(
                reply=Reply(200, payment_view(draft.loan, before, draft.payments)), value=before
            )
        if before.status is not PaymentStatus.PENDING:
            return Refusal("payment_state_wrong", details={"status": before.status.value})
        is_paid = command.status is PaymentStatus.PAID
        # The row that a flexible payment reserved while it was pending is not its own.
        is_freed = is_paid and draft.loan.payment_policy is PaymentPolicy.FLEXIBLE
        after = replace(
            before,
            status=command.status,
            installment_number=None if is_freed else before.installment_number,
            reference=command.reference or before.reference,
            reason=command.reason,
            request_key=None,
            settled_at=None if command.status is PaymentStatus.PENDING else moment.now,
        )
        decision = self._settle(view, draft, before, after, moment, ids)
        # Who asked for the payment gets what this call gets, under their own key.
        shown = Reply(201, payment_view(draft.loan, after, draft.payments))
        completes = {before.request_key: shown} if before.request_key is not None else {}
        return replace(decision, reply=replace(shown, status=200), completes=completes)

    def _settle(
        self,
        view: View,
        draft: Draft,
        before: Payment,
        after: Payment,
        moment: Moment,
        ids: Ids,
    ) -> Decision:
        if after.status is PaymentStatus.PAID:
            return receive(view, draft, before, after, moment, ids)
        put_payment(draft, before, after)
        replan_debits(view, draft, moment, ids, before.installment_number)
        told = {**_told(draft.loan, after), "reason": after.reason}
        name = "payment.failed" if after.status is PaymentStatus.FAILED else "payment.asked"
        draft.add_event(name, payment_id=after.id, **told)
        return draft.decision(
            view, moment, kind=f"loans.{name}", effective_on=after.effective_on, value=after
        )


def _is_told_again(before: Payment, command: SettlePayment) -> bool:
    """Tell whether a payment already is what somebody says of it, and nobody waits for a reply."""
    return (
        before.status is command.status
        and before.request_key is None
        and command.reference in (None, before.reference)
        and (before.status is not PaymentStatus.PENDING or before.reason == command.reason)
    )


@frozen
class ReceiveAfterAll:
    """That a gateway took the money of a payment which somebody settled as failed meanwhile."""

    loan_id: str
    payment_id: str
    reference: str | None = None


class ReceiveAfterAllOperation:
    """Records the money as a payment of its own: what was settled stays as it is.

    Money that was received is never turned away (L5). Another payment may have its row by then.
    """

    name = "loans.receive_after_all"

    def needs(self, command: ReceiveAfterAll, seen: View) -> Needs:
        """Lock the loan; read the payment."""
        needs = loan_needs(command.loan_id, seen)
        return replace(needs, read=(*needs.read, (PAYMENT_BY_ID, command.payment_id)))

    def decide(self, view: View, command: ReceiveAfterAll, moment: Moment, ids: Ids) -> Decision:
        """Take the money for its row, the next one of its amount, or as credit."""
        draft = open_draft(view, command.loan_id)
        failed = view.one(PAYMENT_BY_ID, command.payment_id)
        assert draft is not None, "what was begun has a loan"
        assert failed is not None, "what was begun is on record"
        own, in_flight = failed.installment_number, rows_in_flight(view, draft.loan)
        payment = replace(
            failed,
            id=ids.fresh(),
            sequence=draft.loan.payments_count + 1,
            status=PaymentStatus.PAID,
            installment_number=choose_row(draft, own, failed.amount_minor, in_flight, moment),
            reference=command.reference,
            reason=f"{show_id(PAYMENT_PREFIX, failed.id)} had failed, and was paid after all",
            received_at=moment.now,
            settled_at=moment.now,
        )
        return receive(view, draft, None, payment, moment, ids)


BEGIN_PAYMENT = BeginPaymentOperation()
SETTLE_PAYMENT = SettlePaymentOperation()
RECEIVE_AFTER_ALL = ReceiveAfterAllOperation()
