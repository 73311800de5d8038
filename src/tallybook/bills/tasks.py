"""Long work on household bills: a whole inbox brought in, and folded when all of it is there."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, Self

from tallybook.bills import queries
from tallybook.bills.operations.recording import (
    FOLD_CUSTOMER,
    RECORD_MESSAGES,
    FoldCustomer,
    RecordMessages,
)
from tallybook.bills.operations.taking import Intake, RawText, Taken, day_of, take_text
from tallybook.bills.reading.model import Reading
from tallybook.bills.reading.reader import Reader, load_reader
from tallybook.db.engine import Database
from tallybook.kernel.progress import Progress
from tallybook.writer.door import Door
from tallybook.writer.model import Command

CHUNK = 500
LINE_BYTES_MOST = 64 * 1024
"""A longer line is no message; it is told of and passed over."""


class Rooms(Protocol):
    """As much of an engine as an import needs."""

    @property
    def door(self) -> Door:
        """Where writes go."""
        ...

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...


@dataclass(slots=True)
class ImportSummary:
    """What became of an inbox; the counts add up to its lines."""

    lines: int = 0
    unreadable: int = 0
    duplicates: int = 0
    became: Counter[str] = field(default_factory=Counter)
    """Status to count, of the messages that are new."""

    @property
    def adds_up(self) -> bool:
        """Tell whether every line is accounted for."""
        return self.unreadable + self.duplicates + self.became.total() == self.lines


def import_messages(  # noqa: PLR0913 - an import's parts, by name
    rooms: Rooms,
    intake: Intake,
    lines: Iterable[bytes],
    *,
    customer_id: str,
    currency: str,
    received_at: datetime,
    progress: Progress,
    when_unreadable: Callable[[int, str], None],
    pool: ReadingPool | None = None,
) -> ImportSummary:
    """Record an inbox in bulk, then fold its customer once. Source: B1, B10.

    A line is a JSON object with `body`, and where known `sender`, `sent_at`, `source_id`; other
    fields are passed over. Interrupted, it can be run again: what is there already stays.
    """
    summary = ImportSummary()

    def raws() -> Iterator[RawText]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            summary.lines += 1
            raw, why = read_line(line, customer_id, received_at)
            if raw is None:
                summary.unreadable += 1
                when_unreadable(number, why)
            else:
                yield raw

    taken = _take_all(raws(), intake, pool)
    progress.begin("messages")
    for outcome in rooms.door.submit_many(_chunks(taken, currency), chunk=1):
        if outcome.refusal is not None:
            raise ImportRefusedError(outcome.refusal.sentence)
        counts: Counter[str] = outcome.value
        summary.duplicates += counts.pop("duplicate", 0)
        summary.became += counts
        progress.advance(counts.total())
    recorded = summary.became.pop("recorded", 0)
    for customer in {customer_id, *_unfolded(rooms.database)}:
        progress.begin("fold")
        fold = Command(FOLD_CUSTOMER, FoldCustomer(customer, currency))
        outcome = rooms.door.ask_now(fold)
        progress.advance()
        if outcome.refusal is not None:
            raise ImportRefusedError(outcome.refusal.sentence)
    if recorded:
        summary.became += _became_since(rooms.database, customer_id, intake.now)
    return summary


def _take_all(raws: Iterator[RawText], intake: Intake, pool: ReadingPool | None) -> Iterator[Taken]:
    if pool is None:
        yield from (take_text(raw, intake) for raw in raws)
        return
    for batch, readings in pool.read(raws, intake):
        for raw, reading in zip(batch, readings, strict=True):
            yield take_text(raw, intake, reading)


class ReadingPool:
    """Processes that read texts, so that a large inbox is read and recorded at the same time."""

    def __init__(self, rules: Sequence[Path], workers: int) -> None:
        self._workers = workers
        # Spawned, not forked: the writer's thread may hold a lock at the moment of a fork.
        self._pool = ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=_begin_reading, initargs=(tuple(rules),)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(
        self, raws: Iterator[RawText], intake: Intake
    ) -> Iterator[tuple[list[RawText], list[Reading]]]:
        """Read texts in batches, in order, a few batches ahead of whoever asks for them."""
        ahead: deque[tuple[list[RawText], Future[list[Reading]]]] = deque()
        while True:
            batch = list(islice(raws, CHUNK))
            if batch:
                asked = [
                    (raw.body, raw.sender, day_of(raw, intake), raw.sent_at is not None)
                    for raw in batch
                ]
                ahead.append((batch, self._pool.submit(_read_batch, asked)))
            if not ahead:
                return
            if not batch or len(ahead) > self._workers + 1:
                done, readings = ahead.popleft()
                yield done, readings.result()


_reader: Reader | None = None
"""A reading process's own reader."""


def _begin_reading(rules: tuple[Path, ...]) -> None:
    global _reader  # noqa: PLW0603 - a process of the pool has nothing else to keep it in
    _reader = load_reader(rules, prove_samples=False)


def _read_batch(asked: list[tuple[str, str | None, date, bool]]) -> list[Reading]:
    assert _reader is not None, "the pool's processes load the rules when they start"
    return [
        _reader.read(body, sender, day, day_is_sent=day_is_sent)
        for body, sender, day, day_is_sent in asked
    ]


class ImportRefusedError(RuntimeError):
    """The whole import was refused, such as for a customer that does not exist."""


def _chunks(taken: Iterator[Taken], currency: str) -> Iterator[Command]:
    batch: list[Taken] = []
    for message in taken:
        batch.append(message)
        if len(batch) == CHUNK:
            yield _command(batch, currency)
            batch = []
    if batch:
        yield _command(batch, currency)


def _command(batch: list[Taken], currency: str) -> Command:
    return Command(
        RECORD_MESSAGES, RecordMessages(tuple(batch), currency, is_list=True, is_bulk=True)
    )


def _unfolded(database: Database) -> list[str]:
    with database.reader() as connection:
        return queries.list_unfolded(connection)


def _became_since(database: Database, customer_id: str, since: datetime) -> Counter[str]:
    """Count what the messages that took part in the fold came to."""
    with database.reader() as connection:
        return Counter(queries.count_folded(connection, customer_id, since))


def read_line(line: bytes, customer_id: str, received_at: datetime) -> tuple[RawText | None, str]:
    """Read one line of an inbox; with the reason where it is not a message."""
    if len(line) > LINE_BYTES_MOST:
        return None, f"longer than {LINE_BYTES_MOST:,} bytes"
    try:
        shape: Any = json.loads(line.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return None, "not a JSON object"
    if not isinstance(shape, dict) or not isinstance(shape.get("body"), str):
        return None, "not an object with a text in `body`"
    raw = RawText(customer_id, shape["body"], received_at=received_at)
    sender, source_id = shape.get("sender"), shape.get("source_id")
    sent_at = shape.get("sent_at")
    if isinstance(sender, str):
        raw = replace(raw, sender=sender)
    if isinstance(source_id, str) and 0 < len(source_id) <= 128:
        raw = replace(raw, source_id=source_id)
    if sent_at is not None:
        instant = _instant(sent_at) if isinstance(sent_at, str) else None
        if instant is None:
            return None, "`sent_at` is not an instant such as 2026-03-01T20:00:00Z"
        raw = replace(raw, sent_at=instant)
    return raw, ""


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
