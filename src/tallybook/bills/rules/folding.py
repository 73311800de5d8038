"""The fold: everything known of a customer's bills, from all messages, movements and links.

It is a pure function of the facts in the order (sent at, hash), so that any order of arrival ends
the same. Rows keep their ids by the message they were made from. Source: B10, T4.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from tallybook.bills.model import (
    Bill,
    BillAccount,
    Fact,
    Kind,
    Link,
    MessageStatus,
    Transaction,
)
from tallybook.bills.rules.billing import FoldedAccount, fold_account
from tallybook.bills.rules.currencies import Currencies
from tallybook.bills.rules.drafts import Bound, Payment
from tallybook.bills.rules.outcomes import Outcomes
from tallybook.bills.rules.placing import Place, place_facts
from tallybook.bills.rules.rows import account_row, bill_rows, withdrawn_account, withdrawn_bill
from tallybook.bills.rules.telling import Payments, Told, is_payment
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


def fold_customer(known: Known, ids: Ids, *, installation_currency: str, now: datetime) -> Folded:
    """Fold all that is known of one customer.

    Amounts that came without a currency came with the decimals of `installation_currency`.
    """
    return _Fold(known, ids, installation_currency, now).run()


class _Fold:
    def __init__(self, known: Known, ids: Ids, installation_currency: str, now: datetime) -> None:
        self.known = known
        self.ids = ids
        self.now = now
        self.facts = sorted(
            (fact for fact in known.facts if fact.folds), key=lambda fact: (fact.at, fact.hash)
        )
        self.currencies = Currencies(self.facts, known.transactions, installation_currency)
        self.outcomes = Outcomes()
        self.payments = Payments(
            known.transactions, known.links, self.currencies, self.outcomes, ids
        )

    def run(self) -> Folded:
        placed = place_facts(fact for fact in self.facts if not fact.is_movement)
        place_of = {fact.message_id: place for place in placed.places for fact in place.facts}
        for place in placed.places:
            place.currency = self.currencies.of_account(place.facts)
        for fact in self.facts:
            if fact.message_id in placed.unclear:
                why = placed.unclear[fact.message_id]
                self.outcomes.tell(fact, MessageStatus.REVIEW, why=why)
        usable = [fact for fact in self.facts if fact.message_id not in placed.unclear]
        self.payments.tell(usable, place_of)
        accounts, bills = self._fold_places(placed.places)
        self.payments.tell_outcomes()
        for fact in usable:
            if fact.message_id not in self.outcomes.of:
                self.outcomes.tell(fact, MessageStatus.INFORMATION, why="kept as information")
        transactions = [told.transaction for told in self.payments.told.values()]
        transactions += self.payments.set_aside()
        return Folded(list(self.outcomes.of.values()), transactions, accounts, bills)

    def _fold_places(self, places: Sequence[Place]) -> tuple[list[BillAccount], list[Bill]]:
        accounts: list[BillAccount] = []
        bills: list[Bill] = []
        told_at: dict[int, list[Told]] = {}
        for told in self.payments.told.values():
            if told.place is not None and told.transaction.duplicate_of is None:
                told_at.setdefault(id(told.place), []).append(told)
        for place in places:
            here = told_at.get(id(place), [])
            facts = [self.currencies.settle_fact(fact, place.currency) for fact in place.facts]
            folded = fold_account(place.type, facts, [_payment(told) for told in here])
            account, retired = account_row(place, folded, self.known.accounts, self.ids, self.now)
            accounts += [account, *retired]
            rows, ids_of = bill_rows(account, folded, self.known.bills, self.ids)
            bills += rows
            self._tell_outcomes(place, account, folded, ids_of)
            for told in here:
                _bind(told, account, folded.bound[told.transaction.id], ids_of)
        standing = {row.id for row in (*accounts, *bills)}
        accounts += [withdrawn_account(row) for row in self.known.accounts
                     if row.id not in standing]  # fmt: skip
        bills += [withdrawn_bill(row) for row in self.known.bills if row.id not in standing]
        return accounts, bills

    def _tell_outcomes(
        self, place: Place, account: BillAccount, folded: FoldedAccount, ids_of: dict[str, str]
    ) -> None:
        for fact in place.facts:
            if fact.message_id in self.outcomes.of or is_payment(fact):
                continue
            unclear = folded.unclear.get(fact.message_id)
            if unclear is not None:
                self.outcomes.tell(fact, MessageStatus.REVIEW, why=unclear)
                continue
            touched = folded.touched.get(fact.message_id)
            if touched is None:
                self.outcomes.tell(fact, MessageStatus.INFORMATION, account_id=account.id,
                                   why="told, and no bill is open that it is about")  # fmt: skip
                continue
            bill, what = touched
            status = MessageStatus.APPLIED
            if fact.kind is Kind.INFORMATION:
                status = MessageStatus.INFORMATION
            self.outcomes.tell(
                fact, status, account_id=account.id, bill_id=ids_of[bill.anchor], why=what
            )


def _payment(told: Told) -> Payment:
    row = told.transaction
    named = next(iter(told.notices), None)
    return Payment(
        id=row.id,
        on=named.paid_on or row.on_day if named else row.on_day,
        at=named.at if named else row.at,
        hash=named.hash if named else row.hash,
        amount=abs(row.amount_minor),
        currency=row.currency,
        bill_on=named.bill_on if named else None,
        due_on=named.due_on if named else None,
        anchor=told.link.bill_anchor if told.link else None,
        is_barred=told.is_barred,
    )


def _bind(told: Told, account: BillAccount, bound: Bound, ids_of: dict[str, str]) -> None:
    parts = [(ids_of[bill.anchor], part) for bill, part in bound.parts]
    bound_minor = sum(part for _, part in parts)
    why = bound.why if not told.why else f"{bound.why}; {told.why}"
    told.transaction = replace(
        told.transaction,
        account_id=account.id,
        bill_id=parts[0][0] if parts else None,
        bound=json.dumps(parts),
        bound_minor=bound_minor,
        prepaid_minor=0 if told.is_barred else bound.waiting,
        evidence=why,
    )
