"""Bringing a file in, line by line: each line once, however often the file is begun again.

What every import has in common. A line is known by what it asks, and asked under a key that is
made of that; a line that fails leaves the others be.

What a line leaves open, a setting says. The line stays the same when the setting is changed: it is
looked for as it was read under every setting that the book knows of (decision 0052).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from pydantic_core import to_json

from tallybook.db.engine import Database
from tallybook.db.scratch import Occurrences
from tallybook.kernel.progress import Progress, Stopped
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.csv_reader import CsvLine, CsvReader
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Operation
from tallybook.writer.queries import find_commands
from tallybook.writer.store import StoredCommand
from tallybook.writer.transact import refusal_of

LINES_AT_ONCE = 500
"""How many lines are looked up together. All that an import remembers is of this size."""
SHOWN_MOST = 20

T = TypeVar("T")


class WhenRefused(Protocol):
    """Told of each line that is refused: its number, and why."""

    def __call__(self, number: int, refusal: Refusal, /) -> object:
        """Take one refused line."""
        ...


class ImportContext(Protocol):
    """One running engine, as imports see it."""

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where every write goes."""
        ...


@dataclass(slots=True)
class LineCounts:
    """What became of a file's lines; every line is counted in exactly one place."""

    already_there: int = 0
    refused: int = 0
    first_refused: list[int] = field(default_factory=list)
    """The line numbers of the first twenty refused ones."""


@dataclass(slots=True)
class AddedCounts(LineCounts):
    """What became of lines of which each is in the book as soon as it is taken."""

    added: int = 0

    @property
    def lines(self) -> int:
        """Tell how many lines there were."""
        return self.added + self.already_there + self.refused

    @property
    def is_complete(self) -> bool:
        """Tell whether every line is in the book now."""
        return not self.refused


def digest_of(asked: Sequence[object]) -> str:
    """Digest what a line asks, so that two files that hold the same line ask for one thing."""
    return hashlib.sha256(to_json(asked)).hexdigest()


def keys_of(prefix: str, digests: Sequence[str | None], seen: Occurrences) -> list[str | None]:
    """Make a line's keys: what it asks, and the how-manieth time the file asks just that.

    The first is of the line as it is read now, the others as under other settings; None where it
    could not be read. Each is counted apart, as an import under those settings has counted it.
    """
    keys: list[str | None] = []
    for place, digest in enumerate(digests):
        if digest is None:
            keys.append(None)
            continue
        apart = place.to_bytes(2, "big") if place else b""
        count = seen.count(bytes.fromhex(digest) + apart)
        keys.append(f"{prefix}.{digest}.{count}")
    return keys


def fields_of(asked: object, names: Sequence[str]) -> dict[str, object]:
    """Give the fields of a command that a line's key is made of.

    They are named one by one, for keys are kept for ever: with a field that a command has got since
    every line would be another line, and all it asks would be done again.
    """
    return {name: getattr(asked, name) for name in names}


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut anything into lists of at most so many."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


async def find_replies(context: ImportContext, keys: Sequence[str]) -> Mapping[str, StoredCommand]:
    """Find what was asked under the keys of lines before, away from the event loop."""

    def load() -> Mapping[str, StoredCommand]:
        with context.database.reader() as connection:
            return find_commands(connection, keys)

    return await asyncio.to_thread(load)


async def find_asked(
    context: ImportContext, keyed: Sequence[Sequence[str | None]]
) -> list[StoredCommand | None]:
    """Find what became of lines before: under their first keys, else under one of the others."""
    found: list[StoredCommand | None] = [None] * len(keyed)
    for place in range(max(map(len, keyed), default=0)):
        asking = {
            key: index
            for index, keys in enumerate(keyed)
            if found[index] is None and (key := keys[place]) is not None
        }
        stored = await find_replies(context, [*asking]) if asking else {}
        for key, each in stored.items():
            found[asking[key]] = each
    return found


