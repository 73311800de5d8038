"""One account folded: its statements become bills, and its payments find them. Source: B4-B7."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tallybook.bills.model import STATEMENTS, AccountType, Fact, Kind
from tallybook.kernel.frozen import frozen

CYCLE_DAYS = 31
"""How long after it was last heard of an overdue bill is still the same one. Policy."""
TWIN_DAYS = 25
"""A statement without dates this long after the last one of its amount is next month's. Policy."""


@frozen
class Payment:
    """A payment as its account sees it. Units: minor units, more than zero."""

    id: str
    """The transaction it is."""
    on: date
    at: datetime
    hash: str
    amount: int
    currency: str
    bill_on: date | None = None
    due_on: date | None = None
    """The bill that it names."""
    anchor: str | None = None
    """The bill that a person says it pays."""
    is_barred: bool = False
    """A person says that it pays none of them."""


@dataclass(slots=True)
class BillDraft:
    """A bill while its account is folded."""

    anchor: str
    first: tuple[datetime, str]
    seen_on: date
    last_seen_on: date
    currency: str
    bill_on: date | None = None
    due_on: date | None = None
    amounts: list[tuple[date, int]] = field(default_factory=list)
    """Each revision with the day on which it was said."""
    minimum: int | None = None
    messages: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    paid: int = 0
    paid_on: date | None = None
    is_rolled_over: bool = False

    @property
    def amount(self) -> int | None:
        """Give the amount as last said. Units: minor units."""
        return self.amounts[-1][1] if self.amounts else None

    @property
    def dated_on(self) -> date:
        """Tell from when on it can be paid."""
        if self.bill_on is not None:
            return self.bill_on
        return min(self.seen_on, self.due_on) if self.due_on is not None else self.seen_on

    @property
    def order(self) -> tuple[date, date, tuple[datetime, str]]:
        """Order bills from the oldest on."""
        return self.due_on or self.dated_on, self.dated_on, self.first

    def open_on(self, day: date) -> int | None:
        """Tell what was open by what had been said on a day; None where no amount is known."""
        if not self.amounts:
            return None if self.paid == 0 else 0
        known = [amount for said_on, amount in self.amounts if said_on <= day]
        amount = known[-1] if known else self.amounts[0][1]
        return max(0, amount - self.paid)


@dataclass(slots=True)
class Bound:
    """Where one payment went."""

    parts: list[tuple[BillDraft, int]]
    waiting: int
    """What no bill took. Units: minor units."""
    why: str


@dataclass(slots=True)
class FoldedAccount:
    """What one account's facts come to."""

    bills: list[BillDraft]
    bound: dict[str, Bound]
    touched: dict[str, tuple[BillDraft, str]]
    """Message id to its bill and to what it did there."""
    unclear: dict[str, str]
    """Message id to the reason why a person must look at it."""


def fold_account(
    account_type: AccountType, facts: Iterable[Fact], payments: Sequence[Payment]
) -> FoldedAccount:
    """Fold one account: statements in the order of (sent at, hash), then its payments.

    Each fact comes with its currency, said or found. Amounts of two currencies never meet.
    Payments are bound when all bills are known, so that one whose bill comes late finds it.
    """
    fold = _Statements()
    steps: list[tuple[datetime, str, Fact | Payment]] = [
        *((fact.at, fact.hash, fact) for fact in facts),
        *((payment.at, payment.hash, payment) for payment in payments),
    ]
    for _, _, step in sorted(steps, key=lambda step: step[:2]):
        if isinstance(step, Payment):
            fold.expect_payment(step)
        elif step.kind in STATEMENTS:
            fold.take_statement(step)
        elif step.kind is Kind.INFORMATION:
            fold.take_information(step)
    bills = sorted(fold.bills, key=lambda bill: bill.order)
    bound = _bind_all(account_type, bills, payments)
    if account_type is AccountType.CREDITCARD:
        _roll_over(bills)
    return FoldedAccount(bills, bound, fold.touched, fold.unclear)


# -- statements ----------------------------------------------------------------------------------


