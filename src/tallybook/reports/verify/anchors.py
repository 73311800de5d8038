"""Anchors: where the chains stood, written elsewhere, so that a cut tail or an old copy shows.

Whoever can rewrite the whole database can make chains that agree with themselves. They can't
change what was written to another place before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text

from tallybook.db.metadata import instant_to_text
from tallybook.kernel.frozen import frozen
from tallybook.reports.verify.discrepancy import Discrepancy, rows_of
from tallybook.writer.store import BOOK_HEAD, CHAIN_HEADS, EVENTS


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


class AnchorError(ValueError):
    """The file is not one of anchors."""


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
    """Write an anchor below those that a file holds, and see it onto the disk."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, (json.dumps(asdict(anchor)) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_anchors(path: Path) -> list[Anchor]:
    """Read a file of anchors, the oldest first. Raises: OSError, AnchorError."""
    anchors: list[Anchor] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise AnchorError(f"{path} is not a file of anchors") from error
    for number, line in enumerate(lines, start=1):
        try:
            found: Any = json.loads(line)
            anchor = Anchor(**found)
        except (ValueError, TypeError) as error:
            raise AnchorError(f"line {number} of {path} is not an anchor") from error
        if not _is_whole(anchor):
            raise AnchorError(f"line {number} of {path} is not an anchor")
        anchors.append(anchor)
    if not anchors:
        raise AnchorError(f"{path} holds no anchor")
    return anchors


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


def is_behind(connection: Connection, anchors: Sequence[Anchor]) -> bool:
    """Tell whether a book is an older copy of itself: it does not have what was last written of it.

    Earlier anchors say nothing of that: once a copy has gone on, and an anchor of it was written,
    those of the days that it lost stand above.
    """
    book = _book_of(connection)
    own = [anchor for anchor in anchors if anchor.book == book]
    if not own:
        return False
    hashed = select(EVENTS.c.hash).where(EVENTS.c.seq == own[-1].event_seq)
    return connection.execute(hashed).scalar() != own[-1].event_hash


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
