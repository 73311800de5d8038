"""One seed, from an empty book to rest: what happened, in an order that only the seed decides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tallybook.collection.tasks.sending import expire_intents
from tallybook.reports.verify import verify
from tallybook.writer.model import Command, Outcome
from tests.sim.actors_collection import NAP_SECONDS, CollectionActors
from tests.sim.actors_counter import CounterActors, CounterEar
from tests.sim.actors_household import Inbox, hear_messages
from tests.sim.actors_loans import LoanActors, LoanEar, compare_loans
from tests.sim.book import Book
from tests.sim.door import Crash
from tests.sim.invariants import broken_invariants, head_of, row_counts
from tests.sim.witness import Witness
from tests.sim.world import World

DAYS_TO_REST = 90
"""So many days without faults must be enough for everything to be settled."""
DAYS_OF_PATIENCE = 12
"""So many of them people leave what timed out to late news, or let go of its hold."""

VERIFIED_EVERY = 4
"""`verify` reads the whole book once more at the end of every so many seeds."""


@dataclass
class Told:
    """How a seed ended."""

    seed: int
    again: str
    """The command that plays it again."""
    log_hash: str
    """Over every step and the hash chains' heads after it: the same for the same seed."""
    wrong: list[str] = field(default_factory=list[str])
    reached: Counter[str] = field(default_factory=Counter[str])


