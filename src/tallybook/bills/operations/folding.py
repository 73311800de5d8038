"""What every write of household bills ends with: fold the customer, and write what differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tallybook.bills.model import Bill, Fact, Link, Transaction
from tallybook.bills.rules.booking import bill_wants, entry_between, transaction_wants
from tallybook.bills.rules.folding import Folded, Known, fold_customer
from tallybook.bills.store import (
    BILL_ACCOUNTS,
    BILL_ACCOUNTS_OF,
    BILLS,
    BILLS_OF,
    FACTS,
    FACTS_OF,
    LINKS_OF,
    TRANSACTIONS,
    TRANSACTIONS_OF,
)
from tallybook.customers.store import CUSTOMERS
from tallybook.kernel.ids import Ids, show_id
from tallybook.ledger.model import Entry
from tallybook.writer.model import Decision, Event, Index, Moment, Needs, Shelf, View


@dataclass(slots=True)
class Changes:
    """What a command will write."""

    added: list[tuple[Shelf[Any], Any]] = field(default_factory=list)
    changed: list[tuple[Shelf[Any], Any]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)
    """Every fact as it stands now, by its message's id."""
    transactions: dict[str, Transaction] = field(default_factory=dict)
    bills: dict[str, Bill] = field(default_factory=dict)


def needs_of(customer_ids: Iterable[str]) -> Needs:
    """Ask for everything of some customers' bills. Locks: their customers' rows."""
    customers = sorted(set(customer_ids))
    return Needs(
        lock=tuple((CUSTOMERS, customer) for customer in customers),
        read=tuple((index, customer) for customer in customers for index in _ALL),
    )


_ALL: tuple[Index[Any], ...] = (
    FACTS_OF,
    TRANSACTIONS_OF,
    LINKS_OF,
    BILL_ACCOUNTS_OF,
    BILLS_OF,
)


def fold_into(  # noqa: PLR0913 - what a fold needs, and what comes new to it
    changes: Changes,
    view: View,
    customer_id: str,
    moment: Moment,
    ids: Ids,
    *,
    installation_currency: str,
    facts: Sequence[Fact] = (),
    transactions: Sequence[Transaction] = (),
    links: Sequence[Link] = (),
) -> None:
    """Fold a customer with what comes new, and add what must be written to the changes.

    `installation_currency` is the setting, never what came: it is as for `fold_customer`.
    """
    new_facts = {fact.message_id: fact for fact in facts}
    stored = [fact for fact in view.rows(FACTS_OF, customer_id) if fact.message_id not in new_facts]
    known = Known(
        facts=[*stored, *facts],
        transactions=[*view.rows(TRANSACTIONS_OF, customer_id), *transactions],
        links=[*view.rows(LINKS_OF, customer_id), *links],
        accounts=view.rows(BILL_ACCOUNTS_OF, customer_id),
        bills=view.rows(BILLS_OF, customer_id),
    )
    folded = fold_customer(known, ids, installation_currency=installation_currency, now=moment.now)
    _note_facts(changes, folded, {fact.message_id: fact for fact in stored}, new_facts)
    _note_rows(changes, folded, known, {row.id for row in transactions})
    _book(changes, folded, known, {row.id for row in transactions}, moment)


def _note_facts(
    changes: Changes, folded: Folded, stored: dict[str, Fact], new: dict[str, Fact]
) -> None:
    for fact in folded.facts:
        changes.facts[fact.message_id] = fact
        if fact.message_id in new:
            continue  # its own command writes it, once
        if stored.get(fact.message_id) != fact:
            changes.changed.append((FACTS, fact))


def _note_rows(changes: Changes, folded: Folded, known: Known, new: set[str]) -> None:
    stored_rows = [row for row in known.transactions if row.id not in new]
    sides: tuple[tuple[Shelf[Any], Sequence[Any], Sequence[Any]], ...] = (
        (BILL_ACCOUNTS, folded.accounts, known.accounts),
        (BILLS, folded.bills, known.bills),
        (TRANSACTIONS, folded.transactions, stored_rows),
    )  # fmt: skip
    for shelf, wanted, stored in sides:
        before = {row.id: row for row in stored}
        for row in wanted:
            if row.id not in before:
                changes.added.append((shelf, row))
            elif before[row.id] != row:
                changes.changed.append((shelf, row))
    changes.transactions |= {row.id: row for row in folded.transactions}
    changes.bills |= {row.id: row for row in folded.bills}


def _book(changes: Changes, folded: Folded, known: Known, new: set[str], moment: Moment) -> None:
    """Book what the rows want now and did not want before, and tell of it. Source: G."""
    types = {row.id: row.type for row in (*known.accounts, *folded.accounts)}
    bills = {row.id: row for row in known.bills}
    for bill in folded.bills:
        before = bills.get(bill.id)
        if before == bill:
            continue
        kind = "bills.bill.generated" if before is None else "bills.bill.changed"
        entry = entry_between(
            bill_wants(before), bill_wants(bill), kind=kind, customer_id=bill.customer_id,
            effective_on=min(bill.dated_on, moment.today),
        )  # fmt: skip
        changes.entries += [entry] if entry else []
        changes.events.append(Event(kind, bill.id, _bill_body(bill), bill.customer_id))
    stored = {row.id: row for row in known.transactions if row.id not in new}
    for row in folded.transactions:
        before_row = stored.get(row.id)
        old_type = types.get(before_row.account_id or "") if before_row else None
        entry = entry_between(
            transaction_wants(before_row, old_type),
            transaction_wants(row, types.get(row.account_id or "")),
            kind="bills.bill.paid", customer_id=row.customer_id,
            effective_on=min(row.on_day, moment.today),
        )  # fmt: skip
        if entry is None:
            continue
        changes.entries.append(entry)
        body = {"bill_id": row.bill_id and show_id("bill", row.bill_id)}
        kind = "bills.payment.bound" if row.bound_minor else "bills.payment.waiting"
        changes.events.append(Event(kind, row.id, body, row.customer_id))


def _bill_body(bill: Bill) -> dict[str, Any]:
    return {
        "type": bill.type,
        "amount_minor": bill.amount_minor,
        "currency": bill.currency,
        "due_on": bill.due_on,
        "paid_minor": bill.paid_minor,
        "merged_into": bill.merged_into,
    }


def decision(changes: Changes, *, event: Event | None, **more: Any) -> Decision:  # noqa: ANN401 - handed on to Decision
    """Make the decision out of the changes, with one event of the command's own."""
    events = (*([event] if event else ()), *changes.events)
    return Decision(
        added=changes.added,
        changed=changes.changed,
        entries=changes.entries,
        events=events,
        **more,
    )
