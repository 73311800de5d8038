"""A fuse that kills its process at the n-th step, and what lays it into a running engine.

A step is the moment before or after a statement on a writer's connection, or before, inside and
after a write to the Processor's socket. "After one statement" and "before the next of the same
connection" are one moment, and counted once.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import aiohttp
import psycopg
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from psycopg.pq.abc import PGresult

from tallybook.db import sqlite
from tallybook.db.dialect import Tx, WriteConnection
from tallybook.db.engine import Database
from tallybook.db.pipeline import Pipeline, Rows, Sent, Statement
from tallybook.db.postgresql import PostgresConnection
from tallybook.db.sqlite import SqliteConnection
from tallybook.kernel.frozen import frozen
from tallybook.processor.client import HttpProcessor

NEVER = 1 << 60


class Fuse:
    """Counts steps of this process, and kills it at one of them."""

    def __init__(self, at: int = NEVER, tell: Callable[[str], None] | None = None) -> None:
        self.steps = 0
        self._at = at
        self._tell = tell
        self._lock = threading.Lock()

    def step(self, name: str, *, last_words: Callable[[], object] | None = None) -> None:
        """Count a step, and die if it is the one; `last_words` are said only by who dies."""
        with self._lock:
            here, self.steps = self.steps, self.steps + 1
            if here != self._at:
                return
            if self._tell is not None:
                self._tell(name)
            if last_words is not None:
                last_words()
            die()


def die() -> NoReturn:
    """End this process as `kill -9` does: nothing is flushed, closed or told."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives SIGKILL")


# -- SQLite: every statement of the writer


@frozen
class FusedDatabase(Database):
    """A database whose writers pass the fuse at every statement."""

    fuse: Fuse

    def open_writer(self) -> WriteConnection:
        if self.is_sqlite:
            return _FusedSqlite(str(self.path), self.fuse)
        conninfo = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return _FusedPostgres(conninfo, self.fuse)


class _FusedSqlite(SqliteConnection):
    def __init__(self, path: str, fuse: Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def begin(self) -> Tx:
        if self._connection is None:
            # A subclass: what `begin` and its transactions call is what passes the fuse.
            opened = sqlite3.connect(
                self._path,
                isolation_level=None,
                check_same_thread=False,
                factory=_FusedStatements,
            )
            for pragma in sqlite.PRAGMAS:
                opened.execute(pragma)
            opened.fuse = self._fuse
            self._connection = opened
        return super().begin()


class _FusedStatements(sqlite3.Connection):
    fuse: Fuse | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        with self._passing(sql):
            return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        with self._passing(sql):
            return super().executemany(sql, parameters)

    @contextmanager
    def _passing(self, text: str) -> Generator[None]:
        if self.fuse is not None and text.startswith("BEGIN"):
            self.fuse.step("before BEGIN")
        yield
        if self.fuse is not None:
            self.fuse.step(f"after {_shown(text)}")


# -- PostgreSQL: every statement, and every pipeline that is sent and not yet answered


class _FusedPostgres(PostgresConnection):
    def __init__(self, conninfo: str, fuse: Fuse) -> None:
        super().__init__(conninfo)
        self._fuse = fuse

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        connection = super()._connect()
        fuse = self._fuse

        class FusedCursor(psycopg.Cursor[Any]):
            def copy(self, statement: Any, *arguments: Any, **more: Any) -> Any:
                fuse.step(f"before {_shown(statement.decode())}")
                return super().copy(statement, *arguments, **more)

        connection.cursor_factory = FusedCursor
        return connection

    def _open_pipeline(self, connection: psycopg.Connection[Any]) -> Pipeline:
        return _FusedPipeline(connection, self._fuse)


class _FusedPipeline(Pipeline):
    """A pipeline that passes the fuse at every statement, and before and after the answers."""

    def __init__(self, connection: psycopg.Connection[Any], fuse: Fuse) -> None:
        super().__init__(connection)
        self._fuse = fuse

    def send(self, statement: Statement) -> Sent:
        if statement.text == b"BEGIN":
            self._fuse.step("before BEGIN")
        sent = super().send(statement)
        # The server has begun with what has come so far.
        self._fuse.step(f"after {_shown(statement.text.decode())}", last_words=self.flush)
        return sent

    def receive(self, sent: Sequence[Sent]) -> tuple[list[Rows], PGresult | None]:
        # Everything is on its way, COMMIT perhaps included, and nobody hears the answer.
        self._fuse.step("sent, not answered")
        answers = super().receive(sent)
        self._fuse.step("answered")
        return answers


def _shown(text: str) -> str:
    words = text.split()
    return " ".join(words[:3] if words[0] in {"INSERT", "COPY"} else words[:2])


# -- the Processor's socket: before, inside and after each write


class FusedProcessor(HttpProcessor):
    """An HTTP client that passes the fuse at every write to its socket."""

    def __init__(self, base_url: str, fuse: Fuse) -> None:
        super().__init__(base_url)
        self._fuse = fuse

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            session = super()._open_session()
            session._request_class = _fused(session._request_class, self._fuse)
        return super()._open_session()


def _fused(gated: type[ClientRequest], fuse: Fuse) -> type[ClientRequest]:
    class FusedRequest(gated):
        async def send(self, conn: Connection) -> ClientResponse:
            protocol = conn.protocol
            assert protocol is not None
            protocol.transport = _FusedTransport(protocol.transport, fuse)  # pyright: ignore[reportAttributeAccessIssue] - it hands on whatever it has not itself
            return await super().send(conn)

    return FusedRequest


class _FusedTransport:
    """A transport that passes the fuse before, inside and after each write."""

    def __init__(self, transport: Any, fuse: Fuse) -> None:
        self._transport, self._fuse = transport, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: Any) -> None:
        whole = bytes(content)
        self._fuse.step("before a write to the Processor")
        self._fuse.step(
            "inside a write to the Processor",
            last_words=lambda: self._transport.write(whole[: len(whole) // 2]),
        )
        self._transport.write(whole)
        self._fuse.step("after a write to the Processor")

    def writelines(self, pieces: Iterable[Any]) -> None:
        self.write(b"".join(pieces))
