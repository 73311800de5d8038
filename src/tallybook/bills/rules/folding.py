"""The fold: everything known of a customer's bills, from all messages, movements and links.

It is a pure function of the facts in the order (sent at, hash), so that any order of arrival ends
the same. Rows keep their ids by the message they were made from. Source: B10, T4.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from tallybook.bills.model import (
    Bill,
    BillAccount,
    Fact,
    Kind,
    Link,
    MessageStatus,
    Transaction,
)
from tallybook.bills.rules.billing import Bound, FoldedAccount, Payment, fold_account
from tallybook.bills.rules.matching import Signal, find_duplicates, pair_signals
from tallybook.bills.rules.placing import Place, place_facts
from tallybook.bills.rules.rows import account_row, bill_rows
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids


@frozen
class Known:
    """Everything stored of one customer's bills."""

    facts: Sequence[Fact]
    transactions: Sequence[Transaction]
    links: Sequence[Link]
    accounts: Sequence[BillAccount]
    bills: Sequence[Bill]


@frozen
class Folded:
    """The rows as they must stand; those that differ from what is stored are to be written."""

    facts: Sequence[Fact]
    transactions: Sequence[Transaction]
    accounts: Sequence[BillAccount]
    bills: Sequence[Bill]


def fold_customer(known: Known, ids: Ids, *, currency: str, now: datetime) -> Folded:
    """Fold all that is known of one customer. `currency` is for where nobody said one."""
    return _Fold(known, ids, currency, now).run()


@dataclass(slots=True)
class _Told:
    """One payment: the transaction it is, the notices that told of it, and where it goes."""

    transaction: Transaction
    notices: list[Fact] = field(default_factory=list)
    why: str = ""
    place: Place | None = None


