"""The writer's own tables: stored replies, the event log, and the heads of the hash chains."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from pydantic_core import to_json
from sqlalchemy import CHAR, Column, SmallInteger, String, Table, Text

from tallybook.db.metadata import METADATA, NUMBER, HexId, Instant, instant_to_text, partial_index
from tallybook.db.tables import RowMap
from tallybook.kernel.frozen import frozen
from tallybook.writer.model import Event, Moment

FIRST_HASH = "0" * 64
"""What the first row of each chain is chained to."""

COMMANDS = Table(
    "commands",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("operation", String(64), nullable=False),
    Column("input_hash", CHAR(64), nullable=False),
    Column("status", SmallInteger),
    Column("body", Text),
    Column("recorded_at", Instant, nullable=False),
    Column("completed_at", Instant),
)

LOOKED_UP = "substr(type, 1, 7) <> 'retail.'"
"""Which events are found by their subject. Those of the counter are the most by far, and nobody
asks for one: each would be one more place to write for a sale."""

EVENTS = Table(
    "events",
    METADATA,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("type", String(64), nullable=False),
    Column("subject_id", HexId, nullable=False),
    Column("customer_id", HexId),
    Column("occurred_at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", CHAR(64), nullable=False),
    partial_index("events_subject_id_index", "subject_id", where=LOOKED_UP),
)

CHAIN_HEADS = Table(
    "chain_heads",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("event_seq", NUMBER, nullable=False),
    Column("event_hash", CHAR(64), nullable=False),
    Column("entry_seq", NUMBER, nullable=False),
    Column("entry_hash", CHAR(64), nullable=False),
    Column("account_seq", NUMBER, nullable=False),
)

ROW_SEALS = Table(
    "row_seals",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("rows_count", NUMBER, nullable=False),
    Column("digest", CHAR(64), nullable=False),
)


@frozen
class StoredCommand:
    """An idempotency key, what was asked under it, and the reply once there is one."""

    key: str
    operation: str
    input_hash: str
    status: int | None
    body: str | None
    recorded_at: datetime
    completed_at: datetime | None


@frozen
class Completion:
    """The part of a stored command that is written when its reply comes later."""

    key: str
    status: int
    body: str
    completed_at: datetime


@frozen
class StoredEvent:
    """An event with its place in the log. Numbers have no gaps and follow the commits."""

    seq: int
    type: str
    subject_id: str
    customer_id: str | None
    occurred_at: datetime
    body: str
    hash: str


@frozen
class ChainHead:
    """Where both chains end. The row is locked by every batch, last before its commit."""

    name: str
    event_seq: int
    event_hash: str
    entry_seq: int
    entry_hash: str
    account_seq: int
    """How many ledger accounts there are; the next one gets the next number."""


@frozen
class RowSeal:
    """What all rows of one table sum up to. Changes only under the chain head's lock."""

    name: str
    rows_count: int
    digest: str
    """The sum of the rows' hashes, modulo 2 to the 256th, as hex digits."""


COMMAND_ROWS = RowMap(COMMANDS, StoredCommand, key=("key",))
COMPLETION_ROWS = RowMap(COMMANDS, Completion, key=("key",))
EVENT_ROWS = RowMap(EVENTS, StoredEvent, key=("seq",))
HEAD_ROWS = RowMap(CHAIN_HEADS, ChainHead, key=("name",))
SEAL_ROWS = RowMap(ROW_SEALS, RowSeal, key=("name",))
BOOK_HEAD = "book"


def chain_events(
    events: Sequence[Event], head: ChainHead, moment: Moment
) -> tuple[list[StoredEvent], int, str]:
    """Chain numbered events to the head; gives the rows and the new end."""
    rows: list[StoredEvent] = []
    seq, chained = head.event_seq, head.event_hash
    for event in events:
        seq += 1
        body = to_json(event.body).decode()
        chained = event_hash(
            chained, seq, event.type, event.subject_id, event.customer_id, moment.now, body
        )
        rows.append(
            StoredEvent(
                seq, event.type, event.subject_id, event.customer_id, moment.now, body, chained
            )
        )
    return rows, seq, chained


def event_hash(
    previous: str,
    seq: int,
    kind: str,
    subject_id: str,
    customer_id: str | None,
    occurred_at: datetime,
    body: str,
) -> str:
    """Hash one event together with the hash of the one before it."""
    text = "|".join(
        (
            previous,
            str(seq),
            kind,
            subject_id,
            customer_id or "",
            instant_to_text(occurred_at),
            body,
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()
