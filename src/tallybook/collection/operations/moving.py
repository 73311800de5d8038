"""What every move of a transfer shares: its booking, its operator items, its event, its reply."""

from __future__ import annotations

from tallybook.collection.operations.business import BUSINESSES, TransferChange
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids
from tallybook.processor.model import (
    ItemKind,
    OperatorItem,
    Transfer,
    TransferState,
)
from tallybook.processor.rules import LIVE, MOVES
from tallybook.processor.store import (
    ITEMS,
    OPEN_ITEMS_ABOUT,
    TRANSFERS,
)
from tallybook.writer.model import Decision, Event, Moment, Needs, View

_S = TransferState

CLOSED_BY_NEWS = (
    ItemKind.UNKNOWN,
    ItemKind.COLLISION,
    ItemKind.GAP,
    ItemKind.CREDIT_TIMED_OUT,
    ItemKind.DEBIT_TIMED_OUT,
    ItemKind.EXCESS,
)
"""Items that answer themselves once the outcome is known."""


def move(
    view: View,
    before: Transfer,
    after: Transfer,
    moment: Moment,
    ids: Ids,
    new_items: list[OperatorItem],
    *,
    event: str | None = None,
    answered: str = "answered_by_news",
) -> Decision:
    """Move a transfer, let its business book it, keep its operator items, answer who waits."""
    assert after.state is before.state or after.state in MOVES[before.state], (before, after)
    booked = BUSINESSES.of(after.kind).book(view, TransferChange(before, after), moment, ids)
    # Only the first news of an intent is the answer to who asked for it, now and at each replay.
    reply = booked.reply if before.state is _S.INTENT else None
    completes = dict(booked.completes)
    if after.request_key is not None and reply is not None:
        completes[after.request_key] = reply
    decision = replace(
        booked,
        changed=((TRANSFERS, after), *booked.changed),
        events=(transfer_event(after, event), *booked.events),
        reply=reply,
        completes=completes,
        value=after,
    )
    return with_items(view, after, decision, new_items, moment, answered=answered)


def with_items(
    view: View,
    after: Transfer,
    decision: Decision,
    new_items: list[OperatorItem],
    moment: Moment,
    *,
    answered: str = "answered_by_news",
) -> Decision:
    """Add new operator items to a decision, and close those that it has answered."""
    open_items = view.rows(OPEN_ITEMS_ABOUT, after.id)
    known = {item.kind for item in open_items}
    # A dispute may be opened again by a later fact; an open one of its kind is enough.
    added = tuple((ITEMS, item) for item in new_items if item.kind not in known)
    kinds = {item.kind for item in new_items}
    closing = [
        item
        for item in open_items
        if item.kind in CLOSED_BY_NEWS and item.kind not in kinds and _is_answered(item, after)
    ]
    closed = tuple((ITEMS, close_item(item, answered, moment)) for item in closing)
    booked = (
        (shelf, row)
        for shelf, row in decision.added
        if shelf is not ITEMS or row.about != after.id or row.kind not in known
    )
    return replace(decision, added=(*booked, *added), changed=(*decision.changed, *closed))


def _is_answered(item: OperatorItem, after: Transfer) -> bool:
    if item.kind in (ItemKind.UNKNOWN, ItemKind.COLLISION):
        return after.state not in (_S.INTENT, _S.UNKNOWN)
    if item.kind is ItemKind.DEBIT_TIMED_OUT:
        return not after.held
    if item.kind is ItemKind.EXCESS:
        # What this debit collected too much is taken back, or this payout was executed after all.
        return after.state is not _S.SUCCEEDED if after.is_debit else after.state in LIVE
    return after.state not in (_S.ACCEPTED, _S.TIMED_OUT)


def open_item(
    kind: ItemKind,
    transfer: Transfer,
    detail: str,
    moment: Moment,
    ids: Ids,
    *,
    about: str | None = None,
    amount_minor: int | None = None,
) -> OperatorItem:
    """Make an operator item about a transfer, with the amount a person may dispose of."""
    return OperatorItem(
        id=ids.fresh(),
        kind=kind,
        about=about or transfer.id,
        transfer_id=transfer.id,
        subject_id=transfer.subject_id,
        customer_id=transfer.customer_id,
        transfer_kind=transfer.kind,
        amount_minor=amount_minor,
        currency=None if amount_minor is None else transfer.currency,
        detail=detail,
        is_open=True,
        opened_on=moment.today,
        opened_at=moment.now,
        action=None,
        reason=None,
        resolved_by=None,
        resolved_at=None,
    )


def close_item(
    item: OperatorItem,
    action: str,
    moment: Moment,
    *,
    reason: str | None = None,
    by: str = "tallybook",
) -> OperatorItem:
    """Close an operator item: what was done, by whom, when and why."""
    return replace(
        item, is_open=False, action=action, reason=reason, resolved_by=by, resolved_at=moment.now
    )


def transfer_event(after: Transfer, verb: str | None = None) -> Event:
    """Make the event of a transfer's new state, such as `processor.debit.accepted`."""
    return Event(
        f"processor.{after.direction.value}.{verb or after.state.value}",
        after.id,
        {
            "subject_id": after.subject_id,
            "kind": after.kind.value,
            "number": after.installment_number,
            "amount_minor": after.amount_minor,
            "currency": after.currency,
            "transaction_id": after.transaction_id,
            "reason": after.reason,
        },
        after.customer_id,
    )


def join_needs(first: Needs, second: Needs) -> Needs:
    """Ask for what either asks for."""
    return Needs(
        look_up=(*first.look_up, *second.look_up),
        lock=(*first.lock, *second.lock),
        read=(*first.read, *second.read),
    )
