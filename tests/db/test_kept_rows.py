"""What is kept of a SQLite book's rows is what is in it, whoever writes to it meanwhile."""

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table

from tallybook.db import kept_rows
from tallybook.db.dialect import Accumulate, Insert, Select, Step, Tx, Update
from tallybook.db.sqlite import SqliteConnection
from tallybook.db.tables import RowMap


@dataclass(frozen=True)
class Item:
    id: int
    owner: str
    count: int
    open: bool


@dataclass(frozen=True)
class Counted:
    """The part of an item that grows, and that is written by itself."""

    id: int
    count: int


TABLE = Table(
    "items",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("owner", String(8)),
    Column("count", Integer),
    Column("open", Boolean),
)
ITEMS = RowMap(TABLE, Item, key=("id",))
COUNTS = RowMap(TABLE, Counted, key=("id",))
OPEN = "open AND count > 2"
IDS, OWNERS = range(40), ("kim", "lee", "moe", "ann")
LAID_OUT = "CREATE TABLE items (id INTEGER PRIMARY KEY, owner TEXT, count INTEGER, open BOOLEAN)"


@pytest.fixture
def path(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "items.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(LAID_OUT)
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?)", [(n, "kim", n, n % 2) for n in range(10)]
        )
        connection.commit()
    return str(tmp_path / "items.db")


class Reader:
    """Reads through a writer's transaction, and what SQLite itself says on the same connection."""

    def __init__(self, path: str) -> None:
        self.connection = SqliteConnection(path)
        self.sent: list[str] = []

    def begin(self) -> Tx:
        tx = self.connection.begin()
        self._raw.set_trace_callback(self.sent.append)
        return tx

    @property
    def _raw(self) -> sqlite3.Connection:
        raw = self.connection._connection
        assert raw is not None
        return raw

    def check(self, tx: Tx, step: Select) -> list[Any]:
        """Select, and see that it is what is there."""
        (found,) = tx.run([step])
        marks = ", ".join(map(repr, step.keys))
        condition = f"{step.by[0]} IN ({marks})" + (f" AND ({step.where})" if step.where else "")
        names = ", ".join(step.rows.columns)
        rows = self._raw.execute(f"SELECT {names} FROM items WHERE {condition} ORDER BY id")
        assert found == [step.rows.row(row, sqlite=True) for row in rows]
        return found


def draw_select(draw: random.Random) -> Select:
    if draw.random() < 0.5:
        kind = draw.choice([ITEMS, ITEMS, COUNTS])
        return Select(kind, ("id",), sorted(draw.sample(IDS, draw.randint(1, 8))))
    owners = sorted(draw.sample(OWNERS, draw.randint(1, 3)))
    return Select(ITEMS, ("owner",), owners, where=draw.choice(["", OPEN]))


def draw_item(draw: random.Random, ident: int) -> Item:
    return Item(ident, draw.choice(OWNERS), draw.randint(0, 5), draw.random() < 0.5)


def draw_write(draw: random.Random, there: list[Item]) -> Step:
    taken = {item.id for item in there}
    free = [ident for ident in IDS if ident not in taken]
    match draw.randint(0, 3):
        case 0 if free:
            new = draw.sample(free, min(2, len(free)))
            return Insert(ITEMS, [draw_item(draw, ident) for ident in new])
        case 1 if there:
            return Update(ITEMS, [draw_item(draw, draw.choice(there).id)])
        case 2 if there:
            item = draw.choice(there)
            counted = Item(item.id, item.owner, item.count + 1, item.open)
            return Update(ITEMS, [counted], ("count",))
        case _:
            row = Counted(draw.choice(IDS), draw.randint(1, 3))
            if row.id in taken:
                return draw.choice([Update(COUNTS, [row]), Accumulate(COUNTS, ("count",), [row])])
            return Insert(COUNTS, [row])


def meddle(draw: random.Random, path: str) -> None:
    """Write as somebody else would."""
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            draw.choice(
                [
                    "UPDATE items SET count = count + 1 WHERE id % 3 = ?",
                    "UPDATE items SET owner = 'moe' WHERE id = ?",
                    "DELETE FROM items WHERE id = ?",
                    "INSERT OR REPLACE INTO items VALUES (?, 'ann', 4, 1)",
                ]
            ),
            (draw.choice(IDS),),
        )
        other.commit()


@pytest.mark.parametrize("seed", range(12))
def test_what_is_selected_is_what_is_there(
    path: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr(kept_rows, "ROWS_MAX", draw.choice([10, 20_000]))
    reader = Reader(path)
    everything = Select(ITEMS, ("id",), list(IDS))
    for _ in range(150):
        tx = reader.begin()
        for _ in range(draw.randint(1, 6)):
            reader.check(tx, draw_select(draw))
            if draw.random() < 0.4:
                tx.run([draw_write(draw, reader.check(tx, everything))])
            reader.check(tx, draw_select(draw))
        if draw.random() < 0.2:
            tx.rollback()
        else:
            tx.commit()
        if draw.random() < 0.2:
            meddle(draw, path)
    reader.connection.close()


def test_what_nobody_has_changed_is_not_read_again(path: str) -> None:
    reader = Reader(path)
    steps = [Select(ITEMS, ("id",), [3, 4]), Select(ITEMS, ("owner",), ["kim", "nobody"])]

    def read() -> int:
        tx = reader.begin()
        reader.sent.clear()
        found = tx.run(steps)
        assert [len(rows) for rows in found] == [2, 10]
        tx.run([Update(ITEMS, [Item(3, "kim", 7, open=True)], ("count",))])
        tx.commit()
        return sum(text.startswith("SELECT") for text in reader.sent)

    assert [read(), read(), read()] == [2, 0, 0]
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE items SET count = 8 WHERE id = 9")
        other.commit()
    assert [read(), read()] == [2, 0]
    reader.connection.close()


def test_a_transaction_that_can_not_begin_is_not_left_open(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = SqliteConnection(path)
    with monkeypatch.context() as patched:
        patched.setattr(kept_rows.KeptRows, "begin", raise_no_disk)
        with pytest.raises(OSError, match="no disk"):
            connection.begin()
    (found,) = connection.begin().run([Select(ITEMS, ("id",), [3])])
    assert [item.id for item in found] == [3]
    connection.close()


def raise_no_disk(*_: object) -> None:
    raise OSError("no disk")
