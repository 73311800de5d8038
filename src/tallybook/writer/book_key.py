"""Which key a book goes with: kept as a check value, in a row among the seals. Source: 0050."""

from __future__ import annotations

from sqlalchemy import Connection

from tallybook.db.dialect import Insert, Select, Update
from tallybook.db.engine import Database
from tallybook.writer.resealing import read_seals
from tallybook.writer.sealing import OF_KEY
from tallybook.writer.store import BOOK_HEAD, HEAD_ROWS, SEAL_ROWS, RowSeal


def find_key_check(connection: Connection) -> str | None:
    """Tell the check value of the key that the book goes with; None where none was chosen."""
    kept = read_seals(connection).get(OF_KEY)
    return kept.digest if kept is not None and kept.rows_count else None


def keep_key_check(database: Database, check: str | None, *, instead: bool = False) -> str | None:
    """Let the book go with a key, unless it goes with one already; gives the check value it has.

    Who says `instead` puts another in its place, or none.

    Locks: the chain head, so that of several who begin a book one chooses.
    """
    writer = database.open_writer()
    try:
        tx = writer.begin()
        try:
            tx.run([Select(HEAD_ROWS, ("name",), [BOOK_HEAD], lock=True)])
            with database.reader() as connection:
                had = find_key_check(connection)
                is_there = OF_KEY in read_seals(connection)
            if had is not None and not instead:
                return had
            row = RowSeal(OF_KEY, int(check is not None), check or "0")
            tx.commit([Update(SEAL_ROWS, [row]) if is_there else Insert(SEAL_ROWS, [row])])
            return check
        finally:
            tx.rollback()
    finally:
        writer.close()
