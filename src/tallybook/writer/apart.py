"""A lane apart: a process of its own commits, while this one reads requests and writes answers.

Python runs one thread of a process at a time, so that a second thread adds little: a request costs
its reading and its writing one after the other. With two processes a second core does the one
while the first does the other. Commands go over a socket as they come up, and the process at its
other end commits what has come by then as one batch, with a lane like any other. So it never waits
for this one while there is anything to do.
"""

from __future__ import annotations

import logging
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol

from tallybook.ambient.clock import Clock, SystemClock
from tallybook.ambient.garbage import keep_what_is_loaded
from tallybook.kernel.frozen import frozen
from tallybook.kernel.refusal import Refusal
from tallybook.writer.frames import Frames
from tallybook.writer.lane import BATCH_MAX, Health, Lane
from tallybook.writer.model import Command, Outcome
from tallybook.writer.transact import refused

_log = logging.getLogger("tallybook.writer")

OpenLane = Callable[[Clock], Lane]
"""Opens a lane on the book."""

Told = Callable[[Sequence[tuple[Any, list[Outcome]]], Sequence[str]], None]
"""Told what each of the pieces came to that were committed together, and whose replies were
completed."""


class Piece(Protocol):
    """Commands that are handed over to be committed together."""

    @property
    def commands(self) -> Sequence[Command]:
        """Give them."""
        ...

    @property
    def patience(self) -> float:
        """Tell for how long they are tried. Units: seconds."""
        ...


class Closes(Protocol):
    """What a process has open and another must not hold on to."""

    def close(self) -> None:
        """Let go of it."""
        ...


def can_fork() -> bool:
    """Tell whether a process can be split in two here, with all that it has loaded."""
    return sys.platform == "linux"


@frozen
class _Handed:
    """A piece that was handed over, and when."""

    piece: Piece
    at: float


class LaneApart:
    """A lane whose work another process does.

    If that process dies, what it had begun is `outcome_unknown`, and this one goes on by itself.
    """

    def __init__(self, open_lane: OpenLane, leaves: Iterable[Closes] = ()) -> None:
        """Split off the process. Before any thread is started and any database opened.

        `leaves` is what it does not hold on to, such as the port.
        """
        self._open_lane = open_lane
        self._clock: Clock = SystemClock()
        self._health = Health(self._clock)
        self._lock = threading.Lock()
        """Held to number a piece and to send it: they arrive in the order of their numbers."""
        self._number = 0
        self._under_way: dict[int, _Handed] = {}
        self._lane: Lane | None = None
        """The lane of this process, once the other one is gone."""
        self._here: SimpleQueue[int | None] = SimpleQueue()
        """The numbers of what that lane is to commit; None ends it."""
        self._listener: threading.Thread | None = None
        self._is_closing = False
        self._begun = _Begun()
        self._bell = os.eventfd(0)
        ours, theirs = socket.socketpair()
        self._process = os.fork()
        if not self._process:
            _be_the_writer(theirs, self._begun, open_lane, [ours, *leaves])
        theirs.close()
        self._wire = Frames(ours)

    def start(self, clock: Clock, told: Told) -> None:
        """Listen to it from now on, and tell what its pieces came to, from a thread of its own.

        Commands are dated by the clock: days may be played, and here is who knows.
        """
        self._clock = clock
        self._told = told
        self._listener = threading.Thread(
            target=self._listen, name="tallybook-writer-apart", daemon=True
        )
        self._listener.start()

    @property
    def is_alive(self) -> bool:
        """Tell whether somebody listens."""
        return self._listener is not None and self._listener.is_alive()

    @property
    def trouble(self) -> str | None:
        """Tell why the next batch may not be committed; None where nothing speaks for that."""
        if self._lane is not None:
            return self._lane.trouble
        with self._lock:
            oldest = next((handed.at for handed in self._under_way.values()), None)
            return self._health.trouble_since(oldest)

    @property
    def under_way(self) -> int:
        """Count the commands that were handed over and not told of yet."""
        with self._lock:
            return sum(len(handed.piece.commands) for handed in self._under_way.values())

    @property
    def waiting(self) -> int:
        """Count those of them that are in no batch yet."""
        with self._lock:
            begun = self._begun.number
            under_way = self._under_way.items()
            return sum(len(each.piece.commands) for number, each in under_way if number > begun)

    def submit(self, piece: Piece) -> bool:
        """Hand a piece over, to be committed with others of the same patience.

        Never waits, so that an event loop may call it.

        Returns: False, with nothing done, where it can't be sent to another process.
        """
        with self._lock:
            number, is_gone = self._number + 1, self._lane is not None
            message = b"" if is_gone else self._pack_piece(number, piece)
            if message is None:
                return False
            self._number = number
            self._under_way[number] = _Handed(piece, self._clock.monotonic())
            if is_gone:
                self._here.put(number)
                return True
            # Where it is gone, whoever listens hears that as well.
            with suppress(OSError):
                self._wire.offer(message)
            if self._wire.has_unsent:
                os.eventfd_write(self._bell, 1)
        return True

    def _pack_piece(self, number: int, piece: Piece) -> bytes | None:
        now, today = self._clock.now(), self._clock.today()
        try:
            return _pack((number, now, today, piece.commands, piece.patience))
        except Exception:  # noqa: BLE001 - whatever broke, who waits must hear of it
            _log.exception("commands can't be sent", extra={"commands": len(piece.commands)})
            return None

    def close(self) -> None:
        """End the other process, which is at nothing now, and let go of the database."""
        self._is_closing = True
        if self._listener is not None:
            self._here.put(None)
            os.eventfd_write(self._bell, 1)
            self._listener.join()
        if self._lane is not None:
            self._lane.close()
        else:
            self._end()
        os.close(self._bell)

    def _end(self, number: signal.Signals | None = None) -> None:
        self._wire.close()
        if number is not None:
            os.kill(self._process, number)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)

    # -- the thread that listens

    def _listen(self) -> None:
        try:
            self._hear_answers()
        except Exception:  # noqa: BLE001 - whatever broke, who waits must hear of it
            _log.exception("the writer's process is gone; this one writes from now on")
            self._go_on_here()

    def _hear_answers(self) -> None:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.register(self._wire, select.POLLIN)
        while not self._is_closing:
            if self._bell in (each for each, _ in poll.poll()):
                os.eventfd_read(self._bell)
            with self._lock:
                with suppress(OSError):  # what it still said is heard before its end
                    self._wire.flush()
                also = select.POLLOUT if self._wire.has_unsent else 0
            poll.modify(self._wire, select.POLLIN | also)
            for answer in self._wire.receive(wait=False):
                numbers, outcomes, completed, self._health.given_up = _unpack(answer)
                self._tell(numbers, outcomes, completed)

    def _tell(
        self, numbers: Sequence[int], outcomes: list[Outcome], completed: Sequence[str]
    ) -> None:
        told: list[tuple[Any, list[Outcome]]] = []
        place = 0
        with self._lock:
            for number in numbers:
                piece = self._under_way.pop(number).piece
                end = place + len(piece.commands)
                told.append((piece, outcomes[place:end]))
                place = end
        self._told(told, completed)

    def _go_on_here(self) -> None:
        self._end(signal.SIGKILL)
        with self._lock:
            lane = self._lane = self._open_lane(self._clock)
            begun = [number for number in self._under_way if number <= self._begun.number]
            for number in list(self._under_way)[len(begun) :]:
                self._here.put(number)
            unknown = sum(len(self._under_way[number].piece.commands) for number in begun)
        if begun:
            self._tell(begun, [refused(Refusal("outcome_unknown"))] * unknown, [])
        while (number := self._here.get()) is not None:
            piece = self._under_way[number].piece
            self._tell([number], *lane.run(piece.commands, piece.patience))


