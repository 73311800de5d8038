"""Loading a batch: look up without locks, then lock once in order, then read under the locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallybook.db.dialect import Select, Tx
from tallybook.writer.model import Command, Index, Needs, Shelf, Unseen, View
from tallybook.writer.store import COMMAND_ROWS, StoredCommand


class LockTooLateError(Exception):
    """A lock came up that stands before one already held: start again with it from the start."""

    def __init__(self, wanted: set[tuple[Shelf[Any], Any]]) -> None:
        super().__init__("a lock came up out of order")
        self.wanted = wanted


class _Wanted:
    """What the needs of a round ask for that the view does not have yet."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.indexes: dict[Index[Any], set[Any]] = {}
        self.locks: set[tuple[Shelf[Any], Any]] = set()

    def add_index(self, asked: Sequence[tuple[Index[Any], Any]]) -> bool:
        fresh = False
        for index, key in asked:
            if not self._view.has_rows(index, key):
                self.indexes.setdefault(index, set()).add(key)
                fresh = True
        return fresh

    def add_locks(self, asked: Sequence[tuple[Shelf[Any], Any]]) -> bool:
        fresh = False
        for shelf, key in asked:
            if not self._view.has_row(shelf, key):
                self.locks.add((shelf, key))
                fresh = True
        return fresh

    def selects(self) -> list[tuple[Index[Any], list[Any], Select]]:
        return [
            (
                index,
                sorted(keys),
                Select(index.shelf.rows, index.by, sorted(keys), where=index.where),
            )
            for index, keys in self.indexes.items()
        ]


def look_up(tx: Tx, view: View, commands: Sequence[Command]) -> dict[str, StoredCommand]:
    """Read stored keys and whatever the commands look up, round by round, without locks."""
    first = _keys_of(commands)
    stored: dict[str, StoredCommand] = {}
    asking = list(commands)
    while True:
        wanted = _Wanted(view)
        asking = [
            command
            for command in asking
            if wanted.add_index(command.operation.needs(command.input, view).look_up)
        ]
        selects = wanted.selects()
        if not first and not selects:
            return stored
        results = tx.run([*first, *(select for _, _, select in selects)])
        if first:
            stored = {row.key: row for row in results.pop(0)}
            first = []
        _take_found(view, selects, results)


def _keys_of(commands: Sequence[Command]) -> list[Select]:
    keys = sorted({command.key for command in commands if command.key is not None})
    return [Select(COMMAND_ROWS, ("key",), keys)] if keys else []


def _take_found(
    view: View,
    selects: Sequence[tuple[Index[Any], list[Any], Select]],
    results: Sequence[Sequence[Any]],
) -> None:
    for (index, keys, _), rows in zip(selects, results, strict=True):
        by_key: dict[Any, list[Any]] = {key: [] for key in keys}
        for row in rows:
            key = index.key_of(row)
            if key in by_key:
                by_key[key].append(row)
        for key, found in by_key.items():
            view.take_rows(index, key, found)


class Loader:
    """Takes every lock in order, then reads under them; needs may come up in rounds."""

    def __init__(self, tx: Tx, view: View) -> None:
        self._tx = tx
        self.view = view
        self._highest: tuple[int, Any] | None = None

    def load_at_once(self, commands: Sequence[Command]) -> dict[str, StoredCommand] | None:
        """Lock, look up and read everything in one round trip, stored keys too.

        Returns: the stored keys; None, with nothing done, where a command's needs follow from what
            it sees.
        """
        unseen = Unseen()
        asked: list[Needs] = []
        for command in commands:
            asked.append(command.operation.needs(command.input, unseen))
            if unseen.was_looked_at:
                return None
        wanted = _Wanted(self.view)
        for needs in asked:
            wanted.add_locks(needs.lock)
            wanted.add_index(needs.look_up)
            wanted.add_index(needs.read)
        return self._load(wanted, _keys_of(commands))

    def load_late(self, command: Command) -> bool:
        """Load what a command has come to need while the batch is decided, if it is anything."""
        self.view.strict = False
        has_more = self.load([command], set())
        self.view.strict = True
        return has_more

    def load(self, commands: Sequence[Command], early: set[tuple[Shelf[Any], Any]]) -> bool:
        """Load what commands need and the view does not have; tells whether it was anything."""
        asking, early, is_first = list(commands), set(early), True
        while True:
            wanted = _Wanted(self.view)
            wanted.locks |= early
            asking = self._ask(asking, wanted)
            if not wanted.locks and not wanted.indexes:
                return not is_first
            early, is_first = set(), False
            self._load(wanted, [])

    def _ask(self, commands: Sequence[Command], wanted: _Wanted) -> list[Command]:
        """Ask each command what it needs; gives those that have to be asked again."""
        asking_again: list[Command] = []
        asked: list[tuple[Command, Needs]] = [
            (command, command.operation.needs(command.input, self.view)) for command in commands
        ]
        for command, needs in asked:
            locks = wanted.add_locks(needs.lock)
            looks = wanted.add_index(needs.look_up)
            if locks or looks or any(not self.view.has_rows(*read) for read in needs.read):
                asking_again.append(command)
        # In the same round: they stand behind the locks that guard them, and each statement sees
        # what is committed when its turn comes.
        for _, needs in asked:
            wanted.add_index(needs.read)
        return asking_again

    def _load(self, wanted: _Wanted, stored: Sequence[Select]) -> dict[str, StoredCommand]:
        """Take locks in order, then read what they guard, then stored keys.

        Raises: LockTooLateError where a lock stands before one that is held already.
        """
        locks = sorted(wanted.locks, key=_place)
        if locks:
            if self._highest is not None and _place(locks[0]) <= self._highest:
                raise LockTooLateError(wanted.locks)
            self._highest = _place(locks[-1])
            self.view.locked.update((shelf.name, key) for shelf, key in locks)
        by_shelf: dict[Shelf[Any], list[Any]] = {}
        for shelf, key in locks:
            by_shelf.setdefault(shelf, []).append(key)
        lock_steps = [
            Select(shelf.rows, shelf.rows.key, keys, lock=True) for shelf, keys in by_shelf.items()
        ]
        selects = wanted.selects()
        steps = [*lock_steps, *(select for _, _, select in selects), *stored]
        results = self._tx.run(steps) if steps else []
        known = {row.key: row for row in results.pop()} if stored else {}
        for shelf, keys in by_shelf.items():
            found = {shelf.key_of(row): row for row in results.pop(0)}
            for key in keys:
                self.view.take_row(shelf, key, found.get(key))
        _take_found(self.view, selects, results)
        return known


def _place(lock: tuple[Shelf[Any], Any]) -> tuple[int, Any]:
    return lock[0].rank, lock[1]
