"""One simulated installation: a book, a process that dies and comes back, a Processor, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

from tallybook.advances.model import AdvanceTerms
from tallybook.advances.operations import ADVANCE_BUSINESS
from tallybook.ambient import liveness
from tallybook.ambient.fresh import CountedIds
from tallybook.ambient.secrets import KEY_BYTES, Secrets
from tallybook.collection.operations.sending import LEASE
from tallybook.collection.rules import Caps
from tallybook.collection.tasks.switch import SendingGuard
from tallybook.processor.faults import Faults, Odds
from tallybook.processor.port import TransferOrder
from tallybook.processor.sender import Sender
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.retail.model import CounterTerms
from tests.sim.book import Book
from tests.sim.clock import SimClock
from tests.sim.door import Fuse, Heard, StraightDoor
from tests.sim.rail import HeardRail, Proxy, draw_faults

T = TypeVar("T")

SECRETS = Secrets(b"k" * KEY_BYTES)
assert ADVANCE_BUSINESS, "businesses register when they are loaded"


class World:
    """What tasks know as the engine, and what the seed does to it."""

    def __init__(self, seed: int, book: Book, heard: Heard) -> None:
        self.chance = Random(seed)
        self.book = book
        self.database = book.fresh()
        self.clock = SimClock()
        self.ids = CountedIds()
        self.secrets = SECRETS
        self.currency = "USD"
        self.is_live = False
        self.is_stopping = False
        chance = self.chance
        self.advance_terms = AdvanceTerms(
            currency="USD",
            min_minor=1,
            max_minor=10**9,
            on_failed_debit=chance.choice(["end_of_plan", "end_of_plan", "next_due_date"]),
            max_attempts=chance.choice([0, 0, 3]),
            hold_days=chance.choice([1, 2, 5]),
        )
        self.counter_terms = CounterTerms(
            "USD", chance.choice(["none", "floor_to_unit", "nearest_5"])
        )
        self.is_rich = chance.random() < 0.4
        log = book.home / "processor.db"
        for ending in ("", "-wal", "-shm"):
            log.with_name(f"{log.name}{ending}").unlink(missing_ok=True)
        self.simulator = SimulatedProcessor(
            log,
            seed=seed,
            clock=self.clock,
            faults=draw_faults(chance),
            report_columns="rich" if self.is_rich else "plain",
        )
        self.raw_reports: list[bytes] = []
        # A chance of its own: what else a seed plays stays as it was.
        self.proxy = Proxy(Random(f"proxy {seed}"), is_on=seed % 5 == 0)
        self.early_calls: list[str] = []
        """Calls whose intent was not on record when they arrived. Source: I6."""
        self.is_stopped = False
        """Whether a person has stopped all sending, and was answered. Source: I29."""
        self.nap: Callable[[], Awaitable[None]] = _no_nap
        self._heard = heard
        self.incarnation = 0
        self.writer = book.writer()
        self._begin()

    @property
    def hold_days(self) -> int:
        """Tell after how many covered days a held amount is released."""
        return self.advance_terms.hold_days

    def go_on_from(self, day: Any) -> None:
        """Days are played by the seed alone."""

    # -- the process

    def _begin(self) -> None:
        self.incarnation += 1
        self.fuse = Fuse()
        self.door: Any = StraightDoor(self.writer, self.clock, self.ids, self._heard, self.fuse)
        self.rail = HeardRail(
            self.simulator,
            self.fuse,
            self._see_order,
            self.raw_reports.append,
            self.proxy,
            self._nap,
        )
        self.processor: Any = self.rail
        self.sending = SendingGuard(self.database, self.clock, caps=Caps())
        self.sender = Sender(
            self.rail,
            self.clock,
            house_account="HOUSE",
            currency=self.currency,
            lease=LEASE,
            is_open=self.sending.is_open,
        )
        liveness.this_process.cache_clear()
        self._runner = asyncio.Runner(loop_factory=_AtOnceLoop)

    def _see_order(self, order: TransferOrder) -> None:
        """Look, from outside, whether a call was on record before it came in. Source: I6."""
        if self.is_stopped:
            self.early_calls.append(f"{order.reference} was sent while sending was stopped")
        found = self.book.query(f"SELECT state FROM transfers WHERE id = '{order.reference}'")
        if found != [("intent",)]:
            self.early_calls.append(f"{order.reference} was sent while on record as {found}")

    async def _nap(self) -> None:
        await self.nap()

    def restart(self) -> None:
        """Start a new process on the same book; the old one's tasks are gone with it."""
        self._runner.close()
        self._begin()

    def stop_faults(self) -> None:
        """Let the Processor work without fault from now on."""
        self.proxy.is_on = False
        quiet = Faults(lag=1)
        self.simulator.faults = quiet
        self.simulator._odds = Odds(quiet, 0)

    def close(self) -> None:
        """Let go of everything but the book."""
        self._runner.close()
        self.writer.close()
        self.simulator.log.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a task to its end, or to the process's."""
        return self._runner.run(work)


async def _no_nap() -> None:
    """Sleep not at all."""


class _AtOnceLoop(asyncio.SelectorEventLoop):
    """Does at once what others would do in a thread: the order is the seed's alone."""

    def run_in_executor(
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        return future


@contextmanager
def one_machine() -> Generator[Callable[[World | None, bool], None]]:
    """Let process identities be the simulation's: a new one each start, on a machine or another.

    Gives a function that says which world's process this is, and whether a former process can be
    told dead (same machine) or only its lease tells (another machine).
    """
    state: dict[str, Any] = {"world": None, "host": "sim"}

    def started(pid: int) -> str:
        del pid
        world = state["world"]
        return str(world.incarnation if world is not None else 0)

    def now_is(world: World | None, moved: bool) -> None:
        state["world"] = world
        if moved:
            state["host"] = f"sim{world.incarnation if world else 0}"
        liveness.this_process.cache_clear()

    with (
        patch.object(liveness, "_started", started),
        patch.object(liveness, "_host", lambda: state["host"]),
        patch.object(liveness.os, "getpid", lambda: 1),
    ):
        liveness.this_process.cache_clear()
        yield now_is
    liveness.this_process.cache_clear()
