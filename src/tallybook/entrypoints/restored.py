"""What is known of a book's newest history, and what follows where the book itself lacks it.

Source: 0049.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import date
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from tallybook.ambient.clock import Clock
from tallybook.ambient.settings import Settings
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.collection.queries import list_runs
from tallybook.db.engine import Database
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import SendingState
from tallybook.processor.queries import find_sending
from tallybook.reports.verify.anchors import (
    NOTHING_SEEN,
    Anchor,
    AnchorError,
    append_anchor,
    find_lacking,
    last_event_at,
    look_on,
    newest_of,
    read_anchor,
    read_anchors,
)
from tallybook.writer.door import Door
from tallybook.writer.model import Command

_log = logging.getLogger("tallybook.anchor")

LOOK_SECONDS = 10
"""How often a server looks whether the book still has what it has seen of it."""
RUNS_MOST = 400
"""Of a copy that is held after it was run: so many missed dates may have been run in it."""
OLDER = "the book lacks what is known of it: it is a restored copy"
UNREAD = "the anchor file can't be read, so that nobody knows whether the book is a restored copy"


class Anchored(Protocol):
    """One book that is open for writes, as its anchors see it."""

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


def hold_sending(book: Anchored, *, reason: str, by: str, lost_from: date | None = None) -> None:
    """Send nothing from a restored copy until what it may have lost is accounted for.

    Things may have been recorded in the copy before it is held, today's run and those of missed
    dates among them. So it may lack what came after the last run that was begun before today, or
    after an earlier date that a person names.

    Raises: Refused `field_invalid`: the reason or the name is no text that can be kept.
    """
    try:
        anchors = _read(book.settings, lambda _number: None)
    except (AnchorError, OSError):
        anchors = []
    with book.database.reader() as connection:
        at = last_event_at(connection)
        runs = list_runs(connection, before=None, limit=RUNS_MOST)
        lacking = find_lacking(connection, anchors)
    today = book.clock.today()
    last = today if at is None else book.clock.date_of(at)
    begun = (run.business_date for run in runs if book.clock.date_of(run.started_at) < today)
    firsts = [day for day in (last, next(begun, None), lost_from) if day is not None]
    # Days that were played ahead are lost as well: the copy's, and those that an anchor tells of.
    until = max(today, last, book.clock.date_of(lacking.at) if lacking else today)
    asked = SetSending(
        SendingState.RECONCILING,
        reason,
        by,
        lost_from=min(firsts),
        lost_until=until,
        anchor=lacking.event_hash if lacking else None,
    )
    outcome = book.door.ask_now(Command(SET_SENDING, asked))
    if outcome.refusal is not None:
        raise Refused(outcome.refusal)


class Newest:
    """What one process knows of its book's newest history: from the anchor file, and by itself."""

    def __init__(self, book: Anchored) -> None:
        """Know nothing yet; `look` reads the file."""
        self._book = book
        self.is_unread = False
        """Whether the anchor file is there and tells nothing: this process sends nothing then."""
        self.is_withheld = False
        """Whether no line was written, because the book is a copy that is held."""
        self._left_out = 0
        self._seen = NOTHING_SEEN
        self._looking = threading.Lock()

    def why_older(self, connection: Connection) -> str | None:
        """Tell why the book may be an older copy of itself; None where nothing speaks for that.

        Asked before calls to the Processor, so it reads no file: the disk may be far away. What is
        to be done about it is done beside.
        """
        if not self.is_unread and not self._has_lost(connection):
            return None
        if not self._looking.locked():
            threading.Thread(target=self._look_beside, name="tallybook-anchor", daemon=True).start()
        return UNREAD if self.is_unread else OLDER

    def look(self) -> None:
        """Hold sending where the book lacks what is known of it; waits until that is on record.

        Whatever its switch says: a copy may have been made while the book was held for an earlier
        one. It is held once for what it lacks, so that a person may let sending go on.
        """
        with self._looking:
            try:
                anchors = self._read()
            except (AnchorError, OSError):
                _log.exception("the anchor file can't be read: this process sends nothing")
                return
            with self._book.database.reader() as connection:
                if not self._has_lost(connection) and not find_lacking(connection, anchors):
                    return
            _log.error("the book is older than what is known of it: it is held until reconciled")
            hold_sending(self._book, reason=OLDER, by="tallybook")
            self._seen, self.is_withheld = NOTHING_SEEN, True

    def glance(self) -> None:
        """Look at the book alone, and at the file where that could not be read."""
        try:
            with self._book.database.reader() as connection:
                self.why_older(connection)
        except (SQLAlchemyError, OSError):
            _log.warning("the book could not be looked at")

    def write(self) -> None:
        """Add where the chains stand now to the anchor file; the lines that it has stay.

        A copy that is held adds nothing: it may be a drill beside the book, or never come to be it.

        Raises: AnchorError, OSError.
        """
        anchors = self._read()
        book = self._book
        with book.database.snapshot() as connection:
            is_older = self._has_lost(connection) or find_lacking(connection, anchors) is not None
            sending = find_sending(connection)
            before = newest_of(connection, anchors)
            anchor = read_anchor(connection, book.clock.now())
        if is_older:
            self.look()
            return
        self.is_withheld = sending is not None and sending.is_of_held_copy
        if anchor is None or self.is_withheld or (before is not None and before.is_like(anchor)):
            return
        append_anchor(book.settings.anchor_path, anchor)

    def keep(self) -> None:
        """Do the same where a disk that is full, or away, must not stop what goes on."""
        try:
            self.write()
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the anchor could not be written")

    def _has_lost(self, connection: Connection) -> bool:
        before = self._seen
        seen = look_on(connection, before)
        if seen is not None and self._seen is before:
            self._seen = seen
        return seen is None

    def _read(self) -> list[Anchor]:
        left_out: list[int] = []
        try:
            anchors = _read(self._book.settings, left_out.append)
        except (AnchorError, OSError):
            self.is_unread = True
            raise
        if len(left_out) != self._left_out:
            _log.warning("%d lines of the anchor file are none, and are left out", len(left_out))
        self.is_unread, self._left_out = False, len(left_out)
        return anchors

    def _look_beside(self) -> None:
        try:
            self.look()
        except Exception:  # noqa: BLE001 - nothing is sent meanwhile, and it is looked again
            _log.exception("a book that is older than what is known of it could not be held")


async def keep_anchored(newest: Newest, clock: Clock, *, minutes: float) -> None:
    """Write an anchor now and then, and look at the book in between, until cancelled.

    A copy's first line is written as soon as it was let go: one of the time when it was held would
    else be taken for the book.
    """
    due = clock.monotonic()
    while True:
        if newest.is_withheld or clock.monotonic() >= due:
            due = clock.monotonic() + minutes * 60
            await asyncio.to_thread(newest.keep)
        else:
            await asyncio.to_thread(newest.glance)
        await asyncio.sleep(min(LOOK_SECONDS, minutes * 60))


def _read(settings: Settings, tell: Callable[[int], None]) -> list[Anchor]:
    """Read the anchor file; where there is none, or an empty one, nothing was ever written."""
    path = settings.anchor_path
    try:
        return read_anchors(path, tell) if path.stat().st_size else []
    except FileNotFoundError:
        return []