class Tally:
    """Counts lines, tells whoever watches, and remembers that somebody wants it to stop."""

    def __init__(
        self, counts: LineCounts, progress: Progress, when_refused: WhenRefused | None
    ) -> None:
        self._counts = counts
        self._progress = progress
        self._when_refused = when_refused
        self.stopped: Stopped | None = None

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Count a line that is refused."""
        self._counts.refused += 1
        if len(self._counts.first_refused) < SHOWN_MOST:
            self._counts.first_refused.append(number)
        if self._when_refused is not None:
            self._when_refused(number, refusal)
        self.advance()

    def advance(self, count: int = 1) -> None:
        """Tell how far it is. Who watches may stop it; what is under way ends first."""
        try:
            self._progress.advance(count)
        except Stopped as stopped:
            self.stopped = stopped


# -- files whose lines are one command each --------------------------------------------------------


class AskedLine(Protocol):
    """A line that could be read, on its way."""

    @property
    def number(self) -> int:
        """Its place in the file, from 1 for the column names."""
        ...


L = TypeVar("L", bound=AskedLine)


class LineKind(Protocol[L]):
    """What the lines of one kind of file ask."""

    key_prefix: str
    operation: Operation[Any]

    def read(self, line: CsvLine, /) -> L:
        """Read one line. Raises: Refused, with the column as its `param`."""
        ...

    async def find(self, lines: Sequence[L], /) -> Sequence[Refusal | None]:
        """Find what lines name; a refusal stands for each that names what is not there."""
        ...

    def contents(self, line: L, /) -> Sequence[Sequence[object] | None]:
        """Give what a line asks, once `find` has found what it names. Its key is made of it.

        After the first, what it asked under other settings; None where it could not be read.
        """
        ...

    async def register(self, lines: Sequence[L], /) -> Sequence[Refusal | None]:
        """Put on record what lines bring along, before they are taken themselves."""
        ...

    def asked(self, line: L, /) -> Any:  # noqa: ANN401 - the operation's own input
        """Give the command's input."""
        ...


async def import_lines(
    context: ImportContext,
    kind: LineKind[L],
    reader: CsvReader,
    *,
    progress: Progress,
    when_refused: WhenRefused | None,
) -> AddedCounts:
    """Bring in a file whose lines are one command each, in the order in which they stand.

    Killed anywhere, the same file goes on where it was.

    Raises: Refused `shutting_down`; Stopped, after the lines that were under way.
    """
    counts = AddedCounts()
    tally = Tally(counts, progress, when_refused)
    with Occurrences() as seen:
        for lines in in_parts(reader, LINES_AT_ONCE):
            await _LinePart(context, kind, counts, tally).take(lines, seen)
            if tally.stopped is not None:
                raise tally.stopped
    return counts


class _LinePart(Generic[L]):
    """The lines of a file that are taken together: one transaction."""

    def __init__(
        self, context: ImportContext, kind: LineKind[L], counts: AddedCounts, tally: Tally
    ) -> None:
        self._context = context
        self._kind = kind
        self._counts = counts
        self._tally = tally

    async def take(self, lines: Sequence[CsvLine], seen: Occurrences) -> None:
        """Read, find, look up and ask; each line ends in one count."""
        read = [line for each in lines if (line := self._read(each)) is not None]
        found = self._standing(read, read, await self._kind.find(read))
        keyed = [self._keys(line, seen) for line in found]
        known = await find_asked(self._context, keyed)
        fresh: list[tuple[str | None, L]] = []
        for line, keys, stored in zip(found, keyed, known, strict=True):
            if stored is None or stored.body is None:
                fresh.append((stored.key if stored is not None else keys[0], line))
            else:
                self._count(line, refusal_of(stored.body), was_there=True)
        new = [line for _, line in fresh]
        standing = self._standing(fresh, new, await self._kind.register(new))
        commands = [
            Command(self._kind.operation, self._kind.asked(line), key, keeps_refusals=False)
            for key, line in standing
        ]
        outcomes = await self._context.door.ask_chunk(commands)
        for (_, line), outcome in zip(standing, outcomes, strict=True):
            self._count(line, outcome.refusal, was_there=outcome.replayed)

    def _read(self, line: CsvLine) -> L | None:
        if line.refusal is not None:
            self._tally.refuse(line.number, line.refusal)
            return None
        try:
            return self._kind.read(line)
        except Refused as refused:
            self._tally.refuse(line.number, refused.refusal)
            return None

    def _standing(
        self, items: Sequence[T], lines: Sequence[L], refusals: Sequence[Refusal | None]
    ) -> list[T]:
        """Count the lines that are refused; give what belongs to the others."""
        standing: list[T] = []
        for item, line, refusal in zip(items, lines, refusals, strict=True):
            if refusal is None:
                standing.append(item)
            else:
                self._tally.refuse(line.number, refusal)
        return standing

    def _keys(self, line: L, seen: Occurrences) -> list[str | None]:
        contents = self._kind.contents(line)
        digests = [None if content is None else digest_of(content) for content in contents]
        return keys_of(self._kind.key_prefix, digests, seen)

    def _count(self, line: L, refusal: Refusal | None, *, was_there: bool) -> None:
        if refusal is not None:
            self._tally.refuse(line.number, refusal)
            return
        if was_there:
            self._counts.already_there += 1
        else:
            self._counts.added += 1
        self._tally.advance()
