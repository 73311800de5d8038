"""The key ring: which keys open the API now, kept in memory for two seconds at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import inspect

from tallybook.access.model import ApiKey, Scope
from tallybook.access.operations import (
    CREATE_KEY,
    NOTE_KEY_USE,
    ROTATE_KEY,
    CreateKey,
    KeyText,
    NoteKeyUse,
    RotateKey,
    is_use_news,
)
from tallybook.access.queries import list_keys
from tallybook.access.rules import hash_key, hint_of, is_good, looks_like_key, write_key
from tallybook.access.store import API_KEYS_TABLE
from tallybook.ambient.clock import Clock
from tallybook.db.engine import Database
from tallybook.kernel.frozen import frozen
from tallybook.kernel.refusal import Refused
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome

FRESH_SECONDS = 2.0
"""How long the ring believes what it has read: so long a revoked key may still open something."""
NOTED_AGAIN_SECONDS = 60.0
"""How long nothing is noted after the door has refused to: it is busy with what matters more."""


class AccessContext(Protocol):
    """One running engine, as access sees it."""

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where writes go."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...


@frozen
class _Read:
    """What the ring has read, and when."""

    keys: Mapping[str, ApiKey]
    """All keys, by the hash of their text."""
    at: float


class KeyRing:
    """Tells whose key a text is. One query in two seconds, however many calls there are."""

    def __init__(self, context: AccessContext) -> None:
        self._context = context
        self._read: _Read | None = None
        self._reading = asyncio.Lock()
        self._used: set[str] = set()
        self._noting: asyncio.Task[None] | None = None
        self._noted_from = 0.0

    def is_fresh(self) -> bool:
        """Tell whether what the ring knows may be believed without asking the book again."""
        read = self._read
        return read is not None and self._context.clock.monotonic() - read.at < FRESH_SECONDS

    async def refresh(self) -> None:
        """Read the keys anew; of callers that come together one reads for all."""
        async with self._reading:
            if self.is_fresh():
                return
            at = self._context.clock.monotonic()
            keys = await asyncio.to_thread(self._load)
            self._read = _Read({key.key_hash: key for key in keys}, at)
        is_noting = self._noting is not None and not self._noting.done()
        if self._used and not is_noting and at >= self._noted_from:
            # By itself: whoever only reads does not wait for a write, which may take seconds.
            self._noting = asyncio.create_task(self._note_uses())

    @property
    def is_empty(self) -> bool:
        """Tell whether no key was ever made. Once there was one, none is not the same as open."""
        return self._read is not None and not self._read.keys

    def find(self, text: str) -> ApiKey | None:
        """Find the good key that a text is; None for any other text."""
        if self._read is None or not looks_like_key(text):
            return None
        key = self._read.keys.get(hash_key(text))
        if key is None or not is_good(key, self._context.clock.now()):
            return None
        if key.id not in self._used and is_use_news(key, self._context.clock.now()):
            self._used.add(key.id)
        return key

    def _load(self) -> list[ApiKey]:
        with self._context.database.reader() as connection:
            return list_keys(connection)

    async def _note_uses(self) -> None:
        used, self._used = self._used, set()
        for key_id in sorted(used):
            try:
                asked = Command(NOTE_KEY_USE, NoteKeyUse(key_id))
                is_noted = (await self._context.door.ask(asked)).refusal is None
            except Refused:
                is_noted = False
            if not is_noted:  # the door is closed, full or held up: a later use will be noted
                self._noted_from = self._context.clock.monotonic() + NOTED_AGAIN_SECONDS
                return


def make_key(
    door: Door,
    secret: bytes,
    name: str,
    scope: Scope,
    expires_at: datetime | None = None,
    *,
    is_new_client: bool = False,
) -> tuple[str, Outcome]:
    """Make a key; gives its text, which nobody can read again, and the outcome."""
    text = write_key(secret)
    shown = KeyText(hash_key(text), hint_of(text))
    asked = CreateKey(name, scope, shown, expires_at, is_new_client)
    return text, door.ask_now(Command(CREATE_KEY, asked))


def rotate_key(door: Door, secret: bytes, key_id: str, kept_for: timedelta) -> tuple[str, Outcome]:
    """Make another key for the client of an old one; gives its text and the outcome."""
    text = write_key(secret)
    asked = RotateKey(key_id, KeyText(hash_key(text), hint_of(text)), kept_for)
    return text, door.ask_now(Command(ROTATE_KEY, asked))


def has_keys(database: Database) -> bool:
    """Tell whether any key is not revoked; an expired one counts. No in a book without a table."""
    with database.reader() as connection:
        if not inspect(connection).has_table(API_KEYS_TABLE.name):
            return False
        return any(key.revoked_at is None for key in list_keys(connection))
