"""The table catalogue and the column types that both databases share."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from sqlalchemy import CHAR, UUID, BigInteger, DateTime, Dialect, Index, MetaData, String, text
from sqlalchemy.types import TypeDecorator, TypeEngine

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_unique",
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)
"""Every table of every domain. Constraint names are an interface: db/errors.py reads them."""

# Integers only: SQLite keeps any integer type in 64 bits.
MINOR = BigInteger()
NUMBER = BigInteger()


class HexId(TypeDecorator[str]):
    """An id: UUID on PostgreSQL, 32 hex characters on SQLite, 32 hex digits in Python."""

    impl = CHAR(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type of this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(UUID(as_uuid=False))
        return dialect.type_descriptor(CHAR(32))

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Give back 32 hex digits whatever the driver gave."""
        del dialect
        return None if value is None else str(value).replace("-", "")


class Instant(TypeDecorator[datetime]):
    """An instant in UTC: TIMESTAMPTZ on PostgreSQL, sortable ISO text on SQLite."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type of this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write the instant the way this database keeps it."""
        if value is None or dialect.name == "postgresql":
            return value
        return instant_to_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read the instant back, in UTC."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)
        return instant_from_text(value)


@lru_cache(maxsize=64)
def instant_to_text(value: datetime) -> str:
    """Write an instant as 27 characters that sort by time.

    >>> instant_to_text(datetime(2026, 3, 1, 20, 0, tzinfo=UTC))
    '2026-03-01T20:00:00.000000Z'
    """
    # Pydantic's writer takes a third of the time of `strftime`.
    written = to_json(value if value.tzinfo is UTC else value.astimezone(UTC))[1:-1].decode()
    return written if len(written) == 27 else f"{written[:-1]}.000000Z"


@lru_cache(maxsize=64)
def instant_from_text(text: str) -> datetime:
    """Read an instant that `instant_to_text` wrote."""
    return datetime.fromisoformat(text)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Declare an index over the rows where a condition holds, the same on both databases."""
    condition = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)
