"""Statements that go to PostgreSQL in one piece and are answered in one piece.

psycopg's own pipeline sends each statement by itself and keeps a cursor for it: a sale of twenty
statements then took eight times the processor time of ours, and twice the time on the wall. This
one stands on what psycopg offers below its cursors: libpq (`psycopg.pq`) and its row loaders.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

from tallybook.db.errors import STALE_STATES
from tallybook.kernel.frozen import frozen

SILENCE_SECONDS = 65
"""How long a server may say nothing, a little longer than one statement may take."""

EARLY_BYTES = 4096
"""How much is gathered before the server gets it though there is more to come."""

Rows = list[tuple[Any, ...]]


@frozen
class Statement:
    """One statement, with its parameters as PostgreSQL reads them in texts."""

    text: bytes
    """A constant, with $1 and so on: it is prepared when a connection first sees it."""
    parameters: tuple[bytes, ...] = ()


@frozen
class Sent:
    """A statement on its way, and under which name the server has it."""

    text: bytes
    name: bytes
    is_new: bool
    """Whether it is prepared on this way."""


class Pipeline:
    """Runs statements on one connection. Used by one thread at a time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Take a connection, which may be used by itself as well between two runs."""
        self._connection = connection
        self._libpq = connection.pgconn
        self._loading = Transformer(connection)
        self._prepared: dict[bytes, bytes] = {}
        """By text, under which name the server has a statement."""
        self._named = 0
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._libpq.socket, selectors.EVENT_READ)

    def close(self) -> None:
        """Let go of what waits for the connection, which stays open."""
        self._waiting.close()

    def run(
        self, statements: Iterable[Statement], meanwhile: Callable[[], None] | None = None
    ) -> list[Rows]:
        """Send statements and give the rows of each, in order.

        They may be made while they are sent: the server works on the first ones meanwhile. And it
        does while `meanwhile` is done, when all are sent.

        Raises: psycopg.Error: what the first of them to fail said, and none after it was run;
            OperationalError where the connection is gone, or the server has stopped answering.
            The connection is closed then, and where what was prepared on it fits no longer.
        """
        try:
            self._libpq.enter_pipeline_mode()
            sent: list[Sent] = []
            unflushed = 0
            for statement in statements:
                sent.append(self.send(statement))
                unflushed += sum(map(len, statement.parameters))
                if unflushed > EARLY_BYTES:
                    self.flush()
                    unflushed = 0
            self._libpq.pipeline_sync()
            self.flush()
            if meanwhile is not None:
                meanwhile()
            answers, failed = self.receive(sent)
            self._libpq.exit_pipeline_mode()
        except BaseException:
            # What is left of the answers would be taken for those of the next run.
            self._connection.close()
            raise
        if failed is not None:
            error = error_from_result(failed)
            if error.sqlstate in STALE_STATES:
                self._connection.close()
            raise error
        return answers

    def send(self, statement: Statement) -> Sent:
        """Put a statement on its way. Raises: psycopg.DataError where it has a NUL in it."""
        if any(0 in value for value in statement.parameters):
            # libpq would take it for the end of the parameter.
            raise psycopg.DataError("PostgreSQL keeps no text with a NUL in it")
        name = self._prepared.get(statement.text)
        is_new = name is None
        if name is None:
            self._named += 1
            name = b"tallybook_%d" % self._named
            self._libpq.send_prepare(name, statement.text)
        self._libpq.send_query_prepared(name, statement.parameters)
        return Sent(statement.text, name, is_new)

    def flush(self) -> None:
        """Hand everything over to the network.

        Where it takes no more, libpq reads what has come before it tries again, and so it is
        woken by either: else each side could wait for the other to read.
        """
        if not self._libpq.flush():
            return
        socket = self._libpq.socket
        self._waiting.modify(socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while self._libpq.flush():
            self._wait()
        self._waiting.modify(socket, selectors.EVENT_READ)

    def receive(self, sent: Sequence[Sent]) -> tuple[list[Rows], PGresult | None]:
        """Read the answers to what was sent, and what the first failure said.

        Raises: psycopg.OperationalError where the connection is gone.
        """
        answers: list[Rows] = []
        failed: PGresult | None = None
        for each in sent:
            if each.is_new:
                prepared = self._answer()
                if prepared.status == ExecStatus.COMMAND_OK:
                    self._prepared[each.text] = each.name
                elif failed is None:
                    failed = prepared
            result = self._answer()
            if result.status == ExecStatus.TUPLES_OK:
                self._loading.set_pgresult(result)
                answers.append(self._loading.load_rows(0, result.ntuples, tuple))
            elif result.status == ExecStatus.COMMAND_OK:
                answers.append([])
            elif failed is None:
                failed = result
        self._next()
        return answers, failed

    def _answer(self) -> PGresult:
        """Give the one result of a statement, which libpq follows with a sign of its end."""
        result = self._next()
        if result is None or self._libpq.status != ConnStatus.OK:
            raise psycopg.OperationalError(f"the connection is gone: {self._last_words()}")
        self._next()
        return result

    def _next(self) -> PGresult | None:
        while self._libpq.is_busy():
            self._wait()
            self._libpq.consume_input()
        return self._libpq.get_result()

    def _wait(self) -> None:
        """Wait for the network. Raises: OperationalError where nothing comes for too long."""
        if not self._waiting.select(SILENCE_SECONDS):
            raise psycopg.OperationalError("the server has stopped answering")

    def _last_words(self) -> str:
        return self._libpq.error_message.decode(errors="replace").strip()
