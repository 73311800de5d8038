"""Long work on household bills: a whole inbox brought in, and folded when all of it is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Protocol

from tallybook.bills import queries
from tallybook.bills.operations.inbox import ReadingPool, take_batches
from tallybook.bills.operations.recording import (
    FOLD_CUSTOMER,
    RECORD_MESSAGES,
    FoldCustomer,
    RecordMessages,
)
from tallybook.bills.operations.taking import Intake
from tallybook.db.engine import Database
from tallybook.kernel.progress import Progress
from tallybook.writer.door import Door
from tallybook.writer.model import Command

CHUNK = 1000
"""Lines in one command: a command has a cost of its own, however few lines are in it."""


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

    Raises: ImportRefusedError: a command was refused. What was recorded before it stays.
    """
    summary = ImportSummary()
    whole = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    batches = iter(lambda: list(islice(whole, CHUNK)), [])

    def commands() -> Iterator[Command]:
        for batch, read in take_batches(batches, intake, customer_id, received_at, pool):
            summary.lines += len(batch)
            for (number, _), (_, why) in zip(batch, read, strict=True):
                if why:
                    summary.unreadable += 1
                    when_unreadable(number, why)
            taken = tuple(taken for taken, _ in read if taken is not None)
            if taken:
                yield Command(
                    RECORD_MESSAGES, RecordMessages(taken, currency, is_list=True, is_bulk=True)
                )

    progress.begin("messages")
    for outcome in rooms.door.submit_many(commands(), chunk=1):
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


class ImportRefusedError(RuntimeError):
    """The whole import was refused, such as for a customer that does not exist."""


def _unfolded(database: Database) -> list[str]:
    with database.reader() as connection:
        return queries.list_unfolded(connection)


def _became_since(database: Database, customer_id: str, since: datetime) -> Counter[str]:
    """Count what the messages that took part in the fold came to."""
    with database.reader() as connection:
        return Counter(queries.count_folded(connection, customer_id, since))
