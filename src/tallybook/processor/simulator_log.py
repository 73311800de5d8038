"""What a simulated Processor knows: a file of its own that several processes may share.

It is the truth that tests compare the book with, so it must survive a killed process; it need not
survive a lost machine, and is therefore never forced to the disk. It holds bank account numbers in
the clear, as a Processor's own books do, and is readable by its owner alone.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tallybook.kernel.frozen import frozen
from tallybook.processor.model import Result
from tallybook.processor.port import Direction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    position INTEGER PRIMARY KEY,
    key INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    is_arrival INTEGER NOT NULL,
    src TEXT NOT NULL,
    dst TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    direction TEXT NOT NULL,
    reference TEXT NOT NULL,
    arrived_on INTEGER NOT NULL,
    told TEXT NOT NULL,
    answered_id TEXT,
    transaction_id TEXT,
    booked_on INTEGER,
    result TEXT,
    result_on INTEGER,
    second_result TEXT,
    second_on INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS calls_key ON calls (key, occurrence);
CREATE INDEX IF NOT EXISTS calls_result_on ON calls (result_on, transaction_id)
    WHERE result_on IS NOT NULL;
CREATE INDEX IF NOT EXISTS calls_second_on ON calls (second_on, transaction_id)
    WHERE second_on IS NOT NULL;
"""
_COLUMNS = (
    "key, occurrence, is_arrival, src, dst, amount_minor, direction, reference, arrived_on, told,"
    " answered_id, transaction_id, booked_on, result, result_on, second_result, second_on"
)
_INSERT = f"INSERT INTO calls ({_COLUMNS}) VALUES ({','.join('?' * 17)})"  # noqa: S608 - constants
_SELECT = f"SELECT position, {_COLUMNS} FROM calls"  # noqa: S608 - constants
_BUSY_SECONDS = 30
_ROWS_AT_ONCE = 5_000

CallRow = tuple[
    int, int, int, str, str, int, str, str, int, str,
    str | None, str | None, int | None, str | None, int | None, str | None, int | None,
]  # fmt: skip


@frozen
class LoggedCall:
    """One call as the Processor knows it, and the transfer it made where it made one.

    Units: minor units. A transfer that the Processor made twice by itself has a second line with
    `is_arrival` false.
    """

    position: int
    is_arrival: bool
    src_bank_account: str
    dst_bank_account: str
    amount_minor: int
    direction: Direction
    reference: str
    arrived_on: date
    told: str
    """What the caller was told: `accepted`, or the name of the fault."""
    answered_id: str | None
    """The transaction id that the reply named; None where there was none to read."""
    transaction_id: str | None
    """The id under which the transfer was executed; None where it was not."""
    booked_on: date | None
    result: Result | None
    result_on: date | None
    """The date from which reports tell the result; None where they never do."""
    second_result: Result | None
    second_on: date | None

    @property
    def is_executed(self) -> bool:
        """Tell whether money moved, or tried to."""
        return self.transaction_id is not None

    @property
    def final_result(self) -> Result | None:
        """Tell what became of it in the end; None where it was not executed."""
        return self.second_result or self.result

    @property
    def final_on(self) -> date | None:
        """Tell from which date reports tell the final result; None where they never do."""
        return self.second_on or self.result_on


class SimulatorLog:
    """Keeps the calls in a SQLite file. Safe between threads, and between processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = self._connect()
        self._prepare()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -8000")
        return connection

    def _prepare(self) -> None:
        connection = self._connection
        while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # Of two processes that open a new file at once one is refused without waiting; an
            # empty transaction waits for the other to be done.
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                connection.executescript("BEGIN IMMEDIATE; COMMIT;")
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def set_date(self, day: date | None) -> None:
        """Set the business date for everyone who shares the file; None gives it back."""
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO settings VALUES ('date', ?)", (day and day.toordinal(),)
            )

    def date_ordinal(self) -> int | None:
        """Tell the business date that was set, as an ordinal; None where none was."""
        with self._lock:
            row = self._connection.execute(
                "SELECT value FROM settings WHERE name = 'date'"
            ).fetchone()
        return row[0] if row else None

    def add(self, row: CallRow) -> bool:
        """Add a call; False where its key has that occurrence already."""
        try:
            with self._lock:
                self._connection.execute(_INSERT, row)
        except sqlite3.IntegrityError:
            return False
        return True

    def count_key(self, key: int) -> int:
        """Tell how many calls with a key there were."""
        with self._lock:
            return self._connection.execute(
                "SELECT count(*) FROM calls WHERE key = ?", (key,)
            ).fetchone()[0]

    def find_other_id(self, today: int, pivot: str) -> str | None:
        """Find the id of another transfer, the first one after a place among all ids.

        Looks among the results that are dated today or last before: while one date's calls arrive
        that is the same set, in whatever order they do. On the first date of all it takes the
        latest transfer.
        """
        on_last_date = (
            "SELECT transaction_id FROM calls"
            " WHERE result_on = (SELECT max(result_on) FROM calls WHERE result_on <= ?)"
        )
        in_order = " ORDER BY transaction_id LIMIT 1"
        with self._lock:
            found = (
                self._connection.execute(
                    f"{on_last_date} AND transaction_id >= ?{in_order}", (today, pivot)
                ).fetchone()
                or self._connection.execute(on_last_date + in_order, (today,)).fetchone()
                or self._connection.execute(
                    "SELECT transaction_id FROM calls WHERE transaction_id IS NOT NULL"
                    " ORDER BY position DESC LIMIT 1"
                ).fetchone()
            )
        return found[0] if found else None

    def read_events(
        self, first: int, last: int, columns: Sequence[str], *, latest_first: bool = False
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Read the events dated in a span, both ends included, in chunks.

        An event is its result, its date and the given columns. First results come first, so
        that a success stands before the fail that takes it back, unless asked otherwise. The rows
        are those of one moment, and may be read from any thread.
        """
        kinds = [("result", "result_on"), ("second_result", "second_on")]
        connection = self._connect()
        try:
            connection.execute("BEGIN")
            for result, on in reversed(kinds) if latest_first else kinds:
                cursor = connection.execute(
                    f"SELECT {result}, {on}, {', '.join(columns)} FROM calls"  # noqa: S608 - constants of ours
                    f" WHERE {on} BETWEEN ? AND ? ORDER BY {on}, transaction_id",
                    (first, last),
                )
                while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                    yield rows
        finally:
            connection.close()

    def read_calls(self, *, after: int = 0) -> Generator[LoggedCall]:
        """Read every call in order of arrival, as of the moment of asking.

        `after` leaves out those up to a position that was read before.
        """
        connection = self._connect()
        try:
            wanted = f"{_SELECT} WHERE position > ? ORDER BY position"
            for row in connection.execute(wanted, (after,)):
                yield _logged(row)
        finally:
            connection.close()


def _logged(row: tuple[int, *CallRow]) -> LoggedCall:
    (
        position, _, _, is_arrival, src, dst, amount, direction, reference, arrived, told,
        answered, ident, booked, result, result_on, second, second_on,
    ) = row  # fmt: skip
    return LoggedCall(
        position,
        bool(is_arrival),
        src,
        dst,
        amount,
        Direction(direction),
        reference,
        date.fromordinal(arrived),
        told,
        answered,
        ident,
        date.fromordinal(booked) if booked else None,
        Result(result) if result else None,
        date.fromordinal(result_on) if result_on else None,
        Result(second) if second else None,
        date.fromordinal(second_on) if second_on else None,
    )
