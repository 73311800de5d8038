"""Registering many customers with their accounts, as imports find them in files. Source: C1."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol

from sqlalchemy import Connection

from tallybook.ambient.secrets import Secrets
from tallybook.customers import queries
from tallybook.customers.operations import (
    ADD_BANK_ACCOUNT,
    CREATE_CUSTOMER,
    AddBankAccount,
    CreateCustomer,
    take_number,
)
from tallybook.customers.rules import clean_email, clean_name, fold_email
from tallybook.db.engine import Database
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.csv_fields import column_invalid, read_column
from tallybook.writer.door import Door
from tallybook.writer.model import Command


class RegisterContext(Protocol):
    """One running engine, as registering sees it."""

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where every write goes."""
        ...

    @property
    def ids(self) -> Ids:
        """Where fresh ids come from."""
        ...

    @property
    def secrets(self) -> Secrets:
        """What seals account numbers."""
        ...

    @property
    def currency(self) -> str:
        """What a new customer's limit would be counted in."""
        ...


@frozen
class Person:
    """Whom a file names."""

    email: str
    email_folded: str
    name: str | None
    """None does for a customer who is known."""


def read_person(values: Mapping[str, str]) -> Person | None:
    """Read the columns `customer_name` and `customer_email` of a line; None where both are empty.

    Raises: Refused.
    """
    name, email = values.get("customer_name"), values.get("customer_email")
    if name is not None:
        name = read_column("customer_name", clean_name, name)
    if email is None:
        if name is not None:
            problem = "it is empty, and customers are known by it"
            raise Refused(column_invalid("customer_email", problem))
        return None
    email = read_column("customer_email", clean_email, email)
    return Person(email, fold_email(email), name)


async def register_people(
    context: RegisterContext, people: Sequence[Person]
) -> list[str | Refusal]:
    """Register people whose e-mail address nobody has; an address in several lines is one customer.

    Returns: each one's customer id, or why there is none, in the order of `people`.
    """
    addresses = sorted({person.email_folded for person in people})

    def load() -> dict[str, str]:
        with context.database.reader() as connection:
            return queries.find_by_emails(connection, addresses)

    known: dict[str, str | Refusal] = {**await asyncio.to_thread(load)}
    names = {person.email_folded: person.name for person in reversed(people) if person.name}
    fresh: dict[str, Command] = {}
    for person in people:
        if person.email_folded in known or person.email_folded in fresh:
            continue
        name = names.get(person.email_folded)
        if name is None:
            known[person.email_folded] = Refusal("name_invalid", param="customer_name")
            continue
        asked = CreateCustomer(name, person.email, None, context.currency)
        fresh[person.email_folded] = Command(CREATE_CUSTOMER, asked)
    outcomes = await context.door.ask_chunk([*fresh.values()])
    for email_folded, outcome in zip(fresh, outcomes, strict=True):
        known[email_folded] = outcome.refusal or outcome.value.id
    return [known[person.email_folded] for person in people]


@frozen
class WantedAccount:
    """An account that a file names, and the customer it says it belongs to."""

    number: str = field(repr=False)
    """Normalised."""
    number_hash: str
    email: str
    email_folded: str
    name: str | None
    """None does for a customer who is known."""


async def register_accounts(
    context: RegisterContext, wanted: Sequence[WantedAccount]
) -> list[Refusal | None]:
    """Register accounts that nobody has, with new customers where the e-mail is new.

    Returns: a refusal for each account that could not be registered, or is another customer's;
        None for one that is theirs now, in the order of `wanted`.
    """

    def load() -> tuple[dict[str, str], dict[str, str]]:
        with context.database.reader() as connection:
            return _holders(connection, wanted), _customers(connection, wanted)

    holders, customers = await asyncio.to_thread(load)
    groups: dict[str, dict[str, WantedAccount]] = {}
    for account in wanted:
        if account.number_hash not in holders:
            groups.setdefault(account.email_folded, {})[account.number_hash] = account
    refused: dict[tuple[str, str], Refusal] = {}
    commands: list[tuple[Command, list[tuple[str, str]]]] = []
    for email_folded, accounts in groups.items():
        marks = [(email_folded, number_hash) for number_hash in accounts]
        customer_id = customers.get(email_folded)
        first = next(iter(accounts.values()))
        name = next((account.name for account in accounts.values() if account.name), None)
        if customer_id is not None:
            commands += (
                (_add(context, customer_id, account), [mark])
                for mark, account in zip(marks, accounts.values(), strict=True)
            )
        elif name is None:
            refused |= dict.fromkeys(marks, Refusal("name_invalid", param="customer_name"))
        else:
            commands.append((_create(context, name, first.email, [*accounts.values()]), marks))
    outcomes = await context.door.ask_chunk([command for command, _ in commands])
    for (_, marks), outcome in zip(commands, outcomes, strict=True):
        if outcome.refusal is not None:
            refused |= dict.fromkeys(marks, outcome.refusal)
    taken = Refusal("bank_account_taken", param="customer_email")
    return [
        taken
        if holders.get(account.number_hash, account.email_folded) != account.email_folded
        else refused.get((account.email_folded, account.number_hash))
        for account in wanted
    ]


def _holders(connection: Connection, wanted: Sequence[WantedAccount]) -> dict[str, str]:
    return queries.find_holders(connection, sorted({account.number_hash for account in wanted}))


def _customers(connection: Connection, wanted: Sequence[WantedAccount]) -> dict[str, str]:
    emails = sorted({account.email_folded for account in wanted})
    return queries.find_by_emails(connection, emails)


def _create(
    context: RegisterContext, name: str, email: str, accounts: Sequence[WantedAccount]
) -> Command:
    numbers = tuple(
        take_number(account.number, context.secrets, context.ids) for account in accounts
    )
    return Command(CREATE_CUSTOMER, CreateCustomer(name, email, None, context.currency, numbers))


def _add(context: RegisterContext, customer_id: str, account: WantedAccount) -> Command:
    number = take_number(account.number, context.secrets, context.ids)
    return Command(ADD_BANK_ACCOUNT, AddBankAccount(customer_id, number))
