"""Adopting an orphan: a debit that was sent after the copy was made that the book comes from."""

from __future__ import annotations

from dataclasses import field
from datetime import date

from tallybook.collection.operations.moving import close_item, transfer_event
from tallybook.collection.operations.sending import new_debit
from tallybook.collection.rules import may_send, send_row
from tallybook.collection.store import INSTALLMENTS, PLANS
from tallybook.collection.views import item_view
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import Action, ItemKind, TransferState
from tallybook.processor.store import ITEMS, OPEN_ITEMS_ABOUT, TRANSFER_BY_TRANSACTION, TRANSFERS
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class AdoptOrphan:
    """That a transaction, of which only a report tells, collected a row of a plan."""

    transaction_id: str
    installment_id: str
    number: int
    subject_id: str
    reason: str
    by: str
    # Neither is asked: when a report first told of it, and which process is asked to adopt it.
    sent_on: date = field(repr=False, metadata={"hashed": False})
    sender: str = field(repr=False, metadata={"hashed": False})


class AdoptOrphanOperation:
    """Puts the transfer on record that the book has lost; reports then settle it as any other."""

    name = "collection.adopt_orphan"

    def needs(self, command: AdoptOrphan, seen: View) -> Needs:
        """Lock plan and row; read what waits about the transaction."""
        del seen
        return Needs(
            look_up=((TRANSFER_BY_TRANSACTION, command.transaction_id),),
            lock=((PLANS, command.subject_id), (INSTALLMENTS, command.installment_id)),
            read=((OPEN_ITEMS_ABOUT, command.transaction_id),),
        )

    def decide(
        self, view: View, command: AdoptOrphan, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Make the transfer as accepted, where its row still is to be collected."""
        items = [
            item
            for item in view.rows(OPEN_ITEMS_ABOUT, command.transaction_id)
            if item.kind is ItemKind.ORPHAN
        ]
        if view.rows(TRANSFER_BY_TRANSACTION, command.transaction_id):
            return Refusal("transaction_id_taken", param="transaction_id")
        if not items:
            return Refusal("operator_item_resolved")
        plan = view.row(PLANS, command.subject_id)
        row = view.row(INSTALLMENTS, command.installment_id)
        if plan is None or row is None or not may_send(plan, row):
            return Refusal("row_not_open", param="number", details={"number": command.number})
        plan, row = send_row(plan, row)
        intent = new_debit(plan, row, command.sent_on, command.sender, moment, ids)
        transfer = replace(
            intent, state=TransferState.ACCEPTED, transaction_id=command.transaction_id
        )
        closed = [
            close_item(item, Action.ADOPT.value, moment, reason=command.reason, by=command.by)
            for item in items
        ]
        resolved = [
            Event(
                "processor.item.resolved",
                item.id,
                {"kind": item.kind.value, "action": Action.ADOPT.value, "by": command.by},
                plan.customer_id,
            )
            for item in closed
        ]
        return Decision(
            changed=(
                (PLANS, plan),
                (INSTALLMENTS, row),
                *((ITEMS, item) for item in closed),
            ),
            added=((TRANSFERS, transfer),),
            events=(transfer_event(intent), transfer_event(transfer), *resolved),
            reply=Reply(200, item_view(closed[0])),
            value=transfer,
        )


ADOPT_ORPHAN = AdoptOrphanOperation()
