"""PostgreSQL's side of db/dialect.py: pipelines, one JSON parameter per table, COPY in bulk.

Measured before it was chosen: a batch of 16 sales written as one JSON parameter per table beat
COPY and unnest; from a few hundred rows on, COPY wins (docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict
from pydantic_core import to_json

from tallybook.db.dialect import WATCHED, Accumulate, Insert, Select, Step, Tx, Update
from tallybook.db.pipeline import Pipeline, Statement
from tallybook.db.tables import RowMap

COPY_FROM_ROWS = 400
"""From how many new rows on COPY is used instead of one JSON parameter."""

_ESCAPED = re.compile(r'["\\]')
_BEHIND_BACKSLASH = r"\\\g<0>"

_BEGIN = Statement(b"BEGIN")
_COMMIT = Statement(b"COMMIT")

_BY_INDEX = " ".join(
    f"-c {setting}"
    for setting in (
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "jit=off",
        "plan_cache_mode=force_generic_plan",
    )
)
"""The writer finds every row by an index, with plans made once. PostgreSQL would make one of its
own while a table is empty, and read all of it for as long as the connection lives."""

_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "60s"


class PostgresConnection:
    """The writer's own connection to PostgreSQL, in READ COMMITTED."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._pipeline: Pipeline | None = None

    def begin(self) -> Tx:
        """Open a transaction; reconnects first if the connection is gone."""
        connection, pipeline = self._connection, self._pipeline
        if connection is None or pipeline is None or connection.closed or connection.broken:
            self.close()
            connection = self._connection = self._connect()
            pipeline = self._pipeline = self._open_pipeline(connection)
        return _PostgresTx(connection, pipeline)

    def close(self) -> None:
        """Let go of the connection."""
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open_pipeline(self, connection: psycopg.Connection[tuple[Any, ...]]) -> Pipeline:
        return Pipeline(connection)

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        given = conninfo_to_dict(self._conninfo)
        watched: dict[str, Any] = {k: v for k, v in WATCHED.items() if k not in given}
        connection = psycopg.connect(
            self._conninfo,
            **watched,
            autocommit=True,
            connect_timeout=5,
            application_name="tallybook writer",
            options=f"-c timezone=UTC -c lock_timeout={_LOCK_TIMEOUT}"
            f" -c statement_timeout={_STATEMENT_TIMEOUT} -c synchronous_commit=on"
            " -c idle_in_transaction_session_timeout=60s"
            f" -c default_transaction_isolation=read\\ committed {_BY_INDEX}",
        )
        connection.adapters.register_loader("uuid", _HexLoader)
        return connection


class _HexLoader(Loader):
    """Reads a UUID as 32 hex digits, which is how ids live in Python."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode().replace("-", "")


class _PostgresTx:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], pipeline: Pipeline) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._begun = False

    def run(
        self, steps: Sequence[Step], meanwhile: Callable[[], None] | None = None
    ) -> list[list[Any]]:
        return self._run(steps, last=None, meanwhile=meanwhile)

    def commit(self, steps: Sequence[Step] = ()) -> None:
        if self._begun or steps:
            self._run(steps, last=_COMMIT)

    def rollback(self) -> None:
        if self._begun:
            with suppress(psycopg.Error):
                self._connection.rollback()

    def _run(
        self,
        steps: Sequence[Step],
        *,
        last: Statement | None,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[list[Any]]:
        selected: list[list[Any]] = []
        pieces = _between_copies(steps, first=not self._begun, last=last)
        for place, pipelined in enumerate(pieces, start=1):
            # Said before it is sent: a BEGIN whose answer is lost is rolled back too.
            self._begun = True
            if isinstance(pipelined, Insert):
                self._copy(pipelined)
                continue
            answers = self._pipeline.run(
                map(_statement, pipelined), meanwhile if place == len(pieces) else None
            )
            for step, found in zip(pipelined, answers, strict=True):
                if isinstance(step, Select):
                    selected.append([step.rows.row(values, sqlite=False) for values in found])
        if meanwhile is not None and not (pieces and isinstance(pieces[-1], list)):
            meanwhile()
        return selected

    def _copy(self, step: Insert) -> None:
        columns = ", ".join(step.rows.columns)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {step.rows.name} ({columns}) FROM STDIN".encode()) as copy,
        ):
            for row in step.values:
                copy.write_row(step.rows.copy_values(row))


def _between_copies(
    steps: Sequence[Step], *, first: bool, last: Statement | None
) -> list[Insert | list[Step | Statement]]:
    """Cut the steps where a COPY stands: it can't be part of a pipeline."""
    pieces: list[Insert | list[Step | Statement]] = []
    current: list[Step | Statement] = [_BEGIN] if first else []
    for step in steps:
        if isinstance(step, Insert) and len(step.values) >= COPY_FROM_ROWS:
            if current:
                pieces.append(current)
            pieces.append(step)
            current = []
        else:
            current.append(step)
    if last is not None:
        current.append(last)
    if current:
        pieces.append(current)
    return pieces


