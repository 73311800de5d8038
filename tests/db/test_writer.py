"""The one door for writes: groups, keys, culprits, lost commits, races, kills. Source: T5."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from sqlalchemy import text

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.collection.model import Installment, InstallmentState, Job
from tallybook.collection.store import INSTALLMENTS, JOBS, RUNS
from tallybook.db.dialect import Select, Step, Tx, WriteConnection
from tallybook.db.engine import Database, open_database
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.ledger.store import LedgerJournal
from tallybook.reports.verify import CHECKS
from tallybook.writer import door as door_module
from tallybook.writer.door import Door
from tallybook.writer.model import (
    Command,
    Decision,
    Event,
    Moment,
    Needs,
    Outcome,
    Reply,
    View,
)

NOBODY = "0" * 32
DAY = date(2026, 3, 1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


# -- small operations on one table, whose rows count


@dataclass(frozen=True, slots=True)
class Count:
    """Counts one more on a row."""

    name: str
    by: int = 1


class CountOperation:
    name = "test.count"

    def needs(self, command: Count, seen: View) -> Needs:
        del seen
        return Needs(lock=((JOBS, command.name),))

    def decide(self, view: View, command: Count, moment: Moment, ids: Ids) -> Decision | Refusal:
        del ids, moment
        if command.by == 0:
            return Refusal("amount_invalid")
        row = view.row(JOBS, command.name)
        counted = int(row.holder) + command.by if row else command.by
        after = Job(command.name, None, None, str(counted), LONG_AGO)
        return Decision(
            changed=((JOBS, after),) if row else (),
            added=() if row else ((JOBS, after),),
            events=(Event("test.counted", NOBODY, {"name": command.name, "to": counted}),),
            reply=Reply(200, {"count": counted}),
        )


class GateOperation:
    """Holds the writer up in its decision, so that what comes meanwhile waits together."""

    name = "test.gate"

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def needs(self, command: object, seen: View) -> Needs:
        del command, seen
        return Needs()

    def decide(self, view: View, command: object, moment: Moment, ids: Ids) -> Decision:
        del view, command, moment, ids
        self.entered.set()
        assert self.open.wait(30)
        return Decision(reply=Reply(200, {}))


class BrokenOperation:
    """Breaks in one way or another."""

    name = "test.broken"

    def needs(self, command: str, seen: View) -> Needs:
        del command, seen
        return Needs()

    def decide(self, view: View, command: str, moment: Moment, ids: Ids) -> Decision:
        del moment
        event = Event("test.broken", NOBODY, {})
        match command:
            case "raises":
                raise ZeroDivisionError
            case "looks":
                view.row(JOBS, "never asked for")
            case "constraint":
                row = Installment(
                    ids.fresh(), ids.fresh(), 1, DAY, 1, InstallmentState.PLANNED, None, 1
                )
                return Decision(added=((INSTALLMENTS, row),), events=(event,))
            case "value":
                job = Job("too large", None, None, "x" * 100_000, LONG_AGO)
                huge = Posting("a", 10**30, "USD"), Posting("b", -(10**30), "USD")
                entry = Entry("test", DAY, huge)
                return Decision(added=((JOBS, job),), entries=(entry,), events=(event,))
            case "unbalanced":
                wrong = Entry("test", DAY, (Posting("a", 1, "USD"), Posting("b", -2, "USD")))
                return Decision(entries=(wrong,), events=(event,))
            case "no event":
                return Decision(added=((JOBS, Job("silent", None, None, "1", LONG_AGO)),))
            case _:
                body: dict[str, Any] = {"not JSON": object()}
                return Decision(events=(event,), reply=Reply(200, body))
        raise AssertionError


class LateOperation:
    """Comes to need a row that stands earlier in the order of locks than one it holds."""

    name = "test.late"

    def needs(self, command: str, seen: View) -> Needs:
        run = RUNS, ("late", DAY)
        if not seen.has_row(*run):
            return Needs(lock=(run,))
        return Needs(lock=(run, (JOBS, command)))

    def decide(self, view: View, command: str, moment: Moment, ids: Ids) -> Decision | Refusal:
        assert view.row(RUNS, ("late", DAY)) is None
        return COUNT.decide(view, Count(command), moment, ids)


class FollowOperation:
    """Counts on a row that another row's count names: `a2` where that has counted to 2."""

    name = "test.follow"

    def needs(self, command: str, seen: View) -> Needs:
        row = seen.row(JOBS, command)
        named = ((JOBS, f"a{row.holder}"),) if row else ()
        return Needs(lock=((JOBS, command), *named))

    def decide(self, view: View, command: str, moment: Moment, ids: Ids) -> Decision | Refusal:
        row = view.row(JOBS, command)
        assert row is not None
        return COUNT.decide(view, Count(f"a{row.holder}"), moment, ids)


