"""What reports do to a transfer: its facts are folded, or a person is asked. Source: P4, P7."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.collection.operations.business import BUSINESSES
from tallybook.collection.operations.moving import (
    close_item,
    join_needs,
    move,
    open_item,
    transfer_event,
    with_items,
)
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import (
    Fact,
    ItemKind,
    OperatorItem,
    Result,
    Transfer,
    TransferState,
)
from tallybook.processor.rules import CONTESTED, LIVE, MOVES, disagrees, fold_facts
from tallybook.processor.store import (
    FACTS,
    FACTS_OF,
    ITEMS,
    OPEN_ITEMS_ABOUT,
    TRANSFERS,
)
from tallybook.writer.model import Decision, Moment, Needs, View

_S = TransferState


@frozen
class SettleTransfer:
    """That reports may say something new of a transfer."""

    transfer: Transfer
    transaction_id: str
    account_hash: str | None = None
    """The keyed hash of its account, which never changes, where rows tell of accounts."""


@frozen
class _Judged:
    """What facts come to."""

    after: Transfer
    is_contradiction: bool
    """Whether what is new must be looked at by a person."""
    is_clear: bool
    """Whether all that was ever reported agrees, so that an open contradiction is answered."""


class SettleTransferOperation:
    """Folds all facts of a transaction and moves its transfer to what they come to."""

    name = "collection.settle_transfer"

    def needs(self, command: SettleTransfer, seen: View) -> Needs:
        """Lock the transfer and what its business needs; read its facts under the lock."""
        before = seen.row(TRANSFERS, command.transfer.id)
        after = None
        if before is not None and seen.has_rows(FACTS_OF, command.transaction_id):
            facts = seen.rows(FACTS_OF, command.transaction_id)
            after = _judged(before, facts, command).after
        return join_needs(
            Needs(
                lock=(
                    (TRANSFERS, command.transfer.id),
                    # They are marked as applied, while another process may bring them once more.
                    *((FACTS, (command.transaction_id, result)) for result in Result),
                ),
                read=(
                    (FACTS_OF, command.transaction_id),
                    (OPEN_ITEMS_ABOUT, command.transfer.id),
                    (OPEN_ITEMS_ABOUT, command.transaction_id),
                ),
            ),
            BUSINESSES.of(command.transfer.kind).needs(command.transfer, seen, after),
        )

    def decide(
        self, view: View, command: SettleTransfer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Fold and move; a contradiction, or news against a ruling, waits for a person."""
        before = view.row(TRANSFERS, command.transfer.id)
        assert before is not None
        facts = view.rows(FACTS_OF, command.transaction_id)
        fresh = [fact for fact in facts if not fact.applied]
        if not fresh:
            return Decision()
        assert before.transaction_id == command.transaction_id
        judged = _judged(before, facts, command)
        after = judged.after
        answered = [*view.rows(OPEN_ITEMS_ABOUT, command.transaction_id)]
        if judged.is_clear:
            # An older report that came late may tell which of two facts was first.
            about = view.rows(OPEN_ITEMS_ABOUT, before.id)
            answered += (item for item in about if item.kind is ItemKind.CONTRADICTION)
        applied = (
            *((FACTS, replace(fact, applied=True)) for fact in fresh),
            *((ITEMS, close_item(item, "answered_by_news", moment)) for item in answered),
        )
        extra: list[OperatorItem] = []
        if judged.is_contradiction:
            detail = (
                f"Reports contradict each other, a ruling, or the {after.direction.value} itself"
                f" about {command.transaction_id}, or may mean another that was given this id too:"
                f" it stays {after.state.value} until a person says otherwise."
            )
            extra.append(open_item(ItemKind.CONTRADICTION, after, detail, moment, ids))
        if after.state is before.state:
            quiet = Decision(changed=applied, events=(transfer_event(after, "reported"),))
            return with_items(view, after, quiet, extra, moment)
        after = replace(after, resolved_at=moment.now)
        decision = move(view, before, after, moment, ids, extra)
        return replace(decision, changed=(*decision.changed, *applied))


def _judged(before: Transfer, facts: Sequence[Fact], command: SettleTransfer) -> _Judged:
    """Fold the facts that are the transfer's own, and see which are not.

    A row that says another amount, account or direction, or is older than the transfer, moves
    nothing, whatever order it comes in; nor does any row of an id that two transfers were given.
    Source: P4, P7, T4.
    """
    wrong = [fact for fact in facts if disagrees(fact, before, command.account_hash)]
    own = [fact for fact in facts if fact not in wrong]
    is_wrong = any(not fact.applied for fact in wrong)
    if not own:
        return _Judged(before, is_wrong, is_clear=not wrong)
    if before.reason == CONTESTED:
        is_news = fold_facts(own).state is not before.state
        return _Judged(before, is_news or is_wrong, is_clear=False)
    after, is_contradiction = _folded(before, own)
    is_contradiction = is_contradiction or is_wrong
    return _Judged(after, is_contradiction, is_clear=not (is_contradiction or wrong))


def _folded(before: Transfer, facts: Sequence[Fact]) -> tuple[Transfer, bool]:
    """Give the transfer after its facts, and whether a person must look at them."""
    folded = fold_facts(facts)
    state = folded.state
    assert state is not None, "there are facts"
    if before.is_ruled and before.state is not _S.ACCEPTED and state is not before.state:
        return before, True
    if state is _S.SUCCEEDED and before.state not in LIVE:
        # The row of its failure has become doubtful, which proves no success. Source: P2.
        return before, True
    if state is before.state or state not in MOVES[before.state]:
        return before, folded.is_contradiction
    after = replace(
        before,
        state=state,
        held=False,
        # What a person only confirmed the id of, reports tell of from now on.
        is_ruled=False,
        reason=folded.reason,
        resolved_on=folded.resolved_on,
    )
    return after, folded.is_contradiction


SETTLE_TRANSFER = SettleTransferOperation()
