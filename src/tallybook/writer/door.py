"""The door: waiting commands are taken in groups by threads that commit each group together."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice

from tallybook.ambient.clock import Clock
from tallybook.db.dialect import WriteConnection
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.writer.apart import LaneApart
from tallybook.writer.lane import BATCH_MAX, BULK_PATIENCE_SECONDS, PATIENCE_SECONDS, Lane
from tallybook.writer.model import Command, Journal, Outcome
from tallybook.writer.transact import refused

_log = logging.getLogger("tallybook.writer")

TURNS_MAX = 64
"""How many turns of an event loop commands are gathered at most while each turn brings more."""
CHUNK = 1000
"""Bulk commands committed together. Between two chunks the interactive ones have their turn."""
QUEUE_MAX = 20_000
APART_MAX = 2 * BATCH_MAX
"""How many commands another process has at most: those of one batch, and those of the next."""
PENDING_POLL_SECONDS = 0.05

_Waiter = tuple[asyncio.AbstractEventLoop, asyncio.Event]


@frozen
class _Asked:
    """One interactive command, and how its asker hears of the outcome."""

    command: Command
    future: asyncio.Future[Outcome] | Future[Outcome]
    loop: asyncio.AbstractEventLoop | None
    """The asker's event loop; None where a thread waits."""


@frozen
class _Piece:
    """Commands that are handed over to be committed together: interactive ones, or a chunk."""

    commands: Sequence[Command]
    patience: float
    asked: Sequence[_Asked] = ()
    chunk: Future[list[Outcome]] | None = None


