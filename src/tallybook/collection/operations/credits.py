"""Customer credit paid out through the Processor. Source: C3, G."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any

from tallybook.collection.operations.business import BUSINESSES, CreditUse, TransferChange
from tallybook.collection.operations.moving import (
    close_item,
    open_item,
    transfer_event,
)
from tallybook.collection.operations.sending import new_transfer
from tallybook.customers.model import CustomerCredit
from tallybook.customers.store import CREDITS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Chart, Entry, Posting
from tallybook.processor.model import (
    Action,
    ItemKind,
    OperatorItem,
    Transfer,
    TransferKind,
    TransferState,
)
from tallybook.processor.port import Direction
from tallybook.processor.rules import IN_FLIGHT, check_currency
from tallybook.processor.store import ITEMS, TRANSFERS
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Command, Decision, Event, Moment, Needs, Reply, View

_S = TransferState


@frozen
class BeginPayout:
    """Credit that is to be paid out to one of the customer's accounts."""

    customer_id: str
    account_id: str
    amount_minor: int
    currency: str
    reason: str
    item_id: str | None = None
    """The operator item that is answered by it."""
    by: str = "operator"
    number_sealed: bytes = field(default=b"", repr=False, metadata={"hashed": False})
    request_key: str | None = field(default=None, repr=False, metadata={"hashed": False})
    served: str | None = field(default=None, repr=False, metadata={"hashed": False})
    """The currency of the Processor, where it is not known to be this one. Source: P1."""
    said: Said = said_of("amount_minor", "currency")


