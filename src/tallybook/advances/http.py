"""Advances over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from tallybook.advances import queries
from tallybook.advances.model import AdvanceStatus
from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.operations.rulings import (
    CANCEL_ADVANCE,
    RESUME_ADVANCE,
    WRITE_OFF_ADVANCE,
    RuleAdvance,
)
from tallybook.advances.queries import WholeAdvance
from tallybook.advances.rules import (
    INSTALLMENTS_DEFAULT,
    INSTALLMENTS_MAX,
    INTERVAL_DAYS_DEFAULT,
    INTERVAL_DAYS_MAX,
)
from tallybook.advances.tasks.perform import AdvanceContext, perform_advance
from tallybook.advances.views import ADVANCE_PREFIX, AdvanceView, advance_view
from tallybook.collection.model import PlanStatus
from tallybook.collection.rules import plan_rows
from tallybook.customers.operations import number_hash
from tallybook.customers.views import CUSTOMER_PREFIX
from tallybook.kernel.money import parse_amount, parse_positive_amount, said_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.calls import Call, path_id, query_id
from tallybook.wire.context import InContext
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import Amount, Body, CurrencyCode, Day, Text
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("advances")

NUMBER_CHARACTERS_MAX = 200

_OUTCOMES: dict[int | str, dict[str, Any]] = {
    202: {
        "model": AdvanceView,
        "description": "Nobody knows whether it was paid out. `transaction_id` is null; an operator"
        " item waits for a person, and GET tells when it is known.",
    },
    **refusals(
        "bank_account_not_found",
        "customer_not_found",
        "customer_not_eligible",
        "amount_invalid",
        "currency_unknown",
        "currency_not_served",
        "advance_too_small",
        "date_invalid",
        "date_in_future",
        "date_too_old",
        "processor_rejected",
        "sending_stopped",
        "call_unrecorded",
    ),
}


class NewAdvance(Body):
    """An advance to be paid out at once and collected in installments."""

    dst_bank_account: Annotated[str, Field(max_length=NUMBER_CHARACTERS_MAX, repr=False)]
    """A customer's account, with or without spaces and hyphens."""
    amount: Amount
    currency: CurrencyCode | None = None
    installments: Annotated[int, Field(ge=1, le=INSTALLMENTS_MAX)] = INSTALLMENTS_DEFAULT
    interval_days: Annotated[int, Field(ge=1, le=INTERVAL_DAYS_MAX)] = INTERVAL_DAYS_DEFAULT
    fee: Amount = 0
    effective_on: Day | None = None
    """The day of the advance, today if left out, at most seven days back."""


class AdvanceRuling(Body):
    """What a person decides about an advance, and why."""

    reason: Text
    by: Annotated[Text, Field(max_length=100)] = "operator"


class AdvanceCancellation(AdvanceRuling):
    """That nothing more is to be collected by debits."""

    forgive: bool = False
    """Whether what is still owed is given up; else it stays owed."""


@ROUTER.post("/advances", status_code=201, response_model=AdvanceView, responses=_OUTCOMES)
async def create_advance(call: Call, body: NewAdvance) -> Response:
    """Pay an advance out; the Processor's `transaction_id` comes back with the plan."""
    return await _perform(call, body)


@ROUTER.post("/perform_advance", status_code=201, response_model=AdvanceView, responses=_OUTCOMES)
async def perform(call: Call, body: NewAdvance) -> Response:
    """Do the same under its other name: a key is good for both."""
    return await _perform(call, body)


async def _perform(call: Call, body: NewAdvance) -> Response:
    context = cast("AdvanceContext", call.context)
    call.scope[COMMAND_IN_SCOPE] = "advances.perform_advance"
    currency = body.currency or context.currency
    number_hash = _hash_of(body.dst_bank_account, context)
    amount_minor = parse_positive_amount(body.amount, currency)
    fee_minor = _fee(body.fee, currency)
    asked = BeginAdvance(
        number_hash=number_hash,
        amount_minor=amount_minor,
        currency=currency,
        installments=body.installments,
        interval_days=body.interval_days,
        fee_minor=fee_minor,
        effective_on=body.effective_on,
        said=(
            said_amount(amount_minor, currency),
            body.currency,
            said_amount(fee_minor, currency),
        ),
    )
    return call.respond(await perform_advance(context, asked, key=call.key))


