"""The daily run, the Processor's reports, operator items and customer credit over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Header, Query
from pydantic import Field
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tallybook.collection import queries
from tallybook.collection.operations.business import BUSINESSES, CreditUse
from tallybook.collection.operations.credits import BeginPayout
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.paying import pay_out_credit
from tallybook.collection.tasks.reading import read
from tallybook.collection.tasks.requests import request_report, request_run
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.views import (
    ITEM_PREFIX,
    REPORT_PREFIX,
    TRANSFER_PREFIX,
    CreditUseView,
    ItemView,
    PayoutView,
    ReportTakenView,
    ReportView,
    RunView,
    item_view,
    report_view,
    run_view,
)
from tallybook.customers.model import BankAccount
from tallybook.customers.queries import find_customer
from tallybook.customers.views import BANK_ACCOUNT_PREFIX, CUSTOMER_PREFIX
from tallybook.kernel.calendar import parse_date
from tallybook.kernel.ids import parse_id
from tallybook.kernel.money import parse_positive_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import Action, ItemKind
from tallybook.wire.calls import Call, CallRoute, body_id, path_id
from tallybook.wire.context import InContext
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import Amount, Body, CurrencyCode, Day, Ident, Text
from tallybook.wire.idempotency import HEADER, idempotency_key
from tallybook.wire.paging import InPage, ListOf, bad_cursor, page_of
from tallybook.wire.refusals import refusals
from tallybook.writer.model import Command

ROUTER = APIRouter(tags=["collection"], route_class=CallRoute)

REPORT_LIMIT = 256 * 1024 * 1024
"""How large a report file may be: a million rows and more. Units: bytes."""
REPORT_TYPES = ("text/csv", "text/plain", "application/octet-stream")
TRANSACTION_ID_MAX = 255


def _collecting(context: object) -> CollectionContext:
    """See the engine as collection does: the wire knows less of it than there is."""
    return cast("CollectionContext", context)


# -- runs --------------------------------------------------------------------------------------


class NewRun(Body):
    """Which business date to run."""

    business_date: Day | None = None
    """Today if left out. Dates that were missed before it are caught up first."""


@ROUTER.post(
    "/runs",
    status_code=201,
    response_model=RunView,
    responses={
        200: {"model": RunView, "description": "It was finished before; nothing was changed."},
        **refusals("run_out_of_order", "run_in_progress", "run_in_future", "date_invalid"),
    },
)
async def start_run(call: Call, body: NewRun | None = None) -> Response:
    """Run a business date: report, settle, re-plan, send. Answers once it is finished."""
    call.request.scope[COMMAND_IN_SCOPE] = "collection.run_day"
    day = body.business_date if body is not None else None
    return call.respond(await request_run(_collecting(call.context), day, key=call.key))


@ROUTER.get("/runs", response_model=ListOf[RunView])
def list_runs(context: InContext, page: InPage) -> Any:  # noqa: ANN401 - the response model tells
    """List runs, the newest date first."""
    before = None if page.starting_after is None else _day(page.starting_after)
    with context.database.reader() as connection:
        found = queries.list_runs(connection, before=before, limit=page.limit + 1)
    return page_of(found, page, run_view)


def _day(text: str) -> date:
    day = parse_date(text)
    if day is None:
        raise bad_cursor("it is not a date")
    return day


# -- reports -----------------------------------------------------------------------------------

_REPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "description": "A report file; without one the Processor's own is downloaded.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in REPORT_TYPES
        },
    }
}


@ROUTER.post(
    "/processor-reports",
    status_code=201,
    response_model=ReportTakenView,
    responses={
        200: {"model": ReportTakenView, "description": "This report of that day was taken before."},
        **refusals(
            "processor_unavailable",
            "report_unreadable",
            "date_invalid",
            "date_in_future",
            "body_too_large",
            "body_too_slow",
            "content_type_unsupported",
            "key_invalid",
            "key_reused_with_other_input",
            "outcome_unknown",
            "shutting_down",
        ),
    },
    openapi_extra=_REPORT_BODY,
)
async def take_processor_report(
    context: InContext,
    request: Request,
    report_on: Annotated[
        Day | None, Query(description="The date it was taken on; today if left out.")
    ] = None,
    key: Annotated[str | None, Header(alias=HEADER, description="As for every POST.")] = None,
) -> Response:
    """Take a report in now and settle with it: a file, or with an empty body the Processor's."""
    del key  # read with the same strictness as everywhere, below
    call = Call(context, idempotency_key(request.headers), request)
    request.scope[COMMAND_IN_SCOPE] = "collection.take_report"
    raw = await call.read(*REPORT_TYPES, limit=REPORT_LIMIT)
    outcome = await request_report(
        _collecting(context), _given(request, raw), report_on, key=call.key
    )
    return call.respond(outcome)


def _given(request: Request, raw: bytes) -> bytes | None:
    """Tell a file that is empty from no file: whoever names a type sends a file."""
    return raw if raw or "content-type" in request.headers else None


