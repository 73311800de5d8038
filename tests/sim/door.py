"""A door without threads: commands are committed one group at a time, where they are asked.

The same lane, rules, stores and databases as in the program; only the hand-over to a writer thread
is left out, so that a seed decides everything. It can crash: before a group is committed, or after
the commit and before anybody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from tallybook.db.dialect import WriteConnection
from tallybook.kernel.ids import Ids
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.lane import Lane
from tallybook.writer.model import Command, Outcome
from tests.sim.clock import SimClock

Heard = Callable[[Command, Outcome], None]


class Crash(BaseException):
    """The process is gone: nothing of it runs on, and no `except Exception` sees it."""


@dataclass
class Fuse:
    """When this process dies: after so many more commits or calls; it never comes back."""

    commits_left: int | None = None
    after_commit: bool = False
    """Whether the last commit reaches the disk, though nobody hears of it."""
    calls_left: int | None = None
    after_call: bool = False
    """Whether the last call reaches the Processor, though nobody hears the answer."""
    is_dead: bool = False

    def die(self) -> None:
        """End the process here."""
        self.is_dead = True
        raise Crash

    def see_alive(self) -> None:
        """Let nothing run on after death: tasks that were under way end as well."""
        if self.is_dead:
            raise Crash

    def is_due(self, left: int | None) -> bool:
        """Tell whether the next step is the last."""
        return left is not None and left <= 0


@dataclass
class StraightDoor:
    """What the program calls a door, with one lane and no thread."""

    writer: WriteConnection
    clock: SimClock
    ids: Ids
    heard: Heard
    fuse: Fuse = field(default_factory=Fuse)
    is_open: bool = True
    bulk_width: int = 1
    commits: int = 0

    def __post_init__(self) -> None:
        self._lane = Lane(self.writer, LedgerJournal(), self.clock, self.ids)

    def group(self, commands: Sequence[Command]) -> list[Outcome]:
        """Commit commands together."""
        fuse = self.fuse
        fuse.see_alive()
        is_last = fuse.is_due(fuse.commits_left)
        if is_last and not fuse.after_commit:
            fuse.die()
        outcomes, _ = self._lane.run(commands)
        self.commits += 1
        for command, outcome in zip(commands, outcomes, strict=True):
            self.heard(command, outcome)
        if is_last:
            fuse.die()
        if fuse.commits_left is not None:
            fuse.commits_left -= 1
        return outcomes

    async def ask(self, command: Command) -> Outcome:
        """Commit one command."""
        return self.group([command])[0]

    def ask_now(self, command: Command) -> Outcome:
        """Commit one command."""
        return self.group([command])[0]

    async def ask_until_complete(self, command: Command) -> Outcome:
        """Look whether a begun request is complete; the clock stands in for waiting."""
        outcome = self.group([command])[0]
        if outcome.pending and outcome.replayed:
            self.clock.advance(seconds=20)
            raise TimeoutError
        return outcome

    async def ask_chunk(self, commands: Sequence[Command]) -> list[Outcome]:
        """Commit a chunk."""
        return self.group(commands) if commands else []

    def submit_chunk(self, commands: Sequence[Command]) -> Future[list[Outcome]]:
        """Commit a chunk at once."""
        future: Future[list[Outcome]] = Future()
        future.set_result(self.group(commands))
        return future

    def submit_many(self, commands: Iterable[Command], *, chunk: int = 500) -> Iterator[Outcome]:
        """Commit commands chunk by chunk."""
        waiting = list(commands)
        for start in range(0, len(waiting), chunk):
            yield from self.group(waiting[start : start + chunk])
