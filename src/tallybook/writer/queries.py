"""What is known of idempotency keys and of events, read without a lock or asking the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from tallybook.db.reading import select_rows
from tallybook.writer.store import COMMAND_ROWS, COMMANDS, EVENTS, StoredCommand


def find_commands(connection: Connection, keys: Sequence[str]) -> Mapping[str, StoredCommand]:
    """Find what was asked under keys, and the replies. A key that is not here is new, or was.

    Another process may take one at any moment: whoever writes under a key hears of that.
    """
    wanted = select_rows(COMMAND_ROWS).where(COMMANDS.c.key.in_(keys))
    rows = (COMMAND_ROWS.row(row, sqlite=False) for row in connection.execute(wanted))
    return {row.key: row for row in rows}


def first_event_at(connection: Connection) -> datetime | None:
    """Tell when something first happened in this book; None where nothing has."""
    wanted = select(EVENTS.c.occurred_at).order_by(EVENTS.c.seq).limit(1)
    return connection.execute(wanted).scalar()
