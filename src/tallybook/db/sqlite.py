"""SQLite's side of db/dialect.py: one writer, BEGIN IMMEDIATE, executemany."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from tallybook.db.dialect import Accumulate, Insert, Select, Step, Tx, Update
from tallybook.db.kept_rows import KeptRows
from tallybook.db.tables import RowMap

ROWS_TOGETHER = 16
"""How many rows one INSERT brings at most; SQLite takes 32,766 values in one statement."""
STATEMENTS_KEPT = 512
"""How many a connection keeps prepared: for each table one for each number of rows."""

LOCK_SECONDS = 5
"""How long the writer waits for another process's write lock at a time."""

PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # INSERT OR REPLACE would otherwise slip past the triggers that keep rows for ever.
    "PRAGMA recursive_triggers = ON",
    "PRAGMA cache_size = -65536",
    # 64 MB of log before it is folded in. Batches write the same pages again and again: the later
    # they are, the fewer are copied. With 16 MB a counter sold a twelfth less.
    "PRAGMA wal_autocheckpoint = 16000",
)

READING_PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA cache_size = -65536",
    "PRAGMA query_only = ON",
)
"""For a connection that only reads: nothing that is kept in the file."""


class SqliteConnection:
    """The writer's own connection to one SQLite file."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._connection: sqlite3.Connection | None = None
        self._kept = KeptRows()

    def begin(self) -> Tx:
        """Open a transaction. Locks: the database's one write lock, at once."""
        if self._connection is None:
            self._connection = connect(self._path)
            # A statement of many rows notes what it would have to undo: in a file it cost a batch
            # a fifteenth of its processor time. Reads keep theirs in files: they may be large.
            self._connection.execute("PRAGMA temp_store = MEMORY")
            self._connection.execute(f"PRAGMA busy_timeout = {int(LOCK_SECONDS * 1000)}")
        self._connection.execute("BEGIN IMMEDIATE")
        tx = _SqliteTx(self._connection, self._kept)
        try:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            self._kept.begin(version)
        except BaseException:
            tx.rollback()
            raise
        return tx

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._kept.forget()


def connect(path: str) -> sqlite3.Connection:
    """Open a SQLite file the way every connection of ours is set up."""
    # The writer thread opens it, and whoever stops the writer closes it.
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT
    )
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


class _SqliteTx:
    def __init__(self, connection: sqlite3.Connection, kept: KeptRows) -> None:
        self._connection = connection
        self._kept = kept

    def run(
        self, steps: Sequence[Step], meanwhile: Callable[[], None] | None = None
    ) -> list[list[Any]]:
        if meanwhile is not None:
            meanwhile()
        selected: list[list[Any]] = []
        for step in steps:
            match step:
                case Select():
                    selected.append(self._select(step))
                    continue
                case Insert():
                    self._insert(step)
                case Update():
                    self._update(step)
                case Accumulate():
                    self._many(_accumulate_text(step.rows, step.columns), step)
            self._kept.write(step)
        return selected

    def commit(self, steps: Sequence[Step] = ()) -> None:
        self.run(steps)
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        self._kept.forget()
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _select(self, step: Select) -> list[Any]:
        rows, keys = self._kept.find(step)
        if keys:
            text = _select_text(step.rows, step.by, step.where)
            cursor = self._connection.execute(text, (to_json(keys).decode(),))
            read = [step.rows.row(values, sqlite=True) for values in cursor.fetchall()]
            self._kept.keep(step, keys, read)
            rows += read
        # In the order in which the database gives them.
        rows.sort(key=step.rows.key_of)
        return rows

    def _insert(self, step: Insert) -> None:
        """Insert rows, as many as go together in one statement each.

        Each statement that runs gives the interpreter's lock away and waits to get it back, which
        costs more than the row where other threads are busy.
        """
        rows = [step.rows.sqlite_values(row) for row in step.values]
        whole = len(rows) - len(rows) % ROWS_TOGETHER
        if whole:
            together = [
                tuple(chain.from_iterable(rows[place : place + ROWS_TOGETHER]))
                for place in range(0, whole, ROWS_TOGETHER)
            ]
            self._connection.executemany(_insert_text(step.rows, ROWS_TOGETHER), together)
        if rest := rows[whole:]:
            values = tuple(chain.from_iterable(rest))
            self._connection.execute(_insert_text(step.rows, len(rest)), values)

    def _many(self, text: str, step: Accumulate) -> None:
        self._connection.executemany(text, [step.rows.sqlite_values(row) for row in step.values])

    def _update(self, step: Update) -> None:
        rows, ordered = step.rows, _update_order(step.rows, step.set_to)
        parameters = [ordered(rows.sqlite_values(row)) for row in step.values]
        self._connection.executemany(_update_text(rows, step.set_to), parameters)


@cache
def _select_text(rows: RowMap[Any], by: tuple[str, ...], where: str) -> str:
    if len(by) == 1:
        condition = f"{by[0]} IN (SELECT value FROM json_each(?))"
    else:
        parts = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(by)))
        condition = f"({', '.join(by)}) IN (SELECT {parts} FROM json_each(?))"
    text = f"SELECT {', '.join(rows.columns)} FROM {rows.name} WHERE {condition}"
    if where:
        text += f" AND ({where})"
    return f"{text} ORDER BY {', '.join(rows.key)}"


@cache
def _insert_text(rows: RowMap[Any], count: int = 1) -> str:
    marks = f"({', '.join('?' for _ in rows.columns)})"
    values = ", ".join(marks for _ in range(count))
    return f"INSERT INTO {rows.name} ({', '.join(rows.columns)}) VALUES {values}"


@cache
def _update_order(
    rows: RowMap[Any], set_to: tuple[str, ...]
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Put a row's values into the order in which an update names its columns."""
    return itemgetter(*(rows.columns.index(name) for name in (*set_to, *rows.key)))


@cache
def _update_text(rows: RowMap[Any], set_to: tuple[str, ...]) -> str:
    changed = ", ".join(f"{name} = ?" for name in set_to)
    found = " AND ".join(f"{name} = ?" for name in rows.key)
    return f"UPDATE {rows.name} SET {changed} WHERE {found}"


@cache
def _accumulate_text(rows: RowMap[Any], columns: tuple[str, ...]) -> str:
    grown = ", ".join(f"{name} = {name} + excluded.{name}" for name in columns)
    return f"{_insert_text(rows)} ON CONFLICT ({', '.join(rows.key)}) DO UPDATE SET {grown}"
