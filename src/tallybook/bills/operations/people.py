"""What people add: movements they know of, which bill a payment is for, and corrected readings."""

from __future__ import annotations

import json
from dataclasses import field
from datetime import date, datetime

from tallybook.bills.model import (
    AccountType,
    Bill,
    Fact,
    Kind,
    Link,
    MessageStatus,
    Resolution,
    Transaction,
)
from tallybook.bills.operations.folding import Changes, decision, fold_into, needs_of
from tallybook.bills.rules.states import see_minimum_fits
from tallybook.bills.store import (
    BILL_BY_ID,
    FACT_OF_MESSAGE,
    FACTS,
    LINKS,
    RESOLUTIONS,
    TRANSACTION_BY_ID,
    TRANSACTIONS,
    TRANSACTIONS_OF,
)
from tallybook.bills.views import show_transaction
from tallybook.customers.store import CUSTOMERS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

# -- a movement ----------------------------------------------------------------------------------


@frozen
class RecordTransaction:
    """A bank or wallet movement. Units: minor units, negative is money out."""

    customer_id: str
    amount_minor: int
    currency: str
    """The movement's own, which the installation's stands in for."""
    is_currency_stated: bool
    happened_at: datetime
    on_day: date
    description: str
    reference: str | None
    number: str | None
    hash: str
    """What orders it among movements and messages of the same instant."""
    installation_currency: str = field(repr=False, metadata={"hashed": False})
    """Amounts that came without a currency have its decimals, whatever this one is in."""
    said: Said = said_of("amount_minor", "currency", "on_day", "hash")


