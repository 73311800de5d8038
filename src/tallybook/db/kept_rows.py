"""Rows that a connection to SQLite has read, kept from one transaction to the next.

SQLite keeps pages of the file for as long as nobody else has committed, and tells so
(`PRAGMA data_version`). Rows are kept here for just as long: what a shop's next sale reads again,
its drawer and most of its products, then costs a look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from tallybook.db.dialect import Insert, Select, Step, Update
from tallybook.db.tables import RowMap

ROWS_MAX = 20_000
"""How many rows are kept; beyond it all are forgotten, and it begins anew."""

_Way = tuple[tuple[str, ...], str]
"""By which columns rows are found, and under which condition."""


class _Table:
    """What is kept of one table, as one kind of row."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        """By primary key."""
        self.found: dict[_Way, dict[Any, list[Any]]] = {}
        """By other columns: the primary keys of the rows that have them."""


class KeptRows:
    """The rows that one connection has read, as they are in its database."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._tables: dict[str, dict[RowMap[Any], _Table]] = {}
        """By name, and by the kinds of row that they are read as."""
        self._count = 0

    def begin(self, version: int) -> None:
        """Go on in a new transaction; forget everything where somebody else has committed."""
        if version != self._version or self._count > ROWS_MAX:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Forget everything: what was written since has been given up."""
        self._version = None
        self._tables.clear()
        self._count = 0

    def find(self, step: Select) -> tuple[list[Any], Sequence[Any]]:
        """Give the rows that are kept of those asked for, and the keys that are not known of."""
        table = self._tables.get(step.rows.name, {}).get(step.rows)
        if table is None:
            return [], step.keys
        rows = table.rows
        if _is_by_key(step):
            kept = [rows[key] for key in step.keys if key in rows]
            known: Mapping[Any, Any] = rows
        else:
            known = table.found.get((step.by, step.where), {})
            kept = [rows[ident] for key in step.keys if key in known for ident in known[key]]
        return kept, [key for key in step.keys if key not in known]

    def keep(self, step: Select, keys: Sequence[Any], read: Sequence[Any]) -> None:
        """Keep the rows that were read for keys."""
        kinds = self._tables.setdefault(step.rows.name, {})
        if (table := kinds.get(step.rows)) is None:
            table = kinds[step.rows] = _Table()
        key_of = step.rows.key_of
        for row in read:
            table.rows[key_of(row)] = row
        self._count += len(read)
        if _is_by_key(step):
            return
        found: dict[Any, list[Any]] = {key: [] for key in keys}
        under = attrgetter(*step.by)
        for row in read:
            found[under(row)].append(key_of(row))
        table.found.setdefault((step.by, step.where), {}).update(found)
        self._count += len(keys)

    def write(self, step: Step) -> None:
        """Take down what a step has written."""
        for kind, table in self._tables.get(step.rows.name, {}).items():
            if kind is step.rows and isinstance(step, Update):
                rows, key_of = table.rows, kind.key_of
                for row in step.values:
                    if (key := key_of(row)) in rows:
                        rows[key] = row
                written = set(step.set_to)
                table.found = {
                    way: found
                    for way, found in table.found.items()
                    if not way[1] and written.isdisjoint(way[0])
                }
            elif isinstance(step, Insert):
                # What is new may belong to what was found before, or to what was not there.
                table.found.clear()
            else:
                table.rows.clear()
                table.found.clear()


def _is_by_key(step: Select) -> bool:
    return step.by == step.rows.key and not step.where
