"""The lines of an inbox, taken in: here, or by processes beside the one that records.

It imports nothing of the database, so that such a process is up in a fraction of a second.
"""

from __future__ import annotations

import gc
import json
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any, Self

from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.bills.model import Fact, Message
from tallybook.bills.operations.taking import Intake, RawText, Taken, read_text, take_reading
from tallybook.bills.reading.reader import load_reader
from tallybook.kernel.frozen import replace, values_of

LINE_BYTES_MOST = 16 * 1024 * 1024
"""A longer line is no message; it is told of and passed over."""

_JSON = json.JSONDecoder()

Batch = list[tuple[int, bytes]]
"""Lines with their numbers in the file."""
Read = list[tuple[Taken | None, str]]
"""For each line its message, or why it is none."""
_Row = str | tuple[str, tuple[Any, ...], tuple[Any, ...]]
"""A line's message as it travels between processes, or why it is none: what was asked, and the
values of the message and of the fact. To pickle and make objects again costs ten times as much."""


def take_batches(
    batches: Iterator[Batch],
    intake: Intake,
    customer_id: str,
    received_at: datetime,
    pool: ReadingPool | None,
) -> Iterator[tuple[Batch, Read]]:
    """Read an inbox's lines in order, each batch with what became of it."""
    if pool is not None:
        yield from pool.take(batches, intake, customer_id, received_at)
        return
    for batch in batches:
        lines = [line for _, line in batch]
        yield batch, _take_lines(lines, intake, customer_id, received_at)


def _take_lines(
    lines: Sequence[bytes], intake: Intake, customer_id: str, received_at: datetime
) -> Read:
    """Take in lines step by step, all of them at each step.

    The rules fill a processor's cache: to turn from them to everything else for each line, and
    back, costs a tenth of the time.
    """
    raws = [read_line(line, customer_id, received_at) for line in lines]
    readings = [None if raw is None else read_text(raw, intake) for raw, _ in raws]
    return [
        (None, why) if raw is None or reading is None else (take_reading(raw, reading, intake), "")
        for (raw, why), reading in zip(raws, readings, strict=True)
    ]


class ReadingPool:
    """Processes that read texts, so that a large inbox is read and recorded at the same time.

    Each opens the key file by itself: a key does not travel between processes.
    """

    def __init__(self, rules: Sequence[Path], workers: int, key_path: Path) -> None:
        self._workers = workers
        # Spawned, not forked: the writer's thread may hold a lock at the moment of a fork.
        context = get_context("spawn")
        self._up = context.Semaphore(0)
        self._pool = ProcessPoolExecutor(
            workers,
            context,
            initializer=_begin_reading,
            initargs=(tuple(rules), key_path, self._up),
        )
        for _ in range(workers):
            # A process is started for each call that finds none idle: so all of them come up at
            # once, and not the second while the first reads already.
            self._pool.submit(_nothing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def wait_until_up(self, seconds: float = 60) -> None:
        """Wait until every process has loaded the rules. Raises: TimeoutError."""
        for _ in range(self._workers):
            if not self._up.acquire(timeout=seconds):
                raise TimeoutError("a process that reads does not come up")

    def take(
        self, batches: Iterator[Batch], intake: Intake, customer_id: str, received_at: datetime
    ) -> Iterator[tuple[Batch, Read]]:
        """Read lines in batches, in order, a few batches ahead of whoever asks for them."""
        ahead: deque[tuple[Batch, Future[list[_Row]]]] = deque()
        for batch in batches:
            lines = [line for _, line in batch]
            asked = self._pool.submit(
                _take_there, lines, intake.now, intake.zone, customer_id, received_at
            )
            ahead.append((batch, asked))
            if len(ahead) > self._workers + 1:
                done, read = ahead.popleft()
                yield done, _unpacked(customer_id, read.result())
        for done, read in ahead:
            yield done, _unpacked(customer_id, read.result())


_there: Intake | None = None
"""What a reading process reads with."""


def _begin_reading(rules: tuple[Path, ...], key_path: Path, up: Semaphore) -> None:
    global _there  # noqa: PLW0603 - a process of the pool has nothing else to keep it in
    reader = load_reader(rules, prove_samples=False)
    secrets = Secrets.load_or_create(key_path)
    _there = Intake(reader, secrets, FreshIds(), datetime.min.replace(tzinfo=UTC), "UTC")
    # The rules stay as long as the process: looking through them for garbage finds nothing.
    gc.freeze()
    up.release()


def _nothing() -> None:
    pass


def _take_there(
    lines: list[bytes], now: datetime, zone: str, customer_id: str, received_at: datetime
) -> list[_Row]:
    assert _there is not None, "the pool's processes load the rules when they start"
    intake = replace(_there, now=now, zone=zone)
    return [
        why if taken is None else (taken.asked, _OF_MESSAGE(taken.message), _OF_FACT(taken.fact))
        for taken, why in _take_lines(lines, intake, customer_id, received_at)
    ]


_OF_MESSAGE, _OF_FACT = values_of(Message), values_of(Fact)


def _unpacked(customer_id: str, rows: Sequence[_Row]) -> Read:
    return [
        (None, row)
        if isinstance(row, str)
        else (Taken(customer_id, row[0], Message(*row[1]), Fact(*row[2])), "")
        for row in rows
    ]


def read_line(line: bytes, customer_id: str, received_at: datetime) -> tuple[RawText | None, str]:
    """Read one line of an inbox; with the reason where it is not a message."""
    if len(line) > LINE_BYTES_MOST:
        return None, f"longer than {LINE_BYTES_MOST:,} bytes"
    try:
        shape: Any = _JSON.decode(line.removeprefix(BOM_UTF8).decode(errors="replace"))
    except (ValueError, RecursionError):
        return None, "not a JSON object"
    if not isinstance(shape, dict) or not isinstance(shape.get("body"), str):
        return None, "not an object with a text in `body`"
    sender, source_id = shape.get("sender"), shape.get("source_id")
    sent_at = shape.get("sent_at")
    instant = _instant(sent_at) if isinstance(sent_at, str) else None
    if sent_at is not None and instant is None:
        return None, "`sent_at` is not an instant such as 2026-03-01T20:00:00Z"
    has_source = isinstance(source_id, str) and 0 < len(source_id) <= 128
    return RawText(
        customer_id,
        shape["body"],
        sender=sender if isinstance(sender, str) else None,
        sent_at=instant,
        received_at=received_at,
        source_id=source_id if has_source else None,
    ), ""


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