class Door:
    """All writes go through here: HTTP, CLI, library and runs alike.

    Nothing is answered before its COMMIT is known. A caller that goes away cancels nothing.

    One thread commits the interactive commands, or `apart` does, whose work another process does:
    it gets them as they come up. Bulk chunks go the same way, or through `bulk_lanes` threads of
    their own, each with its connection: then rules run for one chunk while the database records
    another. Only PostgreSQL has use for them: SQLite has one write lock.
    """

    def __init__(
        self,
        connect: Callable[[], WriteConnection],
        journal: Journal,
        clock: Clock,
        ids: Ids,
        *,
        bulk_lanes: int = 0,
        apart: LaneApart | None = None,
    ) -> None:
        self._waiting: deque[_Asked] = deque()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Asked]] = {}
        """What came up in an event loop while it had more to read, to be handed over together."""
        self._bulk: deque[tuple[Sequence[Command], Future[list[Outcome]]]] = deque()
        lock = threading.Lock()
        self._wake = threading.Condition(lock)
        """Told of interactive commands; and of bulk work, where no other thread takes that."""
        self._wake_bulk = threading.Condition(lock) if bulk_lanes else self._wake
        self._closing = False
        self._completions: dict[str, list[_Waiter]] = {}
        self.on_batch: Callable[[int], None] = _tell_nobody
        """Told the size of each batch and chunk once it is done; must not raise."""
        self._apart = apart
        self._bulk_lanes = bulk_lanes
        self._chunks_apart = 0
        """How many chunks another process has: one at most, so that others have their turn."""
        self._takes_bulk_apart = apart is not None and not bulk_lanes
        if apart is not None:
            apart.start(clock, self._tell_and_go_on)
        # Whether each lane takes interactive commands, and bulk chunks.
        takes = [(True, not bulk_lanes)] if apart is None else []
        takes += [(False, True)] * bulk_lanes
        self._lanes = [Lane(connect(), journal, clock, ids) for _ in takes]
        self._threads = [
            threading.Thread(
                target=self._serve,
                args=(lane, *what),
                name=f"tallybook-writer-{place}",
                daemon=True,
            )
            for place, (lane, what) in enumerate(zip(self._lanes, takes, strict=True))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Tell how many commands wait to be written."""
        with self._wake:
            there = self._apart.waiting if self._apart is not None else 0
            return there + self._count_asked() + sum(len(commands) for commands, _ in self._bulk)

    @property
    def is_open(self) -> bool:
        """Tell whether commands are taken and the threads that write them live."""
        is_heard = self._apart is None or self._apart.is_alive
        return not self._closing and is_heard and all(each.is_alive() for each in self._threads)

    @property
    def trouble(self) -> str | None:
        """Tell why a command may not be written now; None where nothing speaks for that."""
        lanes = [*([self._apart] if self._apart is not None else []), *self._lanes]
        return next((why for lane in lanes if (why := lane.trouble) is not None), None)

    @property
    def bulk_width(self) -> int:
        """Tell how many chunks are worth having under way at once."""
        return max(1, self._bulk_lanes)

    # -- the callers' side

    async def ask(self, command: Command) -> Outcome:
        """Submit one command from async code and wait for its outcome.

        Raises: Refused `busy` or `shutting_down` before anything was begun.
        """
        loop = asyncio.get_running_loop()
        if self._apart is not None:
            # The other process has more to do than this one.
            command = command.hashed()
        # Nobody else waits for it: an asker who goes away gives up the answer, not the command.
        future: asyncio.Future[Outcome] = loop.create_future()
        with self._wake:
            self._refuse_if_not_taken()
            if loop not in self._gathered:
                self._gathered[loop] = []
                loop.call_soon(self._hand_over, loop)
            self._gathered[loop].append(_Asked(command, future, loop))
        return await future

    async def ask_until_complete(self, command: Command) -> Outcome:
        """Ask again under the same key until whoever began it has completed it. Source: T5."""
        while True:
            outcome = await self.ask(command)
            if not (outcome.pending and outcome.replayed):
                return outcome
            assert command.key is not None
            done = asyncio.Event()
            waiter = asyncio.get_running_loop(), done
            self._completions.setdefault(command.key, []).append(waiter)
            try:
                # Another process may complete it, so it is looked up again now and then.
                async with asyncio.timeout(PENDING_POLL_SECONDS):
                    await done.wait()
            except TimeoutError:
                pass
            finally:
                waiting = self._completions.get(command.key, [])
                if waiter in waiting:
                    waiting.remove(waiter)
                if not waiting:
                    self._completions.pop(command.key, None)

    def ask_now(self, command: Command) -> Outcome:
        """Submit one command from synchronous code and wait for its outcome."""
        future: Future[Outcome] = Future()
        self._submit(_Asked(command, future, None))
        return future.result()

    def submit_many(self, commands: Iterable[Command], *, chunk: int = CHUNK) -> Iterator[Outcome]:
        """Run bulk work in chunks, each one transaction; outcomes come in the same order.

        Chunks may commit in another order than they came in; who needs an order waits for one
        before submitting the next.
        """
        source = iter(commands)
        running: deque[Future[list[Outcome]]] = deque()
        while True:
            part = list(islice(source, chunk))
            if part:
                running.append(self.submit_chunk(part))
            if not running:
                return
            if not part or len(running) > self._bulk_lanes + 1:
                yield from running.popleft().result()

    def submit_chunk(self, commands: Sequence[Command]) -> Future[list[Outcome]]:
        """Queue one chunk of bulk work."""
        future: Future[list[Outcome]] = Future()
        # Whoever gives up waiting cancels nothing, and least of all the thread that writes.
        future.set_running_or_notify_cancel()
        with self._wake:
            self._refuse_if_closing()
            self._bulk.append((commands, future))
            self._wake_bulk.notify()
            self._pass_on()
        return future

    async def ask_chunk(self, commands: Sequence[Command]) -> list[Outcome]:
        """Run one chunk of bulk work from async code."""
        if not commands:
            return []
        return await asyncio.shield(asyncio.wrap_future(self.submit_chunk(commands)))

    def close(self) -> None:
        """Finish everything that waits, then stop. New commands are refused from now on."""
        with self._wake:
            self._closing = True
            for gathered in self._gathered.values():
                self._waiting.extend(gathered)
            self._gathered.clear()
            self._wake.notify_all()
            self._wake_bulk.notify_all()
            self._pass_on()
            if self._apart is not None:
                self._wake.wait_for(lambda: not self._is_apart_busy)
        for thread in self._threads:
            thread.join()
        for lane in self._lanes:
            lane.close()
        if self._apart is not None:
            self._apart.close()

    def _submit(self, asked: _Asked) -> None:
        with self._wake:
            self._refuse_if_not_taken()
            self._waiting.append(asked)
            self._wake.notify()
            self._pass_on()

    def _hand_over(self, loop: asyncio.AbstractEventLoop, known: int = 0, turn: int = 1) -> None:
        """Hand over what was gathered, once a turn of the loop has brought nothing more.

        To wake the writer for the first of many would leave it a batch of one, and both threads
        would fight for the interpreter. One caller alone waits for one idle turn, and no clock.
        Another process gets them after each turn: it has its own interpreter, and nothing to do
        where all who ask wait for the same batch.
        """
        with self._wake:
            gathered = self._gathered.get(loop, ())
            may_wait = self._apart is None and turn < TURNS_MAX
            if may_wait and known < len(gathered) < BATCH_MAX:
                loop.call_soon(self._hand_over, loop, len(gathered), turn + 1)
                return
            self._waiting.extend(gathered)
            self._gathered.pop(loop, None)
            self._wake.notify()
            self._pass_on()

    def _refuse_if_not_taken(self) -> None:
        self._refuse_if_closing()
        if self._count_asked() >= QUEUE_MAX:
            raise Refused(Refusal("busy"))

    def _count_asked(self) -> int:
        return len(self._waiting) + sum(map(len, self._gathered.values()))

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise Refused(Refusal("shutting_down"))

    # -- the writers' side

    def _serve(self, lane: Lane, takes_asked: bool, takes_bulk: bool) -> None:  # noqa: FBT001 - a thread's arguments
        wake = self._wake if takes_asked else self._wake_bulk
        while True:
            pieces: list[_Piece] = []
            with self._wake:
                while True:
                    if takes_asked and self._waiting:
                        pieces.append(self._take_asked())
                    if takes_bulk and self._bulk:
                        pieces.append(self._take_chunk())
                    if pieces:
                        break
                    if self._closing:
                        return
                    wake.wait()
            for piece in pieces:
                outcomes, completed = lane.run(piece.commands, piece.patience)
                self._tell([(piece, outcomes)], completed)

    def _take_asked(self) -> _Piece:
        size = min(len(self._waiting), BATCH_MAX)
        asked = [self._waiting.popleft() for _ in range(size)]
        return _Piece([each.command for each in asked], PATIENCE_SECONDS, asked)

    def _take_chunk(self) -> _Piece:
        commands, future = self._bulk.popleft()
        return _Piece(commands, BULK_PATIENCE_SECONDS, chunk=future)

    def _pass_on(self) -> None:
        """Hand what waits to the other process, as far as it may have more. Under the lock."""
        apart = self._apart
        if apart is None:
            return
        while self._waiting and apart.under_way < APART_MAX:
            self._hand_on(apart, self._take_asked())
        while self._takes_bulk_apart and self._bulk and not self._chunks_apart:
            self._hand_on(apart, self._take_chunk())

    def _hand_on(self, apart: LaneApart, piece: _Piece) -> None:
        if apart.submit(piece):
            self._chunks_apart += piece.chunk is not None
        elif len(piece.asked) > 1:
            # One of them is to blame, and its neighbours are not.
            for each in piece.asked:
                self._hand_on(apart, _Piece([each.command], piece.patience, [each]))
        else:
            _answer([(piece, [refused(Refusal("internal_error")) for _ in piece.commands])])

    @property
    def _is_apart_busy(self) -> bool:
        is_due = bool(self._waiting or (self._takes_bulk_apart and self._bulk))
        return is_due or (self._apart is not None and self._apart.under_way > 0)

    def _tell(
        self, ended: Sequence[tuple[_Piece, list[Outcome]]], completed: Sequence[str]
    ) -> None:
        """Tell everyone of what was committed together."""
        for key in completed:
            for loop, done in list(self._completions.get(key, [])):
                _call(loop, done.set)
        self.on_batch(sum(len(outcomes) for _, outcomes in ended))
        _answer(ended)

    def _tell_and_go_on(
        self, ended: Sequence[tuple[_Piece, list[Outcome]]], completed: Sequence[str]
    ) -> None:
        """Tell of what the other process has committed, and give it more."""
        self._tell(ended, completed)
        with self._wake:
            self._chunks_apart -= sum(piece.chunk is not None for piece, _ in ended)
            self._pass_on()
            if self._closing:
                self._wake.notify_all()


def _answer(ended: Sequence[tuple[_Piece, list[Outcome]]]) -> None:
    """Tell everyone who asked, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome]]] = {}
    for piece, outcomes in ended:
        if piece.chunk is not None:
            piece.chunk.set_result(outcomes)
        for each, outcome in zip(piece.asked, outcomes, strict=bool(piece.asked)):
            if each.loop is None or isinstance(each.future, Future):
                each.future.set_result(outcome)
            else:
                by_loop.setdefault(each.loop, []).append((each.future, outcome))
    for loop, answers in by_loop.items():
        _call(loop, partial(_settle, answers))


def _settle(answers: Sequence[tuple[asyncio.Future[Outcome], Outcome]]) -> None:
    for future, outcome in answers:
        if not future.done():
            future.set_result(outcome)


def _tell_nobody(_size: int) -> None:
    pass


def _call(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(action)
    except RuntimeError:
        # The caller's event loop is gone; what it asked for is on disk all the same.
        _log.warning("nobody is left to hear an outcome")
