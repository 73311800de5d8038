"""Loans over HTTP: made, listed, and looked at on any date."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from tallybook.customers.queries import find_customer
from tallybook.customers.views import BANK_ACCOUNT_PREFIX, CUSTOMER_PREFIX
from tallybook.kernel.money import parse_positive_amount, said_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.loans import queries
from tallybook.loans.http.fields import AsOf, Rate, day_of, known, lending
from tallybook.loans.model import Collection, Interval, LoanStatus, PaymentPolicy
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.operations.ruling import WRITE_OFF_LOAN, WriteOffLoan
from tallybook.loans.rules.paying import LoanOn
from tallybook.loans.rules.terms import (
    DELINQUENT_AFTER_MAX,
    INSTALLMENTS_MAX,
    ROUNDING_UNIT_MAX,
    clean_reference,
    read_rate,
)
from tallybook.loans.views import (
    LOAN_PREFIX,
    CustomerDelinquencyView,
    CustomerOutstandingView,
    DelinquencyView,
    LoanSummaryView,
    LoanView,
    OutstandingView,
    ScheduleView,
    customer_delinquency_view,
    customer_outstanding_view,
    delinquency_view,
    loan_summary,
    loan_view,
    outstanding_view,
    schedule_view,
)
from tallybook.wire.calls import Call, body_id, path_id, query_id
from tallybook.wire.context import InContext
from tallybook.wire.fields import Amount, Body, CurrencyCode, Day, Ident, Text
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("loans")

_READ = refusals("loan_not_found", "date_invalid")
_OF_CUSTOMER = refusals("customer_not_found", "date_invalid")


class NewLoan(Body):
    """A loan to be paid out and repaid in installments, with flat interest for the term."""

    customer_id: Ident
    principal: Amount
    interest_rate: Rate
    installments: Annotated[int, Field(ge=1, le=INSTALLMENTS_MAX)]
    interval: Annotated[Interval, Field(strict=False)] = Interval.WEEKLY
    start_on: Day | None = None
    """Today if left out; rows are due so many intervals later."""
    currency: CurrencyCode | None = None
    rounding_unit: Annotated[int, Field(ge=1, le=ROUNDING_UNIT_MAX)] = 1
    """Rows are whole units of so many minor units; what is left sits on the last."""
    payment_policy: Annotated[PaymentPolicy, Field(strict=False)] | None = None
    """`exact`: each payment is one row. `flexible`: any amount. The setting if left out."""
    delinquent_after: Annotated[int, Field(ge=1, le=DELINQUENT_AFTER_MAX)] | None = None
    """How many consecutive missed rows make it delinquent. The setting if left out."""
    collection: Annotated[Collection, Field(strict=False)] = Collection.CUSTOMER_PAYS
    bank_account_id: Ident | None = None
    """Where `auto_debit` collects from; the customer's oldest account if left out."""
    reference: Text | None = None
    """Your own number of the loan, up to 64 characters. No two loans have the same."""


@ROUTER.post(
    "/loans",
    status_code=201,
    response_model=LoanView,
    responses=refusals(
        "customer_not_found",
        "customer_not_eligible",
        "bank_account_not_found",
        "amount_invalid",
        "interest_rate_invalid",
        "currency_unknown",
        "currency_not_served",
        "date_invalid",
        "date_in_future",
        "loan_reference_taken",
        "loan_too_small",
        "loan_too_long",
    ),
)
async def create_loan(call: Call, body: NewLoan) -> Response:
    """Make a loan; its schedule comes back."""
    context = lending(call.context)
    served = context.settings.currency
    currency = body.currency or served
    account = body.bank_account_id
    customer_id = body_id(
        CUSTOMER_PREFIX, body.customer_id, param="customer_id", code="customer_not_found"
    )
    principal_minor = parse_positive_amount(body.principal, currency, param="principal")
    asked = CreateLoan(
        customer_id=customer_id,
        principal_minor=principal_minor,
        interest_rate=read_rate(body.interest_rate),
        installments=body.installments,
        currency=currency,
        interval=body.interval,
        start_on=body.start_on,
        rounding_unit=body.rounding_unit,
        payment_policy=body.payment_policy or context.loan_terms.payment_policy,
        delinquent_after=body.delinquent_after or context.loan_terms.delinquent_after,
        collection=body.collection,
        bank_account_id=None
        if account is None
        else body_id(
            BANK_ACCOUNT_PREFIX, account, param="bank_account_id", code="bank_account_not_found"
        ),
        reference=None if body.reference is None else clean_reference(body.reference),
        hold_days=context.loan_terms.hold_days,
        served=served if body.collection is Collection.AUTO_DEBIT else None,
        said=(
            said_amount(principal_minor, currency),
            body.currency,
            body.payment_policy,
            body.delinquent_after,
        ),
    )
    return await call.ask(CREATE_LOAN, asked)


class LoanWriteOff(Body):
    """That what is owed on a loan is given up, and why."""

    reason: Text
    by: Annotated[Text, Field(max_length=100)] = "operator"


