"""The routes of household bills."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response

from tallybook.bills import queries
from tallybook.bills.http.bodies import (
    BODY_LIMIT,
    Correction,
    ManyMessages,
    NewLink,
    NewTransaction,
    OneOrMany,
    ResolvedView,
    intake_of,
    read_correction,
    see_day_is_past,
    see_it_is_past,
    take_message,
)
from tallybook.bills.model import BillState, MessageStatus
from tallybook.bills.operations.people import (
    LINK_TRANSACTION,
    RECORD_TRANSACTION,
    RESOLVE_REVIEW,
    LinkTransaction,
    RecordTransaction,
    ResolveReview,
)
from tallybook.bills.operations.recording import RECORD_MESSAGES, RecordMessages
from tallybook.bills.views import (
    ACCOUNT_PREFIX,
    BILL_PREFIX,
    CUSTOMER_PREFIX,
    MESSAGE_PREFIX,
    TRANSACTION_PREFIX,
    BillAccountView,
    BillView,
    MessageView,
    TransactionView,
    show_account,
    show_bill,
    show_message,
    show_transaction,
)
from tallybook.kernel.calendar import business_date
from tallybook.kernel.money import parse_amount, said_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.calls import Call, body_id, path_id, query_id
from tallybook.wire.context import Context, InContext
from tallybook.wire.fields import Day
from tallybook.wire.paging import InPage, ListOf, Page, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router


def make_router() -> Router:
    """Make the routes of household bills."""
    router = Router("bills")
    _add_messages(router)
    _add_transactions(router)
    _add_review(router)
    _add_reads(router)
    return router


def _add_messages(router: Router) -> None:
    @router.post(
        "/messages",
        status_code=201,
        response_model=MessageView | ManyMessages,
        responses=refusals(
            "customer_not_found", "types_disagree", "amount_invalid", "currency_unknown",
            "date_invalid", "date_in_future",
        ),
        openapi_extra={"x-body-limit": BODY_LIMIT},
    )  # fmt: skip
    async def record_messages(
        call: Call,
        body: OneOrMany,
    ) -> Response:
        """Record a message or a list of them; each is told what became of it, in order."""
        messages = body if isinstance(body, list) else [body]
        context = call.context
        intake = intake_of(context)
        taken = tuple(
            take_message(message, intake, context, f"{place}." if isinstance(body, list) else "")
            for place, message in enumerate(messages)
        )
        command = RecordMessages(
            taken, context.settings.currency, is_list=isinstance(body, list), said=()
        )
        return await call.ask(RECORD_MESSAGES, command)


def _add_transactions(router: Router) -> None:
    @router.post(
        "/transactions",
        status_code=201,
        response_model=TransactionView,
        responses=refusals(
            "customer_not_found", "amount_invalid", "currency_unknown", "date_in_future"
        ),
    )
    async def record_transaction(call: Call, body: NewTransaction) -> Response:
        """Record a bank or wallet movement, and link it to the bill payment that it is."""
        settings = call.context.settings
        currency = body.currency or settings.currency
        amount = parse_amount(body.amount, currency)
        if amount == 0:
            raise Refused(Refusal("amount_invalid", param="amount"))
        see_it_is_past(body.happened_at, call.context.clock.now(), "happened_at")
        customer = body_id(
            CUSTOMER_PREFIX, body.customer_id, param="customer_id", code="customer_not_found"
        )
        said = f"{body.happened_at}|{amount}|{body.reference}|{body.description}"
        return await call.ask(
            RECORD_TRANSACTION,
            RecordTransaction(
                customer_id=customer,
                amount_minor=amount,
                currency=currency,
                is_currency_stated=body.currency is not None,
                happened_at=body.happened_at,
                on_day=business_date(body.happened_at, settings.timezone),
                description=body.description or "",
                reference=body.reference,
                number=body.account_number,
                hash=hashlib.sha256(said.encode()).hexdigest(),
                installation_currency=settings.currency,
                said=(said_amount(amount, currency), body.currency),
            ),
        )

    @router.post(
        "/transactions/{transaction_id}/link",
        response_model=TransactionView,
        responses=refusals(
            "transaction_not_found", "transaction_set_aside", "transaction_not_a_payment",
            "bill_not_found", "bill_set_aside", "bill_of_another_customer",
            "bill_currency_differs",
        ),
    )  # fmt: skip
    async def link_transaction(call: Call, transaction_id: str, body: NewLink) -> Response:
        """Say which bill a transaction pays; a person's word wins over what was guessed."""
        bill = body_id(BILL_PREFIX, body.bill_id, param="bill_id", code="bill_not_found")
        command = LinkTransaction(
            path_id(TRANSACTION_PREFIX, transaction_id), bill, call.context.settings.currency
        )
        return await call.ask(LINK_TRANSACTION, command)

    @router.delete(
        "/transactions/{transaction_id}/link",
        response_model=TransactionView,
        responses=refusals("transaction_not_found", "transaction_set_aside"),
    )
    async def unlink_transaction(call: Call, transaction_id: str) -> Response:
        """Say that a transaction pays none of the bills; it is not linked by itself again."""
        command = LinkTransaction(
            path_id(TRANSACTION_PREFIX, transaction_id), None, call.context.settings.currency
        )
        return await call.ask(LINK_TRANSACTION, command)


