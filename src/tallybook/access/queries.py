"""What is read of keys."""

from __future__ import annotations

from sqlalchemy import Connection

from tallybook.access.model import ApiKey
from tallybook.access.store import API_KEYS, API_KEYS_TABLE
from tallybook.db.reading import fetch, select_rows


def list_keys(connection: Connection) -> list[ApiKey]:
    """List all keys there ever were, the oldest first; there are few."""
    wanted = select_rows(API_KEYS.rows).order_by(API_KEYS_TABLE.c.created_at, API_KEYS_TABLE.c.id)
    return fetch(connection, API_KEYS.rows, wanted)