@ROUTER.post(
    "/loans/{loan_id}/write-off",
    response_model=LoanView,
    responses=refusals("loan_not_found", "loan_state_wrong"),
)
async def write_off_loan(call: Call, loan_id: str, body: LoanWriteOff) -> Response:
    """Give up what is owed; what still comes in is a recovery."""
    asked = WriteOffLoan(path_id(LOAN_PREFIX, loan_id), body.reason, by=body.by)
    return await call.ask(WRITE_OFF_LOAN, asked)


# -- reads -------------------------------------------------------------------------------------


@ROUTER.get("/loans", response_model=ListOf[LoanSummaryView])
def list_loans(
    context: InContext,
    page: InPage,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    status: LoanStatus | None = None,
    as_of: AsOf = None,
) -> Any:  # noqa: ANN401 - the response model tells
    """List loans, the newest first; `status` is today's, the rest as of the date."""
    day = day_of(context, as_of)
    with context.database.snapshot() as connection:
        found = queries.list_loans_page(
            connection,
            day,
            customer_id=query_id(CUSTOMER_PREFIX, customer_id, param="customer_id"),
            status=status,
            before_id=page.after(LOAN_PREFIX),
            limit=page.limit + 1,
        )
    return page_of(found, page, lambda each: loan_summary(each.loan, each.coverage, day))


@ROUTER.get("/loans/{loan_id}", response_model=LoanView, responses=_READ)
def read_loan(context: InContext, loan_id: str, as_of: AsOf = None) -> Any:  # noqa: ANN401 - the response model tells
    """Read a loan with its schedule, as of a date."""
    day, ident = day_of(context, as_of), path_id(LOAN_PREFIX, loan_id)
    with context.database.snapshot() as connection:
        loan = queries.find_loan(connection, ident)
        payments = queries.list_payments_of(connection, ident)
    if loan is None:
        raise Refused(Refusal("loan_not_found"))
    return loan_view(loan, payments, day)


@ROUTER.get("/loans/{loan_id}/schedule", response_model=ScheduleView, responses=_READ)
def read_schedule(context: InContext, loan_id: str, as_of: AsOf = None) -> Any:  # noqa: ANN401 - the response model tells
    """Read what is to be paid when, and what was paid by a date."""
    day, ident = day_of(context, as_of), path_id(LOAN_PREFIX, loan_id)
    with context.database.snapshot() as connection:
        loan = queries.find_loan(connection, ident)
        payments = queries.list_payments_of(connection, ident)
    if loan is None:
        raise Refused(Refusal("loan_not_found"))
    return {"as_of": day, "data": schedule_view(loan, payments, day)}


@ROUTER.get("/loans/{loan_id}/outstanding", response_model=OutstandingView, responses=_READ)
def read_outstanding(context: InContext, loan_id: str, as_of: AsOf = None) -> Any:  # noqa: ANN401 - the response model tells
    """Read what is owed on a loan, as of a date."""
    day, ident = day_of(context, as_of), path_id(LOAN_PREFIX, loan_id)
    with context.database.reader() as connection:
        found = known(queries.find_loan_on(connection, ident, day))
    return outstanding_view(found.loan, found.coverage, day)


@ROUTER.get("/loans/{loan_id}/delinquency", response_model=DelinquencyView, responses=_READ)
def read_delinquency(context: InContext, loan_id: str, as_of: AsOf = None) -> Any:  # noqa: ANN401 - the response model tells
    """Tell whether a loan is delinquent, as of a date."""
    day, ident = day_of(context, as_of), path_id(LOAN_PREFIX, loan_id)
    with context.database.reader() as connection:
        found = known(queries.find_loan_on(connection, ident, day))
    return delinquency_view(found.loan, found.delinquency, day)


@ROUTER.get(
    "/customers/{customer_id}/outstanding",
    response_model=CustomerOutstandingView,
    responses=_OF_CUSTOMER,
)
def read_customer_outstanding(context: InContext, customer_id: str, as_of: AsOf = None) -> Any:  # noqa: ANN401 - the response model tells
    """Read what a customer owes on all loans, as of a date: 0 without loans."""
    day, found = day_of(context, as_of), _loans_of(context, customer_id, as_of)
    return customer_outstanding_view(found, context.settings.currency, day)


@ROUTER.get(
    "/customers/{customer_id}/delinquency",
    response_model=CustomerDelinquencyView,
    responses=_OF_CUSTOMER,
)
def read_customer_delinquency(context: InContext, customer_id: str, as_of: AsOf = None) -> Any:  # noqa: ANN401 - the response model tells
    """Tell whether any of a customer's loans is delinquent, as of a date."""
    day, found = day_of(context, as_of), _loans_of(context, customer_id, as_of)
    return customer_delinquency_view(found, day)


def _loans_of(context: InContext, customer_id: str, as_of: AsOf) -> list[LoanOn]:
    """List a customer's loans on a date. Raises: Refused `customer_not_found`."""
    ident = path_id(CUSTOMER_PREFIX, customer_id)
    with context.database.snapshot() as connection:
        if find_customer(connection, ident) is None:
            raise Refused(Refusal("customer_not_found"))
        return queries.list_loans_of(connection, ident, day_of(context, as_of))
