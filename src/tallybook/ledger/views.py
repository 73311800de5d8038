"""How the ledger is shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic_core import from_json

from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.ledger.model import (
    AccountBalance,
    CurrencyTotal,
    LoggedEvent,
    Movement,
    StatementLine,
)
from tallybook.wire.fields import AmountText, Answer

_PREFIX_OF_DOMAIN = {"advances": "adv", "customers": "cus", "loans": "loan", "bills": "bill"}
_PREFIX_OF_NOUN = {
    "advance": "adv",
    "bank_account": "bac",
    "bill": "bill",
    "customer": "cus",
    "installment": "ins",
    "loan": "loan",
    "message": "msg",
    "payment": "pay",
    "transfer": "trf",
}


class AccountView(Answer):
    """One ledger account with its balance."""

    id: int
    book: str
    name: str
    currency: str
    debit: AmountText
    credit: AmountText
    balance: AmountText
    """Debits less credits."""


class StatementLineView(Answer):
    """One posting on an account."""

    id: str
    """The entry and the line in it: where the next page starts after."""
    entry: int
    kind: str
    effective_on: date
    recorded_at: datetime
    amount: AmountText
    """Debits positive, credits negative."""
    balance: AmountText
    customer_id: str | None
    subject_id: str | None


class StatementView(Answer):
    """One page of an account's postings, the newest recorded first."""

    account: AccountView
    data: list[StatementLineView]
    has_more: bool


class CurrencyTotalView(Answer):
    """All debits and all credits in one currency, over every book."""

    currency: str
    debit: AmountText
    credit: AmountText
    balanced: bool


class TrialBalanceView(Answer):
    """The accounts of one book, and the sums over every book, at the end of a date."""

    as_of: date | None
    book: str
    totals: list[CurrencyTotalView]
    data: list[AccountView]


class MovementLineView(Answer):
    """One of the customer's postings in a movement."""

    account: str
    currency: str
    amount: AmountText
    """Debits positive (they owe more, or were paid), credits negative."""
    subject_id: str | None


class MovementView(Answer):
    """One entry, as far as it concerns a customer."""

    id: str
    """The entry's number as text: where the next page starts after."""
    entry: int
    kind: str
    effective_on: date
    recorded_at: datetime
    reverses: int | None
    lines: list[MovementLineView]


class EventView(Answer):
    """One event of the log."""

    seq: int
    type: str
    subject_id: str
    customer_id: str | None
    occurred_at: datetime
    body: dict[str, Any]


def show_account(balance: AccountBalance) -> dict[str, Any]:
    """Show an account with what moved on it."""
    account = balance.account
    return {
        "id": account.id,
        "book": account.book,
        "name": account.name,
        "currency": account.currency,
        "debit": format_amount(balance.debit_minor, account.currency),
        "credit": format_amount(balance.credit_minor, account.currency),
        "balance": format_amount(balance.balance_minor, account.currency),
    }


def show_statement_line(line: StatementLine, currency: str) -> dict[str, Any]:
    """Show one line of a statement."""
    return {
        "id": f"{line.entry_seq}.{line.line}",
        "entry": line.entry_seq,
        "kind": line.kind,
        "effective_on": line.effective_on,
        "recorded_at": line.recorded_at,
        "amount": format_amount(line.amount_minor, currency),
        "balance": format_amount(line.balance_minor, currency),
        "customer_id": _show(line.customer_id, "cus"),
        "subject_id": _show(line.subject_id, _PREFIX_OF_DOMAIN.get(_domain(line.kind))),
    }


def show_total(total: CurrencyTotal) -> dict[str, Any]:
    """Show the two sums that must be equal."""
    return {
        "currency": total.currency,
        "debit": format_amount(total.debit_minor, total.currency),
        "credit": format_amount(total.credit_minor, total.currency),
        "balanced": total.debit_minor == total.credit_minor,
    }


def show_movement(movement: Movement) -> dict[str, Any]:
    """Show what one entry did to a customer."""
    prefix = _PREFIX_OF_DOMAIN.get(_domain(movement.kind))
    return {
        "id": str(movement.entry_seq),
        "entry": movement.entry_seq,
        "kind": movement.kind,
        "effective_on": movement.effective_on,
        "recorded_at": movement.recorded_at,
        "reverses": movement.reverses_seq,
        "lines": [
            {
                "account": line.account,
                "currency": line.currency,
                "amount": format_amount(line.amount_minor, line.currency),
                "subject_id": _show(line.subject_id, prefix),
            }
            for line in movement.lines
        ],
    }


def show_event(event: LoggedEvent) -> dict[str, Any]:
    """Show one event; an id whose kind the event's name does not tell stands without a prefix."""
    noun = event.type.split(".")[1] if event.type.count(".") > 1 else ""
    return {
        "seq": event.seq,
        "type": event.type,
        "subject_id": _show(event.subject_id, _PREFIX_OF_NOUN.get(noun)),
        "customer_id": _show(event.customer_id, "cus"),
        "occurred_at": event.occurred_at,
        "body": from_json(event.body),
    }


def _domain(kind: str) -> str:
    return kind.partition(".")[0]


def _show(ident: str | None, prefix: str | None) -> str | None:
    return ident if ident is None or prefix is None else show_id(prefix, ident)
