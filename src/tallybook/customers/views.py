"""How customers are shown. Account numbers are not, but for their last four digits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tallybook.customers.model import BalanceLine, BankAccount, Customer, CustomerStatus
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.wire.fields import AmountText, Answer

CUSTOMER_PREFIX = "cus"
BANK_ACCOUNT_PREFIX = "bac"


class BankAccountView(Answer):
    """A customer's bank account, as it is shown."""

    id: str
    last4: str


class CustomerView(Answer):
    """A customer, as they are shown."""

    id: str
    name: str
    email: str
    status: CustomerStatus
    credit_limit: AmountText | None
    currency: str
    """What the limit is counted in."""
    created_at: datetime
    bank_accounts: list[BankAccountView]


class BalanceLineView(Answer):
    """What stands between a customer and the house for one product in one currency."""

    product: str
    """`advances`, `loans`, ...; or `credit`: what the house holds, whatever it came from."""
    currency: str
    owed: AmountText
    in_flight: AmountText
    """On its way between the two, in either direction."""
    credit: AmountText


class BalanceView(Answer):
    """What a customer owes, what is on its way, and what credit they hold."""

    customer_id: str
    data: list[BalanceLineView]


def show_bank_account(account: BankAccount) -> dict[str, Any]:
    """Show a bank account: its id and last four digits."""
    return {"id": show_id(BANK_ACCOUNT_PREFIX, account.id), "last4": account.last4}


def show_customer(customer: Customer, accounts: Iterable[BankAccount]) -> dict[str, Any]:
    """Show a customer with their bank accounts, oldest account first."""
    limit = customer.credit_limit_minor
    return {
        "id": show_id(CUSTOMER_PREFIX, customer.id),
        "name": customer.name,
        "email": customer.email,
        "status": customer.status.value,
        "credit_limit": None if limit is None else format_amount(limit, customer.currency),
        "currency": customer.currency,
        "created_at": customer.created_at,
        "bank_accounts": [
            show_bank_account(account)
            for account in sorted(accounts, key=lambda account: account.id)
        ],
    }


def show_balance_line(line: BalanceLine) -> dict[str, Any]:
    """Show one line of a balance."""
    return {
        "product": line.product,
        "currency": line.currency,
        "owed": format_amount(line.owed_minor, line.currency),
        "in_flight": format_amount(line.in_flight_minor, line.currency),
        "credit": format_amount(line.credit_minor, line.currency),
    }
