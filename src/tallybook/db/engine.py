"""Which database, and the connections to it: one that writes, a pool that reads."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError

from tallybook.db.dialect import WATCHED, WriteConnection
from tallybook.db.errors import STALE_STATES
from tallybook.db.sqlite import PRAGMAS, READING_PRAGMAS, SqliteConnection
from tallybook.kernel.frozen import frozen

PING_AFTER_SECONDS = 1.0
"""How long a connection may rest before it is tried."""
_RESTS_SINCE = "rests since"


class DatabaseUrlError(ValueError):
    """The database URL is not one that Tallybook can use."""


class NoBookError(DatabaseUrlError):
    """There is no book where one must be, and none is made in its place."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"there is no book at {place}. Name the right one with --database or DATABASE_URL;"
            " a new one is made by `tallybook serve`, `tallybook import` or `tallybook db upgrade`"
        )


@frozen
class Database:
    """One database: where it is, its reading engine, and how to open its writing connection."""

    url: URL
    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        """Tell whether it is the embedded one."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """Tell the file of an embedded database."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def shown(self) -> str:
        """Name the database for people, without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def place(self) -> str:
        """Tell where it is, so that somebody in the wrong folder sees it: the whole path."""
        return str(self.path.absolute()) if self.path is not None else self.shown

    def open_writer(self) -> WriteConnection:
        """Make the connection that a writer thread writes through; it connects when first used."""
        if self.is_sqlite:
            return SqliteConnection(self.path or "")
        from tallybook.db.postgresql import PostgresConnection  # noqa: PLC0415 - see db/errors.py

        conninfo = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return PostgresConnection(conninfo)

    @contextmanager
    def reader(self) -> Generator[Connection]:
        """Lend a connection for reads, each of which sees what is committed when it begins.

        No transaction is held between them, so that on PostgreSQL a read is one round trip and
        not three. Who walks a long list takes a snapshot: a cursor lives in a transaction.
        """
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Generator[Connection]:
        """Lend a connection whose reads all see the book as it was at the first of them."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
                yield connection
            else:
                yield connection.execution_options(isolation_level="REPEATABLE READ")

    def close(self) -> None:
        """Let go of all reading connections."""
        self.engine.dispose()


def database_file(url: str) -> Path | None:
    """Tell the file of an embedded database, without making it; None for another kind.

    Raises: DatabaseUrlError.
    """
    parsed = _parse(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(parsed.database) if is_file and parsed.database else None


def open_database(
    url: str,
    *,
    pool_size: int = 5,
    pool_overflow: int = 10,
    may_create: bool = True,
    read_only: bool = False,
) -> Database:
    """Open a database by its URL: `sqlite:///./billing.db` or `postgresql://user@host/name`.

    Nothing is connected yet. An SQLite file that is not there is made, with its folder, unless the
    caller says no or only reads: then the file is left as it is, down to its journal mode.

    Raises: DatabaseUrlError, NoBookError.
    """
    parsed = _parse(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        path = _sqlite_path(parsed)
        if may_create and not read_only:
            _make_file(path)
        elif not path.is_file():
            raise NoBookError(str(path.absolute()))
        return Database(parsed, _sqlite_engine(parsed, path, read_only=read_only))
    if backend in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
        return Database(parsed, _postgres_engine(parsed, pool_size, pool_overflow))
    raise DatabaseUrlError(f"the database must be sqlite:///... or postgresql://..., not {backend}")


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlError(f"not a database URL: {url.split('://', maxsplit=1)[0]}") from error


def _sqlite_path(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise DatabaseUrlError("SQLite needs a file: sqlite:///./billing.db")
    return Path(url.database)


def _make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Account data lives here, encrypted or not: nobody else reads it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _sqlite_engine(url: URL, path: Path, *, read_only: bool) -> Engine:
    engine = create_engine(url, pool_size=10, **({"creator": _reads(path)} if read_only else {}))
    pragmas = READING_PRAGMAS if read_only else (*PRAGMAS, "PRAGMA query_only = ON")

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return engine


def _reads(path: Path) -> Callable[[], sqlite3.Connection]:
    address = f"{path.absolute().as_uri()}?mode=ro"
    return lambda: sqlite3.connect(address, uri=True, check_same_thread=False)


def _postgres_engine(url: URL, pool_size: int, pool_overflow: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_overflow,
        pool_timeout=5,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args={
            **{name: value for name, value in WATCHED.items() if name not in url.query},
            "connect_timeout": 5,
            "application_name": "tallybook reader",
            "options": "-c timezone=UTC -c statement_timeout=60s"
            " -c default_transaction_read_only=on",
        },
    )
    _ping_when_rested(engine)
    _drop_when_stale(engine)
    return engine


def _drop_when_stale(engine: Engine) -> None:
    """Let go of all connections whose prepared statements no longer fit the tables."""

    @event.listens_for(engine, "handle_error")
    def drop(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) in STALE_STATES:
            context.is_disconnect = True


def _ping_when_rested(engine: Engine) -> None:
    """Try a connection that has rested before it is lent: its server may have gone.

    Not each time: to ask doubles what a short read costs.
    """

    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        since = record.info.get(_RESTS_SINCE)
        if since is None or time.monotonic() - since < PING_AFTER_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error