def _statement(step: Step | Statement) -> Statement:
    if isinstance(step, Statement):
        return step
    rows = step.rows
    match step:
        case Select():
            return Statement(_select_text(rows, step.by, step.lock, step.where), _keys(step))
        case Insert():
            return Statement(_insert_text(rows), (_json(rows, rows.columns, step.values),))
        case Update():
            written = (*step.set_to, *rows.key)
            text = _update_text(rows, step.set_to)
            return Statement(text, (_json(rows, written, step.values),))
        case Accumulate():
            text = _accumulate_text(rows, step.columns)
            return Statement(text, (_json(rows, rows.columns, step.values),))


def _keys(step: Select) -> tuple[bytes, ...]:
    rows = step.rows
    types = [rows.types[rows.columns.index(name)] for name in step.by]
    if len(types) == 1:
        return (_array(types[0], step.keys),)
    return tuple(
        _array(kind, [key[place] for key in step.keys]) for place, kind in enumerate(types)
    )


def _array(kind: str, values: Sequence[Any]) -> bytes:
    """Write keys of one column as PostgreSQL reads an array in a text."""
    if kind == "text":
        values = [f'"{_ESCAPED.sub(_BEHIND_BACKSLASH, value)}"' for value in values]
    elif kind in ("date", "timestamptz"):
        values = [value.isoformat() for value in values]
    return f"{{{','.join(map(str, values))}}}".encode()


def _json(rows: RowMap[Any], names: tuple[str, ...], values: Sequence[Any]) -> bytes:
    """Write rows as objects, with some of their columns.

    To be handed dataclasses, whose members it has to find out one by one, costs the writer twice
    as much.
    """
    take = _plain_values(rows, names)
    short = _short_names(rows, names)
    objects = [dict(zip(short, take(row), strict=True)) for row in values]
    return to_json(objects, bytes_mode="hex")


@cache
def _plain_values(rows: RowMap[Any], names: tuple[str, ...]) -> Callable[[Any], Sequence[Any]]:
    return rows.plain_values(names)


@cache
def _short_names(rows: RowMap[Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """Name columns in JSON by their places: names stand in every row, and were a third of it."""
    return tuple(f"c{rows.columns.index(name)}" for name in names)


@cache
def _select_text(rows: RowMap[Any], by: tuple[str, ...], lock: bool, where: str) -> bytes:  # noqa: FBT001 - a cache key
    types = [rows.types[rows.columns.index(name)] for name in by]
    if len(by) == 1:
        condition = f"{by[0]} = ANY($1::{types[0]}[])"
    else:
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, start=1))
        condition = f"({', '.join(by)}) IN (SELECT * FROM unnest({arrays}))"
    text = f"SELECT {', '.join(rows.columns)} FROM {rows.name} WHERE {condition}"
    if where:
        text += f" AND ({where})"
    text += f" ORDER BY {', '.join(rows.key)}"
    return (text + (" FOR NO KEY UPDATE" if lock else "")).encode()


def _recordset(rows: RowMap[Any], named: Sequence[str]) -> str:
    """Read rows out of JSON; what is not named there is left alone."""
    described = ", ".join(
        f"c{place} {'text' if kind == 'bytea' else kind}"
        for place, (name, kind) in enumerate(zip(rows.columns, rows.types, strict=True))
        if name in named
    )
    return f"json_to_recordset($1::json) AS v({described})"


def _cells(rows: RowMap[Any]) -> dict[str, str]:
    return {
        name: f"decode(v.c{place}, 'hex')" if kind == "bytea" else f"v.c{place}"
        for place, (name, kind) in enumerate(zip(rows.columns, rows.types, strict=True))
    }


@cache
def _insert_text(rows: RowMap[Any]) -> bytes:
    cells = ", ".join(_cells(rows).values())
    target = f"INSERT INTO {rows.name} ({', '.join(rows.columns)})"
    return f"{target} SELECT {cells} FROM {_recordset(rows, rows.columns)}".encode()


@cache
def _update_text(rows: RowMap[Any], set_to: tuple[str, ...]) -> bytes:
    cells = _cells(rows)
    changed = ", ".join(f"{name} = {cells[name]}" for name in set_to)
    source = _recordset(rows, (*set_to, *rows.key))
    found = " AND ".join(f"t.{name} = {cells[name]}" for name in rows.key)
    return f"UPDATE {rows.name} t SET {changed} FROM {source} WHERE {found}".encode()


@cache
def _accumulate_text(rows: RowMap[Any], columns: tuple[str, ...]) -> bytes:
    grown = ", ".join(f"{name} = {rows.name}.{name} + excluded.{name}" for name in columns)
    found = f"ON CONFLICT ({', '.join(rows.key)}) DO UPDATE SET {grown}"
    return _insert_text(rows) + f" {found}".encode()
