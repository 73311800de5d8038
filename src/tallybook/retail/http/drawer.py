"""Denominations, the drawer and its sessions over HTTP. Source: R1, R11."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from tallybook.kernel.money import format_amount, parse_positive_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.http.fields import (
    PIECES_MAX,
    PiecesIn,
    path_number,
    read_pieces_in,
    read_value,
    terms_of,
)
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.drawer import (
    CloseSession,
    CloseSessionOperation,
    MoveCash,
    MoveCashOperation,
    OpenSession,
    OpenSessionOperation,
    SetDenomination,
    SetDenominationOperation,
)
from tallybook.retail.queries import reads
from tallybook.retail.views.answers import (
    show_denomination,
    show_drawer,
    show_movement,
    show_session,
)
from tallybook.retail.views.shapes import (
    DenominationView,
    DrawerMovementView,
    DrawerSessionView,
    DrawerView,
)
from tallybook.wire.calls import Call
from tallybook.wire.context import InContext
from tallybook.wire.fields import Amount, Body, Count, Text
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("drawer")

PieceList = Annotated[list[PiecesIn], Field(max_length=PIECES_MAX)]


class Direction(StrEnum):
    """Which way cash moves."""

    IN = "in"
    OUT = "out"


class NewDenomination(Body):
    """A kind of note or coin, and how many are in the drawer."""

    value: Amount
    available_count: Count


class DenominationCount(Body):
    """How many pieces of a known value are in the drawer."""

    available_count: Count


class DrawerCount(Body):
    """A count of the whole drawer; a value that is left out has no pieces."""

    counts: PieceList


class NewMovement(Body):
    """Cash paid into the drawer or out of it."""

    direction: Annotated[Direction, Field(strict=False)]
    amount: Amount
    reason: Text
    pieces: PieceList | None = None


@lru_cache(maxsize=16)
def _set_denomination(terms: CounterTerms) -> SetDenominationOperation:
    return SetDenominationOperation(terms)


@lru_cache(maxsize=16)
def _open_session(terms: CounterTerms) -> OpenSessionOperation:
    return OpenSessionOperation(terms)


@lru_cache(maxsize=16)
def _move_cash(terms: CounterTerms) -> MoveCashOperation:
    return MoveCashOperation(terms)


@lru_cache(maxsize=16)
def _close_session(terms: CounterTerms) -> CloseSessionOperation:
    return CloseSessionOperation(terms)


@ROUTER.post(
    "/denominations",
    status_code=201,
    response_model=DenominationView,
    responses=refusals(
        "denomination_invalid",
        "denomination_taken",
        "denominations_too_many",
        "drawer_currency_differs",
    ),
)
async def create_denomination(call: Call, body: NewDenomination) -> Response:
    """Add a kind of note or coin to the drawer."""
    terms = terms_of(call.context)
    value_minor = read_value(body.value, terms.currency)
    return await call.ask(
        _set_denomination(terms),
        SetDenomination(value_minor, body.available_count, is_new=True),
    )


@ROUTER.put(
    "/denominations/{value}",
    response_model=DenominationView,
    responses=refusals("amount_invalid", "denomination_not_found", "drawer_currency_differs"),
)
async def set_denomination(call: Call, value: str, body: DenominationCount) -> Response:
    """Set how many pieces of a value are in the drawer; the difference came from the float."""
    terms = terms_of(call.context)
    return await call.ask(
        _set_denomination(terms),
        SetDenomination(_path_value(value, terms.currency), body.available_count, is_new=False),
    )


@ROUTER.get("/denominations", response_model=ListOf[DenominationView])
def list_denominations(context: InContext) -> Any:  # noqa: ANN401 - the response model tells
    """List the kinds of notes and coins, the largest first."""
    with context.database.snapshot() as connection:
        drawer = reads.find_drawer(connection)
        found = reads.list_denominations(connection)
    currency = drawer.currency if drawer else context.settings.currency
    shown = [show_denomination(item, currency) for item in reversed(found)]
    return {"data": shown, "has_more": False}


@ROUTER.get(
    "/denominations/{value}",
    response_model=DenominationView,
    responses=refusals("denomination_not_found"),
)
def read_denomination(context: InContext, value: str) -> Any:  # noqa: ANN401 - the response model tells
    """Read how many pieces of a value are known to be in the drawer."""
    with context.database.snapshot() as connection:
        drawer = reads.find_drawer(connection)
        found = reads.list_denominations(connection)
    currency = drawer.currency if drawer else context.settings.currency
    value_minor = _path_value(value, currency)
    for item in found:
        if item.value_minor == value_minor:
            return show_denomination(item, currency)
    raise Refused(Refusal("denomination_not_found"))


@ROUTER.get("/drawer", response_model=DrawerView)
def read_drawer(context: InContext) -> Any:  # noqa: ANN401 - the response model tells
    """Read what should be in the drawer."""
    with context.database.snapshot() as connection:
        drawer = reads.find_drawer(connection)
        pieces = reads.list_denominations(connection)
    if drawer is None:
        currency = context.settings.currency
        nothing = format_amount(0, currency)
        return {
            "currency": currency,
            "open_session_id": None,
            "counted": nothing,
            "uncounted": nothing,
            "total": nothing,
            "denominations": [],
            "last_receipt": 0,
        }
    return show_drawer(drawer, pieces)


@ROUTER.post(
    "/drawer-sessions",
    status_code=201,
    response_model=DrawerSessionView,
    responses=refusals(
        "denomination_invalid",
        "denomination_unknown",
        "drawer_session_open",
        "drawer_currency_differs",
    ),
)
async def open_drawer_session(call: Call, body: DrawerCount) -> Response:
    """Open a drawer session with a count."""
    terms = terms_of(call.context)
    counts = read_pieces_in(body.counts, terms.currency, "counts")
    return await call.ask(_open_session(terms), OpenSession(counts))


@ROUTER.post(
    "/drawer-sessions/{session_id}/movements",
    status_code=201,
    response_model=DrawerMovementView,
    responses=refusals(
        "drawer_session_not_found",
        "drawer_session_closed",
        "amount_invalid",
        "denomination_invalid",
        "denomination_unknown",
        "tender_mismatch",
        "drawer_insufficient",
        "drawer_currency_differs",
    ),
)
async def move_drawer_cash(call: Call, session_id: str, body: NewMovement) -> Response:
    """Pay cash into the drawer or out of it, and say why."""
    terms = terms_of(call.context)
    pieces = body.pieces
    return await call.ask(
        _move_cash(terms),
        MoveCash(
            path_number(session_id, "drawer_session_not_found"),
            parse_positive_amount(body.amount, terms.currency),
            body.direction is Direction.IN,
            None if pieces is None else read_pieces_in(pieces, terms.currency, "pieces"),
            body.reason,
        ),
    )


@ROUTER.post(
    "/drawer-sessions/{session_id}/close",
    response_model=DrawerSessionView,
    responses=refusals(
        "drawer_session_not_found",
        "drawer_session_closed",
        "denomination_invalid",
        "denomination_unknown",
        "drawer_currency_differs",
    ),
)
async def close_drawer_session(call: Call, session_id: str, body: DrawerCount) -> Response:
    """Close a drawer session with a blind count; tells what was expected, and over or short."""
    terms = terms_of(call.context)
    counts = read_pieces_in(body.counts, terms.currency, "counts")
    number = path_number(session_id, "drawer_session_not_found")
    return await call.ask(_close_session(terms), CloseSession(number, counts))


@ROUTER.get("/drawer-sessions", response_model=ListOf[DrawerSessionView])
def list_drawer_sessions(context: InContext, page: InPage) -> Any:  # noqa: ANN401 - the response model tells
    """List drawer sessions, the newest first."""
    with context.database.reader() as connection:
        found = reads.list_sessions(connection, before=page.after_number(), limit=page.limit + 1)
    return page_of(found, page, show_session)


@ROUTER.get(
    "/drawer-sessions/{session_id}",
    response_model=DrawerSessionView,
    responses=refusals("drawer_session_not_found"),
)
def read_drawer_session(context: InContext, session_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """Read a drawer session."""
    number = path_number(session_id, "drawer_session_not_found")
    with context.database.reader() as connection:
        session = reads.find_session(connection, number)
    if session is None:
        raise Refused(Refusal("drawer_session_not_found"))
    return show_session(session)


@ROUTER.get(
    "/drawer-sessions/{session_id}/movements",
    response_model=ListOf[DrawerMovementView],
    responses=refusals("drawer_session_not_found"),
)
def list_drawer_movements(context: InContext, page: InPage, session_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """List what moved a session's cash besides selling, the newest first."""
    number = path_number(session_id, "drawer_session_not_found")
    with context.database.reader() as connection:
        found = reads.list_movements(
            connection, number, before=page.after_number(), limit=page.limit + 1
        )
    return page_of(found, page, show_movement)


def _path_value(text: str, currency: str) -> int:
    try:
        return read_value(text, currency)
    except Refused:
        raise Refused(Refusal("denomination_not_found")) from None