def _add_review(router: Router) -> None:
    @router.post(
        "/review-items/{item_id}/resolution",
        response_model=ResolvedView,
        responses=refusals(
            "review_item_not_found", "review_item_resolved", "amount_invalid", "currency_unknown",
            "date_invalid", "date_in_future",
        ),
    )  # fmt: skip
    async def resolve_review_item(call: Call, item_id: str, body: Correction) -> Response:
        """Settle a message that waits: give the right reading, or dismiss it."""
        settings = call.context.settings
        see_day_is_past(body.paid_on, call.context.clock.today(), "paid_on")
        reading = read_correction(body)
        command = ResolveReview(
            path_id(MESSAGE_PREFIX, item_id), reading, body.reason, settings.currency
        )
        return await call.ask(RESOLVE_REVIEW, command)

    @router.get("/review-items", response_model=ListOf[MessageView])
    def list_review_items(context: InContext, page: InPage, customer_id: str | None = None) -> Any:  # noqa: ANN401 - the response model tells
        """List the messages that wait for a person, the newest first; each says why."""
        return _page_of_messages(context, page, customer_id, MessageStatus.REVIEW)


def _page_of_messages(
    context: Context, page: Page, customer_id: str | None, status: MessageStatus | None
) -> Any:  # noqa: ANN401 - as the reads that it is for
    with context.database.snapshot() as connection:
        found = queries.list_messages(
            connection, customer_id=_customer(customer_id), status=status,
            before_id=page.after(MESSAGE_PREFIX), limit=page.limit + 1,
        )  # fmt: skip
    currency = context.settings.currency
    return page_of(found, page, lambda pair: show_message(*pair, currency=currency))


def _add_reads(router: Router) -> None:
    @router.get("/messages", response_model=ListOf[MessageView])
    def list_messages(
        context: InContext,
        page: InPage,
        customer_id: str | None = None,
        status: MessageStatus | None = None,
    ) -> Any:  # noqa: ANN401 - the response model tells
        """List messages with what became of each, the newest first."""
        return _page_of_messages(context, page, customer_id, status)

    @router.get("/bill-accounts", response_model=ListOf[BillAccountView])
    def list_bill_accounts(context: InContext, page: InPage, customer_id: str | None = None) -> Any:  # noqa: ANN401 - the response model tells
        """List accounts with issuers, the newest first, each with its recurring bill."""
        with context.database.snapshot() as connection:
            found = queries.list_accounts(
                connection, customer_id=_customer(customer_id),
                before_id=page.after(ACCOUNT_PREFIX), limit=page.limit + 1,
            )  # fmt: skip
        return page_of(found, page, show_account)

    @router.get("/bills", response_model=ListOf[BillView])
    def list_bills(
        context: InContext,
        page: InPage,
        customer_id: str | None = None,
        status: BillState | None = None,
        due_before: Day | None = None,
    ) -> Any:  # noqa: ANN401 - the response model tells
        """List bills, the newest first; their status is as it stands today."""
        today = context.clock.today()
        with context.database.snapshot() as connection:
            found = queries.list_bills(
                connection, today, customer_id=_customer(customer_id), status=status,
                due_before=due_before, before_id=page.after(BILL_PREFIX), limit=page.limit + 1,
            )  # fmt: skip
        return page_of(found, page, lambda pair: show_bill(*pair, today))

    @router.get("/bills/{bill_id}", response_model=BillView, responses=refusals("bill_not_found"))
    def read_bill(context: InContext, bill_id: str) -> Any:  # noqa: ANN401 - the response model tells
        """Read a bill with its history and with what paid it."""
        ident = path_id(BILL_PREFIX, bill_id)
        with context.database.snapshot() as connection:
            found = queries.find_bill(connection, ident)
        if found is None:
            raise Refused(Refusal("bill_not_found"))
        return show_bill(*found, context.clock.today())

    @router.get("/transactions", response_model=ListOf[TransactionView])
    def list_transactions(context: InContext, page: InPage, customer_id: str | None = None) -> Any:  # noqa: ANN401 - the response model tells
        """List payments and other movements, the newest first."""
        with context.database.snapshot() as connection:
            found = queries.list_transactions(
                connection, customer_id=_customer(customer_id),
                before_id=page.after(TRANSACTION_PREFIX), limit=page.limit + 1,
            )  # fmt: skip
        return page_of(found, page, show_transaction)


def _customer(text: str | None) -> str | None:
    return query_id(CUSTOMER_PREFIX, text, param="customer_id")
