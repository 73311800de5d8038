"""The table of API keys."""

from __future__ import annotations

from sqlalchemy import CHAR, CheckConstraint, Column, String, Table, UniqueConstraint

from tallybook.access.model import ApiKey
from tallybook.db.metadata import METADATA, HexId, Instant
from tallybook.db.tables import RowMap
from tallybook.writer.model import Index, Shelf

API_KEYS_TABLE = Table(
    "api_keys",
    METADATA,
    Column("id", HexId, primary_key=True),
    Column("client_id", HexId, nullable=False),
    Column("name", String(100), nullable=False),
    Column("scope", String(8), nullable=False),
    Column("hint", String(16), nullable=False),
    Column("key_hash", CHAR(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    CheckConstraint("scope IN ('read', 'operate', 'money')", name="scope_known"),
    UniqueConstraint("key_hash", name="api_keys_key_hash_unique"),
)

API_KEYS = Shelf(RowMap(API_KEYS_TABLE, ApiKey, key=("id",)), rank=2)
KEYS_OF_NAME = Index(API_KEYS, ("name",))
"""Whoever has a key is never given another name, so that no lock is needed to look."""
