"""A lane apart: a process of its own commits, while this one reads requests and writes answers.

Python runs one thread of a process at a time, so that a second thread adds little: a request costs
its reading and its writing one after the other. With two processes a second core does the one
while the first does the other. Nothing else changes: batches go over a socket to a lane like any
other, one after another, and their outcomes come back.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn, Protocol, cast

from tallybook.ambient.clock import Clock, SystemClock
from tallybook.ambient.garbage import keep_what_is_loaded
from tallybook.kernel.refusal import Refusal
from tallybook.writer.lane import Health, Lane
from tallybook.writer.model import Command, Outcome
from tallybook.writer.transact import refused

_log = logging.getLogger("tallybook.writer")

OpenLane = Callable[[Clock], Lane]
"""Opens a lane on the book."""


class Closes(Protocol):
    """What a process has open and another must not hold on to."""

    def close(self) -> None:
        """Let go of it."""
        ...


def can_fork() -> bool:
    """Tell whether a process can be split in two here, with all that it has loaded."""
    return sys.platform == "linux"


class LaneApart:
    """A lane whose work another process does.

    If that process dies, what it was at is `outcome_unknown`, and this one goes on by itself.
    """

    def __init__(self, open_lane: OpenLane, leaves: Iterable[Closes] = ()) -> None:
        """Split off the process. Before any thread is started and any database opened.

        `leaves` is what it does not hold on to, such as the port.
        """
        self._open_lane = open_lane
        self._clock: Clock = SystemClock()
        self._health = Health(self._clock)
        self._lane: Lane | None = None
        """The lane of this process, once the other one is gone."""
        ends = cast("tuple[Connection, Connection]", Pipe())  # on Windows it is of another class
        self._connection, theirs = ends
        self._process = os.fork()
        if not self._process:
            _be_the_writer(theirs, open_lane, [self._connection, *leaves])
        theirs.close()

    def tell_time(self, clock: Clock) -> None:
        """Name the clock that batches are dated by: days may be played, and here is who knows."""
        self._clock = clock

    @property
    def trouble(self) -> str | None:
        """Tell why the next batch may not be committed; None where nothing speaks for that."""
        return (self._lane or self._health).trouble

    def run(self, commands: Sequence[Command], patience: float) -> tuple[list[Outcome], list[str]]:
        """Have a batch committed. See `Lane.run`."""
        if self._lane is not None:
            return self._lane.run(commands, patience)
        with self._health.under_way():
            try:
                batch = _pack((self._clock.now(), self._clock.today(), commands, patience))
            except Exception:  # noqa: BLE001 - whatever broke, who waits must hear of it
                _log.exception("a batch can't be sent", extra={"commands": len(commands)})
                return [refused(Refusal("internal_error")) for _ in commands], []
            try:
                self._connection.send_bytes(batch)
            except OSError:
                # It can't have had all of it.
                return self._go_on_here().run(commands, patience)
            try:
                outcomes, completed, self._health.given_up = _unpack(self._connection.recv_bytes())
            except Exception:  # noqa: BLE001 - as above; it may have been committed
                self._go_on_here()
                return [refused(Refusal("outcome_unknown")) for _ in commands], []
            return outcomes, completed

    def _go_on_here(self) -> Lane:
        _log.exception("the writer's process is gone; this one writes from now on")
        self._end(signal.SIGKILL)
        self._lane = self._open_lane(self._clock)
        return self._lane

    def close(self) -> None:
        """End the other process, which is at nothing now, and let go of the database."""
        if self._lane is not None:
            self._lane.close()
        else:
            self._end()

    def _end(self, number: signal.Signals | None = None) -> None:
        self._connection.close()
        if number is not None:
            os.kill(self._process, number)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)


class _ToldClock(SystemClock):
    """The clock of who asks, as it stood when the batch was sent."""

    _now: datetime
    _today: date

    def tell(self, now: datetime, today: date) -> None:
        self._now, self._today = now, today

    def now(self) -> datetime:
        return self._now

    def today(self) -> date:
        return self._today


def _be_the_writer(
    connection: Connection, open_lane: OpenLane, leaves: Iterable[Closes]
) -> NoReturn:
    """Commit what comes, until whoever sends it is gone."""
    try:
        # They go to the whole group: what was sent is committed first, and then the socket closes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for each in leaves:
            each.close()
        keep_what_is_loaded()
        _commit_what_comes(connection, open_lane)
    except BaseException:  # noqa: BLE001 - a forked process must not go on as the one it was
        _log.exception("the writer's process ends")
        os._exit(1)
    os._exit(0)


def _commit_what_comes(connection: Connection, open_lane: OpenLane) -> None:
    clock = _ToldClock()
    lane: Lane | None = None
    while True:
        try:
            batch = connection.recv_bytes()
        except (EOFError, OSError):
            break
        now, today, commands, patience = _unpack(batch)
        clock.tell(now, today)
        lane = lane or open_lane(clock)
        outcomes, completed = lane.run(commands, patience)
        answer = _pack((outcomes, completed, lane.health.given_up))
        try:
            connection.send_bytes(answer)
        except OSError:
            break
    if lane is not None:
        lane.close()


def _pack(content: tuple[object, ...]) -> bytes:
    return pickle.dumps(content, pickle.HIGHEST_PROTOCOL)


def _unpack(content: bytes) -> Any:
    return pickle.loads(content)  # noqa: S301 - from a socket that only these two processes have
