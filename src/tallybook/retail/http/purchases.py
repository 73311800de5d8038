"""Purchases, receipts and refunds over HTTP. Source: R2, R8, R9."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from tallybook.customers.rules import clean_email, fold_email
from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.http.fields import (
    LINES_MAX,
    PIECES_MAX,
    ItemIn,
    PiecesIn,
    path_number,
    read_pieces_in,
    terms_of,
)
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.purchases import RecordPurchase, RecordPurchaseOperation
from tallybook.retail.operations.refunds import GiveRefund, GiveRefundOperation
from tallybook.retail.queries import reads
from tallybook.retail.rules.basket import merge_lines
from tallybook.retail.views.answers import show_purchase, show_refund
from tallybook.retail.views.receipts import receipt_html, receipt_text
from tallybook.retail.views.shapes import PurchaseView, RefundView
from tallybook.wire.calls import Call
from tallybook.wire.context import Context, InContext
from tallybook.wire.fields import Amount, Body, Text
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("purchases")

_RECEIPT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class NewPurchase(Body):
    """A basket and what was paid for it."""

    customer_email: Annotated[str, Field(max_length=1_000)] | None = None
    items: Annotated[list[ItemIn], Field(min_length=1, max_length=LINES_MAX)]
    paid_amount: Amount
    tendered: Annotated[list[PiecesIn], Field(max_length=PIECES_MAX)] | None = None


class NewRefund(Body):
    """What of a purchase is given back; without items all that is left of it."""

    reason: Text
    items: Annotated[list[ItemIn], Field(min_length=1, max_length=LINES_MAX)] | None = None
    restock: bool = False


@lru_cache(maxsize=16)
def _record_purchase(terms: CounterTerms) -> RecordPurchaseOperation:
    return RecordPurchaseOperation(terms)


@lru_cache(maxsize=16)
def _give_refund(terms: CounterTerms) -> GiveRefundOperation:
    return GiveRefundOperation(terms)


@ROUTER.post(
    "/purchases",
    status_code=201,
    response_model=PurchaseView,
    responses=refusals(
        "email_invalid",
        "amount_invalid",
        "product_not_found",
        "product_retired",
        "stock_insufficient",
        "purchase_too_large",
        "denomination_invalid",
        "denomination_unknown",
        "tender_mismatch",
        "payment_insufficient",
        "change_impossible",
        "drawer_currency_differs",
    ),
)
async def create_purchase(call: Call, body: NewPurchase) -> Response:
    """Sell a basket: stock, tax, payment, change and receipt number, all or nothing."""
    terms = terms_of(call.context)
    paid_minor = parse_amount(body.paid_amount, terms.currency, param="paid_amount")
    if paid_minor < 0:
        raise Refused(Refusal("amount_invalid", param="paid_amount"))
    email = None if body.customer_email is None else _read(clean_email, body.customer_email)
    tendered = body.tendered
    return await call.ask(
        _record_purchase(terms),
        RecordPurchase(
            email,
            None if email is None else fold_email(email),
            merge_lines([(item.product_id, item.quantity) for item in body.items]),
            paid_minor,
            None if tendered is None else read_pieces_in(tendered, terms.currency, "tendered"),
        ),
    )


@ROUTER.get("/purchases", response_model=ListOf[PurchaseView], responses=refusals("email_invalid"))
def list_purchases(
    context: InContext,
    page: InPage,
    customer_email: Annotated[str | None, Query(max_length=1_000)] = None,
) -> Any:  # noqa: ANN401 - the response model tells
    """List purchases, the newest first; of one customer by their e-mail address."""
    folded = None if customer_email is None else _read(fold_email, customer_email)
    with context.database.snapshot() as connection:
        found = reads.list_purchases(
            connection, email_folded=folded, before=page.after_number(), limit=page.limit + 1
        )
    return page_of(found, page, lambda sold: show_purchase(*sold))


@ROUTER.get(
    "/purchases/{purchase_id}",
    response_model=PurchaseView,
    responses=refusals("purchase_not_found"),
)
def read_purchase(context: InContext, purchase_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """Read a purchase by its receipt number, as it was when it was made."""
    return show_purchase(*_find_purchase(context, purchase_id))


@ROUTER.get(
    "/purchases/{purchase_id}/receipt",
    response_class=Response,
    responses={
        200: {
            "description": "The receipt, as the Accept header asks.",
            "content": {"text/html": {}, "text/plain": {}},
        },
        **refusals("purchase_not_found"),
    },
)
def read_receipt(context: InContext, request: Request, purchase_id: str) -> Response:
    """Give a purchase's receipt: HTML where it is accepted, else plain text."""
    sold = _find_purchase(context, purchase_id)
    headers = {"Vary": "Accept"}
    if "text/html" in request.headers.get("accept", ""):
        headers["Content-Security-Policy"] = _RECEIPT_POLICY
        return Response(receipt_html(*sold), 200, headers, "text/html")
    return Response(receipt_text(*sold), 200, headers, "text/plain")


@ROUTER.post(
    "/purchases/{purchase_id}/refunds",
    status_code=201,
    response_model=RefundView,
    responses=refusals(
        "purchase_not_found",
        "item_not_in_purchase",
        "refund_exceeds_purchase",
        "nothing_to_refund",
        "drawer_insufficient",
        "drawer_currency_differs",
    ),
)
async def create_refund(call: Call, purchase_id: str, body: NewRefund) -> Response:
    """Give back a purchase or a part of it. Parts always end exactly at what was paid."""
    items = None
    if body.items is not None:
        items = merge_lines([(item.product_id, item.quantity) for item in body.items])
    return await call.ask(
        _give_refund(terms_of(call.context)),
        GiveRefund(
            path_number(purchase_id, "purchase_not_found"), items, body.restock, body.reason
        ),
    )


@ROUTER.get(
    "/purchases/{purchase_id}/refunds",
    response_model=ListOf[RefundView],
    responses=refusals("purchase_not_found"),
)
def list_refunds(context: InContext, purchase_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """List the refunds of a purchase, the oldest first."""
    number = path_number(purchase_id, "purchase_not_found")
    with context.database.snapshot() as connection:
        if reads.find_purchase(connection, number) is None:
            raise Refused(Refusal("purchase_not_found"))
        found = reads.list_refunds(connection, number)
    return {"data": [show_refund(*given) for given in found], "has_more": False}


def _find_purchase(context: Context, purchase_id: str) -> reads.Sold:
    number = path_number(purchase_id, "purchase_not_found")
    with context.database.snapshot() as connection:
        sold = reads.find_purchase(connection, number)
    if sold is None:
        raise Refused(Refusal("purchase_not_found"))
    return sold


def _read(how: Callable[[str], str], email: str) -> str:
    """Read an address, and name the field as this call does. Raises: Refused `email_invalid`."""
    try:
        return how(email)
    except Refused:
        raise Refused(Refusal("email_invalid", param="customer_email")) from None