class BeginPayoutOperation:
    """Takes the credit and puts the intent to pay it out on record.

    Its value is the transfer to send, and the sealed number it goes to.
    """

    name = "collection.credit_payout"

    def __init__(self, sender: str, lease: timedelta) -> None:
        self._sender = sender
        self._lease = lease

    def needs(self, command: BeginPayout, seen: View) -> Needs:
        """Lock the credit, and the item that is answered."""
        del seen
        credit = (CREDITS, (command.customer_id, command.currency))
        item = ((ITEMS, command.item_id),) if command.item_id is not None else ()
        return Needs(lock=(credit, *item))

    def decide(
        self, view: View, command: BeginPayout, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Pay out no more than there is, and for one item only once."""
        if (refusal := check_currency(command.currency, command.served)) is not None:
            return refusal
        item = view.row(ITEMS, command.item_id) if command.item_id is not None else None
        if item is not None and not item.is_open:
            return Refusal("operator_item_resolved")
        customer_id = command.customer_id
        credit = view.row(CREDITS, (customer_id, command.currency))
        held = credit.credit_minor if credit else 0
        if credit is None or held < command.amount_minor:
            shown = format_amount(held, command.currency)
            return Refusal("credit_insufficient", details={"credit": shown})
        transfer = new_transfer(
            kind=TransferKind.CREDIT_PAYOUT,
            direction=Direction.CREDIT,
            customer_id=customer_id,
            bank_account_id=command.account_id,
            subject_id=customer_id,
            installment=None,
            amount_minor=command.amount_minor,
            currency=command.currency,
            sent_on=moment.today,
            sender=self._sender,
            lease=self._lease,
            request_key=command.request_key,
            moment=moment,
            ids=ids,
        )
        entry = _difference(None, transfer, moment)
        assert entry is not None
        left = replace(credit, credit_minor=held - command.amount_minor)
        changed: list[tuple[Any, Any]] = [(CREDITS, left)]
        if item is not None:
            refund = Action.REFUND.value
            closed = close_item(item, refund, moment, reason=command.reason, by=command.by)
            changed.append((ITEMS, closed))
        return Decision(
            changed=changed,
            added=((TRANSFERS, transfer),),
            entries=(entry,),
            events=(
                transfer_event(transfer),
                Event(
                    "customers.credit.paid_out",
                    transfer.id,
                    {"amount_minor": transfer.amount_minor, "reason": command.reason},
                    customer_id,
                ),
            ),
            value=(transfer, command.number_sealed),
        )


class PayoutBusiness:
    """Books what becomes of credit payouts: what does not reach the customer is credit again."""

    def needs(self, transfer: Transfer, seen: View, after: Transfer | None) -> Needs:
        """Lock the credit."""
        del seen, after
        return Needs(lock=((CREDITS, (transfer.customer_id, transfer.currency)),))

    def book(self, view: View, change: TransferChange, moment: Moment, ids: Ids) -> Decision:
        """Book the difference between where the money was and where it is."""
        before, after = change.before, change.after
        changed: list[tuple[Any, Any]] = []
        added: list[tuple[Any, Any]] = []
        returned = (
            payout_position(after)[Chart.CUSTOMER_CREDIT]
            - payout_position(before)[Chart.CUSTOMER_CREDIT]
        )
        if returned:
            key = (after.customer_id, after.currency)
            credit = view.row(CREDITS, key) or CustomerCredit(*key, 0)
            changed.append((CREDITS, replace(credit, credit_minor=credit.credit_minor - returned)))
        if returned < 0:
            added.append((ITEMS, _came_back(after, moment, ids)))
        entry = _difference(before, after, moment)
        return Decision(
            changed=changed, added=added, entries=(entry,) if entry else (), reply=_reply(after)
        )

    def ruling(self, item: OperatorItem, action: Action, reason: str, by: str) -> Command | None:
        """Leave everything to the rulings on the transfer itself."""
        del item, action, reason, by

    def credit_application(self, asked: CreditUse) -> Command | None:
        """Use no credit: a payout owes nothing."""
        del asked


def refuse_spent_credit(view: View, change: TransferChange) -> Refusal | None:
    """Refuse to confirm a payout whose credit, given back meanwhile, the customer has used.

    Credit is never below zero: the item stays open until the customer holds so much again, by a
    payment of what they were given twice. Source: C3, A10.
    """
    before, after = change.before, change.after
    if after.kind is not TransferKind.CREDIT_PAYOUT:
        return None
    chart = Chart.CUSTOMER_CREDIT
    taken = payout_position(after)[chart] - payout_position(before)[chart]
    credit = view.row(CREDITS, (after.customer_id, after.currency))
    held = credit.credit_minor if credit else 0
    if taken <= held:
        return None
    shown = format_amount(held, after.currency)
    return Refusal("credit_insufficient", details={"credit": shown})


def _came_back(after: Transfer, moment: Moment, ids: Ids) -> OperatorItem:
    """Ask a person what to do with credit that was to be paid out and was not."""
    shown = format_amount(after.amount_minor, after.currency)
    detail = (
        f"A payout of {shown} {after.currency} came to nothing ({after.state.value}); it is credit"
        " again."
    )
    return open_item(ItemKind.EXCESS, after, detail, moment, ids, amount_minor=after.amount_minor)


def payout_view(transfer: Transfer) -> dict[str, Any]:
    """Show a payout as the wire does."""
    return {
        "id": show_id("trf", transfer.id),
        "customer_id": show_id("cus", transfer.customer_id),
        "amount": format_amount(transfer.amount_minor, transfer.currency),
        "currency": transfer.currency,
        "transaction_id": transfer.transaction_id,
        "status": transfer.state.value,
    }


def _reply(after: Transfer) -> Reply | Refusal | None:
    if after.state is _S.REJECTED:
        return Refusal("processor_rejected", details={"reason": after.reason or ""})
    if after.state not in (_S.ACCEPTED, _S.UNKNOWN):
        return None
    return Reply(201 if after.state is _S.ACCEPTED else 202, payout_view(after))


def payout_position(transfer: Transfer | None) -> Mapping[Chart, int]:
    """Tell what the house's accounts hold for a payout. Units: minor units, debits positive."""
    at = {Chart.CUSTOMER_CREDIT: 0, Chart.IN_TRANSIT: 0, Chart.CASH_BANK: 0}
    if transfer is None:
        return at
    amount = transfer.amount_minor
    if transfer.state is _S.SUCCEEDED:
        return at | {Chart.CUSTOMER_CREDIT: amount, Chart.CASH_BANK: -amount}
    if transfer.state in IN_FLIGHT or transfer.state is _S.TIMED_OUT:
        return at | {Chart.CUSTOMER_CREDIT: amount, Chart.IN_TRANSIT: -amount}
    return at


def _difference(before: Transfer | None, after: Transfer, moment: Moment) -> Entry | None:
    old, new = payout_position(before), payout_position(after)
    moved = [(chart, new[chart] - old[chart]) for chart in new if new[chart] != old[chart]]
    if not moved:
        return None
    postings = tuple(
        Posting(chart.value, amount, after.currency, after.customer_id, after.id)
        for chart, amount in sorted(moved, key=lambda item: (item[1] < 0, item[0]))
    )
    day = after.resolved_on or moment.today
    return Entry(f"credit_payouts.credit.{after.state.value}", min(day, moment.today), postings)


BUSINESSES.register(TransferKind.CREDIT_PAYOUT, PayoutBusiness())
