"""What happens to a transfer beside reports: an answer, a time-out, a release. Source: P2-P7."""

from __future__ import annotations

from enum import StrEnum

from tallybook.collection.model import NOT_ATTEMPTED, NOT_CONNECTED
from tallybook.collection.operations.business import BUSINESSES
from tallybook.collection.operations.moving import (
    join_needs,
    move,
    open_item,
    transfer_event,
    with_items,
)
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import ItemKind, OperatorItem, Transfer, TransferState
from tallybook.processor.rules import COLLIDED, CONTESTED, IN_FLIGHT, MOVES
from tallybook.processor.store import (
    FACTS_OF,
    ITEMS,
    OPEN_ITEMS_ABOUT,
    TRANSFER_BY_TRANSACTION,
    TRANSFERS,
)
from tallybook.writer.model import Decision, Moment, Needs, View

_S = TransferState


class Answer(StrEnum):
    """How a call to the Processor ended. Source: P2."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_CONNECTED = "not_connected"
    """Nothing left this machine: not an attempt. Source: P3."""
    UNKNOWN = "unknown"


@frozen
class RecordAnswer:
    """What came of one call."""

    transfer: Transfer
    answer: Answer
    transaction_id: str | None = None
    reason: str | None = None


class RecordAnswerOperation:
    """Records what came of a call, after the call and in a transaction of its own."""

    name = "collection.record_answer"

    def needs(self, command: RecordAnswer, seen: View) -> Needs:
        """Lock the transfer; what its business needs only where money is touched."""
        transfer = command.transfer
        before = seen.row(TRANSFERS, transfer.id)
        ident = command.transaction_id
        holds = ident is not None and seen.has_rows(TRANSFER_BY_TRANSACTION, ident)
        holders = seen.rows(TRANSFER_BY_TRANSACTION, ident) if holds else []
        needs = Needs(
            look_up=((TRANSFER_BY_TRANSACTION, ident),) if ident else (),
            lock=((TRANSFERS, transfer.id), *((TRANSFERS, holder.id) for holder in holders)),
            read=(
                (OPEN_ITEMS_ABOUT, transfer.id),
                *(((FACTS_OF, ident),) if ident else ()),
            ),
        )
        if transfer.is_debit and command.answer is Answer.ACCEPTED:
            # From in flight to in flight: no plan and no money moves, so nothing else is locked.
            return needs
        return join_needs(
            needs,
            BUSINESSES.of(transfer.kind).needs(
                transfer, seen, _answered(before, command) if before else None
            ),
        )

    def decide(
        self, view: View, command: RecordAnswer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Move the transfer to what the answer proves; anything less than proof is unknown."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None, "the intent is on record before the call"
        is_its_own = command.transaction_id is not None and (
            command.transaction_id == before.transaction_id
        )
        if is_its_own and before.state not in (_S.INTENT, _S.UNKNOWN):
            # It comes again after all, and reports or people may have moved the transfer meanwhile.
            return Decision()
        after = _answered(before, command)
        collides = command.transaction_id is not None and _is_anothers(
            view, before, command.transaction_id
        )
        if command.transaction_id and before.state not in (_S.INTENT, _S.UNKNOWN, _S.REJECTED):
            late = _answered_too_late(
                view, before, command.transaction_id, moment, ids, collides=collides
            )
            return _with_holder(view, late, command) if collides else late
        if collides:
            after = replace(before, state=_S.UNKNOWN, reason=COLLIDED)
        # One whose lease ran out is unknown already, and is now known to be hard to find.
        is_worse = collides and before.state is _S.UNKNOWN and before.reason != COLLIDED
        if not is_worse and (after.state is before.state or after.state not in MOVES[before.state]):
            return Decision()
        if after.state is _S.REJECTED:
            after = replace(after, resolved_at=moment.now, resolved_on=moment.today)
        extra: list[OperatorItem] = []
        if after.state is _S.UNKNOWN:
            kind = ItemKind.COLLISION if collides else ItemKind.UNKNOWN
            about = f" The Processor answered with an id it gave before, {command.transaction_id}."
            extra.append(
                open_item(
                    kind,
                    after,
                    f"Nobody knows whether this {after.direction.value} was executed"
                    f" ({after.reason}).{about if collides else ''}",
                    moment,
                    ids,
                )
            )
        if before.is_debit and {before.state, after.state} <= IN_FLIGHT:
            event = transfer_event(after)
            quiet = Decision(changed=((TRANSFERS, after),), events=(event,))
            decision = with_items(view, after, quiet, extra, moment)
        else:
            decision = move(view, before, after, moment, ids, extra)
        return _with_holder(view, decision, command) if collides else decision


def _with_holder(view: View, decision: Decision, command: RecordAnswer) -> Decision:
    """Mark who has the id: what reports say of it may be about either. Source: P7."""
    other = view.one(TRANSFER_BY_TRANSACTION, command.transaction_id)
    if other is None:
        return decision
    locked = view.row(TRANSFERS, other.id) if view.has_row(TRANSFERS, other.id) else None
    marked = replace(locked or other, reason=CONTESTED)
    return replace(
        decision,
        changed=(*decision.changed, (TRANSFERS, marked)),
        events=(*decision.events, transfer_event(marked, "contested")),
    )


def _is_anothers(view: View, transfer: Transfer, transaction_id: str) -> bool:
    """Tell whether an id that was just given can't be this transfer's. Source: P7.

    Another one has it; or a report named it already, so that what it says is about something else,
    such as an unknown transfer of ours. A report of the day itself may name this very transfer,
    where its answer took long: then it is unknown until that report's row is matched with it.
    """
    other = view.one(TRANSFER_BY_TRANSACTION, transaction_id)
    if other is not None:
        return other.id != transfer.id
    return any(fact.first_on <= transfer.sent_on for fact in view.rows(FACTS_OF, transaction_id))


def _answered_too_late(
    view: View, before: Transfer, transaction_id: str, moment: Moment, ids: Ids, *, collides: bool
) -> Decision:
    """Keep what was answered after a person, or a report, had said what became of a transfer.

    One that was confirmed without an id has it now, as where a report tells it. Any other is a
    contradiction: a row that was ruled not executed may have gone out again. Source: P2, P7, P9.
    """
    after = before
    if before.transaction_id is None and not collides:
        after = replace(before, transaction_id=transaction_id, is_ruled=True)
    extra: list[OperatorItem] = []
    if collides or before.state is not _S.SUCCEEDED or before.transaction_id is not None:
        whose = ", an id that it gave before" if collides else ""
        detail = (
            f"The Processor accepted this {after.direction.value} as {transaction_id}{whose}, after"
            f" it had been said what became of it: it stays {after.state.value} until a person says"
            " otherwise."
        )
        extra.append(open_item(ItemKind.CONTRADICTION, after, detail, moment, ids))
    quiet = Decision(changed=((TRANSFERS, after),), events=(transfer_event(after, "answered"),))
    return with_items(view, after, quiet, extra, moment)


def _answered(before: Transfer, command: RecordAnswer) -> Transfer:
    match command.answer:
        case Answer.ACCEPTED:
            return replace(
                before, state=_S.ACCEPTED, transaction_id=command.transaction_id, reason=None
            )
        case Answer.UNKNOWN:
            return replace(before, state=_S.UNKNOWN, reason=command.reason)
        case Answer.NOT_CONNECTED:
            why = command.reason if command.reason in NOT_ATTEMPTED else NOT_CONNECTED
            return replace(before, state=_S.REJECTED, reason=why)
        case Answer.REJECTED:
            # The Processor's own words prove nothing: what it says of a call has reached it.
            said = command.reason
            reason = f"said: {said}" if said in NOT_ATTEMPTED else said
            return replace(before, state=_S.REJECTED, reason=reason)


@frozen
class MarkTransfer:
    """A transfer that time moved on."""

    transfer: Transfer
    sender_is_dead: bool = False


class TimeOutOperation:
    """Marks a transfer that none of the reports showed; a debit's amount is held. Source: A9.

    Time does not undo a person's word: what was confirmed becomes an operator item instead, and so
    does what reports may have shown as another's (P7).
    """

    name = "collection.time_out"

    def needs(self, command: MarkTransfer, seen: View) -> Needs:
        """Lock the transfer and what its business needs."""
        return marking_needs(command, seen, _S.TIMED_OUT)

    def decide(
        self, view: View, command: MarkTransfer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Time it out, unless news came first."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None
        if before.state is not _S.ACCEPTED:
            return Decision()
        if _is_disputed(view, before):
            return Decision()
        if before.is_ruled or before.reason == CONTESTED:
            return self._ask(view, before, moment, ids)
        after = replace(
            before,
            state=_S.TIMED_OUT,
            held=before.is_debit,
            reason="timed_out",
            resolved_at=moment.now,
            resolved_on=moment.today,
        )
        kind = ItemKind.DEBIT_TIMED_OUT if before.is_debit else ItemKind.CREDIT_TIMED_OUT
        detail = (
            f"No report showed this {after.direction.value} sent on {after.sent_on}."
            " It may have been executed all the same."
        )
        return move(view, before, after, moment, ids, [open_item(kind, after, detail, moment, ids)])

    @staticmethod
    def _ask(view: View, before: Transfer, moment: Moment, ids: Ids) -> Decision:
        if any(item.kind is ItemKind.GAP for item in view.rows(OPEN_ITEMS_ABOUT, before.id)):
            return Decision()
        detail = (
            f"No report showed this {before.direction.value} sent on {before.sent_on} as"
            f" {before.transaction_id}, though a person confirmed it, or the Processor gave the id"
            " to another too: say what became of it."
        )
        item = open_item(ItemKind.GAP, before, detail, moment, ids)
        event = transfer_event(before, "not_shown")
        return Decision(added=((ITEMS, item),), events=(event,))


def _is_disputed(view: View, transfer: Transfer) -> bool:
    """Tell whether reports did show it, and a person is asked what they mean."""
    about = view.rows(OPEN_ITEMS_ABOUT, transfer.id)
    return any(item.kind is ItemKind.CONTRADICTION for item in about)


class ReleaseHoldOperation:
    """Lets a timed-out debit's replacement go out: it was not executed, as far as anyone knows."""

    name = "collection.release_hold"

    def needs(self, command: MarkTransfer, seen: View) -> Needs:
        """Lock the transfer and what its business needs."""
        return marking_needs(command, seen, _S.TIMED_OUT)

    def decide(
        self, view: View, command: MarkTransfer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Release the hold, unless it was before."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None
        if not before.held or _is_disputed(view, before):
            return Decision()
        after = replace(before, held=False)
        # There was no news: time alone has answered the item about it.
        return move(view, before, after, moment, ids, [], event="released", answered="hold_ended")


class ExpireIntentOperation:
    """Marks an intent whose process died: it may have been sent, so it is unknown. Source: P2."""

    name = "collection.expire_intent"

    def needs(self, command: MarkTransfer, seen: View) -> Needs:
        """Lock the transfer and what its business needs."""
        return marking_needs(command, seen, _S.UNKNOWN)

    def decide(
        self, view: View, command: MarkTransfer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Make it unknown once its lease is over or its process is dead."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None
        is_over = command.sender_is_dead or before.lease_until <= moment.now
        if before.state is not _S.INTENT or not is_over:
            return Decision()
        after = replace(before, state=_S.UNKNOWN, reason="sender_died")
        detail = (
            f"The process that was to send this {after.direction.value} died before it could say"
            " what came of it."
        )
        item = open_item(ItemKind.UNKNOWN, after, detail, moment, ids)
        return move(view, before, after, moment, ids, [item])


def marking_needs(command: MarkTransfer, seen: View, state: TransferState) -> Needs:
    """Lock a transfer, and what its business needs for a move to a state."""
    before = seen.row(TRANSFERS, command.transfer.id)
    after = replace(before, state=state, held=False) if before is not None else None
    return join_needs(
        Needs(
            lock=((TRANSFERS, command.transfer.id),),
            read=((OPEN_ITEMS_ABOUT, command.transfer.id),),
        ),
        BUSINESSES.of(command.transfer.kind).needs(command.transfer, seen, after),
    )


RECORD_ANSWER = RecordAnswerOperation()
TIME_OUT = TimeOutOperation()
RELEASE_HOLD = ReleaseHoldOperation()
EXPIRE_INTENT = ExpireIntentOperation()
