"""Rows in bulk: which columns a table has, and how a frozen dataclass becomes one of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import date
from enum import Enum
from itertools import compress
from operator import attrgetter, ne
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import BigInteger, Boolean, Date, Integer, LargeBinary, SmallInteger, Table

from tallybook.db.metadata import HexId, Instant, instant_from_text, instant_to_text
from tallybook.kernel.frozen import tuple_reader, values_of

R = TypeVar("R")


class RowMap(Generic[R]):
    """Maps one table to one frozen dataclass whose fields are named like its columns.

    The columns are those of the dataclass, in its order; a table may have more (generated or
    defaulted) columns, which bulk writes then leave alone.
    """

    def __init__(self, table: Table, model: type[R], *, key: Sequence[str]) -> None:
        self.table = table
        self.model = model
        # Exactly a text: SQLAlchemy's own kind of it costs dear wherever it is hashed.
        self.name = "".join(table.name)
        self.key = tuple(key)
        self.columns = tuple(item.name for item in fields(model))  # pyright: ignore[reportArgumentType] - R is a dataclass
        self.but_key = tuple(name for name in self.columns if name not in self.key)
        self.types = tuple(postgresql_type(table, name) for name in self.columns)
        self.key_types = tuple(postgresql_type(table, name) for name in self.key)
        key_getter = attrgetter(*self.key)
        self.key_of: Callable[[R], Any] = key_getter
        hints = get_type_hints(model)
        # By value: to call the class for each cell costs several times as much.
        self._enums = [
            (index, {member.value: member for member in kind})
            for index, name in enumerate(self.columns)
            if (kind := _enum_type(hints[name])) is not None
        ]
        # A member is a text too, but drivers and hashes take ten times as long to find that out.
        plain = [(index, _VALUE_OF) for index, _ in self._enums]
        self._from_sqlite = _converters(self.types, _FROM_SQLITE)
        self.sqlite_values = _taking(self.columns, _converters(self.types, _TO_SQLITE) + plain)
        """Takes a row's values in column order, as SQLite keeps them."""
        self.copy_values = _taking(self.columns, _converters(self.types, _TO_COPY) + plain)
        """Takes a row's values in column order, as COPY has them at the least cost: times and dates
        cost the driver more than all other cells, and in one batch most rows have the same time."""

    def plain_values(self, names: Sequence[str]) -> Callable[[R], Sequence[Any]]:
        """Give what takes some of a row's values, enumerations as the texts that they stand for."""
        enums = {self.columns[index] for index, _ in self._enums}
        return _taking(
            names, [(place, _VALUE_OF) for place, name in enumerate(names) if name in enums]
        )

    def differing(self, pairs: Iterable[tuple[R, R]]) -> tuple[str, ...]:
        """List the columns in which any pair of rows differs, in their order."""
        read = values_of(self.model)
        names: set[str] = set()
        for before, after in pairs:
            # In C from end to end: this is asked of each row that a run changes.
            names.update(compress(self.columns, map(ne, read(before), read(after))))
        return tuple(name for name in self.columns if name in names)

    def row(self, values: Sequence[Any], *, sqlite: bool) -> R:
        """Make a row of what the driver gave."""
        cells = list(values)
        if sqlite:
            for index, convert in self._from_sqlite:
                if cells[index] is not None:
                    cells[index] = convert(cells[index])
        for index, members in self._enums:
            if cells[index] is not None:
                cells[index] = members[cells[index]]
        return self.model(*cells)


def postgresql_type(table: Table, name: str) -> str:
    """Name a column's PostgreSQL type, for casts in bulk statements."""
    kind = table.columns[name].type
    for sort, text in (
        (HexId, "uuid"),
        (Instant, "timestamptz"),
        (Date, "date"),
        (Boolean, "boolean"),
        (BigInteger, "bigint"),
        (SmallInteger, "smallint"),
        (Integer, "integer"),
        (LargeBinary, "bytea"),
    ):
        if isinstance(kind, sort):
            return text
    return "text"


_VALUE_OF = attrgetter("_value_")
"""An enumeration's text, read without the descriptor that `value` is."""

_TO_SQLITE: dict[str, Callable[[Any], Any]] = {
    "timestamptz": instant_to_text,
    "date": date.isoformat,
    "boolean": int,
}
_TO_COPY: dict[str, Callable[[Any], Any]] = {
    "timestamptz": instant_to_text,
    "date": date.isoformat,
}
_FROM_SQLITE: dict[str, Callable[[Any], Any]] = {
    "timestamptz": instant_from_text,
    "date": date.fromisoformat,
    "boolean": bool,
}


def _taking(
    names: Sequence[str], conversions: Sequence[tuple[int, Callable[[Any], Any]]]
) -> Callable[[Any], Sequence[Any]]:
    """Give what takes fields out of a row, in order, and converts those at some places."""
    read = tuple_reader(names)
    if not conversions:
        return read

    def take(row: Any) -> Sequence[Any]:
        values: list[Any] = list(read(row))
        for place, convert in conversions:
            if values[place] is not None:
                values[place] = convert(values[place])
        return values

    return take


def _converters(
    types: Sequence[str], table: dict[str, Callable[[Any], Any]]
) -> list[tuple[int, Callable[[Any], Any]]]:
    return [(index, table[kind]) for index, kind in enumerate(types) if kind in table]


def _enum_type(hint: Any) -> type[Enum] | None:
    for candidate in (hint, *getattr(hint, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, Enum):
            return candidate
    return None
