"""The switch of all sending: a person or a restore stops it, a person or reports start it."""

from __future__ import annotations

from dataclasses import field
from datetime import date
from typing import Any

from tallybook.collection.operations.moving import close_item
from tallybook.collection.operations.runs import NOBODY
from tallybook.collection.views import sending_view
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.kernel.text import unfit_text
from tallybook.processor.model import ItemKind, OperatorItem, Sending, SendingState
from tallybook.processor.store import ITEMS, OPEN_ITEMS_ABOUT, SENDING
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

SWITCH = "sending"
BY_MAX = 100
"""How long the name of who sets it may be. Units: characters."""
RESTORED_ABOUT = "restored copy"
"""What the item is about that waits while a restored book is reconciled."""


@frozen
class SetSending:
    """What is to become of sending, who says so, and why."""

    state: SendingState
    reason: str
    by: str
    lost_from: date | None = None
    lost_until: date | None = None
    only_from: Sending | None = field(default=None, repr=False, metadata={"hashed": False})
    """The switch as it was seen: if anyone has set it since, it stays as they set it."""
    anchor: str | None = field(default=None, repr=False, metadata={"hashed": False})
    """A hold is for an anchor that the book lacks: the hash of its event. Source: 0049."""


class SetSendingOperation:
    """Sets the switch. Its value is the switch as it stands then."""

    name = "collection.set_sending"

    def needs(self, command: SetSending, seen: View) -> Needs:
        """Lock the switch; read what waits about a restored copy."""
        del command, seen
        return Needs(lock=((SENDING, SWITCH),), read=((OPEN_ITEMS_ABOUT, RESTORED_ABOUT),))

    def decide(
        self, view: View, command: SetSending, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Set it; a stop keeps what is known of a lost interval, a start ends it.

        A start by itself sets only what it has looked at: a person's stop stands. So it does in a
        restored copy, which nobody but a person starts then.
        """
        unfit = unfit_text("reason", command.reason) or unfit_text("by", command.by, BY_MAX)
        if unfit is not None:
            return unfit
        before = view.row(SENDING, SWITCH)
        if command.only_from is not None and before != command.only_from:
            return Decision(value=before)
        is_hold = command.state is SendingState.RECONCILING
        after = Sending(
            name=SWITCH,
            state=command.state,
            reason=command.reason,
            changed_by=command.by,
            changed_at=moment.now,
            lost_from=command.lost_from,
            lost_until=command.lost_until,
        )
        if before is not None and command.state is not SendingState.OPEN:
            stands = is_hold and before.state is SendingState.STOPPED
            after = _with_what_was_lost(before if stands else after, before, command)
        waiting = view.rows(OPEN_ITEMS_ABOUT, RESTORED_ABOUT)
        added: list[tuple[Any, Any]] = [] if before else [(SENDING, after)]
        changed: list[tuple[Any, Any]] = [(SENDING, after)] if before else []
        if is_hold and not waiting:
            added.append((ITEMS, _restored_item(after, moment, ids)))
        elif is_hold:
            changed += ((ITEMS, replace(item, detail=_what_is_lost(after))) for item in waiting)
        if command.state is SendingState.OPEN:
            changed += (
                (ITEMS, close_item(item, "started", moment, reason=command.reason, by=command.by))
                for item in waiting
            )
        body = {"reason": command.reason, "by": command.by}
        if command.anchor is not None:
            body["anchor"] = command.anchor
        return Decision(
            added=added,
            changed=changed,
            events=(Event(f"collection.sending.{_VERBS[command.state]}", NOBODY, body),),
            reply=Reply(200, sending_view(after)),
            value=after,
        )


def _with_what_was_lost(after: Sending, before: Sending, command: SetSending) -> Sending:
    """Widen the lost interval: what was lost before is not found by losing more."""
    firsts = [day for day in (before.lost_from, command.lost_from) if day is not None]
    lasts = [day for day in (before.lost_until, command.lost_until) if day is not None]
    return replace(after, lost_from=min(firsts, default=None), lost_until=max(lasts, default=None))


_VERBS = {
    SendingState.OPEN: "started",
    SendingState.STOPPED: "stopped",
    SendingState.RECONCILING: "held",
}
HELD_EVENT = f"collection.sending.{_VERBS[SendingState.RECONCILING]}"
"""What is on record of a hold; it names the anchor that it was for."""


def _restored_item(sending: Sending, moment: Moment, ids: Ids) -> OperatorItem:
    return OperatorItem(
        id=ids.fresh(),
        kind=ItemKind.RESTORED,
        about=RESTORED_ABOUT,
        transfer_id=None,
        subject_id=None,
        customer_id=None,
        transfer_kind=None,
        amount_minor=None,
        currency=None,
        detail=_what_is_lost(sending),
        is_open=True,
        opened_on=moment.today,
        opened_at=moment.now,
        action=None,
        reason=None,
        resolved_by=None,
        resolved_at=None,
    )


def _what_is_lost(sending: Sending) -> str:
    return (
        f"This book is a restored copy. What was sent from {sending.lost_from} to"
        f" {sending.lost_until} may be missing from it, so nothing is sent. Let reports come"
        " in and rule on the orphans they show; sending starts by itself once complete"
        " reports cover these days and five more, or when a person starts it."
    )


SET_SENDING = SetSendingOperation()
