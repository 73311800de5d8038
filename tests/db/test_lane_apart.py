"""Batches that a process of its own commits: as here, whatever becomes of that process. Source: T5.

Each test is played in a process that has no threads yet, as `tallybook serve` has none when it
splits off its writer.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import text

from tallybook.ambient.clock import Clock, ManualClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db import sqlite as sqlite_module
from tallybook.db.engine import open_database
from tallybook.ledger.store import LedgerJournal
from tallybook.reports.verify import verify
from tallybook.writer import door as door_module
from tallybook.writer.apart import LaneApart
from tallybook.writer.door import Door
from tallybook.writer.lane import Lane
from tallybook.writer.model import Command, Decision, Moment, Needs, Outcome, Reply, View
from tests.cli.programs import Server, children_of, environment, serve
from tests.db.test_writer import BROKEN, COUNT, count

_forking = get_context("forkserver")
KILLS = 3
SALES_EACH = 100
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Apart:
    """A door whose interactive commands are committed by a process of its own."""

    def __init__(self, url: str) -> None:
        def open_lane(clock: Clock) -> Lane:
            return Lane(open_database(url).open_writer(), LedgerJournal(), clock, FreshIds())

        self.lane = LaneApart(open_lane)
        self.writer = children_of(os.getpid())[0]
        self.database = open_database(url)
        self.clock = ManualClock(NOON)
        connect = self.database.open_writer
        self.door = Door(connect, LedgerJournal(), self.clock, FreshIds(), apart=self.lane)

    def one(self, query: str) -> object:
        with self.database.reader() as connection:
            return connection.execute(text(query)).scalar()

    def close(self) -> None:
        self.door.close()
        assert children_of(os.getpid()) == []
        self.database.close()


def in_a_process(play: Callable[[str], None], url: str) -> None:
    """Play a test in a process that has just been forked from one without threads."""
    process = _forking.Process(target=play, args=(url,))
    process.start()
    process.join(60)
    process.kill()
    assert process.exitcode == 0


# -- as in this process


def test_a_batch_comes_out_as_in_this_process(book_url: str) -> None:
    in_a_process(play_outcomes, book_url)


def play_outcomes(url: str) -> None:
    book = Apart(url)
    first, again = (book.door.ask_now(count("a", key="k")) for _ in range(2))
    assert (first.status, first.body, first.replayed) == (200, '{"count":1}', False)
    assert (again.status, again.body, again.replayed) == (200, '{"count":1}', True)
    refused = book.door.ask_now(count("a", by=0))
    assert refused.refusal is not None
    assert refused.refusal.code == "amount_invalid"
    chunk = book.door.submit_chunk([count("b") for _ in range(300)]).result(30)
    assert [json.loads(each.body)["count"] for each in chunk] == list(range(1, 301))

    async def ask_at_once() -> list[int]:
        outcomes = await asyncio.gather(*(book.door.ask(count("c")) for _ in range(100)))
        return [json.loads(each.body)["count"] for each in outcomes]

    assert asyncio.run(ask_at_once()) == list(range(1, 101))
    book.close()


def test_it_is_dated_by_the_clock_of_who_asks(book_url: str) -> None:
    in_a_process(play_dates, book_url)


def play_dates(url: str) -> None:
    book = Apart(url)
    for day in (1, 9):
        book.clock.turn_to(NOON.date().replace(day=day))
        book.door.ask_now(count("a", key=f"k{day}"))
    dated = "SELECT {}(occurred_at) FROM events WHERE type = 'test.counted'"
    assert "2026-03-01" in str(book.one(dated.format("min")))
    assert "2026-03-09" in str(book.one(dated.format("max")))
    book.close()


def test_a_bug_of_one_command_stays_its_own(book_url: str) -> None:
    in_a_process(play_bugs, book_url)


def play_bugs(url: str) -> None:
    book = Apart(url)
    broken = book.door.ask_now(Command(BROKEN, "raises"))
    assert broken.refusal is not None
    assert broken.refusal.code == "internal_error"
    unsendable = Command(COUNT, lambda: "a")

    async def ask_at_once() -> list[Outcome]:
        return await asyncio.gather(*map(book.door.ask, [count("a"), unsendable, count("a")]))

    first, refused, second = asyncio.run(ask_at_once())
    assert refused.refusal is not None
    assert refused.refusal.code == "internal_error"
    assert [json.loads(each.body) for each in (first, second)] == [{"count": 1}, {"count": 2}]
    assert children_of(os.getpid()) == [book.writer]
    book.close()


def test_that_nothing_gets_through_is_told(sqlite_book_url: str) -> None:
    in_a_process(play_blocked, sqlite_book_url)


def play_blocked(url: str) -> None:
    sqlite_module.LOCK_SECONDS = 0
    door_module.PATIENCE_SECONDS = 0
    book = Apart(url)
    path = book.database.path
    assert path is not None
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    busy = book.door.ask_now(count("a"))
    assert busy.refusal is not None
    assert busy.refusal.code == "busy"
    assert book.door.trouble == "a write was given up: another process holds the database"
    other.execute("ROLLBACK")
    assert book.door.ask_now(count("a")).status == 200
    assert book.door.trouble is None
    book.close()


class NeedsNothing:
    """Looks at nothing."""

    def needs(self, command: object, seen: View) -> Needs:
        del command, seen
        return Needs()


class HoldOperation(NeedsNothing):
    """Holds up the process that decides it until a file is there, unless that is spared."""

    name = "test.hold"

    def decide(self, view: View, command: Hold, moment: Moment, ids: object) -> Decision:
        del view, moment, ids
        while os.getpid() != command.spared and not command.until.exists():
            time.sleep(0.001)
        return Decision(reply=Reply(200, {}))


class MeasureOperation(NeedsNothing):
    """Tells how long a text is, and keeps nothing."""

    name = "test.measure"

    def decide(self, view: View, command: str, moment: Moment, ids: object) -> Decision:
        del view, moment, ids
        return Decision(reply=Reply(200, {"length": len(command)}))


@dataclass(frozen=True)
class Hold:
    spared: int
    until: Path


@contextmanager
def held_up(book: Apart, tmp_path: Path) -> Generator[tuple[ThreadPoolExecutor, Hold]]:
    """Hold up the process that writes, once it has begun."""
    hold = Hold(os.getpid(), tmp_path / "go on")
    with ThreadPoolExecutor(64) as pool:
        holding = pool.submit(book.door.ask_now, Command(HoldOperation(), hold, "held"))
        wait_until(lambda: book.lane.under_way == 1 and book.lane.waiting == 0)
        yield pool, hold
        holding.result(60)


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_what_comes_while_it_is_busy_is_committed_together(book_url: str, tmp_path: Path) -> None:
    in_a_process(partial(play_together, tmp_path), book_url)


def play_together(tmp_path: Path, url: str) -> None:
    book = Apart(url)
    sizes: list[int] = []
    book.door.on_batch = sizes.append
    with held_up(book, tmp_path) as (pool, hold):
        asked = [pool.submit(book.door.ask_now, count("a")) for _ in range(40)]
        wait_until(lambda: book.door.waiting == 40)
        hold.until.touch()
        counts = [json.loads(each.result(30).body)["count"] for each in asked]
    assert sorted(counts) == list(range(1, 41))
    assert sizes == [1, 40]
    book.close()


def test_interactive_commands_have_their_turn_between_two_chunks(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    in_a_process(partial(play_turns, tmp_path), sqlite_book_url)


def play_turns(tmp_path: Path, url: str) -> None:
    book = Apart(url)
    with held_up(book, tmp_path) as (pool, hold):
        chunks = [book.door.submit_chunk([count("a")] * 300) for _ in range(3)]
        asked = pool.submit(book.door.ask_now, count("a"))
        wait_until(lambda: book.door.waiting == 901)
        hold.until.touch()
        place = json.loads(asked.result(30).body)["count"]
    assert [len(each.result(30)) for each in chunks] == [300] * 3
    assert place == 301
    book.close()


def test_while_it_stands_still_nobody_who_asks_is_held_up(book_url: str, tmp_path: Path) -> None:
    in_a_process(partial(play_standstill, tmp_path), book_url)


def play_standstill(tmp_path: Path, url: str) -> None:
    """More than a socket holds waits, and the loop that asks goes on meanwhile."""
    book = Apart(url)

    async def ask_much(hold: Hold) -> list[int]:
        texts = ["x" * (50_000 + number) for number in range(60)]
        asked = [
            asyncio.create_task(book.door.ask(Command(MeasureOperation(), text))) for text in texts
        ]
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            before = time.monotonic()
            await asyncio.sleep(0)
            assert time.monotonic() - before < 5
        assert not any(each.done() for each in asked)
        hold.until.touch()
        return [json.loads((await each).body)["length"] for each in asked]

    with held_up(book, tmp_path) as (_, hold):
        assert asyncio.run(ask_much(hold)) == list(range(50_000, 50_060))
    book.close()


# -- when it dies


class DieOperation(NeedsNothing):
    """Kills the process that decides it, unless that is the one that is spared."""

    name = "test.die"

    def decide(self, view: View, command: int, moment: Moment, ids: object) -> Decision:
        del view, moment, ids
        if os.getpid() != command:
            os.kill(os.getpid(), signal.SIGKILL)
        return Decision(reply=Reply(200, {}))


def test_when_it_dies_its_batch_is_unknown_and_the_next_is_written_here(book_url: str) -> None:
    in_a_process(play_death_at_work, book_url)


def play_death_at_work(url: str) -> None:
    book = Apart(url)
    dies = Command(DieOperation(), os.getpid(), "k")
    unknown = book.door.ask_now(dies)
    assert unknown.refusal is not None
    assert unknown.refusal.code == "outcome_unknown"
    assert children_of(os.getpid()) == []
    again = book.door.ask_now(dies)
    assert (again.status, again.replayed) == (200, False)
    assert book.door.trouble is None
    assert json.loads(book.door.ask_now(count("a")).body) == {"count": 1}
    book.close()


def test_what_it_had_not_begun_when_it_dies_is_written_here(book_url: str, tmp_path: Path) -> None:
    in_a_process(partial(play_death_before_work, tmp_path), book_url)


def play_death_before_work(tmp_path: Path, url: str) -> None:
    book = Apart(url)
    hold = Hold(os.getpid(), tmp_path / "never there")
    with ThreadPoolExecutor(64) as pool:
        begun = pool.submit(book.door.ask_now, Command(HoldOperation(), hold, "held"))
        wait_until(lambda: book.lane.under_way == 1 and book.lane.waiting == 0)
        asked: list[Future[Outcome]] = []
        for number in range(1, 41):
            asked.append(pool.submit(book.door.ask_now, count("a")))
            wait_until(lambda number=number: book.lane.waiting == number)
        chunk = book.door.submit_chunk([count("b")] * 300)
        os.kill(book.writer, signal.SIGKILL)
        unknown = begun.result(30).refusal
        assert unknown is not None
        assert unknown.code == "outcome_unknown"
        counts = [json.loads(each.result(30).body)["count"] for each in asked]
        assert len(chunk.result(30)) == 300
    assert counts == list(range(1, 41))
    assert (book.door.waiting, book.lane.under_way, book.door.is_open) == (0, 0, True)
    book.close()


def test_when_it_has_died_before_nothing_is_unknown(book_url: str) -> None:
    in_a_process(play_death_at_rest, book_url)


def play_death_at_rest(url: str) -> None:
    book = Apart(url)
    book.door.ask_now(count("a"))
    os.kill(book.writer, signal.SIGKILL)
    while children_of(os.getpid()):
        time.sleep(0.001)
    assert json.loads(book.door.ask_now(count("a")).body) == {"count": 2}
    book.close()


# -- in a server


def test_a_sale_is_made_once_however_often_its_writer_dies(book_url: str, tmp_path: Path) -> None:
    """A server that is started again writes in a process of its own again, which is killed too."""
    sold: list[int] = []
    for kill in range(KILLS):
        with serve(cwd=tmp_path, env=settings_of(book_url, tmp_path)) as server:
            if not kill:
                product = {"name": "tea", "stock": 10**6, "price": "5", "tax_percent": 0}
                assert server.ask("POST", "/api/v1/products", product)[0] == 201
            (writer,) = children_of(server.process.pid)
            with ThreadPoolExecutor(12) as pool:
                keys = [f"{kill}-{buyer}" for buyer in range(12)]
                buyers = [pool.submit(buy, server, key, SALES_EACH) for key in keys]
                time.sleep(0.2 + kill / 10)
                os.kill(writer, signal.SIGKILL)
                sold += [number for buyer in buyers for number in buyer.result(60)]
            assert server.stop() == 0
    assert sorted(sold) == list(range(1, KILLS * 12 * SALES_EACH + 1))
    database = open_database(book_url)
    assert verify(database) == []
    with database.reader() as connection:
        stock = connection.execute(text("SELECT stock FROM products")).scalar()
    assert stock == 10**6 - len(sold)
    database.close()


def buy(server: Server, buyer: str, sales: int) -> list[int]:
    """Buy so often, each time under a key of its own that is sent until it is answered for good."""
    numbers: list[int] = []
    connection = server.connect()
    body = '{"items": [{"product_id": 1, "quantity": 1}], "paid_amount": "5"}'
    for sale in range(sales):
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{buyer}-{sale}"}
        while True:
            connection.request("POST", "/api/v1/purchases", body, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 503:
                break
        assert answer.status == 201, said
        numbers.append(said["id"])
    connection.close()
    return numbers


def settings_of(url: str, tmp_path: Path, **more: str) -> dict[str, str]:
    home = str(tmp_path / "home")
    return environment(DATABASE_URL=url, TALLYBOOK_HOME=home, TALLYBOOK_RUN_ENABLED="false", **more)


def test_a_server_writes_in_a_process_of_its_own_unless_told_not_to(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    with serve(cwd=tmp_path, env=settings_of(sqlite_book_url, tmp_path)) as server:
        (writer,) = children_of(server.process.pid)
        server.process.kill()
        server.process.wait(30)
        until = time.monotonic() + 30
        while Path(f"/proc/{writer}").exists():
            assert time.monotonic() < until, "it outlives its server"
            time.sleep(0.01)
    alone = settings_of(sqlite_book_url, tmp_path, TALLYBOOK_WRITER_PROCESS="false")
    with serve(cwd=tmp_path, env=alone) as server:
        assert children_of(server.process.pid) == []
        assert server.stop() == 0


def test_a_signal_to_both_ends_both_with_everything_answered(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    with serve(cwd=tmp_path, env=settings_of(sqlite_book_url, tmp_path)) as server:
        product = {"name": "tea", "stock": 10, "price": "4.50", "tax_percent": 5}
        assert server.ask("POST", "/api/v1/products", product)[0] == 201
        (writer,) = children_of(server.process.pid)
        os.kill(writer, signal.SIGTERM)
        assert server.ask("POST", "/api/v1/products", product | {"name": "cup"})[0] == 201
        assert children_of(server.process.pid) == [writer]
        assert server.stop() == 0
        assert not Path(f"/proc/{writer}").exists()
