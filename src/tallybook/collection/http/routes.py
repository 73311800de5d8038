"""The daily run, the Processor's reports and operator items over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, cast

from fastapi import Query
from pydantic import Field, StringConstraints
from starlette.responses import Response

from tallybook.collection import queries
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.requests import request_report, request_run
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.views import (
    ITEM_PREFIX,
    REPORT_PREFIX,
    TRANSFER_PREFIX,
    ItemView,
    PayoutView,
    ReportTakenView,
    ReportView,
    RunView,
    item_view,
    report_view,
    run_view,
)
from tallybook.kernel.calendar import parse_date
from tallybook.kernel.ids import parse_id
from tallybook.processor.model import Action, ItemKind
from tallybook.processor.queries import find_report_day
from tallybook.wire.calls import Call, body_id, path_id
from tallybook.wire.context import InContext
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import Body, Day, Ident, Text
from tallybook.wire.paging import InPage, ListOf, bad_cursor, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("collection")

REPORT_LIMIT = 256 * 1024 * 1024
"""How large a report file may be: a million rows and more. Units: bytes."""
REPORT_TYPES = ("text/csv", "text/plain", "application/octet-stream")
TRANSACTION_ID_MAX = 255


def collecting(context: object) -> CollectionContext:
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
    call.scope[COMMAND_IN_SCOPE] = "collection.run_day"
    day = body.business_date if body is not None else None
    return call.respond(await request_run(collecting(call.context), day, key=call.key))


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
            "report_file_needed",
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
    call: Call,
    report_on: Annotated[
        Day | None, Query(description="The date it was taken on; today if left out.")
    ] = None,
) -> Response:
    """Take a report in now and settle with it: a file, or with an empty body the Processor's."""
    call.scope[COMMAND_IN_SCOPE] = "collection.take_report"
    raw = await call.read(*REPORT_TYPES, limit=REPORT_LIMIT)
    context = collecting(call.context)
    outcome = await request_report(context, _given(call, raw), report_on, key=call.key)
    return call.respond(outcome)


def _given(call: Call, raw: bytes) -> bytes | None:
    """Tell a file that is empty from no file: whoever names a type sends a file."""
    return raw if raw or b"content-type" in call.headers else None


@ROUTER.get("/processor-reports", response_model=ListOf[ReportView])
def list_processor_reports(context: InContext, page: InPage) -> Any:  # noqa: ANN401 - the response model tells
    """List the reports that were taken in, the newest date first."""
    after = page.after(REPORT_PREFIX)
    with context.database.snapshot() as connection:
        before = None
        if after is not None:
            report_on = find_report_day(connection, after)
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
            str,
            StringConstraints(strip_whitespace=True),
            Field(min_length=1, max_length=TRANSACTION_ID_MAX, pattern=r"^[ -~]*[!-~][ -~]*$"),
        ]
        | None
    ) = None
    """For an unknown transfer: the id that the Processor knows it by."""
    subject_id: Ident | None = None
    """For an orphan to be adopted: the advance whose row it collected."""
    number: Annotated[int, Field(ge=1, le=10**6)] | None = None
    """For an orphan to be adopted: the number of that row."""
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


PAYOUT_RESPONSES = {
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
        **PAYOUT_RESPONSES,
        **refusals(
            "operator_item_not_found",
            "operator_item_resolved",
            "action_not_allowed",
            "transfer_needed",
            "transaction_id_taken",
            "row_not_open",
            "sending_stopped",
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
        subject_id=_subject(body.subject_id),
        number=body.number,
    )
    call.scope[COMMAND_IN_SCOPE] = "collection.resolve_item"
    return call.respond(await resolve_item(collecting(call.context), ruling, key=call.key))


def _subject(text: str | None) -> str | None:
    """Read a subject's id, whatever it is prefixed with; nonsense is nobody's."""
    if text is None:
        return None
    prefix, _, _ = text.partition("_")
    return parse_id(prefix, text)
