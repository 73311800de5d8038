"""Payments as they come: money in hand, or a gateway's word on it. Source: L5, L8.

Whoever asks for a payment goes through `accept`, which refuses the methods that are Tallybook's
own. Credit that is used (crediting.py) and debits that went through (business.py) have doors of
their own, which name the method themselves: each moves something besides the loan.
"""

from __future__ import annotations

from datetime import date

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.money import parse_positive_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.loans.model import Payment, PaymentPolicy, PaymentStatus
from tallybook.loans.operations.debiting import replan_debits, rows_in_flight
from tallybook.loans.operations.draft import Draft, loan_needs, open_draft, put_payment
from tallybook.loans.rules.paying import Coverage, amount_of, cover, is_row_paid, tally
from tallybook.loans.rules.terms import check_method, check_payment, check_payment_date
from tallybook.loans.views import payment_view
from tallybook.writer.model import Decision, Moment, Needs, Reply, View


@frozen
class MakePayment:
    """A payment that somebody says was made."""

    loan_id: str
    amount: str
    """In major units, as `kernel.money.plain_amount` writes it: the loan knows the currency."""
    method: str = "cash"
    effective_on: date | None = None
    """When it was made; today if left out."""
    installment_number: int | None = None
    """The row that the payer means: refused unless it is the oldest unpaid one."""
    reference: str | None = None
    is_import: bool = False


class MakePaymentOperation:
    """Takes a payment whose money is there."""

    name = "loans.make_payment"

    def needs(self, command: MakePayment, seen: View) -> Needs:
        """Lock the loan."""
        return loan_needs(command.loan_id, seen)

    def decide(
        self, view: View, command: MakePayment, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Take it for the oldest unpaid row, unless its terms say that it can't be."""
        draft = open_draft(view, command.loan_id)
        if draft is None:
            return Refusal("loan_not_found")
        accepted = accept(view, draft, command, PaymentStatus.PAID, moment, ids)
        if isinstance(accepted, Refusal):
            return accepted
        return receive(view, draft, None, accepted, moment, ids)


def accept(
    view: View,
    draft: Draft,
    command: MakePayment,
    status: PaymentStatus,
    moment: Moment,
    ids: Ids,
) -> Payment | Refusal:
    """Make the row of a payment that is asked for, or tell why it can't be taken."""
    loan = draft.loan
    refusal = check_method(command.method)
    if refusal is not None:
        return refusal
    try:
        amount_minor = parse_positive_amount(command.amount, loan.currency)
    except Refused as refused:
        return refused.refusal
    effective_on = command.effective_on or moment.today
    refusal = check_payment_date(
        loan.start_on, effective_on, moment.today, is_import=command.is_import
    )
    if refusal is not None:
        return refusal
    reserved = reserved_rows(draft) | rows_in_flight(view, loan)
    coverage = _coverage(draft, moment)
    number = check_payment(loan, coverage, reserved, amount_minor, command.installment_number)
    if isinstance(number, Refusal):
        return number
    return _new_payment(draft, command, amount_minor, status, number, moment, ids)


def choose_row(
    draft: Draft, own: int | None, amount_minor: int, in_flight: frozenset[int], moment: Moment
) -> int | None:
    """Choose the row of money that is there: its own, else the oldest unpaid one of its amount.

    None where there is none, and where payments are flexible: what no row takes is credit.
    Units: minor units.
    """
    loan, terms = draft.loan, draft.loan.terms
    if loan.payment_policy is PaymentPolicy.FLEXIBLE:
        return None
    coverage = _coverage(draft, moment)
    taken = reserved_rows(draft) | in_flight
    return next(
        (
            number
            for number in (*(() if own is None else (own,)), *range(1, terms.installments + 1))
            if number not in taken
            and not is_row_paid(terms, coverage, number)
            and amount_of(terms, number) == amount_minor
        ),
        None,
    )


def _coverage(draft: Draft, moment: Moment) -> Coverage:
    """Tell what the payments that stand cover."""
    loan = draft.loan
    paid = [each for each in draft.payments if each.status is PaymentStatus.PAID]
    sums = replace(tally(paid, moment.today), kept_minor=loan.kept_minor, came_minor=None)
    return cover(loan.terms, sums)


def reserved_rows(draft: Draft) -> frozenset[int]:
    """List the rows for which a payment is pending."""
    return frozenset(
        each.installment_number
        for each in draft.payments
        if each.status is PaymentStatus.PENDING and each.installment_number is not None
    )


def _new_payment(
    draft: Draft,
    command: MakePayment,
    amount_minor: int,
    status: PaymentStatus,
    number: int | None,
    moment: Moment,
    ids: Ids,
) -> Payment:
    is_paid = status is PaymentStatus.PAID
    is_exact = draft.loan.payment_policy is PaymentPolicy.EXACT
    return Payment(
        id=ids.fresh(),
        loan_id=draft.loan.id,
        sequence=draft.loan.payments_count + 1,
        amount_minor=amount_minor,
        method=command.method,
        status=status,
        effective_on=command.effective_on or moment.today,
        installment_number=number if not is_paid or is_exact else None,
        kept_minor=0,
        reversed_on=None,
        reason=None,
        transfer_id=None,
        reference=command.reference,
        request_key=None,
        received_at=moment.now,
        settled_at=moment.now if is_paid else None,
    )


def receive(
    view: View,
    draft: Draft,
    before: Payment | None,
    payment: Payment,
    moment: Moment,
    ids: Ids,
    *,
    kind: str = "loans.payment.received",
) -> Decision:
    """Book a payment that is paid, and answer with it."""
    put_received(view, draft, before, payment)
    replan_debits(view, draft, moment, ids)
    return draft.decision(
        view,
        moment,
        kind=kind,
        effective_on=payment.effective_on,
        reply=Reply(201, payment_view(draft.loan, payment, draft.payments)),
        value=payment,
    )


def put_received(view: View, draft: Draft, before: Payment | None, payment: Payment) -> None:
    """Put a payment that is paid into a decision, and fold the loan with it."""
    if before is None:
        draft.loan = replace(draft.loan, payments_count=payment.sequence)
    put_payment(draft, before, payment)
    draft.refold(view)
    draft.add_event(
        "payment.received",
        payment_id=payment.id,
        amount_minor=payment.amount_minor,
        currency=draft.loan.currency,
        method=payment.method,
        effective_on=payment.effective_on,
        installment_number=payment.installment_number,
    )


MAKE_PAYMENT = MakePaymentOperation()