class Story:
    """Plays one seed."""

    def __init__(self, seed: int, book: Book, now_is: Callable[[World | None, bool], None]) -> None:
        self.seed = seed
        self._kind = book.kind
        self.witness = Witness()
        now_is(None, False)
        self.now_is = now_is
        self.world = World(seed, book, self._hear)
        now_is(self.world, False)
        self.world.nap = self._nap
        self.witness.world = self.world
        self.witness.counter.rounding = self.world.counter_terms.cash_rounding
        self.counter_ear = CounterEar(self.witness)
        self.collection = CollectionActors(self)
        self.counter = CounterActors(self)
        self.loan_ear = LoanEar(self.witness)
        self.loans = LoanActors(self)
        self.inboxes: list[Inbox] = []
        self.replies: list[tuple[Command, Outcome]] = []
        self._keys = 0
        self._log = hashlib.sha256()
        self._counts: tuple[int, ...] = ()

    # -- what actors use

    def fresh_key(self) -> str:
        """Make an idempotency key."""
        self._keys += 1
        return f"key-{self._keys}"

    def ask(self, *commands: Command) -> list[Outcome | None]:
        """Ask for a group of commands; where the process dies, ask again under the same keys."""
        fuse, chance = self.world.fuse, self.world.chance
        if chance.random() < 0.03:
            fuse.commits_left, fuse.after_commit = 0, chance.random() < 0.5
        try:
            outcomes = self.world.door.group(commands)
        except Crash:
            self.restart()
            again = [command for command in commands if command.key is not None]
            if len(again) < len(commands):
                return [None] * len(commands)
            outcomes = self.world.door.group(commands)
        for command, outcome in zip(commands, outcomes, strict=True):
            if command.key is not None and not outcome.pending:
                self.replies.append((command, outcome))
        return list(outcomes)

    def restart(self) -> None:
        """Bring the process back: on the same machine, or after its lease on another."""
        self.witness.reached["process died"] += 1
        moved = self.world.chance.random() < 0.5
        self.world.clock.advance(seconds=NAP_SECONDS if moved else 1)
        self.world.restart()
        self.now_is(self.world, moved)

    async def _nap(self) -> None:
        """Sleep past the lease while another process looks after what was left open."""
        self.witness.reached["process slept past its lease"] += 1
        self.world.clock.advance(seconds=NAP_SECONDS)
        await expire_intents(self.world)

    def _hear(self, command: Command, outcome: Outcome) -> None:
        if outcome.refusal is not None and outcome.refusal.code == "key_reused_with_other_input":
            return
        name = command.operation.name
        self.witness.hear(command, outcome)
        if not outcome.replayed:
            if name == "bills.record_messages":
                hear_messages(self.witness, command.input, outcome)
            elif name.startswith("loans."):
                self.loan_ear.heard(name.removeprefix("loans."), command.input, outcome)
            elif name.startswith("retail."):
                self.counter_ear.heard(name.removeprefix("retail."), command.input, outcome)

    # -- the story

    def play(self, steps: int) -> Told:
        """Play so many steps, then let everything come to rest."""
        try:
            self._begin()
            for _ in range(steps):
                if self.witness.wrong:
                    break
                name, step = self._choose()
                step()
                self._look(name)
            if not self.witness.wrong:
                self._come_to_rest()
        finally:
            self.world.close()
        again = f"make sim ARGS='--seed {self.seed} --steps {steps} --database {self._kind}'"
        witness = self.witness
        return Told(self.seed, again, self._log.hexdigest(), witness.wrong, witness.reached)

    def _begin(self) -> None:
        for _ in range(self.world.chance.randint(1, 3)):
            self.collection.register()
        self.inboxes = [Inbox(self, customer) for customer in self.collection.customers]
        self.counter.open_shop()
        self._look("begin")

    def _choose(self) -> tuple[str, Callable[[], None]]:
        chance = self.world.chance
        choices: list[tuple[str, Callable[[], None], int]] = [
            ("day", self.collection.day, 11),
            ("advance", self.collection.advance, 7),
            ("rule", self.collection.rule, 8),
            ("report", self.collection.report, 3),
            ("run again", self.collection.run_again, 2),
            ("crowd", self.counter.crowd, 24),
            ("drawer", self.counter.drawer, 7),
            ("catalogue", self.counter.catalogue, 5),
            ("messages", self._messages, 12),
            ("loans", self.loans.act, 12),
            ("retry", self._retry, 6),
            ("switch", self.collection.switch, 2 if self.world.is_stopped else 1),
        ]
        names = range(len(choices))
        (picked,) = chance.choices(names, weights=[weight for _, _, weight in choices])
        name, step, _ = choices[picked]
        return name, step

    def _messages(self) -> None:
        self.world.chance.choice(self.inboxes).deliver()

    def _retry(self) -> None:
        """Send a request again: the same reply, and nothing else. Source: T5, I13."""
        if not self.replies:
            return
        command, first = self.world.chance.choice(self.replies)
        before = head_of(self.world.book), row_counts(self.world.book)
        again = self.world.door.ask_now(command)
        if (again.status, again.body) != (first.status, first.body) or not again.replayed:
            self.witness.wrong.append(f"{command.key} was answered otherwise: {again}")
        other = next((c for c, _ in self.replies if c.input != command.input), None)
        if other is not None:
            mixed = Command(other.operation, other.input, command.key)
            refused = self.world.door.ask_now(mixed).refusal
            if refused is None or refused.code != "key_reused_with_other_input":
                self.witness.wrong.append(f"{command.key} was taken with other input: {refused}")
        if (head_of(self.world.book), row_counts(self.world.book)) != before:
            self.witness.wrong.append(f"asking {command.key} again left a trace")
        self.witness.reached["request sent again"] += 1

    def _look(self, name: str) -> None:
        """Look at everything that must hold after a step."""
        self._put_out()
        self._log.update(f"{name}|{head_of(self.world.book)}\n".encode())
        self.witness.wrong += broken_invariants(self.world.book)
        counts = row_counts(self.world.book)
        if any(now < then for now, then in zip(counts, self._counts, strict=bool(self._counts))):
            self.witness.wrong.append(f"rows were lost: {self._counts} became {counts}")
        self._counts = counts
        if name in ("day", "advance", "rule", "report", "run again", "rest"):
            self.witness.compare_collection()
        if name in ("crowd", "drawer", "catalogue", "rest"):
            self.witness.compare_counter()
        if name in ("loans", "day", "rest"):
            compare_loans(self.witness)
        if name in ("messages", "rest"):
            for customer in self.collection.customers:
                self.witness.compare_household(customer)
        self.witness.wrong = [
            wrong if wrong.startswith("after ") else f"after {name}: {wrong}"
            for wrong in self.witness.wrong
        ]

    def _put_out(self) -> None:
        """Let nothing that was to happen in this step happen in another."""
        self.world.fuse.commits_left = self.world.fuse.calls_left = None
        self.world.rail.nap = None

    def _come_to_rest(self) -> None:
        """Stop the faults: within bounds everything is settled, or a person has said so (I27)."""
        self.world.stop_faults()
        if self.world.is_stopped:
            self.collection.set_sending(stopped=False)
            self._put_out()
        for inbox in self.inboxes:
            while inbox.coming:
                inbox.deliver()
        self.loans.come_to_rest()
        for day in range(DAYS_TO_REST):
            if self.collection.is_at_rest():
                break
            self.world.clock.advance(days=1)
            self.collection.run_the_day()
            for item in self.collection.open_items():
                self.collection.rule_on(item, finally_=day > DAYS_OF_PATIENCE)
            self._put_out()
        else:
            self.witness.wrong.append(f"no rest: {self.collection.whats_moving()}")
        self._look("rest")
        if self.seed % VERIFIED_EVERY == 0:
            for discrepancy in verify(self.world.database, self.world.secrets):
                self.witness.wrong.append(f"verify: {discrepancy}")
        # Each reference came in once, whatever became of it (I8).
        arrived = Counter(call.reference for call in self.world.simulator.arrivals())
        twice = [reference for reference, count in arrived.items() if count > 1]
        if twice:
            self.witness.wrong.append(f"sent twice: {twice}")
        self.witness.wrong += self.world.early_calls
