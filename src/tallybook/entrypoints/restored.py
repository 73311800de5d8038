"""What makes a program careful with a copy of a book: anchors written, and looked at on opening."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from tallybook.ambient.clock import Clock
from tallybook.ambient.settings import Settings
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.db.engine import Database
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import SendingState
from tallybook.processor.queries import find_sending
from tallybook.reports.verify.anchors import (
    AnchorError,
    append_anchor,
    is_behind,
    last_event_at,
    read_anchor,
    read_anchors,
)
from tallybook.writer.door import Door
from tallybook.writer.model import Command

_log = logging.getLogger("tallybook.anchor")


class Anchored(Protocol):
    """One running engine, as its anchor sees it."""

    @property
    def settings(self) -> Settings:
        """How the installation is set up."""
        ...

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where writes go."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...


def hold_sending(door: Door, database: Database, clock: Clock, *, reason: str, by: str) -> None:
    """Send nothing from a restored copy until what it may have lost is accounted for.

    Raises: Refused `field_invalid`: the reason or the name is no text that can be kept.
    """
    with database.reader() as connection:
        at = last_event_at(connection)
    last = clock.today() if at is None else clock.date_of(at)
    until = max(clock.today(), last)  # days that were played ahead are lost as well
    asked = SetSending(SendingState.RECONCILING, reason, by, lost_from=last, lost_until=until)
    outcome = door.ask_now(Command(SET_SENDING, asked))
    if outcome.refusal is not None:
        raise Refused(outcome.refusal)


def hold_if_restored(engine: Anchored) -> None:
    """Hold sending where the anchor file knows more of this book than the book does itself.

    It is held once for that: from then on the file knows that the book is this copy, so that a
    person may let sending go on.
    """
    path = engine.settings.anchor_path
    if not path.exists():
        return
    try:
        anchors = read_anchors(path)
    except (AnchorError, OSError):
        _log.exception("the anchor file can't be read")
        return
    with engine.database.reader() as connection:
        if not is_behind(connection, anchors):
            return
        sending = find_sending(connection)
    # Where `restore` has made the copy it is held already.
    if sending is None or sending.state is not SendingState.RECONCILING:
        _log.error("the book is older than its anchor: nothing is sent until it is reconciled")
        reason = "the anchor file knows more than this book: it is a restored copy"
        hold_sending(engine.door, engine.database, engine.clock, reason=reason, by="tallybook")
    write_anchor(engine)


def write_anchor(engine: Anchored) -> None:
    """Add where the chains stand now to the anchor file; the lines that it has stay."""
    path = engine.settings.anchor_path
    with engine.database.snapshot() as connection:
        anchor = read_anchor(connection, engine.clock.now())
    if anchor is not None:
        append_anchor(path, anchor)


async def keep_anchored(engine: Anchored) -> None:
    """Write an anchor now and then, until cancelled."""
    seconds = engine.settings.anchor_minutes * 60
    while True:
        try:
            await asyncio.to_thread(write_anchor, engine)
        except Exception:  # noqa: BLE001 - a full disk elsewhere must not stop the server
            _log.exception("the anchor could not be written")
        await asyncio.sleep(seconds)
