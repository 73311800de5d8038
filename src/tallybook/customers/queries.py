"""The customers' reads: who they are, what stands between them and the house, what moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection, select

from tallybook.customers.model import BalanceLine, BankAccount, Customer, CustomerStatus
from tallybook.customers.store import (
    BANK_ACCOUNT_ROWS,
    BANK_ACCOUNTS_TABLE,
    CUSTOMER_ROWS,
    CUSTOMERS_TABLE,
)
from tallybook.db.reading import select_rows
from tallybook.ledger import queries as ledger
from tallybook.ledger.model import Chart, CustomerSum

InFlight = Callable[[Connection, str], Mapping[tuple[str, str], int]]
"""Tells what is on its way for a customer beyond what the ledger shows, such as debits that no
report has told of: (product, currency) to minor units. The Processor's package knows it; packages
side by side don't import each other, so it is passed in."""

CREDIT = "credit"
"""The line of what the house holds for a customer. One sum a currency, whatever it came from."""

_RECEIVABLE = "receivable:"


def find_customer(connection: Connection, customer_id: str) -> Customer | None:
    """Find a customer by id."""
    found = connection.execute(
        select_rows(CUSTOMER_ROWS).where(CUSTOMERS_TABLE.c.id == customer_id)
    )
    row = found.one_or_none()
    return None if row is None else CUSTOMER_ROWS.row(row, sqlite=False)


def list_customers(
    connection: Connection,
    *,
    status: CustomerStatus | None = None,
    email_folded: str | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[Customer]:
    """List customers, the newest first: ids sort by the time at which they were made."""
    wanted = select_rows(CUSTOMER_ROWS).order_by(CUSTOMERS_TABLE.c.id.desc()).limit(limit)
    if status is not None:
        wanted = wanted.where(CUSTOMERS_TABLE.c.status == status.value)
    if email_folded is not None:
        wanted = wanted.where(CUSTOMERS_TABLE.c.email_folded == email_folded)
    if before_id is not None:
        wanted = wanted.where(CUSTOMERS_TABLE.c.id < before_id)
    return [CUSTOMER_ROWS.row(row, sqlite=False) for row in connection.execute(wanted)]


def list_accounts_of(
    connection: Connection, customer_ids: Sequence[str]
) -> dict[str, list[BankAccount]]:
    """List the bank accounts of several customers, the oldest first."""
    accounts: dict[str, list[BankAccount]] = {ident: [] for ident in customer_ids}
    wanted = (
        select_rows(BANK_ACCOUNT_ROWS)
        .where(BANK_ACCOUNTS_TABLE.c.customer_id.in_(customer_ids))
        .order_by(BANK_ACCOUNTS_TABLE.c.id)
    )
    for row in connection.execute(wanted):
        account = BANK_ACCOUNT_ROWS.row(row, sqlite=False)
        accounts[account.customer_id].append(account)
    return accounts


def find_holders(connection: Connection, number_hashes: Sequence[str]) -> dict[str, str]:
    """Tell whose each account is: the folded e-mail address by the number's keyed hash."""
    wanted = (
        select(BANK_ACCOUNTS_TABLE.c.number_hash, CUSTOMERS_TABLE.c.email_folded)
        .join(CUSTOMERS_TABLE, CUSTOMERS_TABLE.c.id == BANK_ACCOUNTS_TABLE.c.customer_id)
        .where(BANK_ACCOUNTS_TABLE.c.number_hash.in_(number_hashes))
    )
    return {row.number_hash: row.email_folded for row in connection.execute(wanted)}


def find_by_emails(connection: Connection, emails_folded: Sequence[str]) -> dict[str, str]:
    """Find customers by their folded e-mail addresses: the id of each that there is."""
    columns = CUSTOMERS_TABLE.c
    wanted = select(columns.email_folded, columns.id).where(columns.email_folded.in_(emails_folded))
    return {row.email_folded: row.id for row in connection.execute(wanted)}


def read_balance(
    connection: Connection, customer_id: str, in_flight: InFlight | None = None
) -> list[BalanceLine]:
    """Add up what a customer owes per product and currency, what is on its way, and their credit.

    Read from the ledger's postings, so that no business has to be asked. Source: C2.
    """
    more = in_flight(connection, customer_id) if in_flight is not None else {}
    return fold_balance(ledger.sum_of_customer(connection, customer_id), more)


def fold_balance(
    sums: Iterable[CustomerSum], more_in_flight: Mapping[tuple[str, str], int]
) -> list[BalanceLine]:
    """Fold a customer's postings into lines, ordered by product and currency."""
    lines: dict[tuple[str, str], dict[str, int]] = {}

    def add(product: str, currency: str, column: str, amount_minor: int) -> None:
        line = lines.setdefault((product, currency), {})
        line[column] = line.get(column, 0) + amount_minor

    for posted in sums:
        if posted.account.startswith(_RECEIVABLE):
            product = posted.account.removeprefix(_RECEIVABLE)
            add(product, posted.currency, "owed_minor", posted.amount_minor)
        elif posted.account == Chart.IN_TRANSIT:
            # On its way to them: the bank's money is gone from the house and not yet theirs.
            product = posted.kind.partition(".")[0]
            add(product, posted.currency, "in_flight_minor", -posted.amount_minor)
        elif posted.account == Chart.CUSTOMER_CREDIT:
            add(CREDIT, posted.currency, "credit_minor", -posted.amount_minor)
    for (product, currency), amount_minor in more_in_flight.items():
        add(product, currency, "in_flight_minor", amount_minor)
    return [BalanceLine(*key, **columns) for key, columns in sorted(lines.items())]
