"""How messages, bills and transactions are shown, wherever they are shown."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from tallybook.bills.model import Bill, BillAccount, Fact, Message, Transaction
from tallybook.bills.rules.states import open_minor, state_on
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.wire.fields import AmountText, Answer

MESSAGE_PREFIX = "msg"
BILL_PREFIX = "bill"
TRANSACTION_PREFIX = "txn"
ACCOUNT_PREFIX = "bac"
CUSTOMER_PREFIX = "cus"


class ReadView(Answer):
    """What was read out of a message; each field is null where the text does not say."""

    bill_type: str | None
    kind: str | None
    amount: AmountText | None
    minimum_due: AmountText | None
    currency: str | None
    bill_date: str | None
    due_on: str | None
    paid_on: str | None
    account_number: str | None
    issuer: str | None
    reference: str | None
    confidence: int
    """How sure the least sure of the fields is that move money. Units: percent."""
    fields: dict[str, Any]
    """Where each field stands in the body, and how sure it is."""
    doubts: list[str]


class MessageView(Answer):
    """One message, and what became of it."""

    id: str
    customer_id: str
    status: str
    why: str
    sender: str | None
    body: str | None
    sent_at: str | None
    received_at: str
    read: ReadView
    bill_id: str | None
    transaction_id: str | None
    account_id: str | None


class AccountOfBillView(Answer):
    """Which account a bill is of."""

    id: str
    type: str
    number: str | None
    issuer: str | None


class BillView(Answer):
    """One bill of one period."""

    id: str
    customer_id: str
    account: AccountOfBillView
    bill_date: str | None
    due_on: str | None
    amount: AmountText | None
    minimum_due: AmountText | None
    currency: str
    paid: AmountText
    open: AmountText
    paid_on: str | None
    status: str
    merged_into: str | None
    """The bill that this one turned out to be part of; its own id where no message is behind it."""
    history: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


class BillAccountView(Answer):
    """One account with an issuer, and the recurring bill that it gets."""

    id: str
    customer_id: str
    type: str
    number: str | None
    issuer: str | None
    cycle_days: int | None
    generation_day: int | None
    due_day: int | None


class TransactionView(Answer):
    """A payment, or another movement of money."""

    id: str
    customer_id: str
    amount: AmountText
    currency: str
    happened_at: str
    description: str
    reference: str | None
    account_number: str | None
    bill_id: str | None
    bound: list[dict[str, Any]]
    """Each bill that it pays, with how much."""
    waiting: AmountText
    """What waits for a bill that has not come."""
    duplicate_of: str | None
    """The transaction of the same payment; its own id where no message is behind it."""
    evidence: str


def show_day(day: date | None) -> str | None:
    """Write a date."""
    return day.isoformat() if day else None


def show_instant(instant: datetime | None) -> str | None:
    """Write an instant in UTC."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if instant else None


def _money(minor: int | None, currency: str) -> str | None:
    return None if minor is None else format_amount(minor, currency)


def _id(prefix: str, ident: str | None) -> str | None:
    return show_id(prefix, ident) if ident else None


def show_read(fact: Fact, reading: str, currency: str) -> dict[str, Any]:
    """Show what was read. A mere movement of money shows no bill.

    `currency` is the installation's: an amount that names none is scaled by its decimals.
    """
    currency = fact.currency or currency
    evidence = json.loads(reading)
    told = None if fact.is_movement else fact
    return {
        "bill_type": told and told.bill_type and str(told.bill_type),
        "kind": told and told.kind and str(told.kind),
        "amount": told and _money(told.amount_minor, currency),
        "minimum_due": told and _money(told.minimum_minor, currency),
        "currency": told and told.currency,
        "bill_date": told and show_day(told.bill_on),
        "due_on": told and show_day(told.due_on),
        "paid_on": told and show_day(told.paid_on),
        "account_number": told and told.number,
        "issuer": told and told.issuer,
        "reference": fact.reference,
        "confidence": evidence.get("confidence", 0),
        "fields": evidence.get("fields", {}),
        "doubts": evidence.get("doubts", []),
    }


