"""The ledger's nouns: accounts, entries, postings, balances. Source: G."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen

HOUSE = "house"
"""The book of the business itself. Each customer has a book of what is theirs alone."""


class Chart(StrEnum):
    """The house's accounts. Positive balances are debits, negative ones credits."""

    CASH_BANK = "cash:bank"
    IN_TRANSIT = "in-transit"
    RECEIVABLE_ADVANCES = "receivable:advances"
    RECEIVABLE_LOANS = "receivable:loans"
    DEFERRED_FEES = "deferred-fees"
    UNEARNED_INTEREST = "unearned-interest"
    INCOME_FEES = "income:fees"
    INCOME_INTEREST = "income:interest"
    INCOME_RECOVERIES = "income:recoveries"
    CUSTOMER_CREDIT = "customer-credit"
    WRITE_OFF = "expense:write-off"
    CASH_DRAWER = "cash:drawer"
    CASH_FLOAT = "cash:float"
    """Where cash is that came into the drawer or left it, other than by selling."""
    SALES = "sales"
    TAX_PAYABLE = "tax-payable"
    ROUNDING = "rounding"
    OVER_SHORT = "over-short"


@frozen
class Posting:
    """One line of an entry. Units: minor units, debits positive, credits negative."""

    account: str
    """The account's name in its book, such as `cash:bank`."""
    amount_minor: int
    currency: str
    customer_id: str | None = None
    subject_id: str | None = None
    """What it is about: an advance, a loan, a purchase."""
    book: str = HOUSE


@frozen
class Entry:
    """One balanced movement: its postings sum to zero per currency. Only ever reversed.

    It concerns one customer at most, whom its first posting names. So a customer's entries are
    found by one place each.
    """

    kind: str
    """The event that it books, such as `advances.debit.succeeded`."""
    effective_on: date
    """When it happened; `recorded_at` is when we learned it. Source: T2."""
    postings: tuple[Posting, ...]
    reverses_seq: int | None = None


def imbalance(entry: Entry) -> Mapping[str, int]:
    """Tell by how much an entry is out of balance, per currency; empty where it balances.

    >>> from datetime import date
    >>> imbalance(Entry("x", date(2026, 1, 1), (Posting("a", 5, "USD"), Posting("b", -4, "USD"))))
    {'USD': 1}
    """
    sums: dict[str, int] = {}
    for posting in entry.postings:
        sums[posting.currency] = sums.get(posting.currency, 0) + posting.amount_minor
    if not any(sums.values()):
        return {}
    return {currency: total for currency, total in sums.items() if total}


def is_of_one_customer(entry: Entry) -> bool:
    """Tell whether each posting that names a customer names the one that the first one names.

    >>> from datetime import date
    >>> lines = Posting("a", 5, "USD", "kim"), Posting("b", -5, "USD")
    >>> [is_of_one_customer(Entry("x", date(2026, 1, 1), way)) for way in (lines, lines[::-1])]
    [True, False]
    """
    named = {posting.customer_id for posting in entry.postings}
    return named <= {entry.postings[0].customer_id, None}


@frozen
class Account:
    """One account of one book in one currency."""

    id: int
    book: str
    name: str
    currency: str


@frozen
class StoredEntry:
    """An entry on disk. Numbers have no gaps; each hash covers the entry before it."""

    seq: int
    kind: str
    effective_on: date
    recorded_at: datetime
    postings_count: int
    reverses_seq: int | None
    hash: str


@frozen
class StoredPosting:
    """A posting on disk."""

    entry_seq: int
    line: int
    account_id: int
    amount_minor: int
    customer_id: str | None
    subject_id: str | None


@frozen
class DayBalance:
    """What moved on one account with effect on one day. A balance is the sum of its days."""

    account_id: int
    effective_on: date
    debit_minor: int
    credit_minor: int


# -- as it is read ---------------------------------------------------------------------------


@frozen
class AccountBalance:
    """What moved on an account up to a date. Units: minor units."""

    account: Account
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Tell what is left: debits less credits."""
        return self.debit_minor - self.credit_minor


@frozen
class StatementLine:
    """One posting on an account, with the balance after it. Units: minor units."""

    entry_seq: int
    line: int
    kind: str
    effective_on: date
    recorded_at: datetime
    amount_minor: int
    balance_minor: int
    customer_id: str | None
    subject_id: str | None


@frozen
class MovementLine:
    """One of the customer's postings in a movement. Units: minor units."""

    account: str
    currency: str
    amount_minor: int
    subject_id: str | None


@frozen
class Movement:
    """One entry, as far as it concerns a customer."""

    entry_seq: int
    kind: str
    effective_on: date
    recorded_at: datetime
    reverses_seq: int | None
    lines: tuple[MovementLine, ...]


@frozen
class CustomerSum:
    """What a customer's postings on one account come to, by the kind of entry."""

    account: str
    currency: str
    kind: str
    amount_minor: int


@frozen
class CurrencyTotal:
    """All debits and credits in one currency, over every book. Equal, or the ledger is broken."""

    currency: str
    debit_minor: int
    credit_minor: int


@frozen
class LoggedEvent:
    """One event of the log."""

    seq: int
    type: str
    subject_id: str
    customer_id: str | None
    occurred_at: datetime
    body: str
