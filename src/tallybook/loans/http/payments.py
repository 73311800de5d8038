"""Payments on loans over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response

from tallybook.kernel.money import plain_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.loans import queries
from tallybook.loans.http.fields import lending
from tallybook.loans.model import Loan, Payment, PaymentStatus
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.operations.pending import BEGIN_PAYMENT, SETTLE_PAYMENT, SettlePayment
from tallybook.loans.operations.reversing import REVERSE_PAYMENT, ReversePayment
from tallybook.loans.rules.paying import allocate
from tallybook.loans.rules.schedule import schedule
from tallybook.loans.rules.terms import INSTALLMENTS_MAX, METHOD_LONGEST
from tallybook.loans.tasks.paying import pay_through_gateway
from tallybook.loans.views import LOAN_PREFIX, PAYMENT_PREFIX, PaymentView, payment_view
from tallybook.wire.calls import Call, path_id
from tallybook.wire.context import InContext
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import Amount, Body, Day, Text
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("loans")


class NewPayment(Body):
    """A payment on a loan."""

    amount: Amount
    method: Annotated[Text, Field(max_length=METHOD_LONGEST)] = "cash"
    effective_on: Day | None = None
    """When it was made: today if left out, at most seven days back."""
    installment_number: Annotated[int, Field(ge=1, le=INSTALLMENTS_MAX)] | None = None
    """The row that is meant: refused unless it is the oldest unpaid one, so that a payment that
    is sent twice never pays the next."""


@ROUTER.post(
    "/loans/{loan_id}/payments",
    status_code=201,
    response_model=PaymentView,
    responses=refusals(
        "loan_not_found",
        "loan_closed",
        "amount_invalid",
        "payment_amount_mismatch",
        "payment_before_loan",
        "installment_not_found",
        "installment_already_paid",
        "installment_not_next",
        "installment_reserved",
        "payment_method_reserved",
        "call_unrecorded",
        "date_invalid",
        "date_in_future",
        "date_too_old",
    ),
)
async def make_payment(call: Call, loan_id: str, body: NewPayment) -> Response:
    """Record a payment for the oldest unpaid row.

    A flexible loan takes any amount; it pays rows from the oldest unpaid one on. With the method
    `mock_paid`, `mock_pending` or `mock_failed` a simulated payment gateway is asked for the money
    first. It moves none, and answers what the method's name says.
    """
    context = lending(call.context)
    asked = MakePayment(
        loan_id=path_id(LOAN_PREFIX, loan_id),
        amount=plain_amount(body.amount),
        method=body.method,
        effective_on=body.effective_on,
        installment_number=body.installment_number,
    )
    if context.gateway.serves(body.method):
        call.scope[COMMAND_IN_SCOPE] = BEGIN_PAYMENT.name
        return call.respond(await pay_through_gateway(context, asked, key=call.key))
    return await call.ask(MAKE_PAYMENT, asked)


class PaymentReversal(Body):
    """That the money of a payment was taken back."""

    reason: Text
    effective_on: Day | None = None
    """When it was taken back: today if left out. Until then the payment counts."""


@ROUTER.post(
    "/loans/{loan_id}/payments/{payment_id}/reversal",
    response_model=PaymentView,
    responses=refusals(
        "loan_not_found",
        "payment_not_found",
        "payment_state_wrong",
        "reversal_before_payment",
        "date_invalid",
        "date_in_future",
        "date_too_old",
    ),
)
async def reverse_payment(
    call: Call, loan_id: str, payment_id: str, body: PaymentReversal
) -> Response:
    """Reverse a payment whose money was taken back, such as a cheque that bounced.

    What it paid is owed again, from the day on which it was taken back.
    """
    asked = ReversePayment(
        loan_id=path_id(LOAN_PREFIX, loan_id),
        payment_id=path_id(PAYMENT_PREFIX, payment_id),
        reason=body.reason,
        effective_on=body.effective_on,
    )
    return await call.ask(REVERSE_PAYMENT, asked)


class PaymentSettlement(Body):
    """What became of a payment that was pending."""

    status: Literal["paid", "failed"]
    reference: Annotated[Text, Field(max_length=255)] | None = None
    reason: Text | None = None


@ROUTER.post(
    "/loans/{loan_id}/payments/{payment_id}/settlement",
    response_model=PaymentView,
    responses=refusals("loan_not_found", "payment_not_found", "payment_state_wrong"),
)
async def settle_payment(
    call: Call, loan_id: str, payment_id: str, body: PaymentSettlement
) -> Response:
    """Say what became of a pending payment, as the gateway told or a person found out."""
    asked = SettlePayment(
        loan_id=path_id(LOAN_PREFIX, loan_id),
        payment_id=path_id(PAYMENT_PREFIX, payment_id),
        status=PaymentStatus(body.status),
        reference=body.reference,
        reason=body.reason,
    )
    return await call.ask(SETTLE_PAYMENT, asked)


@ROUTER.get(
    "/loans/{loan_id}/payments",
    response_model=ListOf[PaymentView],
    responses=refusals("loan_not_found"),
)
def list_payments(context: InContext, page: InPage, loan_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """List the payments on a loan, the newest first."""
    ident = path_id(LOAN_PREFIX, loan_id)
    with context.database.snapshot() as connection:
        loan = queries.find_loan(connection, ident)
        payments = queries.list_payments_of(connection, ident)
        found = queries.list_payments_page(
            connection, ident, before_id=page.after(PAYMENT_PREFIX), limit=page.limit + 1
        )
    if loan is None:
        raise Refused(Refusal("loan_not_found"))
    return page_of(found, page, _shower(loan, payments, context.clock.today()))


@ROUTER.get(
    "/loans/{loan_id}/payments/{payment_id}",
    response_model=PaymentView,
    responses=refusals("loan_not_found", "payment_not_found"),
)
def read_payment(context: InContext, loan_id: str, payment_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """Read one payment, and what became of it."""
    ident, wanted = path_id(LOAN_PREFIX, loan_id), path_id(PAYMENT_PREFIX, payment_id)
    with context.database.snapshot() as connection:
        loan = queries.find_loan(connection, ident)
        payments = queries.list_payments_of(connection, ident)
    if loan is None:
        raise Refused(Refusal("loan_not_found"))
    payment = next((each for each in payments if each.id == wanted), None)
    if payment is None:
        raise Refused(Refusal("payment_not_found"))
    return _shower(loan, payments, context.clock.today())(payment)


def _shower(
    loan: Loan, payments: Sequence[Payment], today: date
) -> Callable[[Payment], dict[str, Any]]:
    """Fold a loan's payments once, to show any of them by it."""
    _, allocations = allocate(loan.terms, schedule(loan.terms), payments, today)
    by_payment = {each.payment_id: each for each in allocations}
    return lambda payment: payment_view(loan, payment, payments, by_payment.get(payment.id))
