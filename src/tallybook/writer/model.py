"""The words of the write path: commands, operations, what they need, and what they decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from tallybook.db.dialect import Step, Tx
from tallybook.db.tables import RowMap
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.hashing import hash_said, hash_whole

R = TypeVar("R")
C_contra = TypeVar("C_contra", contravariant=True)


@frozen
class Moment:
    """When a batch is decided: one instant and one business date for all of it. Source: T1."""

    now: datetime
    today: date


class Shelf(Generic[R]):
    """One table whose rows commands lock, read and change, declared in a domain's store.py."""

    def __init__(
        self,
        rows: RowMap[R],
        *,
        rank: int,
        is_sealed: bool = True,
        follows: Sequence[str] = (),
        guards: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Declare the shelf; `follows` names columns that verify works out from other rows.

        `guards` are shelves whose row, named by a column of this one's, is locked by whoever
        changes a row here: it needs no lock of its own then.
        """
        self.rows = rows
        self.rank = rank
        """Its place in the one global lock order, lower first; parents stand before children."""
        self.name = rows.name
        self.is_sealed = is_sealed
        """Whether its rows are summed into a seal; not where a hash chain covers them."""
        self.sealed_values: Callable[[R], Sequence[Any]] = rows.plain_values(
            [name for name in rows.columns if name not in follows]
        )
        """What of a row is sealed: all of it but what follows from other rows. A column that each
        sale changes, and that its documents add up to, then costs a sale no hash."""
        self.guards = guards
        self.key_of: Callable[[R], Any] = rows.key_of
        self.indexes: list[Index[R]] = []


class Index(Generic[R]):
    """Rows of a shelf found by other columns than their key."""

    def __init__(
        self,
        shelf: Shelf[R],
        by: tuple[str, ...],
        *,
        where: str = "",
        matches: Callable[[R], bool] | None = None,
    ) -> None:
        """Declare the index; `where` (SQL) and `matches` (Python) must say the same."""
        assert bool(where) == (matches is not None), "a condition is said twice or not at all"
        self.shelf = shelf
        self.by = by
        self.where = where
        every: Callable[[R], Hashable] = attrgetter(*by)
        self.key_of: Callable[[R], Hashable | None] = (
            every if matches is None else lambda row: every(row) if matches(row) else None
        )
        """Tells under which key a row is found; None where the index leaves it out."""
        shelf.indexes.append(self)


@frozen
class Needs:
    """What a command wants to see before it is decided.

    First everything to look up is read without locks; then all locks of the batch are taken once,
    in (rank, key) order; then `read` is read, under those locks.
    """

    look_up: Sequence[tuple[Index[Any], Any]] = ()
    """For facts that never change, such as which customer has an account number."""
    lock: Sequence[tuple[Shelf[Any], Any]] = ()
    read: Sequence[tuple[Index[Any], Any]] = ()
    """For rows that are guarded by a locked one, such as the plan of a locked advance."""


class NotAskedForError(AssertionError):
    """A rule looked at what its needs had not asked for."""


class View:
    """What a batch sees: loaded rows, with what its earlier commands decided laid over them."""

    def __init__(self) -> None:
        self._rows: defaultdict[Shelf[Any], dict[Any, Any]] = defaultdict(dict)
        self._found: dict[Index[Any], dict[Any, dict[Any, Any]]] = {}
        self._decided: defaultdict[Shelf[Any], dict[Any, Any]] = defaultdict(dict)
        self._under: dict[Index[Any], dict[Any, Any]] = {}
        """Under which key an index has a row, so that a change finds it without looking at all."""
        self._stored: dict[Shelf[Any], dict[Any, Any]] = {}
        """Rows as the database has them, whatever was decided since."""
        self.locked: set[tuple[str, Any]] = set()
        """Names of shelves and keys that were locked, whether or not there was a row."""
        self.strict = False
        """While deciding: to look at what was never asked for is no empty answer."""

    def row(self, shelf: Shelf[R], key: Any) -> R | None:
        """Give one row by its key; None where there is none. Raises: NotAskedForError."""
        rows = self._rows[shelf]
        if self.strict and key not in rows:
            raise NotAskedForError(f"{shelf.name} {key} was not asked for")
        return rows.get(key)

    def rows(self, index: Index[R], key: Any) -> list[R]:
        """Give the rows that an index finds under a key, in the order of their own keys.

        Raises: NotAskedForError.
        """
        found = self._found.get(index, {})
        if self.strict and key not in found:
            raise NotAskedForError(f"{index.shelf.name} by {index.by} was not asked for {key}")
        rows = found.get(key)
        return [rows[ident] for ident in sorted(rows)] if rows else []

    def one(self, index: Index[R], key: Any) -> R | None:
        """Give the only row that an index finds under a key; None where there is none."""
        rows = self.rows(index, key)
        assert len(rows) <= 1, f"{index.shelf.name} by {index.by} is not unique"
        return rows[0] if rows else None

    def has_row(self, shelf: Shelf[Any], key: Any) -> bool:
        """Tell whether a row was asked for, found or not."""
        return key in self._rows[shelf]

    def has_rows(self, index: Index[Any], key: Any) -> bool:
        """Tell whether an index was asked for a key."""
        found = self._found.get(index)
        return found is not None and key in found

    def take_row(self, shelf: Shelf[Any], key: Any, row: Any) -> None:
        """Lay a loaded row into the view."""
        self._rows[shelf][key] = row
        if row is not None:
            self._stored.setdefault(shelf, {})[key] = row
            # It may have been found before it was locked, and have changed since.
            self._file(shelf, key, row)

    def take_rows(self, index: Index[Any], key: Any, rows: Sequence[Any]) -> None:
        """Lay the rows that an index found into the view; rows already decided stay so."""
        found = {index.shelf.key_of(row): row for row in rows}
        if found:
            self._stored.setdefault(index.shelf, {}).update(found)
        for ident, row in self._decided[index.shelf].items():
            found.pop(ident, None)
            if index.key_of(row) == key:
                found[ident] = row
        self._found.setdefault(index, {})[key] = found
        under = self._under.setdefault(index, {})
        for ident in found:
            under[ident] = key

    def stored_row(self, shelf: Shelf[R], key: Any) -> R:
        """Give a row as the database has it, which a change is about to overwrite."""
        row = self._stored.get(shelf, {}).get(key)
        assert row is not None, f"{shelf.name} {key} is changed and was never loaded"
        return row

    def apply(self, shelf: Shelf[Any], ident: Any, row: Any) -> None:
        """Lay a decided row, whose key is given, over what was loaded."""
        self._rows[shelf][ident] = row
        self._decided[shelf][ident] = row
        self._file(shelf, ident, row)

    def is_guarded(self, shelf: Shelf[Any], ident: Any) -> bool:
        """Tell whether nobody else can change a stored row: it is locked, or what guards it is."""
        if (shelf.name, ident) in self.locked:
            return True
        row = self.stored_row(shelf, ident)
        return any((name, getattr(row, column)) in self.locked for name, column in shelf.guards)

    def _file(self, shelf: Shelf[Any], ident: Any, row: Any) -> None:
        """Put a row where indexes find it that were asked before."""
        for index in shelf.indexes:
            found = self._found.get(index)
            if not found:
                continue
            key = index.key_of(row)
            under = self._under[index]
            before = under.get(ident)
            if before is not None and before == key:
                found[key][ident] = row
                continue
            if before is not None:
                found[before].pop(ident, None)
                del under[ident]
            if key is not None and key in found:
                under[ident] = key
                found[key][ident] = row


class Unseen(View):
    """A view of nothing, which notices whether anybody looks: needs told blindly are final."""

    def __init__(self) -> None:
        super().__init__()
        self.was_looked_at = False

    def row(self, shelf: Shelf[R], key: Any) -> R | None:
        """Give nothing."""
        self.was_looked_at = True
        return super().row(shelf, key)

    def rows(self, index: Index[R], key: Any) -> list[R]:
        """Give nothing."""
        self.was_looked_at = True
        return super().rows(index, key)

    def has_row(self, shelf: Shelf[Any], key: Any) -> bool:
        """Tell that nothing was asked for."""
        self.was_looked_at = True
        return super().has_row(shelf, key)

    def has_rows(self, index: Index[Any], key: Any) -> bool:
        """Tell that nothing was asked for."""
        self.was_looked_at = True
        return super().has_rows(index, key)


@frozen
class Event:
    """A fact for others to read: `<domain>.<noun>.<past verb>`."""

    type: str
    subject_id: str
    body: Mapping[str, Any]
    """JSON-ready; never an account number."""
    customer_id: str | None = None


@frozen
class Reply:
    """What a command answers: an HTTP status and a JSON-ready body."""

    status: int
    body: Mapping[str, Any]


@frozen
class Decision:
    """What a command decided, as data: nothing is done until the whole batch is recorded."""

    changed: Sequence[tuple[Shelf[Any], Any]] = ()
    added: Sequence[tuple[Shelf[Any], Any]] = ()
    entries: Sequence[Any] = ()
    """Journal entries; the ledger knows their shape."""
    events: Sequence[Event] = ()
    reply: Reply | Refusal | None = None
    """None with a key means: begun, the reply comes with a later command's `completes`. A refusal
    here still records what was decided: the world was asked, and refused."""
    completes: Mapping[str, Reply | Refusal] = field(default_factory=dict)
    """Final replies for keys whose commands were begun earlier."""
    value: Any = None
    """Anything for the caller in this process; never stored, so a replay doesn't have it."""


class Operation(Protocol[C_contra]):
    """One kind of write: two pure functions."""

    name: str

    def needs(self, command: C_contra, seen: View) -> Needs:
        """Say what to load; asked again with what was seen, until it asks nothing new."""
        ...

    def decide(self, view: View, command: C_contra, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Decide, without changing anything; refusals leave no trace but their stored reply."""
        ...


@frozen
class Command:
    """One write, asked for."""

    operation: Operation[Any]
    input: Any
    """A frozen dataclass: the parsed request.

    A field that differs each time the same is asked, such as a fresh id or a sealed text, says
    `field(repr=False, metadata={"hashed": False})` and is left out of the hash, at any depth.
    What settings speak for is hashed as it was said (`said_of`).
    """
    key: str | None = None
    """The idempotency key, kept for ever. Source: T5."""
    keeps_refusals: bool = True
    """Whether a refusal is the key's stored reply. For a line of a file it is not: whoever puts
    right what was wrong brings the same line again, and means it."""

    worked_out: str | None = field(default=None, repr=False, compare=False)
    """The hash of what was asked, where it was worked out before."""

    def input_hash(self) -> str:
        """Hash what was asked, so that aliases of a route are equal and other input is not."""
        return self.worked_out or hash_said(self.operation.name, self.input)

    def hashed(self) -> Command:
        """Work out the hash, where one is kept, before somebody else has the command."""
        if self.key is None:
            return self
        return Command(self.operation, self.input, self.key, self.keeps_refusals, self.input_hash())

    def asks_what_was(self, input_hash: str) -> bool:
        """Tell whether a stored hash is of the same request.

        Those of earlier books are of what the request came to by the settings of its day.
        """
        is_said = input_hash == self.input_hash()
        return is_said or input_hash == hash_whole(self.operation.name, self.input)


@frozen
class Outcome:
    """How a command ended, known to be on disk."""

    status: int
    body: str
    """JSON text, the same bytes for every replay."""
    refusal: Refusal | None = None
    replayed: bool = False
    pending: bool = False
    """Begun under this key, here or elsewhere, and not yet complete."""
    value: Any = None


class Journal(Protocol):
    """Who records journal entries: the ledger, which the writer does not know."""

    def record(
        self, tx: Tx, entries: Sequence[Any], head: Any, moment: Moment
    ) -> tuple[Any, list[Step]]:
        """Give the chain's new head, and the steps that write entries, postings and balances.

        They are run with the commit, in one round trip.
        """
        ...