class _Statements:
    def __init__(self) -> None:
        self.bills: list[BillDraft] = []
        self.touched: dict[str, tuple[BillDraft, str]] = {}
        self.unclear: dict[str, str] = {}
        self._by_bill_on: dict[date, BillDraft] = {}
        self._by_due_on: dict[date, BillDraft] = {}
        self._paid: dict[str, int] = {}

    def take_statement(self, fact: Fact) -> None:
        """Create the bill or update it. Source: B4, B5."""
        bill = self._find(fact)
        what = "updated its bill"
        if bill is not None and _is_foreign(bill, fact):
            self.unclear[fact.message_id] = (
                f"it is in {fact.currency}, and the bill of its dates is in {bill.currency}"
            )
            return
        if bill is None:
            assert fact.currency is not None, "facts are settled before they are folded"
            bill = BillDraft(
                fact.message_id, (fact.at, fact.hash), fact.on_day, fact.on_day, fact.currency
            )
            self.bills.append(bill)
            what = "made a new bill"
        changed = self._update(bill, fact, only_missing=False)
        if what == "updated its bill" and not changed:
            what = "said again what its bill says"
        bill.last_seen_on = max(bill.last_seen_on, fact.on_day)
        self._note(bill, fact, changed, what)

    def take_information(self, fact: Fact) -> None:
        """Fill in what is missing, and change nothing else. Source: B6."""
        bill = self._find(fact)
        if bill is None or _is_foreign(bill, fact):
            return
        changed = self._update(bill, fact, only_missing=True)
        self._note(bill, fact, changed, "filled in what was missing" if changed else "told of it")

    def expect_payment(self, payment: Payment) -> None:
        """Remember that a bill of this amount is settled by now: the next such bill is another."""
        for bill in self.bills:
            if bill.currency != payment.currency:
                continue
            if bill.amount == payment.amount and not self._paid.get(bill.anchor):
                self._paid[bill.anchor] = payment.amount
                return
        for bill in reversed(self.bills):
            if bill.currency == payment.currency and self._is_open(bill):
                self._paid[bill.anchor] = self._paid.get(bill.anchor, 0) + payment.amount
                return

    def _is_open(self, bill: BillDraft) -> bool:
        paid = self._paid.get(bill.anchor, 0)
        return paid == 0 if bill.amount is None else paid < bill.amount or bill.amount == 0

    def _find(self, fact: Fact) -> BillDraft | None:
        if fact.bill_on is not None and fact.bill_on in self._by_bill_on:
            return self._by_bill_on[fact.bill_on]
        due = fact.on_day if fact.kind is Kind.DUE_TODAY and not fact.due_on else fact.due_on
        if due is not None and due in self._by_due_on:
            bill = self._by_due_on[due]
            if fact.bill_on is None or bill.bill_on is None:
                return bill
        fitting = [bill for bill in self.bills if self._may_be(bill, fact, due)]
        return max(fitting, key=lambda bill: bill.order, default=None)

    def _may_be(self, bill: BillDraft, fact: Fact, due: date | None) -> bool:
        if due is not None and bill.due_on is not None and due != bill.due_on:
            return False
        if fact.bill_on is not None and bill.bill_on is not None:
            return False
        if fact.amount_minor is not None and bill.amount is not None and (
            fact.amount_minor != bill.amount
        ):  # fmt: skip
            return False
        if _is_foreign(bill, fact) or not self._is_open(bill):
            return False
        if fact.kind is Kind.IMMEDIATE:
            is_due = bill.due_on is None or bill.due_on <= fact.on_day
            since = max(bill.last_seen_on, bill.due_on or bill.last_seen_on)
            return is_due and abs((fact.on_day - since).days) <= CYCLE_DAYS
        return abs((fact.on_day - bill.seen_on).days) <= TWIN_DAYS or (
            due is not None and due == bill.due_on
        )

    def _update(self, bill: BillDraft, fact: Fact, *, only_missing: bool) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        if _has_amounts(fact.amount_minor, fact.minimum_minor) and fact.currency is not None:
            bill.currency = fact.currency  # the same, or it had no amount in the other

        def put(name: str, value: date | int | None) -> None:
            old = getattr(bill, name)
            if value is None or value == old or (only_missing and old is not None):
                return
            changed[name] = [_plain(old), _plain(value)]
            setattr(bill, name, value)

        put("bill_on", fact.bill_on)
        put("due_on", fact.due_on)
        if bill.due_on is None and fact.kind is Kind.DUE_TODAY:
            put("due_on", fact.on_day)
        if bill.due_on is None and fact.kind is Kind.IMMEDIATE:
            put("due_on", fact.on_day - timedelta(days=1))
        put("minimum", fact.minimum_minor)
        amount = fact.amount_minor
        if amount is not None and amount != bill.amount and not (
            only_missing and bill.amount is not None
        ):  # fmt: skip
            changed["amount"] = [bill.amount, amount]
            bill.amounts.append((fact.on_day, amount))
        if bill.bill_on is not None:
            self._by_bill_on[bill.bill_on] = bill
        if bill.due_on is not None:
            self._by_due_on.setdefault(bill.due_on, bill)
        return changed

    def _note(self, bill: BillDraft, fact: Fact, changed: dict[str, Any], what: str) -> None:
        bill.messages.append(fact.message_id)
        bill.history.append(
            {
                "message_id": fact.message_id,
                "kind": str(fact.kind),
                "on": fact.on_day.isoformat(),
                "changed": changed,
            }
        )
        self.touched[fact.message_id] = (bill, what)


def _is_foreign(bill: BillDraft, fact: Fact) -> bool:
    """Tell whether amounts of two currencies would meet in a bill."""
    return (
        bill.currency != fact.currency
        and _has_amounts(bill.amount, bill.minimum)
        and _has_amounts(fact.amount_minor, fact.minimum_minor)
    )


def _has_amounts(*amounts: int | None) -> bool:
    return any(amount is not None for amount in amounts)


def _plain(value: date | int | None) -> str | int | None:
    return value.isoformat() if isinstance(value, date) else value


# -- payments ------------------------------------------------------------------------------------


def _bind_all(
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


def _roll_over(bills: Sequence[BillDraft]) -> None:
    """Let a new card statement take over older unpaid ones: it has their arrears. Source: B4."""
    newest = {bill.currency: bill for bill in bills}
    for older in bills:
        is_newest = older is newest[older.currency]
        if not is_newest and (older.amount is None or older.paid < older.amount):
            older.is_rolled_over = True
