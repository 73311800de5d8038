"""Seals: what all rows of a table sum up to, so that a row changed behind the door's back shows.

Rows are hashed one by one and the hashes added up, modulo 2 to the 256th. A batch adds what it
writes and takes away what it overwrites, so that sealing costs two hashes a row, whatever the size
of the table and in whatever order batches commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from tallybook.db.dialect import Insert, Step, Update
from tallybook.writer.model import Shelf
from tallybook.writer.store import COMMAND_ROWS, SEAL_ROWS, Completion, RowSeal, StoredCommand

_MODULUS = 1 << 256
COMMANDS_SEAL = COMMAND_ROWS.name
"""Stored keys are sealed in two halves: what was asked, and the reply, which may come later."""
UNSEALED = "(unsealed)"
"""A row of this name says that a migration has changed rows, and nobody has sealed them since."""
OF_KEY = "(key)"
"""The row of this name has, as its digest, the check value of the key that the book goes with."""


def hash_values(name: str, values: Sequence[Any]) -> int:
    """Hash one row of a table, by its values in column order."""
    text = to_json((name, *values), bytes_mode="hex")
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def hash_row(shelf: Shelf[Any], row: Any) -> int:
    """Hash what is sealed of one row."""
    return hash_values(shelf.name, shelf.sealed_values(row))


def hash_command(command: StoredCommand) -> int:
    """Hash a stored key, with its reply once there is one."""
    asked = command.key, command.operation, command.input_hash, command.recorded_at
    total = hash_values(COMMANDS_SEAL, asked)
    if command.status is not None:
        total += _hash_reply(command.key, command.status, command.body, command.completed_at)
    return total


def _hash_reply(*values: Any) -> int:
    return hash_values("replies", values)


class Seals:
    """What a batch adds to the seals of the tables that it writes."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    @property
    def names(self) -> Sequence[str]:
        """Tell which seals change."""
        return sorted(self._totals)

    def add(self, shelf: Shelf[Any], row: Any) -> None:
        """Add a new row."""
        self._note(shelf.name, 1, hash_row(shelf, row))

    def replace(self, shelf: Shelf[Any], before: Any, after: Any) -> None:
        """Put a row in the place of what the database has of it."""
        old, new = shelf.sealed_values(before), shelf.sealed_values(after)
        if old != new:
            self._note(shelf.name, 0, hash_values(shelf.name, new) - hash_values(shelf.name, old))

    def add_command(self, command: StoredCommand) -> None:
        """Add a stored key."""
        self._note(COMMANDS_SEAL, 1, hash_command(command))

    def add_reply(self, completion: Completion) -> None:
        """Add the reply of a key that was stored without one."""
        reply = completion.key, completion.status, completion.body, completion.completed_at
        self._note(COMMANDS_SEAL, 0, _hash_reply(*reply))

    def _note(self, name: str, count: int, total: int) -> None:
        self._totals[name] = self._totals.get(name, 0) + total
        self._counts[name] = self._counts.get(name, 0) + count

    def steps(self, stored: Iterable[RowSeal]) -> list[Step]:
        """Write the seals anew, on top of those that are stored."""
        known: Mapping[str, RowSeal] = {seal.name: seal for seal in stored}
        changed: list[RowSeal] = []
        added: list[RowSeal] = []
        for name in self.names:
            before = known.get(name) or RowSeal(name, 0, "0")
            total = (int(before.digest, 16) + self._totals[name]) % _MODULUS
            after = RowSeal(name, before.rows_count + self._counts[name], f"{total:064x}")
            (changed if name in known else added).append(after)
        steps: list[Step] = []
        if changed:
            steps.append(Update(SEAL_ROWS, changed))
        if added:
            steps.append(Insert(SEAL_ROWS, added))
        return steps


def seal_of(name: str, hashes: Iterable[int]) -> RowSeal:
    """Seal a whole table, given the hashes of all of its rows."""
    total = count = 0
    for each in hashes:
        total += each
        count += 1
    return RowSeal(name, count, f"{total % _MODULUS:064x}")
