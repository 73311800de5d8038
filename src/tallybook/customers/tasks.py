"""Registering many customers with their accounts, as imports find them in files. Source: C1."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from tallybook.db.engine import Database
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
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


@dataclass(frozen=True, slots=True)
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
