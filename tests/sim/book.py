"""A database for one simulation after another: made once, emptied between two seeds."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from tallybook.db import migrate
from tallybook.db.dialect import WriteConnection
from tallybook.db.engine import Database, open_database
from tests.postgres import Databases


class Book(Protocol):
    """An empty, migrated book, as often as it is asked for."""

    kind: str
    home: Path

    def fresh(self) -> Database:
        """Give the book, empty again."""
        ...

    def writer(self) -> WriteConnection:
        """Open a connection that writes."""
        ...

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Read with plain SQL, outside of anything that is tested."""
        ...


class SqliteBook:
    """A file in memory: SQLite as it is always used, on a disk that costs nothing."""

    kind = "sqlite"

    def __init__(self, home: Path) -> None:
        self.home = home
        self._template = home / "template.db"
        migrate.upgrade(f"sqlite:///{self._template}")
        with closing(sqlite3.connect(self._template)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._path = home / "book.db"
        self._database: Database | None = None
        self._reader: sqlite3.Connection | None = None

    def fresh(self) -> Database:
        """Copy the template over the last seed's book."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        shutil.copyfile(self._template, self._path)
        # One for all seeds: it has compiled their statements already.
        self._database = self._database or open_database(f"sqlite:///{self._path}")
        self._reader = sqlite3.connect(self._path, isolation_level=None)
        return self._database

    def writer(self) -> WriteConnection:
        """Open a connection that writes."""
        assert self._database is not None
        return self._database.open_writer()

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Read with plain SQL."""
        assert self._reader is not None
        return self._reader.execute(text).fetchall()

    def close(self) -> None:
        """Let go of the last seed's connections."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._database is not None:
            self._database.close()


class PostgresBook:
    """One database of a real server, emptied behind its triggers' back between two seeds.

    A simulated crash never takes the server down, so its commits need not wait for the disk.
    """

    kind = "postgresql"

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        migrate.upgrade(url)
        self._database = open_database(url)
        self._plain = psycopg.connect(url, autocommit=True)
        self._plain.execute("SET timezone = 'UTC'")
        names = self._plain.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version' ORDER BY 1"
        ).fetchall()
        self._tables = [name for (name,) in names]
        self._first: dict[str, list[tuple[Any, ...]]] = {}
        for name in self._tables:
            select = sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))
            if rows := self._plain.execute(select).fetchall():
                self._first[name] = rows

    def fresh(self) -> Database:
        """Delete what the last seed wrote, and put the first migration's rows back."""
        plain = self._plain
        with plain.transaction(), plain.pipeline():
            plain.execute("SET LOCAL session_replication_role = replica")
            for name in self._tables:
                plain.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for name, rows in self._first.items():
                for row in rows:
                    marks = sql.SQL(", ").join([sql.Placeholder()] * len(row))
                    insert = sql.SQL("INSERT INTO {} VALUES ({})")
                    plain.execute(insert.format(sql.Identifier(name), marks), row)
        return self._database

    def vacuum(self) -> None:
        """Clear away what deleted rows left, which slows every read after a hundred seeds."""
        for name in self._tables:
            self._plain.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(name)))

    def writer(self) -> WriteConnection:
        """Open a connection that writes, and does not wait for the disk."""
        connection = self._database.open_writer()
        connection.begin().rollback()
        connection._connection.execute("SET synchronous_commit = off")  # pyright: ignore[reportAttributeAccessIssue] - PostgreSQL's own connection
        return connection

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Read with plain SQL."""
        return self._plain.execute(text.encode()).fetchall()

    def close(self) -> None:
        """Let go of all connections."""
        self._plain.close()
        self._database.close()


@contextmanager
def open_book(kind: str, postgres_url: str = "") -> Generator[SqliteBook | PostgresBook]:
    """Open a book for simulations; a PostgreSQL one in a database of its own on a server."""
    shared = Path("/dev/shm")
    base = shared if shared.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tallybook-sim-", dir=base) as folder:
        if kind == "sqlite":
            book: SqliteBook | PostgresBook = SqliteBook(Path(folder))
            yield book
            book.close()
            return
        databases = Databases(postgres_url)
        url = databases.create()
        book = PostgresBook(Path(folder), url)
        try:
            yield book
        finally:
            book.close()
            databases.drop(url)