COUNT, BROKEN = CountOperation(), BrokenOperation()
BREAKS = ("raises", "looks", "constraint", "value", "unbalanced", "no event", "not JSON")


def count(name: str, *, key: str | None = None, by: int = 1) -> Command:
    return Command(COUNT, Count(name, by), key)


def an_entry(key: str | None = None) -> Command:
    lines = Posting("cash:bank", 5, "USD"), Posting("sales", -5, "USD")
    return Command(POST_ENTRY, PostEntry(Entry("test.sold", DAY, lines)), key)


# -- doors


class Book:
    """A database, and doors into it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database: Database = open_database(url)
        self._doors: list[Door] = []

    def door(self, wrap: Callable[[WriteConnection], Any] | None = None, **told: Any) -> Door:
        def connect() -> Any:
            connection = self.database.open_writer()
            return wrap(connection) if wrap else connection

        made = Door(connect, LedgerJournal(), SystemClock(), FreshIds(), **told)
        self._doors.append(made)
        return made

    def counted(self, name: str) -> int:
        """Tell what a row has counted to, in the database."""
        with self.database.reader() as connection:
            found = connection.execute(
                text("SELECT holder FROM jobs WHERE name = :name"), {"name": name}
            ).scalar()
        return int(found or 0)

    def keys(self) -> dict[str, int | None]:
        with self.database.reader() as connection:
            return dict(connection.execute(text("SELECT key, status FROM commands")).all())

    @classmethod
    def checked(cls, url: str) -> Iterator[Self]:
        """Give a test a book; once it is over, entries, balances and both chains must agree."""
        made = cls(url)
        yield made
        for door in made._doors:
            if door.is_open:
                door.close()
        with made.database.snapshot() as connection:
            for name in ("entries", "entry numbers", "balances", "entry chain", "event chain"):
                assert list(CHECKS[name](connection)) == [], name
        made.database.close()


@pytest.fixture
def book(book_url: str) -> Iterator[Book]:
    yield from Book.checked(book_url)


@pytest.fixture
def postgres_book(postgres_book_url: str) -> Iterator[Book]:
    yield from Book.checked(postgres_book_url)


def together(door: Door, commands: Sequence[Command]) -> list[Outcome]:
    """Let commands wait until all are there, so that they are one batch."""
    sizes: list[int] = []
    door.on_batch = sizes.append
    gate = GateOperation()
    with ThreadPoolExecutor(len(commands) + 1) as pool:
        first = pool.submit(door.ask_now, Command(gate, "gate"))
        assert gate.entered.wait(10)
        asked: list[Future[Outcome]] = []
        for command in commands:
            asked.append(pool.submit(door.ask_now, command))
            while door.waiting < len(asked):
                time.sleep(0.001)
        gate.open.set()
        outcomes = [each.result(30) for each in asked]
        assert first.result().status == 200
    assert sizes == [1, len(commands)]
    return outcomes


# -- groups and keys


def test_commands_that_wait_commit_together_and_see_each_other(book: Book) -> None:
    outcomes = together(book.door(), [count("a") for _ in range(40)])
    assert [json.loads(each.body)["count"] for each in outcomes] == list(range(1, 41))
    assert book.counted("a") == 40


def test_what_an_event_loop_asks_for_while_it_has_more_to_do_commits_together(book: Book) -> None:
    door = book.door()
    sizes: list[int] = []
    door.on_batch = sizes.append

    async def ask_in_several_turns() -> list[Outcome]:
        asked: list[asyncio.Task[Outcome]] = []
        for _ in range(20):
            asked += [asyncio.create_task(door.ask(count("a"))) for _ in range(2)]
            await asyncio.sleep(0)
        return await asyncio.gather(*asked)

    outcomes = asyncio.run(ask_in_several_turns())
    assert [json.loads(each.body)["count"] for each in outcomes] == list(range(1, 41))
    assert sizes == [40]


def test_an_asker_who_goes_away_takes_nothing_along(book: Book) -> None:
    door = book.door()

    async def ask_and_go() -> Outcome:
        gone, stays = (asyncio.create_task(door.ask(count("a"))) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert json.loads(asyncio.run(ask_and_go()).body)["count"] == 2
    assert door.waiting == 0


def test_a_loop_that_ends_before_its_turn_is_over_leaves_what_it_asked_for(book: Book) -> None:
    door = book.door()

    async def ask_and_end() -> None:
        asking = asyncio.create_task(door.ask(count("a")))
        await asyncio.sleep(0)
        assert not asking.done()

    asyncio.run(ask_and_end())
    door.close()
    assert book.counted("a") == 1


def test_copies_of_a_key_in_one_batch_are_one(book: Book) -> None:
    door = book.door()
    outcomes = together(door, [count("a", key="k") for _ in range(20)])
    assert {(each.status, each.body) for each in outcomes} == {(200, '{"count":1}')}
    assert [each.replayed for each in outcomes] == [False] + [True] * 19
    again = door.ask_now(count("a", key="k"))
    assert (again.body, again.replayed) == ('{"count":1}', True)
    assert book.counted("a") == 1


def test_a_key_with_another_input_is_refused_in_the_batch_and_later(book: Book) -> None:
    door = book.door()
    first, other = together(door, [count("a", key="k"), count("b", key="k")])
    later = door.ask_now(count("b", key="k"))
    assert first.status == 200
    for refused in (other, later):
        assert refused.refusal is not None
        assert refused.refusal.code == "key_reused_with_other_input"
    assert (book.counted("a"), book.counted("b")) == (1, 0)


def test_a_refusal_is_stored_and_replayed(book: Book) -> None:
    door = book.door()
    first = door.ask_now(count("a", key="k", by=0))
    again = door.ask_now(count("a", key="k", by=0))
    assert first.refusal is not None
    assert (again.body, again.replayed) == (first.body, True)
    assert again.refusal == first.refusal
    assert book.counted("a") == 0


def test_a_chunk_commits_as_one_and_keeps_its_order(book: Book) -> None:
    door = book.door()
    outcomes = list(door.submit_many((count("a", key=f"k{n}") for n in range(1200)), chunk=500))
    assert [json.loads(each.body)["count"] for each in outcomes] == list(range(1, 1201))


# -- culprits


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_command_that_breaks_costs_only_itself(book: Book, how: str, place: int) -> None:
    commands = [count("a", key=f"k{n}") for n in range(6)]
    commands.insert(place, Command(BROKEN, how, "broken"))
    outcomes = together(book.door(), commands)
    broken = outcomes.pop(place)
    assert broken.refusal is not None
    assert broken.refusal.code == "internal_error"
    assert [each.status for each in outcomes] == [200] * 6
    assert (book.counted("a"), book.counted("silent")) == (6, 0)
    assert set(book.keys()) == {f"k{n}" for n in range(6)}


def test_several_culprits_are_all_found(book: Book) -> None:
    commands: list[Command] = []
    for number in range(24):
        is_bad = number in (1, 2, 7, 23)
        commands.append(Command(BROKEN, "constraint") if is_bad else count("a"))
    outcomes = together(book.door(), commands)
    failed = [number for number, each in enumerate(outcomes) if each.refusal is not None]
    assert failed == [1, 2, 7, 23]
    assert book.counted("a") == 20


# -- locks


class WatchedConnection:
    """A connection that writes down which tables each transaction locks, in their order."""

    def __init__(self, inner: WriteConnection) -> None:
        self._inner = inner
        self.locked: list[list[str]] = []
        self.trips: list[list[str]] = []
        """Of each round trip before the last: which tables it reads."""

    def begin(self) -> Any:
        self.locked.append([])
        return WatchedTx(self._inner.begin(), self.locked[-1], self.trips)

    def close(self) -> None:
        self._inner.close()


class WatchedTx:
    def __init__(self, inner: Tx, locked: list[str], trips: list[list[str]]) -> None:
        self._inner, self._locked, self._trips = inner, locked, trips

    def run(
        self, steps: Sequence[Step], meanwhile: Callable[[], None] | None = None
    ) -> list[list[Any]]:
        self._trips.append([s.rows.name for s in steps if isinstance(s, Select)])
        self._locked += (s.rows.name for s in steps if isinstance(s, Select) and s.lock)
        return self._inner.run(steps, meanwhile)

    def commit(self, steps: Sequence[Step] = ()) -> None:
        self._inner.commit(steps)

    def rollback(self) -> None:
        self._inner.rollback()


def test_needs_that_follow_from_nothing_are_loaded_in_one_round_trip(book: Book) -> None:
    watched: list[WatchedConnection] = []

    def watch(inner: WriteConnection) -> WatchedConnection:
        watched.append(WatchedConnection(inner))
        return watched[0]

    assert book.door(watch).ask_now(count("a", key="k")).status == 200
    assert watched[0].trips == [["jobs", "commands"], ["chain_heads", "row_seals"]]


def test_a_lock_that_comes_up_late_is_taken_in_order_from_the_start(book: Book) -> None:
    watched: list[WatchedConnection] = []

    def watch(inner: WriteConnection) -> WatchedConnection:
        watched.append(WatchedConnection(inner))
        return watched[0]

    door = book.door(watch)
    outcomes = together(door, [count("z"), Command(LateOperation(), "a")])
    assert [each.status for each in outcomes] == [200] * 2
    assert (book.counted("a"), book.counted("z")) == (1, 1)
    _, *batch = watched[0].locked
    assert batch == [["jobs", "runs"], ["jobs", "runs", "chain_heads"]]


def test_a_lock_that_a_neighbours_decision_asks_for_is_taken_in_order_too(book: Book) -> None:
    """The first command makes the second need a row that stands earlier than its own."""
    watched: list[WatchedConnection] = []

    def watch(inner: WriteConnection) -> WatchedConnection:
        watched.append(WatchedConnection(inner))
        return watched[0]

    door = book.door(watch)
    door.ask_now(count("b", key="before"))
    outcomes = together(door, [count("b"), Command(FollowOperation(), "b")])
    assert [json.loads(each.body)["count"] for each in outcomes] == [2, 1]
    assert book.counted("a2") == 1
    _, _, *batch = watched[0].locked
    # Each time one comes up too late, all that is known by then is locked at once, in order.
    assert batch == [["jobs"], ["jobs"], ["jobs", "chain_heads"]]


def test_a_row_that_is_locked_elsewhere_is_waited_for_in_a_deadlock_too(
    postgres_book: Book,
) -> None:
    """Another program locks in the other order: whoever loses, the command is done once."""
    door = postgres_book.door()
    for name in ("a", "b"):
        door.ask_now(count(name))
    with psycopg.connect(postgres_book.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT 1 FROM jobs WHERE name = 'b' FOR UPDATE")
        both = pool.submit(
            lambda: list(door.submit_many([count("a"), count("b")]))
        )  # holds a, waits for b
        _wait_until(lambda: _is_waiting(postgres_book))
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            other.execute("SELECT 1 FROM jobs WHERE name = 'a' FOR UPDATE")
        other.rollback()
        outcomes = both.result(30)
    assert [json.loads(each.body)["count"] for each in outcomes] == [2, 2]
    assert (postgres_book.counted("a"), postgres_book.counted("b")) == (2, 2)


def _is_waiting(book: Book) -> bool:
    with book.database.reader() as connection:
        waiting = connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        )
        return bool(waiting.scalar())


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


# -- trouble at the commit


class TroubledConnection:
    """A connection whose first commits meet what the test says."""

    def __init__(
        self, inner: WriteConnection, trouble: Callable[[Tx, Sequence[Step]], None]
    ) -> None:
        self._inner, self._trouble = inner, trouble
        self.left = 1

    def begin(self) -> Any:
        return TroubledTx(self._inner.begin(), self)

    def close(self) -> None:
        self._inner.close()

    def commit(self, tx: Tx, steps: Sequence[Step]) -> None:
        if self.left:
            self.left -= 1
            self._trouble(tx, steps)
        else:
            tx.commit(steps)


class TroubledTx:
    def __init__(self, inner: Tx, connection: TroubledConnection) -> None:
        self._inner, self._connection = inner, connection

    def run(
        self, steps: Sequence[Step], meanwhile: Callable[[], None] | None = None
    ) -> list[list[Any]]:
        return self._inner.run(steps, meanwhile)

    def commit(self, steps: Sequence[Step] = ()) -> None:
        self._connection.commit(self._inner, steps)

    def rollback(self) -> None:
        self._inner.rollback()


def raising(error: Exception) -> Callable[[Tx, Sequence[Step]], None]:
    def raise_it(tx: Tx, steps: Sequence[Step]) -> None:
        del tx, steps
        raise error

    return raise_it


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.SerializationFailure(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.LockNotAvailable(),
        sqlite3.OperationalError("database is locked"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_that_lost_a_race_runs_again(book: Book, error: Exception) -> None:
    door = book.door(lambda inner: TroubledConnection(inner, raising(error)))
    outcome = door.ask_now(count("a", key="k"))
    assert (outcome.status, outcome.replayed) == (200, False)
    assert book.counted("a") == 1


def test_a_full_disk_is_nobodys_fault_and_nothing_is_done(book: Book) -> None:
    full = psycopg.errors.DiskFull()
    door = book.door(lambda inner: TroubledConnection(inner, raising(full)))
    outcomes = list(door.submit_many([count("a"), count("a")]))
    assert [each.refusal and each.refusal.code for each in outcomes] == ["busy", "busy"]
    assert book.counted("a") == 0
    assert door.ask_now(count("a")).status == 200


def _terminate(url: str) -> None:
    """Break the writer's connection from the server's side."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tallybook writer' AND datname = current_database()"
        )