class _Begun:
    """The number of the last piece that is in a batch, where both processes see it."""

    _CELL = struct.Struct("Q")

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, self._CELL.size)

    @property
    def number(self) -> int:
        """Read it."""
        (number,) = self._CELL.unpack_from(self._shared)
        return number

    @number.setter
    def number(self, number: int) -> None:
        self._CELL.pack_into(self._shared, 0, number)


# -- the other process


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


@frozen
class _Sent:
    """A piece as it arrives, with the time at which it was sent."""

    number: int
    now: datetime
    today: date
    commands: Sequence[Command]
    patience: float


def _be_the_writer(
    end: socket.socket, begun: _Begun, open_lane: OpenLane, leaves: Iterable[Closes]
) -> NoReturn:
    """Commit what comes, until whoever sends it is gone."""
    try:
        # They go to the whole group: what was sent is committed first, and then the socket closes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for each in leaves:
            each.close()
        keep_what_is_loaded()
        _commit_what_comes(Frames(end), begun, open_lane)
    except BaseException:  # noqa: BLE001 - a forked process must not go on as the one it was
        _log.exception("the writer's process ends")
        os._exit(1)
    os._exit(0)


def _commit_what_comes(wire: Frames, begun: _Begun, open_lane: OpenLane) -> None:
    clock = _ToldClock()
    lane: Lane | None = None
    waiting: deque[_Sent] = deque()
    # The other side is gone: nobody asks for anything any more, or hears of it.
    with suppress(EOFError, OSError):
        while True:
            waiting.extend(_Sent(*_unpack(sent)) for sent in wire.receive(wait=not waiting))
            batch = _next_batch(waiting)
            clock.tell(batch[-1].now, batch[-1].today)
            lane = lane or open_lane(clock)
            begun.number = batch[-1].number
            commands = [command for sent in batch for command in sent.commands]
            outcomes, completed = lane.run(commands, batch[0].patience)
            numbers = [sent.number for sent in batch]
            wire.send(_pack((numbers, outcomes, completed, lane.health.given_up)))
    if lane is not None:
        lane.close()


def _next_batch(waiting: deque[_Sent]) -> list[_Sent]:
    """Take the pieces that are committed together. A chunk of bulk work stands alone."""
    batch = [waiting.popleft()]
    size = len(batch[0].commands)
    while waiting and waiting[0].patience == batch[0].patience:
        size += len(waiting[0].commands)
        if size > BATCH_MAX:
            break
        batch.append(waiting.popleft())
    return batch


def _pack(content: tuple[object, ...]) -> bytes:
    return pickle.dumps(content, pickle.HIGHEST_PROTOCOL)


def _unpack(content: bytes) -> Any:
    return pickle.loads(content)  # noqa: S301 - from a socket that only these two processes have
