"""A payment taken back: it bounced. Source: L7, G."""

from __future__ import annotations

from datetime import date

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.loans.model import DEBIT_METHOD, Payment, PaymentStatus
from tallybook.loans.operations.debiting import replan_debits
from tallybook.loans.operations.draft import Draft, loan_needs, open_draft, put_payment
from tallybook.loans.rules.terms import check_reversal_date
from tallybook.loans.store import PAYMENT_BY_ID, PAYMENTS
from tallybook.loans.views import payment_view
from tallybook.writer.model import Decision, Moment, Needs, Reply, View


@frozen
class ReversePayment:
    """That the money of a payment was taken back."""

    loan_id: str
    payment_id: str
    reason: str
    effective_on: date | None = None
    """When it was taken back: today if left out. Until then the payment counts."""
    is_import: bool = False


class ReversePaymentOperation:
    """Takes a payment back; what it had given as credit is taken back as far as it is there."""

    name = "loans.reverse_payment"

    def needs(self, command: ReversePayment, seen: View) -> Needs:
        """Lock the loan; read the payment."""
        needs = loan_needs(command.loan_id, seen)
        return replace(needs, read=(*needs.read, (PAYMENT_BY_ID, command.payment_id)))

    def decide(
        self, view: View, command: ReversePayment, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Take it back, unless it is not paid or is the Processor's to take back."""
        draft = open_draft(view, command.loan_id)
        if draft is None:
            return Refusal("loan_not_found")
        payment = view.one(PAYMENT_BY_ID, command.payment_id)
        if payment is None or payment.loan_id != draft.loan.id:
            return Refusal("payment_not_found")
        if payment.status is not PaymentStatus.PAID:
            return Refusal("payment_state_wrong", details={"status": payment.status.value})
        if payment.method == DEBIT_METHOD:
            told = "a debit, which only the Processor's reports take back"
            return Refusal("payment_state_wrong", details={"status": told})
        day = command.effective_on or moment.today
        refusal = check_reversal_date(payment, day, moment.today, is_import=command.is_import)
        if refusal is not None:
            return refusal
        payment = take_back(view, draft, payment, day, command.reason)
        replan_debits(view, draft, moment, ids, payment.installment_number)
        return draft.decision(
            view,
            moment,
            kind="loans.payment.reversed",
            effective_on=day,
            reply=Reply(200, payment_view(draft.loan, payment, draft.payments)),
            value=payment,
        )


def take_back(view: View, draft: Draft, payment: Payment, day: date, reason: str) -> Payment:
    """Turn a paid payment into a reversed one, and fold the loan without it."""
    after = replace(payment, status=PaymentStatus.REVERSED, reversed_on=day, reason=reason)
    kept = draft.loan.kept_minor
    put_payment(draft, payment, after)
    draft.refold(view)
    after = replace(after, kept_minor=draft.loan.kept_minor - kept)
    draft.changed = [
        (shelf, after if shelf is PAYMENTS and row.id == after.id else row)
        for shelf, row in draft.changed
    ]
    draft.add_event(
        "payment.reversed",
        payment_id=after.id,
        amount_minor=after.amount_minor,
        currency=draft.loan.currency,
        reversed_on=day,
        reason=reason,
        owed_again_minor=after.kept_minor,
    )
    return after


REVERSE_PAYMENT = ReversePaymentOperation()
