"""A file that is thrown away, for work that must not grow with what it reads."""

from __future__ import annotations

import sqlite3
from typing import Self


class Occurrences:
    """Counts how often each of very many things was seen.

    A dictionary of a million hashes needs 150 MB; this spills to a nameless file, which is gone
    with the process, and needs some two.
    """

    def __init__(self) -> None:
        # An empty name is a file of SQLite's own, which it deletes.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000;"
            "CREATE TABLE seen (thing BLOB PRIMARY KEY, count INTEGER) WITHOUT ROWID;"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def count(self, thing: bytes) -> int:
        """Tell the how-manieth time this is that something is seen, from 1.

        >>> with Occurrences() as seen:
        ...     [seen.count(b"a"), seen.count(b"b"), seen.count(b"a")]
        [1, 1, 2]
        """
        found = self._connection.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1"
            " RETURNING count",
            (thing,),
        )
        (count,) = found.fetchall()[0]
        return int(count)
