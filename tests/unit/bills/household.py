"""A household's bills in memory: what a database would keep between two messages, and no more."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from tallybook.ambient.fresh import CountedIds
from tallybook.bills.model import (
    AccountType,
    Bill,
    BillAccount,
    Fact,
    Kind,
    Link,
    MessageStatus,
    Transaction,
)
from tallybook.bills.rules.folding import Known, fold_customer
from tallybook.bills.rules.states import state_on

CUSTOMER = "c" * 32


def told(kind: str, at: datetime | date, amount: int | None = None, **more: Any) -> Fact:
    """Make the fact that a message states; its identity is what it says."""
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, 9, tzinfo=UTC)
    words = json.dumps([kind, at.isoformat(), amount, sorted(map(str, more.items()))])
    mark = hashlib.sha256(words.encode()).hexdigest()
    fact = Fact(
        message_id=mark[:32], customer_id=CUSTOMER, at=at, hash=mark, on_day=at.date(), folds=True,
        is_movement=False, kind=Kind(f"BILL_{kind}"), bill_type=AccountType.ELECTRIC_BILL,
        issuer="Northern Light", number="K-100200", amount_minor=amount, minimum_minor=None,
        currency="INR", bill_on=None, due_on=None, paid_on=None, reference=None, paid_from=None,
        status=MessageStatus.RECORDED,
    )  # fmt: skip
    return replace(fact, **more)


def a_bank_message(at: datetime, amount: int, **more: Any) -> Fact:
    """Make the fact of a bank's text about a movement; negative is money out."""
    return replace(
        told("TXN_CONFIRMATION", at, amount, **more),
        is_movement=True, kind=None, bill_type=None, issuer=None, number=None,
    )  # fmt: skip


def moved(at: datetime, amount: int, **more: Any) -> Transaction:
    """Make a movement that a bank's feed reported; negative is money out."""
    mark = hashlib.sha256(f"{at}{amount}{sorted(more.items())}".encode()).hexdigest()
    row = Transaction(
        id=mark[:32], customer_id=CUSTOMER, message_id=None, at=at, hash=mark, on_day=at.date(),
        amount_minor=amount, currency="INR", is_currency_stated=True, description="",
        reference=None, number=None, account_id=None, bill_id=None, bound="[]", bound_minor=0,
        prepaid_minor=0, duplicate_of=None, evidence="",
    )  # fmt: skip
    return replace(row, **more)


@dataclass
class Household:
    """Keeps rows as tables would, and folds after each arrival."""

    facts: dict[str, Fact] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    accounts: dict[str, BillAccount] = field(default_factory=dict)
    all_bills: dict[str, Bill] = field(default_factory=dict)
    ids: CountedIds = field(default_factory=CountedIds)

    def take(self, *arrivals: Fact | Transaction | Link) -> "Household":
        for arrival in arrivals:
            if isinstance(arrival, Fact):
                self.facts[arrival.message_id] = arrival
            elif isinstance(arrival, Transaction):
                self.transactions[arrival.id] = arrival
            else:
                self.links.append(arrival)
        return self

    def fold(self) -> "Household":
        known = Known(
            list(self.facts.values()), list(self.transactions.values()), self.links,
            list(self.accounts.values()), list(self.all_bills.values()),
        )  # fmt: skip
        now = datetime(2027, 1, 1, tzinfo=UTC)
        folded = fold_customer(known, self.ids, installation_currency="INR", now=now)
        self.facts |= {row.message_id: row for row in folded.facts}
        self.transactions |= {row.id: row for row in folded.transactions}
        self.accounts |= {row.id: row for row in folded.accounts}
        self.all_bills |= {row.id: row for row in folded.bills}
        return self

    @property
    def bills(self) -> list[Bill]:
        """The bills that stand, oldest first."""
        standing = [bill for bill in self.all_bills.values() if bill.merged_into is None]
        return sorted(standing, key=lambda bill: (bill.due_on or bill.dated_on, bill.dated_on))

    @property
    def payments(self) -> list[Transaction]:
        """The transactions that count, in order of time."""
        counting = [row for row in self.transactions.values() if row.duplicate_of is None]
        return sorted(counting, key=lambda row: (row.at, row.hash))

    def shape(self, today: date) -> str:
        """Tell everything that matters, without the ids that were drawn on the way, as a hash."""
        whole = json.dumps(self.everything(today), default=str)
        return hashlib.sha256(whole.encode()).hexdigest()

    def everything(self, today: date) -> dict[str, list[str]]:
        """Tell everything that matters, by what it says and not by ids, each part sorted."""
        bills = [
            (
                bill.bill_on, bill.due_on, bill.amount_minor, bill.minimum_minor, bill.currency,
                bill.paid_minor, bill.paid_on, state_on(bill, today), bill.history,
                self._account(bill.account_id),
            )
            for bill in self.bills
        ]  # fmt: skip
        payments = [
            (
                row.at, row.amount_minor, row.currency, row.bound_minor, row.prepaid_minor,
                row.description, row.message_id, row.evidence, self._account(row.account_id),
                [(self._bill(bill), part) for bill, part in json.loads(row.bound)],
            )
            for row in self.payments
        ]  # fmt: skip
        accounts = [
            (row.type, row.issuer, row.number, row.cycle_days, row.due_day)
            for row in self.accounts.values()
            if row.merged_into is None
        ]
        outcomes = [
            (
                fact.hash, fact.status, fact.why, self._account(fact.account_id),
                self._bill(fact.bill_id), self._payment(fact.transaction_id),
            )
            for fact in self.facts.values()
        ]  # fmt: skip
        parts = {"bills": bills, "payments": payments, "accounts": accounts, "facts": outcomes}
        return {name: sorted(map(str, rows)) for name, rows in parts.items()}

    def _account(self, ident: str | None) -> str:
        row = self.accounts.get(ident or "")
        return str(row and (row.type, row.issuer, row.number, row.merged_into))

    def _bill(self, ident: str | None) -> str:
        row = self.all_bills.get(ident or "")
        return str(row and (row.history, row.merged_into))

    def _payment(self, ident: str | None) -> str:
        row = self.transactions.get(ident or "")
        return str(row and (row.at, row.amount_minor, row.message_id, row.duplicate_of is None))
