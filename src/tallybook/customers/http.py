"""Customers over HTTP."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from tallybook.customers import queries
from tallybook.customers.model import Customer, CustomerStatus
from tallybook.customers.operations import (
    ADD_BANK_ACCOUNT,
    CHANGE_CUSTOMER,
    CREATE_CUSTOMER,
    AddBankAccount,
    ChangeCustomer,
    CreateCustomer,
    TakenNumber,
    take_number,
)
from tallybook.customers.rules import BANK_ACCOUNTS_MOST, clean_email, clean_name, fold_email
from tallybook.customers.views import (
    CUSTOMER_PREFIX,
    BalanceView,
    BankAccountView,
    CustomerView,
    show_balance_line,
    show_customer,
)
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import parse_amount, said_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.ledger import queries as ledger
from tallybook.ledger.views import MovementView, show_movement
from tallybook.wire.calls import Call, path_id
from tallybook.wire.context import Context, InContext
from tallybook.wire.fields import Amount, Body, Name
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router
from tallybook.writer.hashing import Said

AccountNumber = Annotated[
    str, Field(max_length=200, description="With or without spaces and hyphens.")
]


class NewCustomer(Body):
    """A customer to be created."""

    name: Name
    email: Annotated[str, Field(max_length=1_000)]
    credit_limit: Amount | None = None
    bank_accounts: list[AccountNumber] = Field(
        default=[], max_length=BANK_ACCOUNTS_MOST, repr=False
    )


class NewBankAccount(Body):
    """A bank account to be added to a customer."""

    number: AccountNumber = Field(repr=False)


class CustomerChanges(Body):
    """What is to be different; a field left out stays as it is. A `null` limit is no limit."""

    name: Name | None = None
    email: Annotated[str, Field(max_length=1_000)] | None = None
    status: Annotated[CustomerStatus, Field(strict=False)] | None = None
    credit_limit: Amount | None = None


def make_router(in_flight: queries.InFlight | None = None) -> Router:
    """Make the customers' routes.

    `in_flight` tells what is on its way beyond what the ledger shows; whoever wires the rail knows.
    """
    router = Router("customers")
    _add_writes(router)
    _add_reads(router, in_flight)
    return router


def _add_writes(router: Router) -> None:
    @router.post(
        "/customers",
        status_code=201,
        response_model=CustomerView,
        responses=refusals(
            "name_invalid",
            "email_invalid",
            "email_taken",
            "bank_account_invalid",
            "bank_account_taken",
            "amount_invalid",
        ),
    )
    async def create_customer(call: Call, body: NewCustomer) -> Response:
        """Create a customer, with any number of bank accounts. A credit limit needs `money`."""
        if body.credit_limit is not None:
            call.require("money")
        currency = call.context.settings.currency
        return await call.ask(
            CREATE_CUSTOMER,
            CreateCustomer(
                name=clean_name(body.name),
                email=clean_email(body.email),
                credit_limit_minor=_limit(body.credit_limit, currency),
                currency=currency,
                numbers=tuple(
                    _take(number, call.context, f"bank_accounts.{place}")
                    for place, number in enumerate(body.bank_accounts)
                ),
                said=_said(body.credit_limit, currency),
            ),
        )

    @router.post(
        "/customers/{customer_id}/bank-accounts",
        status_code=201,
        response_model=BankAccountView,
        responses={
            200: {"model": BankAccountView, "description": "The account was theirs already."},
            **refusals("customer_not_found", "bank_account_invalid", "bank_account_taken"),
        },
    )
    async def add_bank_account(call: Call, customer_id: str, body: NewBankAccount) -> Response:
        """Add a bank account to a customer; 200 where it was theirs already."""
        command = AddBankAccount(
            path_id(CUSTOMER_PREFIX, customer_id), _take(body.number, call.context, "number")
        )
        return await call.ask(ADD_BANK_ACCOUNT, command)

    @router.put(
        "/customers/{customer_id}",
        response_model=CustomerView,
        responses=refusals(
            "customer_not_found", "name_invalid", "email_invalid", "email_taken", "amount_invalid"
        ),
    )
    async def change_customer(call: Call, customer_id: str, body: CustomerChanges) -> Response:
        """Change a customer: any of the fields."""
        currency = call.context.settings.currency
        sets_limit = "credit_limit" in body.model_fields_set
        return await call.ask(
            CHANGE_CUSTOMER,
            ChangeCustomer(
                path_id(CUSTOMER_PREFIX, customer_id),
                name=None if body.name is None else clean_name(body.name),
                email=None if body.email is None else clean_email(body.email),
                status=body.status,
                sets_limit=sets_limit,
                credit_limit_minor=_limit(body.credit_limit, currency),
                currency=currency if sets_limit else None,
                said=_said(body.credit_limit, currency),
            ),
        )


def _add_reads(router: Router, in_flight: queries.InFlight | None) -> None:
    @router.get(
        "/customers", response_model=ListOf[CustomerView], responses=refusals("email_invalid")
    )
    def list_customers(
        context: InContext,
        page: InPage,
        status: CustomerStatus | None = None,
        email: Annotated[str | None, Query(max_length=1_000)] = None,
    ) -> Any:  # noqa: ANN401 - the response model tells
        """List customers, the newest first."""
        with context.database.snapshot() as connection:
            found = queries.list_customers(
                connection,
                status=status,
                email_folded=None if email is None else fold_email(email),
                before_id=page.after(CUSTOMER_PREFIX),
                limit=page.limit + 1,
            )
            accounts = queries.list_accounts_of(connection, [customer.id for customer in found])
        return page_of(found, page, lambda customer: show_customer(customer, accounts[customer.id]))

    @router.get(
        "/customers/{customer_id}",
        response_model=CustomerView,
        responses=refusals("customer_not_found"),
    )
    def read_customer(context: InContext, customer_id: str) -> Any:  # noqa: ANN401 - the response model tells
        """Read a customer."""
        with _found(context, customer_id) as (connection, customer):
            accounts = queries.list_accounts_of(connection, [customer.id])
        return show_customer(customer, accounts[customer.id])

    @router.get(
        "/customers/{customer_id}/balance",
        response_model=BalanceView,
        responses=refusals("customer_not_found"),
    )
    def read_customer_balance(context: InContext, customer_id: str) -> Any:  # noqa: ANN401 - the response model tells
        """Read what a customer owes per product and currency, what is on its way, their credit."""
        with _found(context, customer_id) as (connection, customer):
            lines = queries.read_balance(connection, customer.id, in_flight)
        return {
            "customer_id": show_id(CUSTOMER_PREFIX, customer.id),
            "data": [show_balance_line(line) for line in lines],
        }

    @router.get(
        "/customers/{customer_id}/history",
        response_model=ListOf[MovementView],
        responses=refusals("customer_not_found"),
    )
    def list_customer_history(context: InContext, page: InPage, customer_id: str) -> Any:  # noqa: ANN401 - the response model tells
        """List what moved for a customer, the newest first, each with its ledger entry."""
        with _found(context, customer_id) as (connection, customer):
            movements = ledger.list_movements(
                connection, customer.id, before_seq=page.after_number(), limit=page.limit + 1
            )
        return page_of(movements, page, show_movement)


@contextmanager
def _found(context: Context, customer_id: str) -> Generator[tuple[Any, Customer]]:
    """Open a snapshot in which a customer exists. Raises: Refused `customer_not_found`."""
    ident = path_id(CUSTOMER_PREFIX, customer_id)
    with context.database.snapshot() as connection:
        customer = queries.find_customer(connection, ident)
        if customer is None:
            raise Refused(Refusal("customer_not_found"))
        yield connection, customer


def _limit(amount: Amount | None, currency: str) -> int | None:
    """Read a credit limit: zero or more. Raises: Refused `amount_invalid`."""
    if amount is None:
        return None
    limit = parse_amount(amount, currency, param="credit_limit")
    if limit < 0:
        raise Refused(Refusal("amount_invalid", param="credit_limit"))
    return limit


def _said(amount: Amount | None, currency: str) -> Said:
    """Give a limit as it was said: the currency is the installation's, and may become another."""
    limit = _limit(amount, currency)
    return (None if limit is None else said_amount(limit, currency),)


def _take(number: str, context: Context, param: str) -> TakenNumber:
    """Take a number in, and say which field it stood in. Raises: Refused `bank_account_invalid`."""
    try:
        return take_number(number, context.secrets, context.ids)
    except Refused:
        raise Refused(Refusal("bank_account_invalid", param=param)) from None
