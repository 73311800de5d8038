"""Anchors find what chains that agree with themselves do not: a cut tail, an older copy.

Source: I20.
"""

import json
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient.clock import SystemClock
from tallybook.db.engine import open_database
from tallybook.entrypoints.commands import copies
from tallybook.kernel.frozen import replace
from tallybook.reports.verify import verify
from tallybook.reports.verify.anchors import (
    Anchor,
    AnchorError,
    append_anchor,
    read_anchor,
    read_anchors,
)
from tests.played import Played

NOW = SystemClock().now()


@pytest.fixture
def book(sqlite_book_url: str, tmp_path: Path) -> Iterator[Played]:
    with Played(sqlite_book_url, tmp_path) as played:
        played.pay_out()
        yield played


def note(played: Played, path: Path) -> None:
    with played.database.snapshot() as connection:
        anchor = read_anchor(connection, NOW)
    assert anchor is not None
    append_anchor(path, anchor)


def read_whole(path: Path) -> list[Anchor]:
    """Read a file of which every line is an anchor."""
    left_out: list[int] = []
    anchors = read_anchors(path, left_out.append)
    assert left_out == []
    return anchors


def found_in(path: Path, anchors: Path) -> set[str]:
    database = open_database(f"sqlite:///{path}")
    try:
        return {each.code for each in verify(database, anchors=read_whole(anchors))}
    finally:
        database.close()


def test_an_older_copy_agrees_with_itself_and_not_with_the_anchor(
    book: Played, tmp_path: Path
) -> None:
    anchors, old = tmp_path / "anchors.jsonl", tmp_path / "old.db"
    note(book, anchors)
    copies.backup(old, database_url=str(book.database.url), home=tmp_path)
    assert found_in(old, anchors) == set()
    book.run(7)
    note(book, anchors)
    assert found_in(old, anchors) == {"anchor_ahead"}
    assert found_in(tmp_path / "book.db", anchors) == set()
    # Going on from the old copy makes other events under the same numbers.
    with Played(f"sqlite:///{old}", tmp_path) as forked:
        forked.clock.turn_to(book.clock.today())
        forked.rail.report_is_missing = True
        for day in range(1, 9):
            forked.run(1 if day else 0)
        assert "anchor_differs" in found_in(old, anchors)


def test_a_tail_cut_with_its_head_put_right_is_found(book: Played, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.jsonl"
    note(book, anchors)
    cut = tmp_path / "cut.db"
    copies.backup(cut, database_url=str(book.database.url), home=tmp_path)
    with closing(sqlite3.connect(cut)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
        connection.execute(
            "UPDATE chain_heads SET event_seq = (SELECT max(seq) FROM events),"
            " event_hash = (SELECT hash FROM events ORDER BY seq DESC LIMIT 1)"
        )
        connection.commit()
    database = open_database(f"sqlite:///{cut}")
    try:
        alone = {each.code for each in verify(database)}
    finally:
        database.close()
    assert not {"events_tail_cut", "event_head_wrong", "event_chain_broken"} & alone
    assert "anchor_ahead" in found_in(cut, anchors)


def test_an_anchor_of_another_book_is_said(
    book: Played, tmp_path: Path, sqlite_template: Path
) -> None:
    anchors, other = tmp_path / "anchors.jsonl", tmp_path / "other.db"
    note(book, anchors)
    shutil.copyfile(sqlite_template, other)
    assert found_in(other, anchors) == {"anchor_of_another_book"}
    with Played(f"sqlite:///{other}", tmp_path) as another:
        another.customer("GB29NWBK60161331926819")
    assert found_in(other, anchors) == {"anchor_of_another_book"}


WHOLE: dict[str, Any] = {
    "book": "b0",
    "event_seq": 1,
    "event_hash": "e1",
    "entry_seq": 1,
    "entry_hash": "f1",
    "written_at": "2026-01-01T00:00:00Z",
}
WRONG = {
    "a number in words": {"event_seq": "a", "entry_seq": "b"},
    "half a number": {"event_seq": 1.5},
    "a yes": {"entry_seq": True},
    "less than nothing": {"event_seq": -1},
    "a hash that is a number": {"event_hash": 1},
    "no book": {"book": None},
    "no instant": {"written_at": "yesterday"},
    "an instant of no zone": {"written_at": "2026-01-01T00:00:00"},
}


def test_an_anchor_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    path.write_text(json.dumps(WHOLE) + "\n")
    assert [anchor.event_seq for anchor in read_whole(path)] == [1]


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    """A power cut leaves one; what is written next begins a line of its own."""
    path, left_out = tmp_path / "anchors.jsonl", []
    whole = json.dumps(WHOLE)
    path.write_bytes(f"{whole}\n{whole[:40]}\n".encode() + b"\0\xff\n" + whole[:99].encode())
    append_anchor(path, replace(Anchor(**WHOLE), event_seq=2))
    assert [anchor.event_seq for anchor in read_anchors(path, left_out.append)] == [1, 2]
    assert left_out == [2, 3, 4]


def test_a_line_that_the_disk_has_no_room_for_is_not_begun(tmp_path: Path) -> None:
    path, anchor = tmp_path / "anchors.jsonl", Anchor(**WHOLE)
    for room in (0, 40, 40):
        before = path.read_bytes() if path.exists() else b""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
        try:
            with pytest.raises(OSError):  # noqa: PT011 - a limit is no full disk: its number differs
                append_anchor(path, anchor)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        append_anchor(path, anchor)
    assert len(read_whole(path)) == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}\n",
        "[1]\n",
        '{"book": 1}\n',
        "nothing\n",
        *(pytest.param(json.dumps(WHOLE | wrong) + "\n", id=why) for why, wrong in WRONG.items()),
    ],
)
def test_what_is_no_anchor_file_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "anchors.jsonl"
    path.write_text(content)
    with pytest.raises(AnchorError):
        read_anchors(path, lambda _number: None)
