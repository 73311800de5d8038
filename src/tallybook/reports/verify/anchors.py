"""Anchors: where the chains stood, written elsewhere, so that a cut tail or an old copy shows.

Whoever can rewrite the whole database can make chains that agree with themselves. They can't
change what was written to another place before.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from tallybook.collection.operations.runs import NOBODY
from tallybook.collection.operations.switching import HELD_EVENT
from tallybook.db.metadata import instant_from_text, instant_to_text
from tallybook.kernel.frozen import frozen
from tallybook.reports.verify.discrepancy import Discrepancy, rows_of
from tallybook.writer.store import BOOK_HEAD, CHAIN_HEADS, EVENTS, FIRST_HASH, LOOKED_UP


@frozen
class Anchor:
    """Where a book's chains stood at one moment."""

    book: str
    """The hash of its first event: no two books have the same."""
    event_seq: int
    event_hash: str
    entry_seq: int
    entry_hash: str
    written_at: str

    @property
    def at(self) -> datetime:
        """Tell when it was written."""
        return instant_from_text(self.written_at)

    def is_like(self, other: Anchor) -> bool:
        """Tell whether nothing happened between the two."""
        return (self.event_hash, self.entry_hash) == (other.event_hash, other.entry_hash)


class AnchorError(ValueError):
    """The file is not one of anchors."""


@frozen
class LastSeen:
    """The last event that a process has seen in a book."""

    seq: int
    hash: str


NOTHING_SEEN = LastSeen(0, FIRST_HASH)
_STANDS = select(
    CHAIN_HEADS.c.event_seq,
    CHAIN_HEADS.c.event_hash,
    select(EVENTS.c.hash).where(EVENTS.c.seq == bindparam("seen")).scalar_subquery(),
).where(CHAIN_HEADS.c.name == BOOK_HEAD)
"""Where the events stand, and what the one is that was seen last: made once, for it is asked before
each call to the Processor."""


def read_anchor(connection: Connection, now: datetime) -> Anchor | None:
    """Tell where the chains of a book stand now; None while nothing has happened in it."""
    book = _book_of(connection)
    if book is None:
        return None
    names = [item.name for item in fields(Anchor) if item.name not in ("book", "written_at")]
    head = connection.execute(
        select(*(CHAIN_HEADS.c[name] for name in names)).where(CHAIN_HEADS.c.name == BOOK_HEAD)
    ).one()
    return Anchor(book, *head, written_at=instant_to_text(now))


