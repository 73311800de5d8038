"""What a person rules about an operator item; every ruling says who, when and why. Source: P9."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from tallybook.collection.operations.business import BUSINESSES, TransferChange
from tallybook.collection.operations.credits import refuse_spent_credit
from tallybook.collection.operations.moving import (
    close_item,
    move,
    transfer_event,
)
from tallybook.collection.views import item_view
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import Action, ItemKind, OperatorItem, Transfer, TransferState
from tallybook.processor.rules import ALLOWED_ACTIONS, MOVES, fold_facts
from tallybook.processor.store import (
    FACTS,
    FACTS_OF,
    ITEMS,
    OPEN_ITEMS_ABOUT,
    TRANSFER_BY_TRANSACTION,
    TRANSFERS,
)
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

_S = TransferState


@frozen
class RuleItem:
    """What a person rules about one item.

    Rows as they were read only say what to lock; they have changed when a request comes again.
    """

    item_id: str
    action: Action
    reason: str
    by: str
    transfer_id: str | None
    """The transfer that is ruled on: the item's own, or for an orphan the one named."""
    transaction_id: str | None
    """The Processor's id for it, where the person knows it or the orphan tells it."""
    transfer: Transfer | None = field(repr=False, metadata={"hashed": False})


class RuleItemOperation:
    """Does what a person says about a transfer, a hold or an orphan."""

    name = "collection.rule_item"

    def needs(self, command: RuleItem, seen: View) -> Needs:
        """Lock the item and the transfer with all that its business needs."""
        transfer, ident = command.transfer, command.transaction_id
        needs = Needs(lock=((ITEMS, command.item_id),))
        if ident is not None:
            needs = replace(
                needs,
                look_up=((TRANSFER_BY_TRANSACTION, ident),),
                read=((FACTS_OF, ident), (OPEN_ITEMS_ABOUT, ident)),
            )
        if transfer is None:
            return needs
        before = seen.row(TRANSFERS, transfer.id)
        # Whatever it comes to, it is not quiet: the rows it may touch are read.
        after = replace(before, state=_S.NOT_EXECUTED, held=False) if before else None
        business = BUSINESSES.of(transfer.kind).needs(transfer, seen, after)
        won = replace(before, state=_S.SUCCEEDED, held=False) if before else None
        winning = BUSINESSES.of(transfer.kind).needs(transfer, seen, won)
        return Needs(
            look_up=(*needs.look_up, *business.look_up),
            lock=(*needs.lock, (TRANSFERS, transfer.id), *business.lock, *winning.lock),
            read=(
                *needs.read,
                (OPEN_ITEMS_ABOUT, transfer.id),
                *business.read,
                *winning.read,
            ),
        )

    def decide(self, view: View, command: RuleItem, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Rule, if the item is open and the action is one of those it allows."""
        item = view.row(ITEMS, command.item_id)
        if item is None:
            return Refusal("operator_item_not_found")
        if not item.is_open:
            return Refusal("operator_item_resolved")
        allowed = ALLOWED_ACTIONS[item.kind]
        if command.action not in allowed:
            shown = ", ".join(action.value for action in allowed)
            return Refusal("action_not_allowed", param="action", details={"allowed": shown})
        closed = close_item(
            item, command.action.value, moment, reason=command.reason, by=command.by
        )
        ruled = self._rule(view, command, item, moment, ids)
        if isinstance(ruled, Refusal):
            return ruled
        # The ruling itself may have closed the item as answered; who ruled, and why, wins.
        changed = [
            (shelf, row)
            for shelf, row in ruled.changed
            if not (shelf is ITEMS and row.id == item.id)
        ]
        event = Event(
            "processor.item.resolved",
            item.id,
            {"kind": item.kind.value, "action": command.action.value, "by": command.by},
            item.customer_id,
        )
        return replace(
            ruled,
            changed=(*changed, (ITEMS, closed)),
            events=(*ruled.events, event),
            reply=Reply(200, item_view(closed)),
        )

    def _rule(
        self, view: View, command: RuleItem, item: OperatorItem, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        if command.action in (Action.DISMISS, Action.OVERRIDE):
            return self._dismiss(view, command, item)
        if command.transfer is None:
            return Refusal("transfer_needed", param="transfer_id")
        before = view.row(TRANSFERS, command.transfer.id)
        if before is None:
            return Refusal("transfer_needed", param="transfer_id")
        may_be_it = before.transaction_id is None and before.state not in (_S.INTENT, _S.REJECTED)
        if item.kind is ItemKind.ORPHAN and not may_be_it:
            # It has an id of its own, or nobody has asked the Processor for it: not this orphan.
            return Refusal("transfer_needed", param="transfer_id")
        if command.action is Action.RELEASE:
            after = replace(before, held=False)
            return move(view, before, after, moment, ids, [], event="released")
        if command.action is Action.CONFIRM_NOT_EXECUTED:
            # What is booked as collected is taken back.
            state = _S.RETURNED if before.state is _S.SUCCEEDED else _S.NOT_EXECUTED
            after = replace(before, state=state, held=False, is_ruled=True)
        else:
            confirmed = self._executed(view, command, before)
            if isinstance(confirmed, Refusal):
                return confirmed
            after = confirmed
        return self._move(view, before, after, command, moment, ids)

    def _move(
        self,
        view: View,
        before: Transfer,
        after: Transfer,
        command: RuleItem,
        moment: Moment,
        ids: Ids,
    ) -> Decision | Refusal:
        is_word = after.is_ruled and after.state is not _S.ACCEPTED
        after = replace(
            after,
            reason=f"ruled by {command.by}"[:200],
            resolved_at=moment.now,
            # What reports say happened when they say; a person's word alone, when it was given.
            resolved_on=moment.today if is_word else after.resolved_on,
        )
        if after.state is before.state and after.transaction_id != before.transaction_id:
            decision = Decision(
                changed=((TRANSFERS, after),), events=(transfer_event(after, "matched"),)
            )
        elif after.state is before.state or after.state not in MOVES[before.state]:
            # What was ruled is what the reports say already, or can't follow from it.
            kept = replace(before, is_ruled=True)
            return Decision(changed=((TRANSFERS, kept),), events=(transfer_event(kept, "ruled"),))
        else:
            refused = refuse_spent_credit(view, TransferChange(before, after))
            if refused is not None:
                return refused
            decision = move(view, before, after, moment, ids, [])
        facts = view.rows(FACTS_OF, command.transaction_id) if command.transaction_id else []
        return replace(
            decision,
            changed=(
                *decision.changed,
                *((FACTS, replace(fact, applied=True)) for fact in facts if not fact.applied),
                *self._answered_orphans(view, command, moment),
            ),
        )

    def _answered_orphans(
        self, view: View, command: RuleItem, moment: Moment
    ) -> list[tuple[Any, OperatorItem]]:
        """Close what waits about an id that has found its transfer."""
        if command.transaction_id is None:
            return []
        return [
            (ITEMS, close_item(item, "answered_by_news", moment))
            for item in view.rows(OPEN_ITEMS_ABOUT, command.transaction_id)
            if item.kind is ItemKind.ORPHAN
        ]

    def _executed(self, view: View, command: RuleItem, before: Transfer) -> Transfer | Refusal:
        """Make the transfer executed: as reports say of its id, if it has one."""
        ident = command.transaction_id
        executed = replace(before, state=_S.SUCCEEDED, held=False, is_ruled=True)
        if ident is None:
            return executed
        other = view.one(TRANSFER_BY_TRANSACTION, ident)
        if other is not None and other.id != before.id:
            return Refusal("transaction_id_taken", param="transaction_id")
        is_news = before.transaction_id is None or before.state in (_S.UNKNOWN, _S.NOT_EXECUTED)
        if not is_news or before.transaction_id not in (None, ident):
            return executed
        # From now on reports tell what became of it. Until one has, the person's word stands: that
        # none shows it does not time it out.
        folded = fold_facts(view.rows(FACTS_OF, ident))
        confirmed = before.state if before.state is _S.SUCCEEDED else _S.ACCEPTED
        return replace(
            before,
            state=folded.state or confirmed,
            transaction_id=ident,
            held=False,
            is_ruled=folded.state is None,
            resolved_on=folded.resolved_on or before.resolved_on,
        )

    def _dismiss(self, view: View, command: RuleItem, item: OperatorItem) -> Decision:
        if item.kind is not ItemKind.ORPHAN or command.transaction_id is None:
            return Decision()
        facts = view.rows(FACTS_OF, command.transaction_id)
        return Decision(changed=[(FACTS, replace(fact, applied=True)) for fact in facts])


RULE_ITEM = RuleItemOperation()