@ROUTER.get("/processor-reports", response_model=ListOf[ReportView])
def list_processor_reports(context: InContext, page: InPage) -> Any:  # noqa: ANN401 - the response model tells
    """List the reports that were taken in, the newest date first."""
    after = page.after(REPORT_PREFIX)
    with context.database.snapshot() as connection:
        before = None
        if after is not None:
            report_on = queries.find_report_day(connection, after)
            if report_on is None:
                raise bad_cursor("no report has this id")
            before = report_on, after
        found = queries.list_reports(connection, before=before, limit=page.limit + 1)
    return page_of(found, page, report_view)


# -- operator items ----------------------------------------------------------------------------


class Resolution(Body):
    """What a person rules about an item, and why."""

    action: Annotated[Action, Field(strict=False)]
    reason: Text
    transfer_id: Ident | None = None
    """For an orphan: the unknown transfer that it turns out to be."""
    transaction_id: (
        Annotated[
            str, Field(min_length=1, max_length=TRANSACTION_ID_MAX, pattern=r"^[ -~]*[!-~][ -~]*$")
        ]
        | None
    ) = None
    """For an unknown transfer: the id that the Processor knows it by."""
    by: Annotated[Text, Field(max_length=100)] = "operator"


@ROUTER.get("/operator-items", response_model=ListOf[ItemView])
def list_operator_items(
    context: InContext,
    page: InPage,
    status: Literal["open", "resolved"] | None = None,
    kind: ItemKind | None = None,
) -> Any:  # noqa: ANN401 - the response model tells
    """List what waits for a person and what was ruled, the newest first."""
    with context.database.reader() as connection:
        found = queries.list_items(
            connection,
            is_open=None if status is None else status == "open",
            kind=kind,
            before_id=page.after(ITEM_PREFIX),
            limit=page.limit + 1,
        )
    return page_of(found, page, item_view)


_PAYOUT = {
    201: {"model": PayoutView, "description": "A refund: the payout that it began."},
    202: {
        "model": PayoutView,
        "description": "A payout of which nobody knows whether it was executed.",
    },
}


@ROUTER.post(
    "/operator-items/{item_id}/resolution",
    response_model=ItemView,
    responses={
        **_PAYOUT,
        **refusals(
            "operator_item_not_found",
            "operator_item_resolved",
            "action_not_allowed",
            "transfer_needed",
            "transaction_id_taken",
            "advance_state_wrong",
            "credit_insufficient",
            "processor_rejected",
        ),
    },
)
async def resolve_operator_item(call: Call, item_id: str, body: Resolution) -> Response:
    """Rule on an item: one of the actions that it lists."""
    transfer_id = None
    if body.transfer_id is not None:
        transfer_id = body_id(
            TRANSFER_PREFIX, body.transfer_id, param="transfer_id", code="transfer_needed"
        )
    ruling = Ruling(
        item_id=path_id(ITEM_PREFIX, item_id),
        action=body.action,
        reason=body.reason,
        by=body.by,
        transfer_id=transfer_id,
        transaction_id=body.transaction_id,
    )
    call.request.scope[COMMAND_IN_SCOPE] = "collection.resolve_item"
    return call.respond(await resolve_item(_collecting(call.context), ruling, key=call.key))


# -- customer credit ---------------------------------------------------------------------------


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
    ),
)
async def apply_customer_credit(call: Call, customer_id: str, body: CreditApplication) -> Response:
    """Use a customer's credit for something that they owe."""
    context = _collecting(call.context)
    customer = path_id(CUSTOMER_PREFIX, customer_id)
    currency = body.currency or context.currency
    asked = CreditUse(
        customer_id=customer,
        subject_id=body.subject_id,
        amount_minor=parse_positive_amount(body.amount, currency),
        currency=currency,
        reason=body.reason,
    )
    await read(context, _existing(customer))
    command = _application(asked)
    return await call.ask(command.operation, command.input)


def _application(asked: CreditUse) -> Command:
    """Find the business whose subject it is. Raises: Refused `subject_not_found`."""
    for business in BUSINESSES.all.values():
        command = business.credit_application(asked)
        if command is not None:
            return command
    raise Refused(Refusal("subject_not_found", param="subject_id"))


@ROUTER.post(
    "/customers/{customer_id}/credit-payouts",
    status_code=201,
    response_model=PayoutView,
    responses={
        202: _PAYOUT[202],
        **refusals(
            "customer_not_found",
            "bank_account_not_found",
            "amount_invalid",
            "currency_unknown",
            "currency_not_served",
            "credit_insufficient",
            "processor_rejected",
        ),
    },
)
async def pay_out_customer_credit(call: Call, customer_id: str, body: CreditPayout) -> Response:
    """Pay a customer's credit out to one of their accounts."""
    context = _collecting(call.context)
    customer = path_id(CUSTOMER_PREFIX, customer_id)
    currency = body.currency or context.currency
    amount_minor = parse_positive_amount(body.amount, currency)
    if currency != context.currency:
        details = {"served": context.currency}
        raise Refused(Refusal("currency_not_served", param="currency", details=details))
    account = await read(context, _account_of(customer, body.bank_account_id))
    asked = BeginPayout(
        customer_id=customer,
        account_id=account.id,
        amount_minor=amount_minor,
        currency=currency,
        reason=body.reason,
        by=body.by,
        number_sealed=account.number_sealed,
    )
    call.request.scope[COMMAND_IN_SCOPE] = "collection.credit_payout"
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
