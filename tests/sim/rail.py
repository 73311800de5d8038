"""The rail of a simulation: the simulated Processor, with an ear on it and a fuse in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from tallybook.processor.faults import Faults
from tallybook.processor.port import (
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
    TransferOrder,
)
from tallybook.processor.simulator import SimulatedProcessor
from tests.sim.door import Fuse


@dataclass
class Answered:
    """What one process was told about one transfer: `accepted`, `rejected` or `unknown`."""

    what: str
    transaction_id: str | None = None
    was_sent: bool = True


@dataclass
class Proxy:
    """Stands between us and the reports, and in some seeds gives for days what it has kept."""

    chance: Random
    is_on: bool = True
    kept: bytes = b""
    until: int = 0

    def give(self, raw: bytes, day: int) -> bytes:
        """Give a day's report, or the one that was kept. Days are ordinals."""
        if self.is_on and day < self.until:
            return self.kept
        if self.chance.random() < 0.15:
            self.kept, self.until = raw, day + self.chance.randint(2, 12)
        return raw


@dataclass
class HeardRail:
    """Implements the Processor's port for one process, until that process dies."""

    simulator: SimulatedProcessor
    fuse: Fuse
    see_order: Callable[[TransferOrder], None]
    """Looks at each call as it comes in: is it on record?"""
    see_report: Callable[[bytes], None]
    proxy: Proxy
    sleep: Callable[[], Awaitable[None]]
    nap: str | None = None
    """Whether the process sleeps past its lease at its next call: before it, or after it."""
    answers: dict[str, Answered] = field(default_factory=dict[str, Answered])
    """By our reference: what the process heard, whether or not it lived to record it."""

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        """Pass a call on, and hear how it ended."""
        fuse = self.fuse
        fuse.see_alive()
        is_last = fuse.is_due(fuse.calls_left)
        if is_last and not fuse.after_call:
            fuse.die()
        nap, self.nap = self.nap, None
        if nap == "before":
            await self.sleep()
        if may_send():
            self.see_order(order)
        try:
            ident = await self.simulator.perform_transaction(order, may_send=may_send)
        except ProcessorRejected as rejected:
            self.answers[order.reference] = Answered(
                "rejected", was_sent=not rejected.refused_before_sending
            )
            if is_last:
                fuse.die()
            raise
        except ProcessorUnknown:
            self.answers[order.reference] = Answered("unknown")
            if is_last:
                fuse.die()
            raise
        if is_last:
            fuse.die()
        if fuse.calls_left is not None:
            fuse.calls_left -= 1
        if nap == "after":
            await self.sleep()
        self.answers[order.reference] = Answered("accepted", ident)
        return ident

    async def download_report(self) -> bytes:
        """Fetch the day's report."""
        self.fuse.see_alive()
        fault, chunks = self.simulator.open_report()
        if fault in ("missing_report", "cut_report"):
            raise ReportUnavailable("status_503")
        raw = self.proxy.give(b"".join(chunks), self.simulator.today().toordinal())
        self.see_report(raw)
        return raw

    async def available_balance(self, bank_account: str) -> str | None:
        """Tell what the simulated Processor tells."""
        self.fuse.see_alive()
        return self.simulator.tell_balance(bank_account)

    async def aclose(self) -> None:
        """Keep the simulator: it outlives the process."""


def draw_faults(chance: Random) -> Faults:
    """Draw what a seed's Processor does wrong: some seeds nothing, some one thing often."""
    kind = chance.randrange(6)
    if kind == 0:
        return Faults(lag=chance.randrange(3))
    if kind == 4:  # news that comes when nobody waits for it any more
        return Faults(very_late=0.35, late=0.2, lost_after=0.1, missing_report=0.02, returned=0.1)
    if kind == 5:  # news that takes back what was said before
        return Faults(fail=0.25, contradicted=0.4, returned=0.35, missing_report=0.1, lag=1)
    names = [
        "refused", "lost_before", "lost_after", "error_after", "busy_before", "rejected",
        "broken_reply", "crossed", "same_id", "doubled",
    ]  # fmt: skip
    alone = [
        "fail", "fail", "fail_credit", "returned", "returned", "contradicted", "next_day",
        "no_funds", "duplicate_rows", "shuffled_rows", "unknown_rows",
    ]  # fmt: skip
    reports = [
        "missing_report", "cut_report", "truncated_report", "empty_report", "html_report",
        "duplicate_report",
    ]  # fmt: skip
    timing = ["late", "very_late", "never_reported"]
    much = 3 if kind == 3 else 1
    knobs: dict[str, float] = {}
    for name in chance.sample(names, chance.randint(0, 4)):
        knobs[name] = chance.choice([0.02, 0.05, 0.1]) * min(much, 2)
    for name in chance.sample(alone, chance.randint(1, 5)):
        knobs[name] = chance.choice([0.05, 0.1, 0.2]) * much
    for name in chance.sample(reports, chance.randint(0, 2)):
        knobs[name] = chance.choice([0.02, 0.05]) * much
    for name in chance.sample(timing, chance.randint(0, 2)):
        knobs[name] = chance.choice([0.05, 0.15])
    return Faults(**knobs, lag=chance.randrange(3))