def append_anchor(path: Path, anchor: Anchor) -> None:
    """Write an anchor below those that a file holds, whole, and see it onto the disk.

    Raises: OSError, also where the disk took a part of the line only: that is taken away again.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = (json.dumps(asdict(anchor)) + "\n").encode()
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    try:
        end = os.fstat(descriptor).st_size
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            # What stands there is half a line: this one must not be glued to it.
            line = b"\n" + line
        written = os.write(descriptor, line)
        if written < len(line):
            if os.fstat(descriptor).st_size == end + written:
                with suppress(OSError):
                    os.ftruncate(descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_anchors(path: Path, tell: Callable[[int], None]) -> list[Anchor]:
    """Read a file of anchors, the oldest first; tells the numbers of lines that are none.

    One of them spoils no other: a power cut may leave half a line.

    Raises: OSError; AnchorError where there is not one anchor in it.
    """
    anchors: list[Anchor] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        anchor = _read_line(line)
        if anchor is None:
            tell(number)
        else:
            anchors.append(anchor)
    if not anchors:
        raise AnchorError(f"{path} holds no anchor")
    return anchors


def _read_line(line: str) -> Anchor | None:
    try:
        found: Any = json.loads(line)
        anchor = Anchor(**found)
        return anchor if _is_whole(anchor) and anchor.at.tzinfo is not None else None
    except (ValueError, TypeError, RecursionError):
        return None


def _is_whole(anchor: Anchor) -> bool:
    """Tell whether each value is of its kind: a file may say anything."""
    numbers: list[Any] = [anchor.event_seq, anchor.entry_seq]
    texts: list[Any] = [anchor.book, anchor.event_hash, anchor.entry_hash, anchor.written_at]
    return all(type(number) is int and number >= 0 for number in numbers) and all(
        isinstance(text, str) for text in texts
    )


def check_anchors(connection: Connection, anchors: Sequence[Anchor]) -> Iterator[Discrepancy]:
    """Find what a book no longer has, or has otherwise, than when its anchors were written."""
    book = _book_of(connection)
    for anchor in anchors:
        if anchor.book != book:
            yield Discrepancy(
                "anchor_of_another_book",
                f"the anchor of {anchor.written_at}",
                f"book {anchor.book[:12]}",
                "an empty book" if book is None else f"book {book[:12]}",
                "this is not the book that it was written for",
            )
            continue
        for table, seq, chained in (
            ("events", anchor.event_seq, anchor.event_hash),
            ("entries", anchor.entry_seq, anchor.entry_hash),
        ):
            yield from _check(connection, anchor, table, seq, chained)


def newest_of(connection: Connection, anchors: Sequence[Anchor]) -> Anchor | None:
    """Give the anchor that was last written of a book; None where none was.

    Earlier ones say nothing of how new it is: once a copy has become the book, those of the days
    that it lost stand above its own.
    """
    book = _book_of(connection)
    return next((anchor for anchor in reversed(anchors) if anchor.book == book), None)


def find_lacking(connection: Connection, anchors: Sequence[Anchor]) -> Anchor | None:
    """Give the anchor that shows that a book is an older copy of itself; None where none does.

    It does not have what was last written of it, nor was it held for that. Source: 0049.
    """
    newest = newest_of(connection, anchors)
    if newest is None or newest.event_seq == 0:
        return None
    hashed = select(EVENTS.c.hash).where(EVENTS.c.seq == newest.event_seq)
    if connection.execute(hashed).scalar() == newest.event_hash:
        return None
    held = select(EVENTS.c.seq).where(
        EVENTS.c.subject_id == NOBODY,
        text(LOOKED_UP),
        EVENTS.c.type == HELD_EVENT,
        EVENTS.c.body.contains(f'"{newest.event_hash}"', autoescape=True),
    )
    return newest if connection.execute(held.limit(1)).first() is None else None


def look_on(connection: Connection, seen: LastSeen) -> LastSeen | None:
    """Give a book's last event; None where it no longer has the one that was seen before."""
    event_seq, event_hash, there = connection.execute(_STANDS, {"seen": seen.seq}).one()
    if seen.seq and there != seen.hash:
        return None
    return LastSeen(event_seq, event_hash)


def last_event_at(connection: Connection) -> datetime | None:
    """Tell the moment of a book's last event; None while it has none."""
    wanted = select(EVENTS.c.occurred_at).order_by(EVENTS.c.seq.desc()).limit(1)
    return connection.execute(wanted).scalar()


def _check(
    connection: Connection, anchor: Anchor, table: str, seq: int, chained: str
) -> Iterator[Discrepancy]:
    if seq == 0:
        return
    statement = f"SELECT hash FROM {table} WHERE seq = :seq"  # noqa: S608 - one of two names
    found = next(rows_of(connection, statement, seq=seq), None)
    if found is None:
        last = connection.execute(
            text(f"SELECT coalesce(max(seq), 0) FROM {table}")  # noqa: S608 - one of two names
        ).scalar_one()
        yield Discrepancy(
            "anchor_ahead",
            table,
            f"number {seq}, as at {anchor.written_at}",
            f"{last} is the last",
            "the book has lost its tail, or is an older copy",
        )
    elif found[0] != chained:
        yield Discrepancy(
            "anchor_differs",
            f"{table} {seq}",
            chained[:12],
            str(found[0])[:12],
            f"it was another one at {anchor.written_at}: history was written anew",
        )


def _book_of(connection: Connection) -> str | None:
    return connection.execute(select(EVENTS.c.hash).where(EVENTS.c.seq == 1)).scalar()
