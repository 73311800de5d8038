"""What a database error means: try again, one command's fault, or the machine's."""

from __future__ import annotations

import re
import sqlite3
from enum import Enum
from functools import cache

from sqlalchemy import Index, PrimaryKeyConstraint, UniqueConstraint

from tallybook.db.metadata import METADATA

STALE_STATES = ("0A000", "26000")
"""A plan that no longer fits the table since a column's type was changed, and a prepared statement
that the server does not have: a connection on which one came up is of no more use."""
_MACHINE_STATES = ("53", "58", "25006", "57014")
"""Resources, the operating system, a read-only server, a statement that took too long. Each of
their errors is an OperationalError of its own, like those of a connection that is gone."""


class Trouble(Enum):
    """Kinds of database trouble, by what helps."""

    TRANSIENT = "run the whole transaction again: a deadlock, a serialisation failure, a lock"
    CONSTRAINT = "a row would break a named constraint: one command's fault, or a race on a key"
    DATA = "the database can't take a value: one command's fault"
    LOST = "the connection is gone: what was not committed is undone, a COMMIT is unknown"
    STALE = "nothing was committed, and the connection is closed: run it again on a new one"
    MACHINE = "the disk is full, the file is read-only, memory is short: nobody's command"


def classify(error: BaseException) -> tuple[Trouble, str | None]:
    """Tell what an error of either driver means, and the constraint's name where one broke."""
    if isinstance(error, sqlite3.Error):
        return _classify_sqlite(error)
    if type(error).__module__.partition(".")[0] == "psycopg":
        return _classify_postgresql(error)
    if isinstance(error, OSError | MemoryError):
        return Trouble.MACHINE, None
    # Not the database's: a bug of ours in recording one command's decision.
    return Trouble.DATA, None


def _classify_postgresql(error: BaseException) -> tuple[Trouble, str | None]:
    import psycopg  # noqa: PLC0415 - a tenth of the start, and SQLite needs none of it
    from psycopg import errors as pg  # noqa: PLC0415 - as above

    if isinstance(error, pg.SerializationFailure | pg.DeadlockDetected | pg.LockNotAvailable):
        return Trouble.TRANSIENT, None
    if isinstance(error, pg.IntegrityError):
        return Trouble.CONSTRAINT, error.diag.constraint_name
    if isinstance(error, pg.RaiseException | pg.CheckViolation):
        return Trouble.CONSTRAINT, error.diag.constraint_name
    if isinstance(error, pg.DataError):
        return Trouble.DATA, None
    if isinstance(error, psycopg.Error) and error.sqlstate in STALE_STATES:
        return Trouble.STALE, None
    if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(_MACHINE_STATES):
        return Trouble.MACHINE, None
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Trouble.LOST, None
    return Trouble.MACHINE, None


def _classify_sqlite(error: sqlite3.Error) -> tuple[Trouble, str | None]:
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return Trouble.CONSTRAINT, _sqlite_constraint(text)
    if isinstance(error, sqlite3.DataError) or "too big" in text:
        return Trouble.DATA, None
    if "locked" in text or "busy" in text:
        return Trouble.TRANSIENT, None
    return Trouble.MACHINE, None


def _sqlite_constraint(text: str) -> str | None:
    """Find the constraint's name: SQLite tells it for CHECKs and triggers, not for UNIQUE."""
    if found := re.match(r"CHECK constraint failed: (\w+)", text):
        return found.group(1)
    if found := re.match(r"UNIQUE constraint failed: (.+)", text):
        return _unique_names().get(found.group(1).replace(" ", ""))
    return text if re.fullmatch(r"\w+", text) else None


@cache
def _unique_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for table in METADATA.tables.values():
        keys: list[tuple[str, list[str]]] = [
            (str(item.name), [column.name for column in item.columns])
            for item in (*table.constraints, *table.indexes)
            if isinstance(item, UniqueConstraint | PrimaryKeyConstraint)
            or (isinstance(item, Index) and item.unique)
        ]
        for name, columns in keys:
            names.setdefault(",".join(f"{table.name}.{column}" for column in columns), name)
    return names
