"""Planted corruptions: one change behind every trigger, somewhere in the book; `verify` finds each.

A case draws a table that holds rows, a row, and what is done to it: a column changed, the row taken
away, or another one like it slipped in. Nothing is chosen because it is known to be found.
Source: I20.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Engine, Table, create_engine, select, text
from sqlalchemy.exc import DataError, IntegrityError

from tallybook.db.engine import open_database
from tallybook.db.metadata import METADATA, HexId
from tallybook.reports.verify import Discrepancy, verify
from tests.postgres import Databases
from tests.proof.check import Check, Ground, Result
from tests.proof.whole_book import write_whole_book

POSTGRES_EVERY = 10
"""One case in so many is planted on PostgreSQL: a copy of a database there costs more."""
CLEAN_EVERY = 10
"""So often a copy that nobody touched is verified as well: it must be clean."""
DRAWS_MAX = 50
SEED = 20_261_125


def run(amount: int, ground: Ground, *, seed: int = SEED) -> Result:
    """Plant so many corruptions, one in each copy of a book, and see which `verify` misses."""
    original = ground.scratch / "whole.db"
    write_whole_book(f"sqlite:///{original}", ground.scratch / "home")
    failures: list[str] = []
    tables: dict[str, int] = {}
    did = clean = 0
    fold(original)
    with _postgres_book(ground, amount) as copy_on_postgres:
        for case in range(amount):
            if not ground.may_go_on():
                break
            on_postgres = copy_on_postgres is not None and case % POSTGRES_EVERY == 0
            lend = copy_on_postgres if on_postgres and copy_on_postgres else _sqlite(original)
            if case % CLEAN_EVERY == 0:
                with lend() as url:
                    failures += [f"false alarm: {each}" for each in _found_in(url)]
                clean += 1
            with lend() as url:
                planted = plant(url, random.Random(f"{seed}:{case}"))
                tables[planted.table] = tables.get(planted.table, 0) + 1
                if not _found_in(url):
                    failures.append(f"seed {seed} case {case}: {planted} was not found")
            did += 1
            ground.say(did, amount, "corruptions")
    seen = f"{did - len(failures)} found, in {len(tables)} tables; {clean} clean copies"
    return Result(did, failures, seen)


CHECKS = [
    Check(
        "planted corruptions found by `verify`",
        "corruptions",
        full=1_000,
        in_check=50,
        run=run,
        least=50,
    )
]


@dataclass(frozen=True)
class Planted:
    """What was done to a book."""

    table: str
    what: str

    def __str__(self) -> str:
        return f"{self.table}: {self.what}"


def plant(url: str, dice: random.Random) -> Planted:
    """Corrupt one thing in a book, whatever stands in the way."""
    engine = create_engine(open_database(url).url)
    try:
        _disarm(engine)
        for _ in range(DRAWS_MAX):
            try:
                with engine.begin() as connection:
                    _quiet(connection)
                    planted = _plant_one(connection, dice)
            except (IntegrityError, DataError):
                continue  # the row would not have fitted: two of one key, or too long a text
            if planted is not None:
                return planted
    finally:
        engine.dispose()
    raise AssertionError("nothing could be planted")


def _plant_one(connection: Connection, dice: random.Random) -> Planted | None:
    table = dice.choice(sorted(METADATA.tables.values(), key=lambda each: each.name))
    rows = connection.execute(select(table).order_by(*table.primary_key)).mappings().all()
    if not rows:
        return None
    row = dice.choice(rows)
    at = [column == row[column.name] for column in table.primary_key]
    kind = dice.random()
    if kind < 0.15:
        connection.execute(table.delete().where(*at))
        return Planted(table.name, f"row {_key(table, row)} was taken away")
    if kind < 0.3:
        keys = {column.name: _other(row[column.name], column, dice) for column in table.primary_key}
        connection.execute(table.insert().values({**row, **keys}))
        return Planted(table.name, f"row {_key(table, {**row, **keys})} was slipped in")
    column = dice.choice(list(table.columns))
    value = _other(row[column.name], column, dice)
    if value == row[column.name]:
        return None
    connection.execute(table.update().where(*at).values({column.name: value}))
    return Planted(
        table.name, f"{column.name} of {_key(table, row)}: {row[column.name]!r} -> {value!r}"
    )


def _key(table: Table, row: Mapping[Any, Any]) -> str:
    return "/".join(str(row[column.name]) for column in table.primary_key)


def _other(value: Any, column: Column[Any], dice: random.Random) -> Any:
    """Draw another value that the column can hold."""
    if value is not None and column.nullable and not column.primary_key and dice.random() < 0.2:
        return None
    if value is None:
        return _of_type(column, dice)
    match value:
        case bool():
            return not value
        case int():
            return value + dice.choice((-1, 1, 100, -100, value + 7))
        case datetime():
            return value + timedelta(seconds=dice.choice((-1, 1, 86_400)))
        case date():
            return value + timedelta(days=dice.choice((-1, 1, 30)))
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:] if value else b"\x01"
        case _:
            return _other_text(str(value), column, dice)


def _other_text(value: str, column: Column[Any], dice: random.Random) -> str:
    if isinstance(column.type, HexId):
        place = dice.randrange(len(value))
        digit = dice.choice([each for each in "0123456789abcdef" if each != value[place]])
        return value[:place] + digit + value[place + 1 :]
    if not value:
        return "x"
    place = dice.randrange(len(value))
    letter = dice.choice([each for each in "abcdefghij0123456789" if each != value[place]])
    return value[:place] + letter + value[place + 1 :]


def _of_type(column: Column[Any], dice: random.Random) -> Any:
    if isinstance(column.type, HexId):
        return f"{dice.getrandbits(128):032x}"
    kind = column.type.python_type if not isinstance(column.type, Boolean) else bool
    name = type(column.type).__name__
    if name == "Instant":
        return datetime.fromisoformat("2026-01-05T12:00:00+00:00")
    drawn: Mapping[type, Callable[[], Any]] = {
        bool: lambda: True,
        int: lambda: dice.randrange(1, 1000),
        date: lambda: date(2026, 1, 5),
        bytes: lambda: b"\x00",
        str: lambda: "x",
    }
    return drawn[kind]()


# -- books to corrupt ----------------------------------------------------------------------------


def _disarm(engine: Engine) -> None:
    """Take away whatever would refuse a change: triggers and checks."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in names.all():
                connection.execute(text(f"DROP TRIGGER {name}"))
            return
        checks = connection.execute(
            text(
                "SELECT conrelid::regclass::text, conname FROM pg_constraint"
                " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
            )
        )
        for table, name in checks.all():
            connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))