class _Fold:
    def __init__(self, known: Known, ids: Ids, currency: str, now: datetime) -> None:
        self.known = known
        self.ids = ids
        self.now = now
        self.facts = sorted(
            (fact for fact in known.facts if fact.folds), key=lambda fact: (fact.at, fact.hash)
        )
        spoken = {fact.currency for fact in self.facts if fact.currency} | {
            row.currency for row in known.transactions if row.is_currency_stated
        }
        self.currency = spoken.pop() if len(spoken) == 1 else currency
        self.outcomes: dict[str, Fact] = {}
        self.links = _latest_links(known.links)
        self.own_rows = {
            row.message_id: row for row in known.transactions if row.message_id is not None
        }
        self.told: dict[str, _Told] = {}
        self.duplicates: dict[str, str] = {}

    def run(self) -> Folded:
        placed = place_facts(fact for fact in self.facts if not fact.is_movement)
        place_of = {fact.message_id: place for place in placed.places for fact in place.facts}
        for fact in self.facts:
            if fact.message_id in placed.unclear:
                why = placed.unclear[fact.message_id]
                self._outcome(fact, MessageStatus.REVIEW, why=why)
        usable = [fact for fact in self.facts if fact.message_id not in placed.unclear]
        self._tell_payments(usable, place_of)
        accounts, bills = self._fold_places(placed.places)
        for fact in usable:
            if fact.message_id not in self.outcomes:
                self._outcome(fact, MessageStatus.INFORMATION, why="kept as information")
        transactions = [told.transaction for told in self.told.values()]
        seen = {row.id for row in transactions}
        transactions += [self._set_aside(row) for row in self.known.transactions
                         if row.id not in seen]  # fmt: skip
        return Folded(list(self.outcomes.values()), transactions, accounts, bills)

    # -- payments

    def _tell_payments(self, facts: Sequence[Fact], place_of: dict[str, Place]) -> None:
        """Find the transaction of each payment that is told of, or make one. Source: B8, B9."""
        paying = [fact for fact in facts if _is_payment(fact)]
        movements = self._movements([fact for fact in facts if fact.is_movement])
        given = [row for row in movements if not self._is_barred(row.id)]
        reports = [fact for fact in paying if fact.kind is Kind.TXN_CONFIRMATION]
        reports = self._without_duplicates(reports)
        for fact, told in self._pair(reports, [row for row in given if row.amount_minor < 0]):
            told.notices.append(fact)
        paired = {fact.message_id for told in self.told.values() for fact in told.notices}
        own = [self._own(fact, place_of.get(fact.message_id))
               for fact in reports if fact.message_id not in paired]  # fmt: skip
        notices = [fact for fact in paying if fact.kind is Kind.CONFIRMATION]
        notices = self._without_duplicates(notices)
        pool = [row for row in (*given, *own) if row.amount_minor < 0]
        for fact, told in self._pair(notices, [row for row in pool if not self._is_barred(row.id)]):
            told.notices.insert(0, fact)
        paired = {fact.message_id for told in self.told.values() for fact in told.notices}
        for fact in notices:
            if fact.message_id not in paired:
                self._own(fact, place_of.get(fact.message_id))
        for told in self.told.values():
            told.place = next(
                (place_of[fact.message_id] for fact in told.notices
                 if fact.message_id in place_of), None,
            )  # fmt: skip
            anchor = self.links.get(told.transaction.id)
            if anchor is not None and anchor.bill_anchor in place_of:
                told.place = place_of[anchor.bill_anchor]

    def _movements(self, facts: Sequence[Fact]) -> list[Transaction]:
        """Gather the movements that banks reported, by their feeds or by messages."""
        rows = [row for row in self.known.transactions if row.message_id is None]
        rows += [self._movement_row(fact) for fact in facts if fact.amount_minor]
        signals = [_signal_of_row(row) for row in rows]
        self.duplicates |= find_duplicates(signals)
        for row in rows:
            clean = self._cleared(row)
            if row.id in self.duplicates:
                clean = replace(
                    clean, duplicate_of=self.duplicates[row.id],
                    evidence="the same account, amount and reference within ten minutes",
                )  # fmt: skip
            self.told[row.id] = _Told(clean)
        for fact in facts:
            row = self.own_rows.get(fact.message_id)
            self._outcome(
                fact, MessageStatus.INFORMATION, transaction_id=row.id if row else None,
                why="a movement of money, kept as a transaction",
            )  # fmt: skip
        return [row for row in rows if row.id not in self.duplicates]

    def _movement_row(self, fact: Fact) -> Transaction:
        row = self._row_for(fact, description="", sign=1 if (fact.amount_minor or 0) > 0 else -1)
        self.own_rows[fact.message_id] = row
        return row

    def _own(self, fact: Fact, place: Place | None) -> Transaction:
        """Make the transaction of a payment that no movement is known of. Source: B8."""
        issuer = (place.shown_issuer if place else None) or fact.issuer
        row = self._row_for(fact, f"{issuer} Bill Payment" if issuer else "Bill Payment", sign=-1)
        self.own_rows[fact.message_id] = row
        self.told[row.id] = _Told(row, [fact], why="no bank, card or wallet movement is known yet")
        return row

    def _row_for(self, fact: Fact, description: str, *, sign: int) -> Transaction:
        known = self.own_rows.get(fact.message_id)
        at, on_day = _moment_of(fact)
        return Transaction(
            id=known.id if known else self.ids.fresh(),
            customer_id=fact.customer_id,
            message_id=fact.message_id,
            at=at,
            hash=fact.hash,
            on_day=on_day,
            amount_minor=sign * abs(fact.amount_minor or 0),
            currency=fact.currency or self.currency,
            is_currency_stated=fact.currency is not None,
            description=description,
            reference=fact.reference,
            number=fact.paid_from,
            account_id=None,
            bill_id=None,
            bound="[]",
            bound_minor=0,
            prepaid_minor=0,
            duplicate_of=None,
            evidence="",
        )

    def _cleared(self, row: Transaction) -> Transaction:
        return replace(
            row,
            currency=row.currency if row.is_currency_stated else self.currency,
            account_id=None, bill_id=None, bound="[]", bound_minor=0, prepaid_minor=0,
            duplicate_of=None, evidence="",
        )  # fmt: skip

    def _set_aside(self, row: Transaction) -> Transaction:
        """Keep a transaction that a message once made and that a movement has since taken over."""
        fact = self.outcomes.get(row.message_id or "")
        taken_by = fact.transaction_id if fact is not None else None
        return replace(
            self._cleared(row), duplicate_of=taken_by,
            evidence="its movement is known by now" if taken_by else "its message was set aside",
        )  # fmt: skip

    def _without_duplicates(self, facts: Sequence[Fact]) -> list[Fact]:
        found = find_duplicates([_signal_of_fact(fact) for fact in facts])
        for fact in facts:
            if fact.message_id in found:
                self._outcome(
                    fact, MessageStatus.DUPLICATE,
                    why="another wording of a payment told within ten minutes",
                )  # fmt: skip
        return [fact for fact in facts if fact.message_id not in found]

    def _pair(self, facts: Sequence[Fact], rows: Sequence[Transaction]) -> list[tuple[Fact, _Told]]:
        by_id = {fact.message_id: fact for fact in facts}
        signals = [_signal_of_row(row, self.told.get(row.id)) for row in rows]
        found: list[tuple[Fact, _Told]] = []
        for pair in pair_signals([_signal_of_fact(fact) for fact in facts], signals):
            told = self.told[pair.movement]
            told.why = pair.why
            found.append((by_id[pair.notice], told))
        return found

    def _is_barred(self, transaction_id: str) -> bool:
        link = self.links.get(transaction_id)
        return link is not None and link.bill_anchor is None

    # -- accounts and bills

    def _fold_places(self, places: Sequence[Place]) -> tuple[list[BillAccount], list[Bill]]:
        accounts: list[BillAccount] = []
        bills: list[Bill] = []
        told_at: dict[int, list[_Told]] = {}
        for told in self.told.values():
            if told.place is not None and told.transaction.duplicate_of is None:
                told_at.setdefault(id(told.place), []).append(told)
        for place in places:
            here = told_at.get(id(place), [])
            payments = [self._payment(told) for told in here]
            folded = fold_account(place.type, place.facts, payments, self.currency)
            account, retired = account_row(place, folded, self.known.accounts, self.ids, self.now)
            accounts += [account, *retired]
            rows, ids_of = bill_rows(account, folded, self.known.bills, self.ids)
            bills += rows
            self._tell_outcomes(place, account, folded, ids_of)
            for told in here:
                self._bind(told, account, folded.bound[told.transaction.id], ids_of)
        kept = {row.id for row in bills}
        bills += [_withdrawn(row) for row in self.known.bills if row.id not in kept]
        for told in self.told.values():
            self._tell_notices(told)
        return accounts, bills

    def _payment(self, told: _Told) -> Payment:
        row = told.transaction
        link = self.links.get(row.id)
        named = next(iter(told.notices), None)
        return Payment(
            id=row.id,
            on=named.paid_on or row.on_day if named else row.on_day,
            at=named.at if named else row.at,
            hash=named.hash if named else row.hash,
            amount=abs(row.amount_minor),
            bill_on=named.bill_on if named else None,
            due_on=named.due_on if named else None,
            anchor=link.bill_anchor if link else None,
            is_barred=self._is_barred(row.id),
        )

    def _bind(
        self, told: _Told, account: BillAccount, bound: Bound, ids_of: dict[str, str]
    ) -> None:
        parts = [(ids_of[bill.anchor], part) for bill, part in bound.parts]
        bound_minor = sum(part for _, part in parts)
        why = bound.why if not told.why else f"{bound.why}; {told.why}"
        told.transaction = replace(
            told.transaction,
            account_id=account.id,
            bill_id=parts[0][0] if parts else None,
            bound=json.dumps(parts),
            bound_minor=bound_minor,
            prepaid_minor=0 if self._is_barred(told.transaction.id) else bound.waiting,
            evidence=why,
        )  # fmt: skip

    def _tell_outcomes(
        self, place: Place, account: BillAccount, folded: FoldedAccount, ids_of: dict[str, str]
    ) -> None:
        for fact in place.facts:
            if fact.message_id in self.outcomes or _is_payment(fact):
                continue
            touched = folded.touched.get(fact.message_id)
            if touched is None:
                self._outcome(fact, MessageStatus.INFORMATION, account_id=account.id,
                              why="told, and no bill is open that it is about")  # fmt: skip
                continue
            bill, what = touched
            status = MessageStatus.APPLIED
            if fact.kind is Kind.INFORMATION:
                status = MessageStatus.INFORMATION
            self._outcome(
                fact, status, account_id=account.id, bill_id=ids_of[bill.anchor], why=what
            )

    def _tell_notices(self, told: _Told) -> None:
        row = told.transaction
        for fact in told.notices:
            self._outcome(
                fact, MessageStatus.APPLIED, account_id=row.account_id, bill_id=row.bill_id,
                transaction_id=row.id, why=row.evidence or told.why,
            )  # fmt: skip

    def _outcome(
        self,
        fact: Fact,
        status: MessageStatus,
        *,
        account_id: str | None = None,
        bill_id: str | None = None,
        transaction_id: str | None = None,
        why: str = "",
    ) -> None:
        self.outcomes[fact.message_id] = replace(
            fact, status=status, account_id=account_id, bill_id=bill_id,
            transaction_id=transaction_id, why=why,
        )  # fmt: skip


