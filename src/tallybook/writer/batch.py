"""What the commands of one batch have decided together, before any of it is recorded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tallybook.writer.loading import LockTooLateError
from tallybook.writer.model import Outcome, Shelf, View
from tallybook.writer.sealing import COMMANDS_SEAL, Seals
from tallybook.writer.store import Completion, StoredCommand


def _by_shelf() -> defaultdict[Shelf[Any], dict[Any, Any]]:
    return defaultdict(dict)


@dataclass(slots=True)
class Batch:
    """Rows, entries, events and replies; the last word on a row counts."""

    outcomes: list[Outcome] = field(default_factory=list)
    changed: defaultdict[Shelf[Any], dict[Any, Any]] = field(default_factory=_by_shelf)
    added: defaultdict[Shelf[Any], dict[Any, Any]] = field(default_factory=_by_shelf)
    entries: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    new_keys: dict[str, StoredCommand] = field(default_factory=dict)
    completed_keys: dict[str, Completion] = field(default_factory=dict)

    def see_guarded(self, view: View) -> None:
        """See that nobody else can be changing a row that is to be changed.

        Raises: LockTooLateError with those that have no lock.
        """
        unguarded = {
            (shelf, ident)
            for shelf, rows in self.changed.items()
            for ident in rows
            if not view.is_guarded(shelf, ident)
        }
        if unguarded:
            raise LockTooLateError(unguarded)

    @property
    def sealed(self) -> list[str]:
        """List the tables whose seals this batch may change."""
        names = {shelf.name for shelf in (*self.added, *self.changed) if shelf.is_sealed}
        if self.new_keys or self.completed_keys:
            names.add(COMMANDS_SEAL)
        return sorted(names)

    def seal(self, seals: Seals, view: View) -> None:
        """Sum up what the rows of this batch do to the seals of their tables."""
        for shelf, rows in self.added.items():
            if shelf.is_sealed:
                for row in rows.values():
                    seals.add(shelf, row)
        for shelf, rows in self.changed.items():
            if shelf.is_sealed:
                for ident, row in rows.items():
                    seals.replace(shelf, view.stored_row(shelf, ident), row)
        for command in self.new_keys.values():
            seals.add_command(command)
        for completion in self.completed_keys.values():
            seals.add_reply(completion)
