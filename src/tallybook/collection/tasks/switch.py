"""The switch that stands before all sending, and the caps that capping.py keeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from tallybook.ambient.clock import Clock
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.collection.rules import Caps
from tallybook.db.engine import Database
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import Sending
from tallybook.processor.queries import find_sending
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome
from tallybook.writer.queries import find_commands

_log = logging.getLogger("tallybook.sending")

FRESH_SECONDS = 0.02
"""How long what was seen of the switch may be gone by without a new look. Units: seconds."""
LOOK_SECONDS = 0.2
"""How long a look may take: what a slower one has seen may have changed before it was told."""
LOOKS_MAX = 10
"""So many slow looks, one after another, and the switch counts as closed."""
SETTLED_SECONDS = FRESH_SECONDS + LOOK_SECONDS + 0.03
"""How long a stop waits before it is answered: then no call begins any more, in any process."""
BY_SETTING = "TALLYBOOK_SENDING_STOPPED is set"


@dataclass(slots=True)
class _Looked:
    why_not: str | None
    at: float


class SendingGuard:
    """Asked before each call to the Processor whether it may be made."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        caps: Caps,
        is_stopped: bool = False,
        why_older: Callable[[Connection], str | None] = lambda _connection: None,
    ) -> None:
        """Guard one book's sending; `is_stopped` by this process's settings wins over the book.

        So does `why_older`, which tells why the book may be an older copy of itself: of what was
        sent since it would know nothing.
        """
        self.caps = caps
        self.has_let_through = False
        """Whether a call could be made since this process began."""
        self._why_older = why_older
        self._database = database
        self._clock = clock
        self._is_stopped = is_stopped
        self._looked: _Looked | None = None

    def is_open(self) -> bool:
        """Tell whether a call may be made now; what can't be read is closed."""
        is_open = self.why_not() is None
        self.has_let_through = self.has_let_through or is_open
        return is_open

    def why_not(self) -> str | None:
        """Tell why nothing may be sent now; None where something may."""
        if self._is_stopped:
            return BY_SETTING
        looked = self._looked
        if looked is None or self._clock.monotonic() - looked.at > FRESH_SECONDS:
            looked = self._looked = self._look_in_time()
        return looked.why_not

    def look_again(self) -> None:
        """Forget what was seen: the next question looks, for this process has set the switch."""
        self._looked = None

    def _look_in_time(self) -> _Looked:
        """Look until it is known of an instant so near that a stop since then is not answered."""
        for _ in range(LOOKS_MAX):
            # The time before the look: it may be older than its answer, never younger.
            at = self._clock.monotonic()
            looked = _Looked(self._look(), at)
            if looked.why_not is not None or self._clock.monotonic() - at <= LOOK_SECONDS:
                return looked
        _log.error("whether sending is stopped takes too long to read")
        return _Looked("the book answers too slowly", self._clock.monotonic())

    def _look(self) -> str | None:
        try:
            with self._database.reader() as connection:
                sending = find_sending(connection)
                older = self._why_older(connection)
        except (SQLAlchemyError, OSError):
            _log.exception("whether sending is stopped can't be read")
            return "the book does not answer"
        return older if sending is None or sending.is_open else why_closed(sending)


def why_closed(sending: Sending) -> str:
    """Tell in a few words why the switch does not let anything through."""
    return f"{sending.state.value} by {sending.changed_by}: {sending.reason}"


async def set_sending(door: Door, asked: SetSending, *, key: str | None = None) -> Outcome:
    """Set the switch. Once this is answered nothing that it forbids begins any more."""
    outcome = await door.ask(Command(SET_SENDING, asked, key))
    await asyncio.sleep(SETTLED_SECONDS)
    return outcome


def refuse_while_stopped(
    guard: SendingGuard, database: Database, keys: Sequence[str | None]
) -> None:
    """Refuse to begin what would be sent, unless its key was used before and has a reply.

    The refusal is not kept under the key: it is no answer to what was asked.

    Raises: Refused `sending_stopped`.
    """
    why = guard.why_not()
    if why is None:
        return
    known = [key for key in keys if key is not None]
    if known:
        with database.reader() as connection:
            if find_commands(connection, known):
                return
    raise Refused(Refusal("sending_stopped", details={"reason": why}))
