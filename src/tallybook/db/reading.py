"""Reading rows of a table, or of two, as the dataclasses that they are mapped to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, select

from tallybook.db.tables import RowMap

R = TypeVar("R")
S = TypeVar("S")

STREAM_ROWS = 500
"""How many rows a long list fetches at a time."""


@cache
def select_rows(rows: RowMap[Any]) -> Select[Any]:
    """Select the mapped columns, to be narrowed down and ordered; made once a table."""
    return select(*(rows.table.c[name] for name in rows.columns))


def fetch(connection: Connection, rows: RowMap[R], wanted: Select[Any], **asked: Any) -> list[R]:
    """Run a select of `select_rows`, all at once; `asked` says what its `bindparam`s stand for."""
    return [rows.row(row, sqlite=False) for row in connection.execute(wanted, asked)]


def select_pairs(rows: RowMap[Any], others: RowMap[Any]) -> Select[Any]:
    """Select the mapped columns of two tables, to be joined by whoever asks."""
    return select_rows(rows).add_columns(*(others.table.c[name] for name in others.columns))


def fetch_pairs(
    connection: Connection, rows: RowMap[R], others: RowMap[S], wanted: Select[Any]
) -> list[tuple[R, S]]:
    """Run a select of `select_pairs`, all at once."""
    split = len(rows.columns)
    return [
        (rows.row(row[:split], sqlite=False), others.row(row[split:], sqlite=False))
        for row in connection.execute(wanted)
    ]


def stream(connection: Connection, rows: RowMap[R], wanted: Select[Any]) -> Iterator[list[R]]:
    """Run a select of `select_rows`, a bounded number of rows at a time.

    Who stops early closes it: the cursor lives on the server.
    """
    with connection.execution_options(stream_results=True).execute(wanted) as found:
        for part in found.partitions(STREAM_ROWS):
            yield [rows.row(row, sqlite=False) for row in part]
