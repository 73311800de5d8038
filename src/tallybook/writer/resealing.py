"""Sealing a whole book: what verify compares with, and what is written after a migration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from tallybook.db.dialect import Insert, Select, Update
from tallybook.db.engine import Database
from tallybook.db.reading import select_rows, stream
from tallybook.db.tables import RowMap
from tallybook.writer.model import Shelf
from tallybook.writer.sealing import COMMANDS_SEAL, UNSEALED, hash_command, hash_row, seal_of
from tallybook.writer.store import (
    BOOK_HEAD,
    COMMAND_ROWS,
    HEAD_ROWS,
    SEAL_ROWS,
    RowSeal,
)


def sum_up(connection: Connection, shelves: Sequence[Shelf[Any]]) -> Iterator[RowSeal]:
    """Seal every table anew from the rows that are there, one after another."""
    for shelf in shelves:
        rows = _all_rows(connection, shelf.rows)
        yield seal_of(shelf.name, map(partial(hash_row, shelf), rows))
    commands = _all_rows(connection, COMMAND_ROWS)
    yield seal_of(COMMANDS_SEAL, (hash_command(command) for command in commands))


def read_seals(connection: Connection) -> dict[str, RowSeal]:
    """Read the seals as they are kept, by the names of their tables."""
    found = connection.execute(select_rows(SEAL_ROWS))
    return {row.name: RowSeal(*row) for row in found}


def seal_if_unsealed(database: Database, shelves: Sequence[Shelf[Any]]) -> bool:
    """Seal the book where a migration has left it unsealed; tells whether it had.

    Locks: the chain head, so that nobody records meanwhile.
    """
    with database.reader() as connection:
        if not _is_unsealed(read_seals(connection)):
            return False
    writer = database.open_writer()
    try:
        tx = writer.begin()
        try:
            tx.run([Select(HEAD_ROWS, ("name",), [BOOK_HEAD], lock=True)])
            with database.snapshot() as connection:
                kept = read_seals(connection)
                if not _is_unsealed(kept):
                    return False
                seals = [*sum_up(connection, shelves), RowSeal(UNSEALED, 0, "0")]
            tx.commit(
                [
                    Update(SEAL_ROWS, [seal for seal in seals if seal.name in kept]),
                    Insert(SEAL_ROWS, [seal for seal in seals if seal.name not in kept]),
                ]
            )
            return True
        finally:
            tx.rollback()
    finally:
        writer.close()


def _is_unsealed(kept: dict[str, RowSeal]) -> bool:
    return UNSEALED in kept and kept[UNSEALED].rows_count > 0


def _all_rows(connection: Connection, rows: RowMap[Any]) -> Iterator[Any]:
    for part in stream(connection, rows, select_rows(rows)):
        yield from part