def show_message(
    message: Message, fact: Fact, *, currency: str, status: str | None = None
) -> dict[str, Any]:
    """Show a message with what became of it; `currency` is the installation's."""
    return {
        "id": show_id(MESSAGE_PREFIX, message.id),
        "customer_id": show_id(CUSTOMER_PREFIX, message.customer_id),
        "status": status or str(fact.status),
        "why": fact.why,
        "sender": message.sender,
        "body": message.body,
        "sent_at": show_instant(message.sent_at),
        "received_at": show_instant(message.received_at),
        "read": show_read(fact, message.reading, currency),
        "bill_id": _id(BILL_PREFIX, fact.bill_id),
        "transaction_id": _id(TRANSACTION_PREFIX, fact.transaction_id),
        "account_id": _id(ACCOUNT_PREFIX, fact.account_id),
    }


def show_bill(bill: Bill, account: BillAccount, today: date) -> dict[str, Any]:
    """Show a bill as it stands on a day. Source: B5."""
    history = [
        {**change, "message_id": show_id(MESSAGE_PREFIX, change["message_id"]),
         "changed": _show_changes(change["changed"], bill.currency)}
        for change in json.loads(bill.history)
    ]  # fmt: skip
    evidence = [
        {**proof, "transaction_id": show_id(TRANSACTION_PREFIX, proof["transaction_id"]),
         "amount": _money(proof["amount"], bill.currency)}
        for proof in json.loads(bill.evidence)
    ]  # fmt: skip
    return {
        "id": show_id(BILL_PREFIX, bill.id),
        "customer_id": show_id(CUSTOMER_PREFIX, bill.customer_id),
        "account": {
            "id": show_id(ACCOUNT_PREFIX, account.id),
            "type": str(account.type),
            "number": account.number,
            "issuer": account.issuer,
        },
        "bill_date": show_day(bill.bill_on),
        "due_on": show_day(bill.due_on),
        "amount": _money(bill.amount_minor, bill.currency),
        "minimum_due": _money(bill.minimum_minor, bill.currency),
        "currency": bill.currency,
        "paid": _money(bill.paid_minor, bill.currency),
        "open": _money(open_minor(bill), bill.currency),
        "paid_on": show_day(bill.paid_on),
        "status": str(state_on(bill, today)),
        "merged_into": _id(BILL_PREFIX, bill.merged_into),
        "history": history,
        "evidence": evidence,
    }


def _show_changes(changes: dict[str, list[Any]], currency: str) -> dict[str, list[Any]]:
    names = {"bill_on": "bill_date", "minimum": "minimum_due"}
    return {
        names.get(name, name): [_money(value, currency) for value in pair]
        if name in ("amount", "minimum") else pair
        for name, pair in changes.items()
    }  # fmt: skip


def show_account(account: BillAccount) -> dict[str, Any]:
    """Show an account and its recurring bill."""
    return {
        "id": show_id(ACCOUNT_PREFIX, account.id),
        "customer_id": show_id(CUSTOMER_PREFIX, account.customer_id),
        "type": str(account.type),
        "number": account.number,
        "issuer": account.issuer,
        "cycle_days": account.cycle_days,
        "generation_day": account.generation_day,
        "due_day": account.due_day,
    }


def show_transaction(row: Transaction) -> dict[str, Any]:
    """Show a transaction and what it pays."""
    return {
        "id": show_id(TRANSACTION_PREFIX, row.id),
        "customer_id": show_id(CUSTOMER_PREFIX, row.customer_id),
        "amount": format_amount(row.amount_minor, row.currency),
        "currency": row.currency,
        "happened_at": show_instant(row.at),
        "description": row.description,
        "reference": row.reference,
        "account_number": row.number,
        "bill_id": _id(BILL_PREFIX, row.bill_id),
        "bound": [
            {"bill_id": show_id(BILL_PREFIX, bill), "amount": format_amount(part, row.currency)}
            for bill, part in json.loads(row.bound)
        ],
        "waiting": format_amount(row.prepaid_minor, row.currency),
        "duplicate_of": _id(TRANSACTION_PREFIX, row.duplicate_of),
        "evidence": row.evidence,
    }
