"""How long a write waits: for a lock held elsewhere, and after its statements fit no longer."""

import contextlib
import sqlite3
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import text

from tallybook.db.dialect import WriteConnection
from tallybook.kernel.refusal import Refused
from tallybook.wire.problems import refusing_trouble
from tallybook.writer.model import Command
from tests.db.test_writer import Book, GateOperation, count


@pytest.fixture
def book(book_url: str) -> Iterator[Book]:
    yield from Book.checked(book_url)


@pytest.fixture
def postgres_book(postgres_book_url: str) -> Iterator[Book]:
    yield from Book.checked(postgres_book_url)


@contextlib.contextmanager
def _held(book: Book) -> Generator[None]:
    """Keep what every write needs, as another process would."""
    if book.database.path is None:
        with psycopg.connect(book.url) as other:
            other.execute("SELECT 1 FROM chain_heads FOR UPDATE")
            yield
            other.rollback()
        return
    with contextlib.closing(sqlite3.connect(book.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.db.sqlite.LOCK_SECONDS", 0.2)
    monkeypatch.setattr("tallybook.db.postgresql._LOCK_TIMEOUT", "200ms")
    monkeypatch.setattr("tallybook.writer.door.PATIENCE_SECONDS", 1)
    monkeypatch.setattr("tallybook.writer.lane.BLOCKED_PATIENCE_SECONDS", 0)


def test_nobody_waits_for_ever_for_what_another_process_holds(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _hurry(monkeypatch)
    door = book.door()
    with _held(book):
        began = time.monotonic()
        outcome = door.ask_now(count("a", key="k"))
        first = time.monotonic() - began
        again = door.ask_now(count("a", key="k"))
        second = time.monotonic() - began - first
        assert door.trouble == "a write was given up: another process holds the database"
    assert [each.refusal and each.refusal.code for each in (outcome, again)] == ["busy"] * 2
    assert 1 <= first < 5
    assert second < 1, "who waits behind it is told soon"
    assert "another process holds the database" in caplog.text
    assert book.keys() == {}
    assert door.ask_now(count("a", key="k")).status == 200
    assert (book.counted("a"), door.trouble) == (1, None)


def test_a_write_that_is_long_under_way_is_told_of(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.writer.lane.SLOW_SECONDS", 0)
    door, gate = book.door(), GateOperation()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(door.ask_now, Command(gate, "gate"))
        assert gate.entered.wait(10)
        assert door.trouble == "a write has waited for too long"
        gate.open.set()
        assert asked.result(10).status == 200
    assert door.ask_now(count("a")).status == 200
    assert door.trouble is None


@pytest.mark.parametrize(
    "change", ["ALTER TABLE jobs ALTER COLUMN holder TYPE varchar(900)", "DEALLOCATE ALL"]
)
def test_statements_that_fit_no_longer_are_prepared_anew(
    postgres_book: Book, change: LiteralString
) -> None:
    writers: list[Any] = []

    def watch(inner: WriteConnection) -> WriteConnection:
        writers.append(inner)
        return inner

    door = postgres_book.door(watch)
    door.ask_now(count("a"))
    if change.startswith("ALTER"):
        with psycopg.connect(postgres_book.url, autocommit=True) as other:
            other.execute(change)
    else:
        writers[0]._connection.execute(change)  # as a pooler between the two may
    assert door.ask_now(count("a", key="k")).status == 200
    assert postgres_book.counted("a") == 2


def test_a_read_whose_statement_fits_no_longer_gets_another_connection(
    postgres_book: Book,
) -> None:
    door = postgres_book.door()
    door.ask_now(count("a"))
    read = text("SELECT * FROM jobs WHERE name = :name")
    with postgres_book.database.reader() as connection:
        for _ in range(10):  # from the fifth time on psycopg has it prepared
            connection.execute(read, {"name": "a"}).all()
    with psycopg.connect(postgres_book.url, autocommit=True) as other:
        other.execute("ALTER TABLE jobs ALTER COLUMN holder TYPE varchar(900)")
    refused = 0
    for _ in range(3):
        with contextlib.suppress(Refused), refusing_trouble():
            refused += 1
            with postgres_book.database.reader() as connection:
                connection.execute(read, {"name": "a"}).all()
            refused -= 1
    assert refused == 1