def _hash_of(number: str, context: AdvanceContext) -> str:
    """Hash the number as accounts are found by; one that can't be a number is nobody's.

    Raises: Refused `bank_account_not_found`.
    """
    try:
        return number_hash(number, context.secrets)
    except Refused:
        raise Refused(Refusal("bank_account_not_found", param="dst_bank_account")) from None


def _fee(fee: Amount, currency: str) -> int:
    """Read a fee: zero or more. Raises: Refused `amount_invalid`."""
    minor = parse_amount(fee, currency, param="fee")
    if minor < 0:
        raise Refused(Refusal("amount_invalid", param="fee"))
    return minor


# -- reads -------------------------------------------------------------------------------------


@ROUTER.get("/advances", response_model=ListOf[AdvanceView])
def list_advances(
    context: InContext,
    page: InPage,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    status: AdvanceStatus | None = None,
) -> Any:  # noqa: ANN401 - the response model tells
    """List advances with their plans, the newest first."""
    customer = query_id(CUSTOMER_PREFIX, customer_id, param="customer_id")
    with context.database.snapshot() as connection:
        found = queries.list_whole_advances(
            connection,
            customer_id=customer,
            status=status,
            before_id=page.after(ADVANCE_PREFIX),
            limit=page.limit + 1,
        )
    return page_of(found, page, _show)


@ROUTER.get(
    "/advances/{advance_id}",
    response_model=AdvanceView,
    responses=refusals("advance_not_found"),
)
def read_advance(context: InContext, advance_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """Read an advance with its plan and what became of each attempt."""
    ident = path_id(ADVANCE_PREFIX, advance_id)
    with context.database.snapshot() as connection:
        whole = queries.find_advance(connection, ident)
    if whole is None:
        raise Refused(Refusal("advance_not_found"))
    return _show(whole)


def _show(whole: WholeAdvance) -> dict[str, Any]:
    """Show an advance; a plan that is not laid out yet is shown as it will be."""
    rows = whole.rows
    if not rows and whole.plan.status is PlanStatus.PENDING:
        rows = plan_rows(whole.plan, whole.advance.installments_count, None)
    return advance_view(whole.advance, whole.plan, rows, whole.transfers)


# -- rulings -----------------------------------------------------------------------------------

_RULED = refusals("advance_not_found", "advance_state_wrong")


@ROUTER.post("/advances/{advance_id}/cancellation", response_model=AdvanceView, responses=_RULED)
async def cancel_advance(call: Call, advance_id: str, body: AdvanceCancellation) -> Response:
    """Withdraw what is unsent; the rest is forgiven, or stays owed."""
    asked = RuleAdvance(
        path_id(ADVANCE_PREFIX, advance_id), body.reason, forgive=body.forgive, by=body.by
    )
    return await call.ask(CANCEL_ADVANCE, asked)


@ROUTER.post("/advances/{advance_id}/resumption", response_model=AdvanceView, responses=_RULED)
async def resume_advance(call: Call, advance_id: str, body: AdvanceRuling) -> Response:
    """Let an advance in default be collected again."""
    asked = RuleAdvance(path_id(ADVANCE_PREFIX, advance_id), body.reason, by=body.by)
    return await call.ask(RESUME_ADVANCE, asked)


@ROUTER.post("/advances/{advance_id}/write-off", response_model=AdvanceView, responses=_RULED)
async def write_off_advance(call: Call, advance_id: str, body: AdvanceRuling) -> Response:
    """Give up what is owed; what still comes in is a recovery."""
    asked = RuleAdvance(path_id(ADVANCE_PREFIX, advance_id), body.reason, by=body.by)
    return await call.ask(WRITE_OFF_ADVANCE, asked)
