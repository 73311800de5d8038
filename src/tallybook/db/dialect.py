"""What a write transaction can do, in words that both databases understand.

The writer speaks only these few steps; db/postgresql.py and db/sqlite.py are the two places that
turn them into SQL. Statements are constant texts: keys and rows travel as parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tallybook.db.tables import RowMap
from tallybook.kernel.frozen import frozen

WATCHED = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""How a connection to PostgreSQL notices that the other side is gone: within a minute where nothing
is said, in half of one where something is. What the database's URL says goes before it."""


@frozen
class Select:
    """Rows whose columns equal one of the keys, in the order of their own primary key."""

    rows: RowMap[Any]
    by: tuple[str, ...]
    keys: Sequence[Any]
    """One value a key where `by` names one column, else a tuple."""
    lock: bool = False
    """Locks: the rows, FOR NO KEY UPDATE. On SQLite the one writer is the lock."""
    where: str = ""
    """A constant condition in SQL that both databases read, such as "state = 'planned'"."""


@frozen
class Insert:
    """New rows."""

    rows: RowMap[Any]
    values: Sequence[Any]


@frozen
class Update:
    """Rows to be overwritten, found by their key."""

    rows: RowMap[Any]
    values: Sequence[Any]
    columns: tuple[str, ...] = ()
    """What is written of them, where the rest is known to be as it was; empty: all of each row."""

    @property
    def set_to(self) -> tuple[str, ...]:
        """List what is written: never the key, even to itself.

        SQLite would then look for rows that refer to it, by reading whole tables where no index
        helps. And it writes every index anew that has one of the columns in it, changed or not.
        """
        return self.columns or self.rows.but_key


@frozen
class Accumulate:
    """Rows to be added onto: inserted where the key is new, else the columns grow."""

    rows: RowMap[Any]
    columns: tuple[str, ...]
    values: Sequence[Any]


Step = Select | Insert | Update | Accumulate


class Tx(Protocol):
    """One write transaction, open from the first step to commit or rollback."""

    def run(
        self, steps: Sequence[Step], meanwhile: Callable[[], None] | None = None
    ) -> list[list[Any]]:
        """Do the steps in order, in one round trip where possible; rows of the selects come back.

        `meanwhile` is done once, while the database works where it is another process.

        Raises: the driver's own error; db/errors.py tells what it means.
        """
        ...

    def commit(self, steps: Sequence[Step] = ()) -> None:
        """Do the last steps, then commit.

        Raises: the driver's own error. The outcome is then unknown if the connection is gone.
        """
        ...

    def rollback(self) -> None:
        """Give everything up. Never raises: a broken connection is rolled back by its server."""
        ...


class WriteConnection(Protocol):
    """One connection that writes, and its repair."""

    def begin(self) -> Tx:
        """Open a transaction; reconnects first if the connection is gone.

        Locks: on SQLite the database's one write lock, at once.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
