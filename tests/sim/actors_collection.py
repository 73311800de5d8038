"""Customers who take advances, days that pass, reports that come, people who rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.collection import queries
from tallybook.collection.operations.runs import RUN_LEASE
from tallybook.collection.operations.sending import LEASE
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.tasks.run import RunDone, run_day
from tallybook.collection.tasks.settling import settle
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Action, ItemKind, OperatorItem, SendingState
from tallybook.processor.port import ReportUnavailable
from tallybook.processor.simulator_log import LoggedCall
from tallybook.writer.model import Command
from tests.sim.auditor.household import HouseholdAudit
from tests.sim.door import Crash
from tests.sim.invariants import head_of
from tests.sim.witness import plain

if TYPE_CHECKING:
    from tests.sim.story import Story

RESTARTS_MAX = 6
_ON_TRANSFER = (Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED)


class CollectionActors:
    """Everybody who has to do with advances."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.world = story.world
        self.chance = story.world.chance
        self.numbers: list[str] = []
        self.customers: list[str] = []

    def register(self) -> None:
        """Register a customer with an account or two."""
        world, count = self.world, len(self.customers)
        numbers = [f"DE{count:02d}{place}{world.chance.randrange(10**9):09d}"
                   for place in range(self.chance.choice([1, 1, 2]))]  # fmt: skip
        taken = tuple(take_number(number, world.secrets, world.ids) for number in numbers)
        limit = self.chance.choice([None, None, 60_000])
        asked = CreateCustomer(f"Customer {count}", f"c{count}@example.org", limit, "USD", taken)
        (outcome,) = self.story.ask(Command(CREATE_CUSTOMER, asked, self.story.fresh_key()))
        assert outcome is not None
        assert outcome.refusal is None, outcome.refusal
        rows = world.book.query("SELECT id FROM customers ORDER BY created_at, id")
        known = set(self.customers)
        (ident,) = [each for (row,) in rows if (each := plain(row)) not in known]
        self.customers.append(ident)
        self.numbers += numbers
        for each, number in zip(taken, numbers, strict=True):
            self.story.witness.accounts[each.account_id] = number
        self.story.witness.households[ident] = HouseholdAudit()

    def advance(self) -> None:
        """Ask for an advance; where the process dies, ask again under the same key."""
        chance, world = self.chance, self.world
        count = chance.randint(1, 5)
        amount = chance.choice([chance.randint(count, 100), chance.randint(100, 50_000)])
        asked = BeginAdvance(
            world.secrets.keyed_hash(chance.choice(self.numbers)),
            amount,
            "USD",
            count,
            chance.randint(1, 4),
            chance.choice([0, 0, amount // 10]),
            None,
        )
        key = self.story.fresh_key()
        self._light_fuse(commits=2, calls=1)
        for _ in range(RESTARTS_MAX):
            try:
                outcome = world.wait(perform_advance(world, asked, key=key))
            except Crash:
                self.story.restart()
            except Refused as refused:
                if refused.refusal.code == "sending_stopped":
                    self.story.witness.reached["advance refused while sending is stopped"] += 1
                    return
                if refused.refusal.code != "outcome_unknown":
                    raise
            else:
                code = outcome.refusal.code if outcome.refusal else outcome.status
                self.story.witness.reached[f"advance answered {code}"] += 1
                return
        self.story.witness.wrong.append(f"no answer to an advance under {key}")

    def _light_fuse(self, *, commits: int, calls: int) -> None:
        """Perhaps let the process die soon, or sleep past its lease at the next call."""
        chance, fuse = self.chance, self.world.fuse
        kind = chance.randrange(20)
        if kind < 2:
            fuse.commits_left = chance.randrange(commits)
            fuse.after_commit = chance.random() < 0.5
        elif kind < 4:
            fuse.calls_left = chance.randrange(calls)
            fuse.after_call = chance.random() < 0.5
        elif kind == 4:
            self.world.rail.nap = chance.choice(["before", "after"])

    # -- days

    def day(self) -> None:
        """Let a day pass, or a few, and run it."""
        self.world.clock.advance(days=self.chance.choice([1, 1, 1, 1, 1, 2, 4]))
        self._light_fuse(commits=15, calls=3)
        self.run_the_day()

    def run_the_day(self) -> None:
        """Run today, as often as it takes."""
        for _ in range(RESTARTS_MAX):
            try:
                done = self.world.wait(run_day(self.world))
            except Crash:
                self.story.restart()
            except Refused as refused:
                if refused.refusal.code != "run_in_progress":
                    raise
                self.world.clock.advance(seconds=RUN_LEASE.total_seconds() + 1)
            else:
                self._look_at(done)
                return
        self.story.witness.wrong.append("the day's run does not come to its end")

    def _look_at(self, done: RunDone) -> None:
        """See that every due row went out, or that there is a reason why not."""
        world, today = self.world, self.world.clock.today()
        stopped = done.view["summary"]["sending_stopped"]
        if stopped is not None:
            self.story.witness.reached[f"sending stopped: {stopped}"] += 1
            return
        late = world.book.query(
            "SELECT i.subject_id, i.number FROM installments i"
            " JOIN plans p ON p.subject_id = i.subject_id WHERE i.state = 'planned'"
            f" AND p.status = 'active' AND i.due_on <= '{today}' AND NOT EXISTS (SELECT 1"
            " FROM transfers t WHERE t.bank_account_id = p.bank_account_id"
            f" AND t.direction = 'debit' AND t.sent_on = '{today}')"
        )
        if late and not done.was_finished:
            self.story.witness.wrong.append(f"due and not sent: {late}")

    def run_again(self) -> None:
        """Start a finished date again: nothing changes. Source: T3."""
        if not self.world.book.query("SELECT 1 FROM runs WHERE state = 'finished'"):
            return
        day = self.world.book.query("SELECT max(business_date) FROM runs")[0][0]
        if str(day) != self.world.clock.today().isoformat():
            return
        before = head_of(self.world.book)
        done = self.world.wait(run_day(self.world))
        if not done.was_finished or head_of(self.world.book) != before:
            self.story.witness.wrong.append(f"running {day} again changed something")

    def report(self) -> None:
        """Take today's report once more, between runs."""
        world = self.world
        self._light_fuse(commits=4, calls=1)
        for _ in range(RESTARTS_MAX):
            try:
                raw = world.wait(world.rail.download_report())
                world.wait(take_report(world, raw, world.clock.today()))
                world.wait(settle(world))
            except ReportUnavailable:
                return
            except Crash:
                self.story.restart()
            else:
                self.story.witness.transfers.start_run()  # as its beginning does, without sending
                self.story.witness.transfers.settle()
                return

    # -- people

    def switch(self) -> None:
        """Stop all sending, or let it go on."""
        self.set_sending(stopped=not self.world.is_stopped)

    def set_sending(self, *, stopped: bool) -> None:
        """Set the switch; from the answer on nothing is sent."""
        state = SendingState.STOPPED if stopped else SendingState.OPEN
        asked = SetSending(state, "because", "ann")
        self.story.ask(Command(SET_SENDING, asked, self.story.fresh_key()))
        self.world.is_stopped = stopped
        # The answer waits until no process may still act on what it read before.
        self.world.clock.advance(seconds=1)

    def rule(self) -> None:
        """Let a person rule on something that waits for one."""
        items = self.open_items()
        if items:
            self.rule_on(self.chance.choice(items))

    def open_items(self) -> list[OperatorItem]:
        """List what waits for a person."""
        with self.world.database.reader() as connection:
            return queries.list_items(connection, is_open=True, limit=1_000)

    def rule_on(self, item: OperatorItem, *, finally_: bool = False) -> None:
        """Rule as the Processor's own log has it; now and then let go of a hold, or wait on."""
        if item.kind is ItemKind.DEBIT_TIMED_OUT and not finally_ and self.chance.random() < 0.5:
            return
        ruling = self._ruling(item, finally_=finally_)
        key = self.story.fresh_key()
        self._light_fuse(commits=1, calls=1)
        for _ in range(RESTARTS_MAX):
            try:
                outcome = self.world.wait(resolve_item(self.world, ruling, key=key))
            except Crash:
                self.story.restart()
            except Refused as refused:
                self.story.witness.reached[f"ruling refused: {refused.refusal.code}"] += 1
                return
            else:
                code = outcome.refusal.code if outcome.refusal else "done"
                self.story.witness.reached[f"{item.kind.value} {ruling.action.value}: {code}"] += 1
                return

    def _ruling(self, item: OperatorItem, *, finally_: bool) -> Ruling:
        chance = self.chance
        ruling = Ruling(item.id, Action.DISMISS, "because", "ann")
        if item.kind is ItemKind.ORPHAN:
            return self._ruling_on_orphan(item, ruling)
        if item.kind is ItemKind.DEFAULT:
            choice = [Action.RESUME] * 4 + [Action.CANCEL, Action.WRITE_OFF]
            return replace(ruling, action=chance.choice(choice))
        if item.kind is ItemKind.REPORTS_MISSING:
            return replace(ruling, action=chance.choice([Action.OVERRIDE, Action.DISMISS]))
        if item.kind is ItemKind.EXCESS:
            return replace(ruling, action=chance.choice([Action.REFUND, Action.DISMISS]))
        if item.kind is ItemKind.DEBIT_TIMED_OUT and not finally_ and chance.random() < 0.4:
            return replace(ruling, action=Action.RELEASE)
        assert item.transfer_id is not None
        call = self._truth().get(item.transfer_id)
        is_paid = call is not None and call.is_executed and call.final_result == "success"
        action = _ON_TRANSFER[0 if is_paid else 1]
        ident = call.transaction_id if is_paid and call is not None else None
        named = ident if item.kind is ItemKind.UNKNOWN and chance.random() < 0.7 else None
        return replace(ruling, action=action, transaction_id=named)

    def _ruling_on_orphan(self, item: OperatorItem, ruling: Ruling) -> Ruling:
        for reference, call in self._truth().items():
            if call.transaction_id == item.about:
                states = self.world.book.query(
                    f"SELECT state, transaction_id FROM transfers WHERE id = '{reference}'"
                )
                if states and states[0] == ("unknown", None):
                    return replace(ruling, action=_ON_TRANSFER[0], transfer_id=reference)
        return ruling

    def _truth(self) -> dict[str, LoggedCall]:
        """Look at what really happened at the Processor, by our reference."""
        return {call.reference: call for call in self.world.simulator.arrivals()}

    # -- the end

    def is_at_rest(self) -> bool:
        """Tell whether nothing is under way, nothing is owed to a run, and nobody is asked."""
        moving = self.world.book.query(
            "SELECT 1 FROM transfers WHERE state IN ('intent', 'accepted', 'unknown') OR held"
            " UNION ALL SELECT 1 FROM plans WHERE status IN ('active', 'pending', 'paused')"
            " AND succeeded_minor < total_minor"
            " UNION ALL SELECT 1 FROM operator_items WHERE is_open"
            " UNION ALL SELECT 1 FROM installments WHERE state IN ('planned', 'waiting')"
            " UNION ALL SELECT 1 FROM jobs WHERE running_on IS NOT NULL"
        )
        return not moving

    def whats_moving(self) -> str:
        """Say what does not come to rest."""
        query: Any = self.world.book.query
        return repr([
            query("SELECT kind, detail FROM operator_items WHERE is_open"),
            query("SELECT state, held, direction FROM transfers WHERE held OR state IN"
                  " ('intent', 'accepted', 'unknown')"),
            query("SELECT status, total_minor, succeeded_minor, unsent_minor FROM plans"
                  " WHERE status IN ('active', 'pending', 'paused')"
                  " AND succeeded_minor < total_minor"),
            query("SELECT number, due_on, state FROM installments"
                  " WHERE state IN ('planned', 'waiting')"),
        ])  # fmt: skip


NAP_SECONDS = LEASE.total_seconds() + 5
