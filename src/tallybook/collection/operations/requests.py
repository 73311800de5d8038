"""Requests whose work is long: begun under their key, answered under it when the work is done.

The work itself goes through the door in many writes of its own, and may be begun again: a run,
a report. What is kept here is only who gets which reply. Source: T5.
"""

from __future__ import annotations

from tallybook.collection.operations.runs import NOBODY
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class BeginRequest:
    """What was asked for: the call, and all that tells one request of it from another."""

    call: str
    asked: tuple[str | None, ...]


class BeginRequestOperation:
    """Keeps the key of a request whose reply comes later."""

    name = "collection.begin_request"

    def needs(self, command: BeginRequest, seen: View) -> Needs:
        """Look at nothing."""
        del command, seen
        return Needs()

    def decide(
        self, view: View, command: BeginRequest, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Begin it."""
        del view, moment, ids
        return Decision(events=(_event("begun", command.call),))


@frozen
class CompleteRequest:
    """The reply to a request that was begun."""

    call: str
    key: str
    reply: Reply | Refusal


class CompleteRequestOperation:
    """Keeps the reply, for every copy of the request that there will ever be."""

    name = "collection.complete_request"

    def needs(self, command: CompleteRequest, seen: View) -> Needs:
        """Look at nothing."""
        del command, seen
        return Needs()

    def decide(
        self, view: View, command: CompleteRequest, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Complete it."""
        del view, moment, ids
        return Decision(
            reply=command.reply,
            completes={command.key: command.reply},
            events=(_event("completed", command.call),),
        )


def _event(verb: str, call: str) -> Event:
    return Event(f"collection.request.{verb}", NOBODY, {"call": call})


BEGIN_REQUEST = BeginRequestOperation()
COMPLETE_REQUEST = CompleteRequestOperation()