@pytest.mark.parametrize("kind", ["events", "refusals only"])
@pytest.mark.parametrize("is_committed", [True, False])
def test_a_lost_commit_is_resolved_by_what_it_left_behind(
    postgres_book: Book, is_committed: bool, kind: str
) -> None:
    commits = 0

    def lose(tx: Tx, steps: Sequence[Step]) -> None:
        nonlocal commits
        commits += 1
        if is_committed:
            tx.commit(steps)
        _terminate(postgres_book.url)
        if is_committed:
            raise psycopg.OperationalError("the answer was lost")
        tx.commit(steps)

    door = postgres_book.door(lambda inner: TroubledConnection(inner, lose))
    by = 1 if kind == "events" else 0
    outcome = door.ask_now(count("a", key="k", by=by))
    assert commits == 1
    assert outcome.status == (200 if by else 422)
    assert outcome.replayed is False
    assert postgres_book.counted("a") == by
    assert list(postgres_book.keys()) == ["k"]
    assert door.ask_now(count("a", key="k", by=by)).body == outcome.body


def test_a_lost_commit_is_asked_for_as_long_as_the_chain_is_held_elsewhere(
    postgres_book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process commits just now: whoever asks waits for it, and does not give up."""
    monkeypatch.setattr("tallybook.db.postgresql._LOCK_TIMEOUT", "100ms")
    holding = psycopg.connect(postgres_book.url)

    def lose(tx: Tx, steps: Sequence[Step]) -> None:
        tx.commit(steps)
        _terminate(postgres_book.url)
        holding.execute("SELECT 1 FROM chain_heads FOR UPDATE")
        threading.Timer(0.5, holding.close).start()
        raise psycopg.OperationalError("the answer was lost")

    door = postgres_book.door(lambda inner: TroubledConnection(inner, lose))
    assert door.ask_now(count("a", key="k")).status == 200
    assert postgres_book.counted("a") == 1


def test_an_unresolved_commit_stays_unknown_and_its_key_tells_later(postgres_book: Book) -> None:
    connections: list[TroubledConnection] = []

    def lose(tx: Tx, steps: Sequence[Step]) -> None:
        tx.commit(steps)
        begin = connections[0].begin
        connections[0].begin = nobody_answers
        back.append(lambda: setattr(connections[0], "begin", begin))
        raise psycopg.OperationalError("the answer was lost")

    back: list[Callable[[], None]] = []

    def nobody_answers() -> Any:
        raise psycopg.OperationalError("nobody answers")

    def wrap(inner: WriteConnection) -> TroubledConnection:
        connections.append(TroubledConnection(inner, lose))
        return connections[0]

    door = postgres_book.door(wrap)
    outcome = door.ask_now(count("a", key="k"))
    assert outcome.refusal is not None
    assert outcome.refusal.code == "outcome_unknown"
    back[0]()
    later = door.ask_now(count("a", key="k"))
    assert (later.body, later.replayed) == ('{"count":1}', True)


def test_a_dead_connection_between_two_batches_is_replaced(postgres_book: Book) -> None:
    door = postgres_book.door()
    door.ask_now(count("a"))
    _terminate(postgres_book.url)
    assert door.ask_now(count("a", key="k")).status == 200
    assert postgres_book.counted("a") == 2


# -- several processes


@pytest.mark.parametrize("lanes", [0, 2])
def test_two_doors_with_shared_keys_and_hot_rows_do_each_thing_once(
    postgres_book: Book, lanes: int
) -> None:
    doors = [postgres_book.door(bulk_lanes=lanes) for _ in range(2)]
    rows = "abc"

    def storm(place: int) -> list[Outcome]:
        door = doors[place % 2]
        commands: list[Command] = []
        for number in range(150):
            commands.append(count(rows[number % 3], key=f"shared {number}"))
            commands.append(count(rows[number % 3], key=f"own {place} {number}"))
            commands.append(an_entry(f"entry {number % 50}"))
        if place >= 2:
            return list(door.submit_many(commands, chunk=60))
        return [door.ask_now(command) for command in commands]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [each for result in pool.map(storm, range(4)) for each in result]
    assert {each.status for each in outcomes} == {200, 201}
    assert sum(postgres_book.counted(name) for name in rows) == 150 + 4 * 150
    by_body = [each.body for each in outcomes if not each.replayed and each.status == 200]
    assert len(by_body) == 150 + 4 * 150, "each key was done by one of them"
    with postgres_book.database.reader() as connection:
        entries = connection.execute(text("SELECT count(*) FROM entries")).scalar_one()
    assert entries == 50


# -- opening and closing


def test_a_full_queue_refuses_before_anything_is_begun(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "QUEUE_MAX", 3)
    door, gate = book.door(), GateOperation()
    with ThreadPoolExecutor(5) as pool:
        pool.submit(door.ask_now, Command(gate, "gate"))
        assert gate.entered.wait(10)
        asked = [pool.submit(door.ask_now, count("a")) for _ in range(3)]
        _wait_until(lambda: door.waiting == 3)
        with pytest.raises(Refused) as refusal:
            door.ask_now(count("a", key="k"))
        gate.open.set()
        assert [each.result(10).status for each in asked] == [200] * 3
    assert refusal.value.refusal.code == "busy"
    assert (book.counted("a"), book.keys()) == (3, {})


def test_closing_finishes_what_waits_and_refuses_what_comes(book: Book) -> None:
    door, gate = book.door(), GateOperation()
    with ThreadPoolExecutor(12) as pool:
        pool.submit(door.ask_now, Command(gate, "gate"))
        assert gate.entered.wait(10)
        asked = [pool.submit(door.ask_now, count("a")) for _ in range(8)]
        _wait_until(lambda: door.waiting == 8)
        chunk = door.submit_chunk([count("b"), count("b")])
        closing = pool.submit(door.close)
        _wait_until(lambda: not door.is_open)
        with pytest.raises(Refused) as refusal:
            door.ask_now(count("a"))
        gate.open.set()
        closing.result(30)
        assert [each.result(30).status for each in asked] == [200] * 8
        assert [each.status for each in chunk.result(30)] == [200] * 2
    assert refusal.value.refusal.code == "shutting_down"
    assert (book.counted("a"), book.counted("b")) == (8, 2)


def test_who_gives_up_waiting_cancels_nothing(book: Book) -> None:
    door, gate = book.door(), GateOperation()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(door.ask_now, Command(gate, "gate"))
        assert gate.entered.wait(10)
        chunk = door.submit_chunk([count("a")])
        assert not chunk.cancel()
        gate.open.set()
    assert door.ask_now(count("a")).status == 200
    assert book.counted("a") == 2


# -- kill -9

_STORM = """
import sys, threading
from tests.db.test_writer import Book, an_entry, count
book = Book(sys.argv[1])
door = book.door()
def storm(place):
    for number in range(100_000):
        key = f"{place} {number}"
        outcome = door.ask_now(count("hot", key=key) if number % 3 else an_entry(key))
        assert outcome.status in (200, 201), outcome
        sys.stdout.write(key + "\\n")
        sys.stdout.flush()
for place in range(8):
    threading.Thread(target=storm, args=(place,), daemon=True).start()
threading.Event().wait()
"""


def test_what_was_acknowledged_survives_kill_9(book: Book) -> None:
    acknowledged: set[str] = set()
    for round_ in range(3):
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen(
            [sys.executable, "-c", _STORM.replace("{place} ", f"{round_} {{place}} "), book.url],
            stdout=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
            text=True,
        ) as storm:
            assert storm.stdout is not None
            lines = [storm.stdout.readline() for _ in range(150)]
            storm.send_signal(signal.SIGKILL)
            lines += storm.stdout.read().splitlines(keepends=True)
        # A line that the kill cut short was not heard.
        acknowledged |= {line.strip() for line in lines if line.endswith("\n")}
    assert len(acknowledged) >= 400
    stored = book.keys()
    assert acknowledged <= stored.keys()
    counts = [key for key in stored if int(key.split()[-1]) % 3]
    assert book.counted("hot") == len(counts), "done once each, and nothing half done"
    again = book.door().ask_now(count("hot", key=min(counts)))
    assert again.replayed
