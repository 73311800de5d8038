"""Customer credit, used or paid out, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from tallybook.collection import queries
from tallybook.collection.http.routes import PAYOUT_RESPONSES, collecting
from tallybook.collection.operations.applying import APPLY_CREDIT
from tallybook.collection.operations.business import CreditUse
from tallybook.collection.operations.credits import BeginPayout
from tallybook.collection.tasks.paying import pay_out_credit
from tallybook.collection.tasks.reading import read
from tallybook.collection.views import CreditUseView, PayoutView
from tallybook.customers.model import BankAccount
from tallybook.customers.queries import find_customer
from tallybook.customers.views import BANK_ACCOUNT_PREFIX, CUSTOMER_PREFIX
from tallybook.kernel.ids import parse_id
from tallybook.kernel.money import parse_positive_amount, said_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.calls import Call, path_id
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import Amount, Body, CurrencyCode, Ident, Text
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("collection")


class CreditApplication(Body):
    """Credit to be used for something owed."""

    amount: Amount
    currency: CurrencyCode | None = None
    subject_id: Ident | None = None
    """What is owed, such as an advance; the oldest one if left out."""
    reason: Text


class CreditPayout(Body):
    """Credit to be paid out."""

    amount: Amount
    currency: CurrencyCode | None = None
    bank_account_id: Ident | None = None
    """One of the customer's accounts; the oldest one if left out."""
    reason: Text
    by: Annotated[Text, Field(max_length=100)] = "operator"


@ROUTER.post(
    "/customers/{customer_id}/credit-applications",
    status_code=201,
    response_model=CreditUseView,
    responses=refusals(
        "customer_not_found",
        "amount_invalid",
        "currency_unknown",
        "subject_not_found",
        "subject_owes_less",
        "credit_insufficient",
        "payment_amount_mismatch",
        "installment_reserved",
    ),
)
async def apply_customer_credit(call: Call, customer_id: str, body: CreditApplication) -> Response:
    """Use a customer's credit for something that they owe."""
    context = collecting(call.context)
    customer = path_id(CUSTOMER_PREFIX, customer_id)
    currency = body.currency or context.currency
    amount_minor = parse_positive_amount(body.amount, currency)
    asked = CreditUse(
        customer_id=customer,
        subject_id=body.subject_id,
        amount_minor=amount_minor,
        currency=currency,
        reason=body.reason,
        said=(said_amount(amount_minor, currency), body.currency),
    )
    await read(context, _existing(customer))
    return await call.ask(APPLY_CREDIT, asked)


@ROUTER.post(
    "/customers/{customer_id}/credit-payouts",
    status_code=201,
    response_model=PayoutView,
    responses={
        202: PAYOUT_RESPONSES[202],
        **refusals(
            "customer_not_found",
            "bank_account_not_found",
            "amount_invalid",
            "currency_unknown",
            "currency_not_served",
            "credit_insufficient",
            "processor_rejected",
            "sending_stopped",
            "call_unrecorded",
        ),
    },
)
async def pay_out_customer_credit(call: Call, customer_id: str, body: CreditPayout) -> Response:
    """Pay a customer's credit out to one of their accounts."""
    context = collecting(call.context)
    customer = path_id(CUSTOMER_PREFIX, customer_id)
    currency = body.currency or context.currency
    amount_minor = parse_positive_amount(body.amount, currency)
    account = await read(context, _account_of(customer, body.bank_account_id))
    asked = BeginPayout(
        customer_id=customer,
        account_id=account.id,
        amount_minor=amount_minor,
        currency=currency,
        reason=body.reason,
        by=body.by,
        number_sealed=account.number_sealed,
        served=context.currency,
        said=(said_amount(amount_minor, currency), body.currency),
    )
    call.scope[COMMAND_IN_SCOPE] = "collection.credit_payout"
    return call.respond(await pay_out_credit(context, asked, key=call.key))


def _existing(customer_id: str) -> Callable[[Connection], None]:
    """See that a customer exists. Raises: Refused `customer_not_found`."""

    def load(connection: Connection) -> None:
        if find_customer(connection, customer_id) is None:
            raise Refused(Refusal("customer_not_found"))

    return load


def _account_of(customer_id: str, named: str | None) -> Callable[[Connection], BankAccount]:
    """Find the account to pay to. Raises: Refused `customer_not_found`, `bank_account_not_found`.

    Accounts are never taken away, and the oldest stays the oldest: a copy of the request finds the
    same one.
    """

    def load(connection: Connection) -> BankAccount:
        _existing(customer_id)(connection)
        account_id = None if named is None else parse_id(BANK_ACCOUNT_PREFIX, named)
        account = None
        if named is None or account_id is not None:
            account = queries.find_account_of(connection, customer_id, account_id)
        if account is None:
            raise Refused(Refusal("bank_account_not_found", param="bank_account_id"))
        return account

    return load