class RecordTransactionOperation:
    """Records a movement, and links it to the payment that it is. Source: B8."""

    name = "bills.record_transaction"

    def needs(self, command: RecordTransaction, seen: View) -> Needs:
        """Lock the customer, and see everything of theirs."""
        del seen
        return needs_of([command.customer_id])

    def decide(
        self, view: View, command: RecordTransaction, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Record it and fold; an equal movement is another one, not the same again."""
        if view.row(CUSTOMERS, command.customer_id) is None:
            return Refusal("customer_not_found", param="customer_id")
        ident = ids.fresh()
        row = Transaction(
            id=ident,
            customer_id=command.customer_id,
            message_id=None,
            at=command.happened_at,
            hash=command.hash,
            on_day=command.on_day,
            amount_minor=command.amount_minor,
            currency=command.currency,
            is_currency_stated=command.is_currency_stated,
            description=command.description,
            reference=command.reference,
            number=command.number,
        )
        changes = Changes()
        fold_into(
            changes, view, command.customer_id, moment, ids,
            installation_currency=command.installation_currency, transactions=[row],
        )  # fmt: skip
        row = changes.transactions[ident]
        if (TRANSACTIONS, row) not in changes.added:
            changes.added.append((TRANSACTIONS, row))
        event = Event("bills.transaction.recorded", ident, {}, command.customer_id)
        return decision(changes, event=event, reply=Reply(201, show_transaction(row)), value=row)


RECORD_TRANSACTION = RecordTransactionOperation()

# -- a person's link -----------------------------------------------------------------------------


@frozen
class LinkTransaction:
    """Which bill a transaction pays, as a person knows it; None: none, and don't guess."""

    transaction_id: str
    bill_id: str | None
    installation_currency: str = field(repr=False, metadata={"hashed": False})
    """Amounts that came without a currency have its decimals."""


class LinkTransactionOperation:
    """Links a transaction to a bill, or unlinks it; a person's word wins. Source: B8."""

    name = "bills.link_transaction"

    def needs(self, command: LinkTransaction, seen: View) -> Needs:
        """Find whose transaction it is, then lock that customer."""
        look_up = [(TRANSACTION_BY_ID, command.transaction_id)]
        if not seen.has_rows(*look_up[0]):
            return Needs(look_up=look_up)
        row = seen.one(TRANSACTION_BY_ID, command.transaction_id)
        if row is None:
            return Needs(look_up=look_up)
        base = needs_of([row.customer_id])
        bills = [(BILL_BY_ID, command.bill_id)] if command.bill_id is not None else []
        return Needs(look_up=look_up, lock=base.lock, read=(*base.read, *bills))

    def decide(
        self, view: View, command: LinkTransaction, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Remember the person's word and fold. Of another wording it is said of the first."""
        row = view.one(TRANSACTION_BY_ID, command.transaction_id)
        if row is None:
            return Refusal("transaction_not_found")
        row = _standing(view, row)
        if row is None:
            return Refusal("transaction_set_aside")
        bill = None
        if command.bill_id is not None:
            bill = view.one(BILL_BY_ID, command.bill_id)
            refusal = _check_link(row, bill)
            if refusal is not None:
                return refusal
        anchor = bill.anchor if bill is not None else None
        link = Link(ids.fresh(), row.customer_id, row.id, anchor, moment.now)
        changes = Changes(added=[(LINKS, link)])
        fold_into(
            changes, view, row.customer_id, moment, ids,
            installation_currency=command.installation_currency, links=[link],
        )  # fmt: skip
        # Known only now: a transaction that names no currency has found its own in the fold.
        if bill is not None:
            bill = changes.bills.get(bill.merged_into or bill.id, bill)
            if changes.transactions.get(row.id, row).currency != bill.currency:
                return Refusal(
                    "bill_currency_differs", param="bill_id", details={"currency": bill.currency}
                )
        body = {"bill_id": command.bill_id and show_id("bill", command.bill_id)}
        kind = "bills.transaction.linked" if command.bill_id else "bills.transaction.unlinked"
        event = Event(kind, row.id, body, row.customer_id)
        row = changes.transactions.get(row.id, row)
        return decision(changes, event=event, reply=Reply(200, show_transaction(row)), value=row)


LINK_TRANSACTION = LinkTransactionOperation()


def _standing(view: View, row: Transaction) -> Transaction | None:
    """Find the transaction that counts for a row; None where no message is behind it any more."""
    rows = {each.id: each for each in view.rows(TRANSACTIONS_OF, row.customer_id)}
    seen = {row.id}
    while row.duplicate_of is not None:
        if row.duplicate_of in seen:
            return None
        seen.add(row.duplicate_of)
        row = rows[row.duplicate_of]
    return row


def _check_link(row: Transaction, bill: Bill | None) -> Refusal | None:
    """Tell why a transaction can't be linked to a bill."""
    if bill is None:
        return Refusal("bill_not_found", param="bill_id")
    if bill.customer_id != row.customer_id:
        return Refusal("bill_of_another_customer", param="bill_id")
    if bill.merged_into == bill.id:
        return Refusal("bill_set_aside", param="bill_id")
    return Refusal("transaction_not_a_payment") if row.amount_minor > 0 else None


# -- the review queue ----------------------------------------------------------------------------


@frozen
class CorrectedReading:
    """What a person reads in a message."""

    kind: Kind
    bill_type: AccountType | None
    issuer: str | None = None
    number: str | None = None
    amount: str | None = None
    minimum: str | None = None
    """In major units, written by `kernel.money.plain_amount`: its message may name the currency."""
    currency: str | None = None
    bill_on: date | None = None
    due_on: date | None = None
    paid_on: date | None = None
    reference: str | None = None


@frozen
class ResolveReview:
    """A person's ruling on a message that waits: the right reading, or that it is nothing."""

    message_id: str
    reading: CorrectedReading | None
    reason: str
    currency: str
    """The installation's: for where neither the person nor the message names one. It keeps this
    name since the hashes of stored idempotency keys hold it."""


class ResolveReviewOperation:
    """Settles a review item: corrected and folded, or dismissed."""

    name = "bills.resolve_review"

    def needs(self, command: ResolveReview, seen: View) -> Needs:
        """Find whose message it is, then lock that customer."""
        look_up = [(FACT_OF_MESSAGE, command.message_id)]
        if not seen.has_rows(*look_up[0]):
            return Needs(look_up=look_up)
        fact = seen.one(FACT_OF_MESSAGE, command.message_id)
        if fact is None:
            return Needs(look_up=look_up)
        base = needs_of([fact.customer_id])
        return Needs(look_up=look_up, lock=((FACTS, fact.message_id), *base.lock), read=base.read)

    def decide(
        self, view: View, command: ResolveReview, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Settle it once."""
        found = view.one(FACT_OF_MESSAGE, command.message_id)
        fact = view.row(FACTS, command.message_id) if found is not None else None
        if fact is None:
            return Refusal("review_item_not_found")
        if fact.status is not MessageStatus.REVIEW:
            return Refusal("review_item_resolved")
        try:
            settled = _settled(fact, command.reading, command.currency)
        except Refused as refused:
            return refused.refusal
        resolution = Resolution(
            id=ids.fresh(),
            customer_id=fact.customer_id,
            message_id=fact.message_id,
            action="dismiss" if command.reading is None else "correct",
            reason=command.reason,
            reading=json.dumps(_shown(settled), default=str),
            at=moment.now,
        )
        changes = Changes(added=[(RESOLUTIONS, resolution)])
        # Folded after a dismissal too: as long as the message counted, it could be what made
        # another message fit two accounts.
        fold_into(
            changes, view, fact.customer_id, moment, ids,
            installation_currency=command.currency, facts=[settled],
        )  # fmt: skip
        settled = changes.facts.get(settled.message_id, settled)
        changes.changed.append((FACTS, settled))
        event = Event(
            "bills.review.resolved", fact.message_id, {"action": resolution.action},
            fact.customer_id,
        )  # fmt: skip
        body = {
            "id": show_id("msg", fact.message_id),
            "status": str(settled.status),
            "why": settled.why,
            "bill_id": settled.bill_id and show_id("bill", settled.bill_id),
            "transaction_id": settled.transaction_id and show_id("txn", settled.transaction_id),
        }
        return decision(changes, event=event, reply=Reply(200, body), value=settled)


def _settled(fact: Fact, reading: CorrectedReading | None, installation: str) -> Fact:
    """Make the fact that a person's reading states. Raises: Refused `amount_invalid`."""
    if reading is None:
        return replace(
            fact, folds=False, status=MessageStatus.UNMATCHED, why="a person dismissed it"
        )
    currency = reading.currency or fact.currency
    amount = _minor(reading.amount, currency or installation, "amount")
    minimum = _minor(reading.minimum, currency or installation, "minimum_due")
    see_minimum_fits(amount, minimum, param="minimum_due")
    return replace(
        fact,
        folds=True,
        is_movement=False,
        kind=reading.kind,
        bill_type=reading.bill_type,
        issuer=reading.issuer or fact.issuer,
        number=reading.number or fact.number,
        amount_minor=amount,
        minimum_minor=minimum,
        currency=currency,
        bill_on=reading.bill_on,
        due_on=reading.due_on,
        paid_on=reading.paid_on,
        reference=reading.reference or fact.reference,
        status=MessageStatus.RECORDED,
        why="",
    )


def _minor(amount: str | None, currency: str, param: str) -> int | None:
    return None if amount is None else parse_amount(amount, currency, param=param)


def _shown(fact: Fact) -> dict[str, object]:
    return {
        "kind": fact.kind, "bill_type": fact.bill_type, "issuer": fact.issuer,
        "amount_minor": fact.amount_minor, "minimum_minor": fact.minimum_minor,
        "currency": fact.currency, "bill_on": fact.bill_on, "due_on": fact.due_on,
        "paid_on": fact.paid_on, "folds": fact.folds,
    }  # fmt: skip


RESOLVE_REVIEW = ResolveReviewOperation()
