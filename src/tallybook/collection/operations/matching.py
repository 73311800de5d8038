"""Unknown transfers that reports answer: matched by an orphan row, or proved absent. Source: P6."""

from __future__ import annotations

from tallybook.collection.operations.business import BUSINESSES
from tallybook.collection.operations.moving import (
    join_needs,
    move,
    transfer_event,
    with_items,
)
from tallybook.collection.operations.transfers import (
    MarkTransfer,
    marking_needs,
)
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import ItemKind, Transfer, TransferState
from tallybook.processor.store import OPEN_ITEMS_ABOUT, TRANSFER_BY_TRANSACTION, TRANSFERS
from tallybook.writer.model import Decision, Moment, Needs, View

_S = TransferState


@frozen
class MatchOrphan:
    """An orphan row that identifies a transfer without an id."""

    transfer: Transfer
    transaction_id: str


class MatchOrphanOperation:
    """Gives a transfer the id of the orphan row that proves it executed.

    What a person confirmed stays as it was ruled, and now reports may contradict it.
    """

    name = "collection.match_orphan"

    def needs(self, command: MatchOrphan, seen: View) -> Needs:
        """Lock the transfer and what its business needs; look up whose the id is."""
        before = seen.row(TRANSFERS, command.transfer.id)
        after = replace(before, state=_S.ACCEPTED) if before is not None else None
        return join_needs(
            Needs(
                look_up=((TRANSFER_BY_TRANSACTION, command.transaction_id),),
                lock=((TRANSFERS, command.transfer.id),),
                read=((OPEN_ITEMS_ABOUT, command.transfer.id),),
            ),
            BUSINESSES.of(command.transfer.kind).needs(command.transfer, seen, after),
        )

    def decide(
        self, view: View, command: MatchOrphan, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Match, unless the transfer or the id has been spoken for meanwhile."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None
        taken = view.rows(TRANSFER_BY_TRANSACTION, command.transaction_id)
        if before.transaction_id is not None or taken:
            return Decision(value=False)
        if before.state is _S.SUCCEEDED and before.is_ruled:
            named = replace(before, transaction_id=command.transaction_id)
            event = transfer_event(named, "matched")
            return Decision(changed=((TRANSFERS, named),), events=(event,), value=True)
        if before.state is not _S.UNKNOWN:
            return Decision(value=False)
        after = replace(
            before,
            state=_S.ACCEPTED,
            transaction_id=command.transaction_id,
            reason="matched_by_report",
        )
        if before.is_debit:
            quiet = Decision(
                changed=((TRANSFERS, after),), events=(transfer_event(after, "matched"),)
            )
            decision = with_items(view, after, quiet, [], moment)
        else:
            decision = move(view, before, after, moment, ids, [], event="matched")
        return replace(decision, value=True)


class RuleAbsentOperation:
    """Rules an unknown transfer not executed: complete, identifying reports never showed it.

    One that was answered with another's id is left to a person: it may have been executed under
    that id, and its row then stands in reports as a repetition of the other's. Source: P6, P7.
    """

    name = "collection.rule_absent"

    def needs(self, command: MarkTransfer, seen: View) -> Needs:
        """Lock the transfer and what its business needs."""
        return marking_needs(command, seen, _S.NOT_EXECUTED)

    def decide(
        self, view: View, command: MarkTransfer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Rule it, unless it became known meanwhile."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None
        open_items = view.rows(OPEN_ITEMS_ABOUT, before.id)
        collided = any(item.kind is ItemKind.COLLISION for item in open_items)
        if before.state is not _S.UNKNOWN or collided:
            return Decision(value=False)
        after = replace(
            before,
            state=_S.NOT_EXECUTED,
            reason="not_in_reports",
            resolved_at=moment.now,
            resolved_on=moment.today,
        )
        return replace(move(view, before, after, moment, ids, []), value=True)


MATCH_ORPHAN = MatchOrphanOperation()
RULE_ABSENT = RuleAbsentOperation()
