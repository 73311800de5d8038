"""Pass 1: which bill a statement is. It makes that bill, revises it or fills it in.

Statements and payments come in the order of their times. A payment is only presumed here, to tell
next month's bill from one that is still open; what it does pay, paying.py says.
Source: B4-B6.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from tallybook.bills.model import Fact, Kind
from tallybook.bills.rules.drafts import BillDraft, Payment

CYCLE_DAYS = 31
"""How long after it was last heard of an overdue bill is still the same one. Policy."""
TWIN_DAYS = 25
"""A statement without dates this long after the last one of its amount is next month's. Policy."""


class Statements:
    """The bills of one account as its statements make them, one after the other."""

    def __init__(self) -> None:
        self.bills: list[BillDraft] = []
        self.touched: dict[str, tuple[BillDraft, str]] = {}
        self.unclear: dict[str, str] = {}
        self._by_bill_on: dict[date, BillDraft] = {}
        self._by_due_on: dict[date, BillDraft] = {}
        self._presumed_paid: dict[str, int] = {}
        """A bill's anchor to what may have been paid of it by now. It only tells bills apart: what
        is paid in the end, pass 2 says. Units: minor units."""

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
        """Remember that a bill of this amount is settled by now: the next such bill is another.

        It is presumed to be for the first bill of just its amount, else for the newest open one.
        """
        for bill in self.bills:
            if bill.currency != payment.currency:
                continue
            if bill.amount == payment.amount and not self._presumed_paid.get(bill.anchor):
                self._presumed_paid[bill.anchor] = payment.amount
                return
        for bill in reversed(self.bills):
            if bill.currency == payment.currency and self._is_open(bill):
                self._presumed_paid[bill.anchor] = (
                    self._presumed_paid.get(bill.anchor, 0) + payment.amount
                )
                return

    def _is_open(self, bill: BillDraft) -> bool:
        """Tell whether a bill may be unpaid so far; one of nothing is never settled."""
        paid = self._presumed_paid.get(bill.anchor, 0)
        return paid == 0 if bill.amount is None else paid < bill.amount or bill.amount == 0

    def _find(self, fact: Fact) -> BillDraft | None:
        """Find the bill that a statement is of: by its dates, else the newest that it may be of."""
        due = fact.on_day if fact.kind is Kind.DUE_TODAY and not fact.due_on else fact.due_on
        dated = self._find_by_dates(fact, due)
        if dated is not None:
            return dated
        fitting = [bill for bill in self.bills if self._may_be(bill, fact, due)]
        return max(fitting, key=lambda bill: bill.order, default=None)

    def _find_by_dates(self, fact: Fact, due: date | None) -> BillDraft | None:
        """Find the bill of the same date; else the one that is due then.

        Not where both have a date: two bills may be due together.
        """
        if fact.bill_on is not None and fact.bill_on in self._by_bill_on:
            return self._by_bill_on[fact.bill_on]
        bill = self._by_due_on.get(due) if due is not None else None
        return None if bill is None or _has_another_date(bill, fact) else bill

    def _may_be(self, bill: BillDraft, fact: Fact, due: date | None) -> bool:
        """Tell whether a statement that no date binds to a bill may be of it all the same."""
        if (
            _is_due_another_day(bill, due)
            or _has_another_date(bill, fact)
            or _has_another_amount(bill, fact)
            or _is_foreign(bill, fact)
            or not self._is_open(bill)
        ):
            return False
        if fact.kind is Kind.IMMEDIATE:
            return _is_still_overdue(bill, fact)
        return _is_of_its_month(bill, fact) or (due is not None and due == bill.due_on)

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


# -- whether a statement may be of a bill --------------------------------------------------------


def _is_due_another_day(bill: BillDraft, due: date | None) -> bool:
    """Tell whether both say when they are due, and differ."""
    return due is not None and bill.due_on is not None and due != bill.due_on


def _has_another_date(bill: BillDraft, fact: Fact) -> bool:
    """Tell whether both have a date: where it is the same, the bill was found by it."""
    return fact.bill_on is not None and bill.bill_on is not None


def _has_another_amount(bill: BillDraft, fact: Fact) -> bool:
    """Tell whether both say an amount, and differ: without a date in common that is no revision."""
    amounts = fact.amount_minor, bill.amount
    return None not in amounts and amounts[0] != amounts[1]


def _is_foreign(bill: BillDraft, fact: Fact) -> bool:
    """Tell whether amounts of two currencies would meet in a bill."""
    return (
        bill.currency != fact.currency
        and _has_amounts(bill.amount, bill.minimum)
        and _has_amounts(fact.amount_minor, fact.minimum_minor)
    )


def _is_still_overdue(bill: BillDraft, fact: Fact) -> bool:
    """Tell whether a bill is due by then, and was heard of or fell due within a cycle of it."""
    is_due = bill.due_on is None or bill.due_on <= fact.on_day
    since = max(bill.last_seen_on, bill.due_on or bill.last_seen_on)
    return is_due and abs((fact.on_day - since).days) <= CYCLE_DAYS


def _is_of_its_month(bill: BillDraft, fact: Fact) -> bool:
    """Tell whether a bill was first heard of too near to a statement for it to be next month's."""
    return abs((fact.on_day - bill.seen_on).days) <= TWIN_DAYS


def _has_amounts(*amounts: int | None) -> bool:
    return any(amount is not None for amount in amounts)


def _plain(value: date | int | None) -> str | int | None:
    return value.isoformat() if isinstance(value, date) else value
