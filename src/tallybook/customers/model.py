"""The nouns of the customers' book. Source: C1."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen


class CustomerStatus(StrEnum):
    """Whether a customer may take on anything new."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@frozen
class Customer:
    """Someone who owes, pays or buys."""

    id: str
    name: str
    email: str
    """As it was given, trimmed."""
    email_folded: str
    """As it is compared: unique among customers."""
    status: CustomerStatus
    credit_limit_minor: int | None
    """What they may owe in all. Units: minor units of `currency`; None means no limit."""
    currency: str
    """What the limit is counted in: the installation's currency when the customer was made."""
    created_at: datetime


@frozen
class BankAccount:
    """An account at a bank that belongs to one customer; its number is never kept in clear."""

    id: str
    customer_id: str
    number_hash: str
    """The keyed hash of the normalised number, which it is found by: 64 hex digits."""
    number_sealed: bytes
    """The number, sealed for this row: `account_context(id)` opens it."""
    last4: str
    created_at: datetime


@frozen
class CustomerCredit:
    """What the house holds for a customer in one currency. Units: minor units."""

    customer_id: str
    currency: str
    credit_minor: int


@frozen
class Standing:
    """Why a customer is not in good standing, told by the business that knows. Source: A3."""

    subject_id: str
    """The advance or loan it is about."""
    customer_id: str
    reason: str
    """`advance_in_default`, `loan_delinquent` or `loan_written_off`."""
    active: bool
    """False once the reason has gone; the row stays."""
    since_on: date | None = None
    """From when it holds; None: at once. A loan tells beforehand when it will be delinquent."""

    def holds_on(self, day: date) -> bool:
        """Tell whether the customer is in bad standing on a date because of it."""
        return self.active and (self.since_on is None or self.since_on <= day)


@frozen
class BalanceLine:
    """What stands between a customer and the house for one product. Units: minor units."""

    product: str
    currency: str
    owed_minor: int = 0
    in_flight_minor: int = 0
    credit_minor: int = 0


def account_context(account_id: str) -> str:
    """Name the place that an account's number is sealed for."""
    return f"bank_accounts.number:{account_id}"