def _quiet(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
    else:
        connection.execute(text("SET LOCAL session_replication_role = replica"))


def _found_in(url: str) -> list[Discrepancy]:
    database = open_database(url)
    try:
        return verify(database)
    finally:
        database.close()


Lend = Callable[[], Any]


def _sqlite(original: Path) -> Lend:
    @contextmanager
    def lend() -> Generator[str]:
        copy = original.with_name("corrupt.db")
        shutil.copyfile(original, copy)
        try:
            yield f"sqlite:///{copy}"
        finally:
            for path in original.parent.glob("corrupt.db*"):
                path.unlink()

    return lend


@contextmanager
def _postgres_book(ground: Ground, amount: int) -> Generator[Lend | None]:
    """Write the same book into PostgreSQL for the long proof; `make check` stays with SQLite."""
    if amount < 10 * POSTGRES_EVERY:
        yield None
        return
    databases = Databases(ground.postgres())
    original = databases.create()
    write_whole_book(original, ground.scratch / "postgres-home")
    databases.close_to_all(original)

    @contextmanager
    def lend() -> Generator[str]:
        url = databases.create(template=original)
        try:
            yield url
        finally:
            databases.drop(url)

    try:
        yield lend
    finally:
        databases.drop(original)


def fold(path: Path) -> None:
    """Bring a book's write-ahead log into its one file, so that a copy of that is whole."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