def _latest_links(links: Iterable[Link]) -> dict[str, Link]:
    latest: dict[str, Link] = {}
    for link in sorted(links, key=lambda link: (link.at, link.id)):
        latest[link.transaction_id] = link
    return latest


def _is_payment(fact: Fact) -> bool:
    """Tell whether a fact tells of a payment that can be booked: a bill of another sort can't."""
    if fact.is_movement or not fact.amount_minor:
        return False
    if fact.kind is Kind.TXN_CONFIRMATION:
        return True
    return fact.kind is Kind.CONFIRMATION and fact.bill_type is not None


def _moment_of(fact: Fact) -> tuple[datetime, date]:
    """Tell when a payment happened: on the date it names, if that is not the day it was told."""
    if fact.paid_on is not None and fact.paid_on != fact.on_day:
        return datetime.combine(fact.paid_on, time(12), UTC), fact.paid_on
    return fact.at, fact.on_day


def _signal_of_fact(fact: Fact) -> Signal:
    return Signal(
        id=fact.message_id,
        at=_moment_of(fact)[0],
        hash=fact.hash,
        amount=abs(fact.amount_minor or 0),
        currency=fact.currency,
        reference=fact.reference,
        numbers=tuple(number for number in (fact.number, fact.paid_from) if number),
        paid_from=fact.paid_from,
        issuer=fact.issuer if fact.kind is Kind.CONFIRMATION else None,
    )


def _signal_of_row(row: Transaction, told: _Told | None = None) -> Signal:
    notices = told.notices if told else []
    numbers = [row.number, *(fact.number for fact in notices)]
    reference = row.reference or next((fact.reference for fact in notices if fact.reference), None)
    return Signal(
        id=row.id,
        at=row.at,
        hash=row.hash,
        amount=abs(row.amount_minor),
        currency=row.currency if row.is_currency_stated else None,
        reference=reference,
        numbers=tuple(number for number in numbers if number),
        words=" ".join([row.description, *(fact.issuer or "" for fact in notices)]),
    )


def _withdrawn(bill: Bill) -> Bill:
    """Set aside a bill that no message stands behind any more; its row stays."""
    if bill.merged_into is not None:
        return bill
    return replace(bill, merged_into=bill.id, paid_minor=0, paid_on=None, evidence="[]")
