"""Recording messages: one or many, folded at once or, in bulk, when all are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from tallybook.bills.model import Fact, Message, MessageStatus
from tallybook.bills.operations.folding import Changes, decision, fold_into, needs_of
from tallybook.bills.operations.taking import Taken
from tallybook.bills.store import FACT_OF_MESSAGE, FACTS, MESSAGE_BY_IDENTITY, MESSAGES
from tallybook.bills.views import show_message
from tallybook.customers.store import CUSTOMERS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class RecordMessages:
    """Messages to be written down, in order."""

    messages: tuple[Taken, ...]
    currency: str
    """The installation's: amounts that came without one have its decimals."""
    is_list: bool
    """Whether a list was sent, so that a list is answered."""
    is_bulk: bool = field(default=False, repr=False, metadata={"hashed": False})
    """Whether the accounts are folded later, by `FoldCustomer`."""
    said: Said = said_of("currency")


class RecordMessagesOperation:
    """Records messages, folds the accounts that they are about, and tells what became of each."""

    name = "bills.record_messages"

    def needs(self, command: RecordMessages, seen: View) -> Needs:
        """Lock the customers, and see everything of theirs and what came before."""
        customers = {taken.customer_id for taken in command.messages}
        base = needs_of(customers)
        identities = [
            identity
            for taken in command.messages
            for identity in (taken.message.identity, taken.older)
            if identity is not None
        ]
        read: list[tuple[Any, Any]] = [(MESSAGE_BY_IDENTITY, identity) for identity in identities]
        if command.is_bulk:
            return Needs(lock=base.lock, read=read)
        read += base.read
        for identity in identities:
            if seen.has_rows(MESSAGE_BY_IDENTITY, identity):
                read += [
                    (FACT_OF_MESSAGE, message.id)
                    for message in seen.rows(MESSAGE_BY_IDENTITY, identity)
                ]
        return Needs(lock=base.lock, read=read)

    def decide(
        self, view: View, command: RecordMessages, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Write down what is new; the same message again changes nothing. Source: B9."""
        for place, taken in enumerate(command.messages):
            if view.row(CUSTOMERS, taken.customer_id) is None:
                param = f"{place}.customer_id" if command.is_list else "customer_id"
                return Refusal("customer_not_found", param=param)
        new: dict[str, tuple[Message, Fact]] = {}
        shown_as: list[tuple[Message, Fact, str | None]] = []
        for taken in command.messages:
            identity = taken.message.identity
            stored = _stored(view, taken)
            if stored is not None:
                fact = None if command.is_bulk else view.one(FACT_OF_MESSAGE, stored.id)
                shown_as.append((stored, fact or taken.fact, MessageStatus.DUPLICATE))
            elif identity in new:
                shown_as.append((*new[identity], MessageStatus.DUPLICATE))
            else:
                message = taken.message
                if not command.is_bulk:
                    message = replace(message, recorded_at=moment.now)
                new[identity] = message, taken.fact
                shown_as.append((message, taken.fact, None))
        if command.is_bulk:
            return self._write_down(new, shown_as)
        return self._fold(view, command, new, shown_as, moment, ids)

    def _write_down(
        self,
        new: dict[str, tuple[Message, Fact]],
        shown_as: Sequence[tuple[Message, Fact, str | None]],
    ) -> Decision:
        counts = Counter(status or str(fact.status) for _, fact, status in shown_as)
        added = [(MESSAGES, message) for message, _ in new.values()]
        added_facts = [(FACTS, fact) for _, fact in new.values()]
        events = [_told(new, counts)] if new else []
        return Decision(added=[*added, *added_facts], events=events, value=counts)

    def _fold(
        self,
        view: View,
        command: RecordMessages,
        new: dict[str, tuple[Message, Fact]],
        shown_as: Sequence[tuple[Message, Fact, str | None]],
        moment: Moment,
        ids: Ids,
    ) -> Decision:
        changes = Changes()
        by_customer: dict[str, list[Fact]] = {}
        for message, fact in new.values():
            changes.added.append((MESSAGES, message))
            by_customer.setdefault(message.customer_id, []).append(fact)
        for customer_id, facts in by_customer.items():
            folding = [fact for fact in facts if fact.folds]
            if folding:
                fold_into(
                    changes, view, customer_id, moment, ids,
                    installation_currency=command.currency, facts=folding,
                )  # fmt: skip
        facts_now = {
            fact.message_id: changes.facts.get(fact.message_id, fact) for _, fact in new.values()
        }
        # A message's row comes before what refers to it; shelves are written in order of rank.
        changes.added += [(FACTS, fact) for fact in facts_now.values()]
        bodies = [
            show_message(
                message,
                changes.facts.get(fact.message_id, fact),
                currency=command.currency,
                status=status,
            )
            for message, fact, status in shown_as
        ]
        counts = Counter(body["status"] for body in bodies)
        reply = Reply(201, {"data": bodies} if command.is_list else bodies[0])
        return decision(
            changes, event=_told(new, counts) if new else None, reply=reply, value=bodies
        )


def _stored(view: View, taken: Taken) -> Message | None:
    """Find a message that is there already, also from before its time of receipt counted."""
    stored = view.one(MESSAGE_BY_IDENTITY, taken.message.identity)
    if stored is None and taken.older is not None:
        older = view.one(MESSAGE_BY_IDENTITY, taken.older)
        if older is not None and older.received_at == taken.message.received_at:
            return older
    return stored


def _told(new: dict[str, tuple[Message, Fact]], counts: Counter[str]) -> Event:
    first, _ = next(iter(new.values()))
    customers = {message.customer_id for message, _ in new.values()}
    return Event(
        "bills.messages.recorded",
        first.id,
        {"messages": len(new), "became": dict(sorted(counts.items()))},
        first.customer_id if len(customers) == 1 else None,
    )


RECORD_MESSAGES = RecordMessagesOperation()


@frozen
class FoldCustomer:
    """One customer whose messages were written down in bulk."""

    customer_id: str
    installation_currency: str
    """Amounts that came without a currency have its decimals."""


class FoldCustomerOperation:
    """Folds a customer whose messages are all in."""

    name = "bills.fold_customer"

    def needs(self, command: FoldCustomer, seen: View) -> Needs:
        """Lock the customer, and see everything of theirs."""
        del seen
        return needs_of([command.customer_id])

    def decide(
        self, view: View, command: FoldCustomer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Fold; nothing changes where all was folded before."""
        if view.row(CUSTOMERS, command.customer_id) is None:
            return Refusal("customer_not_found", param="customer_id")
        changes = Changes()
        fold_into(
            changes, view, command.customer_id, moment, ids,
            installation_currency=command.installation_currency,
        )  # fmt: skip
        event = None
        if changes.changed or changes.added:
            event = Event(
                "bills.customer.folded", command.customer_id, {"facts": len(changes.facts)},
                command.customer_id,
            )  # fmt: skip
        counts = Counter(str(fact.status) for fact in changes.facts.values())
        return decision(changes, event=event, value=counts)


FOLD_CUSTOMER = FoldCustomerOperation()
