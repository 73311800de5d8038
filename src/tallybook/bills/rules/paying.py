"""Pass 2: what each payment of an account pays, once all of its bills are known. Source: B7, B8."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.bills.model import AccountType
from tallybook.bills.rules.drafts import BillDraft, Bound, Payment


def bind_all(
    account_type: AccountType, bills: Sequence[BillDraft], payments: Sequence[Payment]
) -> dict[str, Bound]:
    """Bind each payment to what it pays; a person's word first. Source: B7, B8."""
    by_message = {message: bill for bill in bills for message in bill.messages}
    bound: dict[str, Bound] = {}
    ordered = sorted(payments, key=lambda payment: (payment.on, payment.at, payment.hash))
    for payment in ordered:
        bill = by_message.get(payment.anchor) if payment.anchor is not None else None
        if bill is not None and bill.currency == payment.currency:
            bound[payment.id] = _pay(payment, [bill], "a person linked it")
        elif bill is not None:
            why = f"a person linked it, but the bill is in {bill.currency}: it waits"
            bound[payment.id] = Bound([], payment.amount, why)
    for payment in ordered:
        if payment.id in bound:
            continue
        if payment.is_barred:
            bound[payment.id] = Bound([], payment.amount, "a person unlinked it")
            continue
        chosen, why = _choose(account_type, bills, payment)
        bound[payment.id] = _pay(payment, chosen, why)
    return bound


def _choose(
    account_type: AccountType, bills: Sequence[BillDraft], payment: Payment
) -> tuple[list[BillDraft], str]:
    """Choose the bills that a payment pays, and say why. Source: B7."""
    past = [
        bill for bill in bills if bill.dated_on <= payment.on and bill.currency == payment.currency
    ]
    if account_type is AccountType.CREDITCARD:
        past = past[-1:]  # older statements are part of the newest
    unpaid = [bill for bill in past if bill.open_on(payment.on) != 0]
    for bill in unpaid:
        if payment.due_on is not None and bill.due_on == payment.due_on:
            return [bill], "the payment names the bill's due date"
        if payment.bill_on is not None and bill.bill_on == payment.bill_on:
            return [bill], "the payment names the bill's date"
    for bill in unpaid:
        if bill.open_on(payment.on) == payment.amount:
            return [bill], "it is the oldest unpaid bill of exactly this amount"
    total = 0
    for count, bill in enumerate(unpaid, start=1):
        total += bill.open_on(payment.on) or 0
        if total == payment.amount and count > 1:
            return list(unpaid[:count]), f"it is exactly the sum of the {count} oldest unpaid bills"
        if total > payment.amount:
            break
    if unpaid:
        return _from_the_newest(unpaid, payment)
    if any(bill.dated_on <= payment.on and bill.currency != payment.currency for bill in bills):
        return [], f"no unpaid bill before it is in {payment.currency}: it waits for one"
    return [], "no unpaid bill is dated before it: it waits for one"


def _from_the_newest(unpaid: Sequence[BillDraft], payment: Payment) -> tuple[list[BillDraft], str]:
    """Choose the newest for a payment of no bill's amount; what is over it goes to the oldest."""
    newest, why = unpaid[-1], "no unpaid bill has this amount, so it goes to the newest"
    older = [bill for bill in unpaid[:-1] if bill.open_on(payment.on) is not None]
    if older and payment.amount > (newest.open_on(payment.on) or payment.amount):
        return [newest, *older], f"{why}, and what is over to the oldest"
    return [newest], why


def _pay(payment: Payment, chosen: Sequence[BillDraft], why: str) -> Bound:
    left = payment.amount
    parts: list[tuple[BillDraft, int]] = []
    for bill in chosen:
        owed = bill.open_on(payment.on)
        part = left if owed is None else min(left, owed)
        if part <= 0:
            continue
        bill.paid += part
        bill.paid_on = max(bill.paid_on or payment.on, payment.on)
        bill.evidence.append({"transaction_id": payment.id, "amount": part, "why": why})
        parts.append((bill, part))
        left -= part
    return Bound(parts, left, why)


def roll_over(bills: Sequence[BillDraft]) -> None:
    """Let a new card statement take over older unpaid ones: it has their arrears. Source: B4."""
    newest = {bill.currency: bill for bill in bills}
    for older in bills:
        is_newest = older is newest[older.currency]
        if not is_newest and (older.amount is None or older.paid < older.amount):
            older.is_rolled_over = True
