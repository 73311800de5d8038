"""A restored copy sends nothing until what it lost is accounted for, and no debit is repeated.

The simulated Processor's own log is the truth: it knows what was sent after the copy was made.
Source: I32.
"""

import asyncio
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

import tallybook
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.entrypoints import restored
from tallybook.entrypoints.commands import copies, sending
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.library import Tallybook
from tallybook.kernel.refusal import Refused
from tallybook.processor.faults import Faults
from tallybook.processor.model import Action, ItemKind, SendingState
from tallybook.processor.port import Direction
from tallybook.processor.queries import find_sending
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.processor.simulator_log import LoggedCall
from tallybook.reports.verify import verify
from tallybook.reports.verify.anchors import AnchorError
from tallybook.writer.model import Command
from tests.making import day
from tests.played import Played
from tests.postgres import Databases, find_binaries

NUMBERS = [f"DE8937040044053201{number:04d}" for number in range(3)]
ROWS = 12


class World:
    """One Processor and one clock, which books come and go beside."""

    def __init__(self, home: Path, clock: ManualClock | None = None) -> None:
        self.home = home
        self.clock = clock or ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))

    @contextmanager
    def book(self, url: str) -> Generator[Tallybook]:
        simulator = SimulatedProcessor(
            self.home / "truth.db", seed=3, clock=self.clock, faults=Faults()
        )
        settings = Settings(database_url=SecretStr(url), home=self.home, _env_file=None)  # pyright: ignore[reportCallIssue] - pydantic-settings reads it
        engine = Engine.open(settings, clock=self.clock, processor=simulator)
        with Tallybook(engine) as book:
            yield book
        simulator.log.close()

    def truth(self) -> list[LoggedCall]:
        """List every call that ever arrived, in order."""
        simulator = SimulatedProcessor(
            self.home / "truth.db", seed=3, clock=self.clock, faults=Faults()
        )
        try:
            return list(simulator.arrivals())
        finally:
            simulator.log.close()

    def run(self, book: Tallybook, days: int) -> list[str | None]:
        """Let days pass, each with its run; gives why each sent nothing, if so."""
        stopped: list[str | None] = []
        for _ in range(days):
            self.clock.advance(days=1)
            stopped.append(book.run_day()["summary"]["sending_stopped"])
        return stopped


def begin(world: World, book: Tallybook) -> None:
    """Pay out advances that are collected day by day, and collect for five days."""
    for place, number in enumerate(NUMBERS):
        book.create_customer(f"C{place}", f"c{place}@example.org", bank_accounts=[number])
        book.create_advance(number, "12.00", installments=ROWS, interval_days=1)
    world.run(book, 5)


def lose(world: World, book: Tallybook) -> list[LoggedCall]:
    """Go on for three days that the copy knows nothing of; gives what was sent in them."""
    before = len(world.truth())
    world.run(book, 3)
    lost = world.truth()[before:]
    assert len(lost) == 3 * len(NUMBERS)
    return lost


def reconcile_and_finish(world: World, url: str, lost: list[LoggedCall]) -> None:
    known = len(world.truth())
    with world.book(url) as book:
        assert book.call("GET", "/sending")["state"] == "reconciling"
        with pytest.raises(Refused) as refused:
            book.create_advance(NUMBERS[0], "5.00")
        assert refused.value.refusal.code == "sending_stopped"
        assert world.run(book, 1) == ["stopped"]
        assert len(world.truth()) == known, "nothing was sent"
        orphans = open_items(book, "orphan")
        assert {item["transaction_id"] for item in orphans} == {
            call.transaction_id for call in lost
        }
        adopt_all(book, lost)
        assert open_items(book, "orphan") == []
        # The restore was on the day before this one: five more covered days, and it starts.
        assert set(world.run(book, 4)) == {"stopped"}
        assert len(world.truth()) == known
        assert world.run(book, 1) == [None]
        assert book.call("GET", "/sending")["state"] == "open"
        assert open_items(book, "restored") == []
        world.run(book, 15)
        assert [advance["status"] for advance in book.list_advances()] == ["completed"] * 3
        assert book.verify() == []
    collected: Counter[str] = Counter()
    for call in world.truth():
        if call.direction is Direction.DEBIT and call.is_executed:
            collected[call.dst_bank_account] += call.amount_minor
    assert collected == dict.fromkeys(NUMBERS, 12_00), "each was collected once, whole"


def open_items(book: Tallybook, kind: str) -> list[dict[str, str]]:
    path = "/operator-items"
    return book.call("GET", path, query={"status": "open", "kind": kind, "limit": 100})["data"]


def adopt_all(book: Tallybook, lost: list[LoggedCall]) -> None:
    """Do what a person does: say of each orphan which row it collected, the oldest first."""
    advances = {
        number: advance["id"]
        for number, advance in zip(reversed(NUMBERS), book.list_advances(), strict=True)
    }
    items = {item["transaction_id"]: item["id"] for item in open_items(book, "orphan")}
    for call in lost:
        advance = book.get_advance(advances[call.dst_bank_account])
        number = next(row["number"] for row in advance["plan"] if row["status"] == "planned")
        path = f"/operator-items/{items[call.transaction_id or '']}/resolution"
        ruling = {"action": "adopt", "reason": "in the Processor's list"}
        with pytest.raises(Refused):
            book.call("POST", path, {**ruling, "subject_id": advance["id"], "number": 999})
        named = {**ruling, "subject_id": advance["id"], "number": number}
        assert book.call("POST", path, named)["status"] == "resolved"


def test_what_a_restored_sqlite_copy_lost_is_found_and_never_sent_again(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    monkeypatch.setattr(copies, "SystemClock", lambda _zone: world.clock)
    copy, url = tmp_path / "copy.db", f"sqlite:///{tmp_path / 'again' / 'book.db'}"
    with world.book(sqlite_book_url) as book:
        begin(world, book)
        # While the book is open and in use.
        copies.backup(copy, database_url=sqlite_book_url, home=tmp_path)
        lost = lose(world, book)
    copies.restore(copy, is_verified=True, database_url=url, home=tmp_path)
    reconcile_and_finish(world, url, lost)


def test_what_a_restored_postgresql_copy_lost_is_found_by_the_anchor(
    postgres_book_url: str, databases: Databases, tmp_path: Path
) -> None:
    world = World(tmp_path)
    dump = tmp_path / "book.dump"
    with world.book(postgres_book_url) as book:
        begin(world, book)
        pg("pg_dump", "--format=custom", "--file", str(dump), postgres_book_url)
        lost = lose(world, book)
        book.engine.newest.write()  # as `serve` does every hour, and when it stops
    url = databases.create()
    try:
        pg("pg_restore", "--no-owner", "--exit-on-error", "--dbname", url, str(dump))
        reconcile_and_finish(world, url, lost)
    finally:
        databases.drop(url)


def test_a_copy_is_held_once_and_then_is_what_a_person_made_of_it(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    """What it lost stands in the anchors for ever; a person has decided with that in view."""
    world = World(tmp_path)
    copy = keep_an_older_copy(world, sqlite_book_url)
    with world.book(copy) as book:
        assert book.call("GET", "/sending")["state"] == "reconciling"
        book.call("POST", "/sending/start", {"reason": "looked it all up", "by": "ann"})
    for _ in range(2):
        with world.book(copy) as book:
            assert book.call("GET", "/sending")["changed_by"] == "ann"
            assert book.call("GET", "/sending")["state"] == "open"
            world.run(book, 1)
            book.engine.newest.write()
    # The same copy once more: it knows nothing of that decision, and lost what came after it too.
    again = f"sqlite:///{tmp_path / 'again.db'}"
    shutil.copyfile(tmp_path / "kept.db", tmp_path / "again.db")
    with world.book(again) as book:
        assert book.call("GET", "/sending")["state"] == "reconciling"


def test_a_stop_outlives_a_restore_and_each_opening_of_the_copy(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    world = World(tmp_path)
    stopped = {"reason": "the bank is moving", "by": "ann"}
    copy = keep_an_older_copy(world, sqlite_book_url, stopped=stopped)
    for _ in range(3):
        with world.book(copy) as book:
            # The third day's run is the last that the copy knows of.
            lost = {"lost_from": "2026-03-07", "lost_until": "2026-03-10"}
            assert stopped | lost | {"state": "stopped"} == {
                name.removeprefix("changed_"): value
                for name, value in book.call("GET", "/sending").items()
                if name != "changed_at"
            }
            assert len(open_items(book, "restored")) == 1
            assert set(world.run(book, 4)) == {"stopped"}
    with world.book(copy) as book:
        book.call("POST", "/sending/start", {"reason": "the bank has moved", "by": "ann"})
        assert open_items(book, "restored") == []


def test_a_stop_of_a_held_copy_keeps_what_it_lost(sqlite_book_url: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    copy = keep_an_older_copy(world, sqlite_book_url)
    with world.book(copy) as book:
        held = book.call("GET", "/sending")
        world.run(book, 2)
        book.call("POST", "/sending/stop", {"reason": "wait", "by": "ann"})
    with world.book(copy) as book:
        assert set(world.run(book, 6)) == {"stopped"}
        book.call("POST", "/sending/stop", {"reason": "wait on", "by": "ann"})
        found = book.call("GET", "/sending")
    names = ("lost_from", "lost_until")
    assert [found[name] for name in names] == [held[name] for name in names]


def test_the_days_that_were_lost_are_those_of_the_business(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    """At four in the morning by UTC it is still the day before in Los Angeles."""
    zone = "America/Los_Angeles"
    world = World(tmp_path, ManualClock(datetime(2026, 3, 3, 4, tzinfo=UTC), zone))
    copy = keep_an_older_copy(world, sqlite_book_url)
    with world.book(copy) as book:
        assert book.call("GET", "/sending")["lost_from"] == "2026-03-07"


def keep_an_older_copy(world: World, url: str, *, stopped: dict[str, str] | None = None) -> str:
    """Copy a book that goes on and is anchored after that; gives where the copy is."""
    kept = world.home / "kept.db"
    with world.book(url) as book:
        begin(world, book)
        if stopped is not None:
            book.call("POST", "/sending/stop", stopped)
        copies.backup(kept, database_url=url, home=world.home)
        if stopped is not None:
            book.call("POST", "/sending/start", stopped)
        lose(world, book)
        book.engine.newest.write()
    shutil.copyfile(kept, world.home / "copy.db")
    return f"sqlite:///{world.home / 'copy.db'}"


def pg(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [find_binaries() / program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_copy_is_never_put_over_anything(sqlite_book_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    given = {"database_url": sqlite_book_url, "home": tmp_path}
    copies.backup(copy, **given)
    before = copy.read_bytes()
    with pytest.raises(CommandError) as refused:
        copies.backup(copy, **given)
    assert refused.value.code is ExitCode.REFUSED
    with pytest.raises(CommandError, match="is not overwritten"):
        copies.restore(copy, is_verified=True, **given)
    assert copy.read_bytes() == before
    assert copy.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob(".*partial*")) == []


def test_what_is_no_sound_copy_is_not_brought_back(sqlite_book_url: str, tmp_path: Path) -> None:
    good, target = tmp_path / "copy.db", tmp_path / "new.db"
    world = World(tmp_path)
    with world.book(sqlite_book_url) as book:
        begin(world, book)
    copies.backup(good, database_url=sqlite_book_url, home=tmp_path)
    content = good.read_bytes()
    cut, text, edited = tmp_path / "cut.db", tmp_path / "text.db", tmp_path / "edited.db"
    cut.write_bytes(content[: len(content) // 2])
    text.write_text("not a database")
    edited.write_bytes(content.replace(b"advances.debit.succeeded", b"advances.debit.succeeDed", 1))
    for file in (cut, text, edited, tmp_path / "absent.db"):
        with pytest.raises(CommandError):
            copies.restore(
                file, is_verified=True, database_url=f"sqlite:///{target}", home=tmp_path
            )
        assert list(tmp_path.glob("*new.db*")) == [], file


def test_postgresql_is_copied_with_its_own_tools(postgres_book_url: str, tmp_path: Path) -> None:
    given = {"database_url": postgres_book_url, "home": tmp_path}
    with pytest.raises(CommandError, match="pg_dump"):
        copies.backup(tmp_path / "copy", **given)
    with pytest.raises(CommandError, match="pg_dump"):
        copies.restore(tmp_path / "copy", is_verified=True, **given)


# --- what is known of the newest, and who writes it down ------------------------------------------


def test_a_copy_that_was_made_while_it_was_held_is_held_anew(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    """It says that it is held; that was for what an older accident lost."""
    world = World(tmp_path)
    copy = keep_an_older_copy(world, sqlite_book_url)
    with world.book(copy) as book:
        world.run(book, 1)
        first = book.call("GET", "/sending")
        copies.backup(tmp_path / "held.db", database_url=copy, home=tmp_path)
        book.call("POST", "/sending/start", {"reason": "looked it all up", "by": "ann"})
        lose(world, book)
        book.engine.newest.write()
    for _ in range(2):
        with world.book(f"sqlite:///{tmp_path / 'held.db'}") as book:
            found = book.call("GET", "/sending")
            assert (found["state"], found["lost_from"]) == ("reconciling", first["lost_from"])
            assert found["lost_until"] == str(world.clock.today()) != first["lost_until"]
            (item,) = open_items(book, "restored")
            assert f"{first['lost_from']} to {found['lost_until']}" in item["detail"]
            assert len(held_events(book)) == 2


def test_a_drill_beside_the_book_leaves_it_alone(sqlite_book_url: str, tmp_path: Path) -> None:
    """A copy that may not send writes nothing into the file of the book that may."""
    world = World(tmp_path)
    copy, drill = tmp_path / "copy.db", f"sqlite:///{tmp_path / 'drill.db'}"
    with world.book(sqlite_book_url) as book:
        begin(world, book)
        copies.backup(copy, database_url=sqlite_book_url, home=tmp_path)
        lose(world, book)
        book.engine.newest.write()
    anchors = (tmp_path / "anchor.jsonl").read_bytes()
    copies.restore(copy, is_verified=True, database_url=drill, home=tmp_path)
    with world.book(drill) as book:
        assert world.run(book, 1) == ["stopped"]
        book.engine.newest.write()  # as `serve` does
    assert (tmp_path / "anchor.jsonl").read_bytes() == anchors
    with world.book(sqlite_book_url) as book:
        assert book.call("GET", "/sending")["state"] == "open"
        book.engine.newest.write()
    # A copy that was started takes the file over: two books of one history never both send.
    with world.book(drill) as book:
        book.call("POST", "/sending/start", {"reason": "it is the book now", "by": "ann"})
        book.engine.newest.write()
    with world.book(sqlite_book_url) as book:
        assert book.call("GET", "/sending")["state"] == "reconciling"


def test_a_server_writes_the_first_line_of_a_copy_right_after_it_was_let_go(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a copy that was made while it was held would be taken for the book."""
    monkeypatch.setattr(restored, "LOOK_SECONDS", 0.01)
    world = World(tmp_path)
    copy = keep_an_older_copy(world, sqlite_book_url)
    path = tmp_path / "anchor.jsonl"

    async def serve(book: Tallybook) -> tuple[int, int]:
        newest, before = book.engine.newest, len(path.read_bytes().splitlines())
        keeping = asyncio.create_task(restored.keep_anchored(newest, world.clock, minutes=60))
        await asyncio.sleep(0.2)
        held = len(path.read_bytes().splitlines()) - before
        started = {"reason": "looked it all up", "by": "ann"}
        await asyncio.to_thread(book.call, "POST", "/sending/start", started)
        async with asyncio.timeout(20):
            while len(path.read_bytes().splitlines()) == before:  # noqa: ASYNC110 - a file is waited for
                await asyncio.sleep(0.01)
        keeping.cancel()
        return held, len(path.read_bytes().splitlines()) - before

    with world.book(copy) as book:
        assert asyncio.run(serve(book)) == (0, 1)


def test_whoever_has_sent_writes_down_how_far_the_book_has_come(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    """Not `serve` alone: a book may be run by a timer and `tallybook run-day`."""
    world = World(tmp_path)
    with world.book(sqlite_book_url) as book:
        book.create_customer("C", "c@example.org")
    assert not (tmp_path / "anchor.jsonl").exists(), "nothing was sent"
    with world.book(sqlite_book_url) as book:
        begin(world, book)
    shutil.copyfile(tmp_path / "book.db", tmp_path / "copy.db")
    with world.book(sqlite_book_url) as book:
        lose(world, book)
    with world.book(f"sqlite:///{tmp_path / 'copy.db'}") as book:
        assert book.call("GET", "/sending")["state"] == "reconciling"


@pytest.mark.parametrize("content", ["no anchor\n", '{"book": "b', None])
def test_a_file_of_anchors_that_tells_nothing_lets_nothing_be_sent(
    sqlite_book_url: str, tmp_path: Path, content: str | None
) -> None:
    """Whether the book is a copy is not known then; that is this process's want, not the book's."""
    path = tmp_path / "anchor.jsonl"
    world = World(tmp_path)
    with world.book(sqlite_book_url) as book:
        begin(world, book)
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()  # there is something, and it can't be read
    else:
        path.write_text(content)
    with world.book(sqlite_book_url) as book:
        known = len(world.truth())
        with pytest.raises(Refused) as refused:
            book.create_advance(NUMBERS[0], "5.00")
        assert refused.value.refusal.code == "sending_stopped"
        assert "anchor" in str(refused.value.refusal.details["reason"])
        assert world.run(book, 1) == ["stopped"]
        assert len(world.truth()) == known
        assert book.call("GET", "/sending")["state"] == "open"
        with pytest.raises((AnchorError, OSError)):
            book.engine.newest.write()
        if path.is_dir():
            path.rmdir()
        else:
            assert path.read_text() == content, "a person has to look at it first"
            path.unlink()
        book.engine.newest.look()  # as `serve` does every few seconds
        book.engine.sending.look_again()  # what was seen may be 20 ms old
        assert world.run(book, 1) == [None]


def test_a_book_that_is_put_back_under_a_running_program_is_known_for_a_copy(
    postgres_book_url: str, databases: Databases, tmp_path: Path
) -> None:
    """Connections come back by themselves; what the process saw before is gone from the book."""
    world = World(tmp_path)
    dump = tmp_path / "book.dump"
    with world.book(postgres_book_url) as book:
        begin(world, book)
        pg("pg_dump", "--format=custom", "--file", str(dump), postgres_book_url)
        lost = lose(world, book)
        known = len(world.truth())
        put_back(databases, postgres_book_url, dump)
        reopened(book)
        with pytest.raises(Refused) as refused:
            book.create_advance(NUMBERS[0], "5.00", idempotency_key="asked again")
        assert refused.value.refusal.code == "sending_stopped"
        assert world.run(book, 1) == ["stopped"]
        assert len(world.truth()) == known
        book.engine.newest.write()
        found = book.call("GET", "/sending")
        assert (found["state"], found["changed_by"]) == ("reconciling", "tallybook")
        assert found["lost_from"] == "2026-03-07"
        assert len(held_events(book)) == 1
    with world.book(postgres_book_url) as book:
        adopt_all(book, lost)
        assert book.call("GET", "/sending")["state"] == "reconciling"


def test_an_idle_program_sees_by_itself_that_its_book_was_put_back(
    postgres_book_url: str, databases: Databases, tmp_path: Path
) -> None:
    """Nobody asks it to send; a person may have decided long before it is asked."""
    world = World(tmp_path)
    dump = tmp_path / "book.dump"
    with world.book(postgres_book_url) as book:
        begin(world, book)
        pg("pg_dump", "--format=custom", "--file", str(dump), postgres_book_url)
        book.create_customer("Lost", "lost@example.org")
        book.engine.newest.glance()
        put_back(databases, postgres_book_url, dump)
        reopened(book)
        for _ in range(200):
            book.engine.newest.glance()  # as `serve` does every few seconds
            if held_events(book):
                break
            time.sleep(0.05)
        assert book.call("GET", "/sending")["state"] == "reconciling"
        book.call("POST", "/sending/start", {"reason": "looked it all up", "by": "ann"})
        book.engine.newest.glance()
        book.engine.newest.write()
        assert book.call("GET", "/sending")["state"] == "open"


def test_days_that_were_played_and_lost_are_in_the_interval(tmp_path: Path) -> None:
    """The copy's own today is long before them."""
    copy, day = tmp_path / "copy.db", date.today() + timedelta(days=1)  # noqa: DTZ011 - days are played from the machine's own
    url = f"sqlite:///{tmp_path / 'book.db'}"
    with tallybook.open(url, home=tmp_path) as book:
        book.create_customer("C", "c@example.org", bank_accounts=NUMBERS[:1])
        book.create_advance(NUMBERS[0], "12.00")
        book.run_day(day)
    copies.backup(copy, database_url=url, home=tmp_path)
    for _ in range(7):
        day += timedelta(days=1)
        with tallybook.open(url, home=tmp_path) as book:
            book.run_day(day)
    for path in tmp_path.glob("book.db*"):
        path.unlink()
    copies.restore(copy, is_verified=True, database_url=url, home=tmp_path)
    with tallybook.open(url, home=tmp_path) as book:
        assert book.call("GET", "/sending")["lost_until"] == str(day)
        assert len(held_events(book)) == 1, "the restore knew of the anchor"


def test_what_is_recorded_in_a_copy_before_it_is_held_hides_nothing_that_was_lost(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    world = World(tmp_path)
    with world.book(sqlite_book_url) as book:
        begin(world, book)
    (tmp_path / "anchor.jsonl").unlink()  # the copy is of the last moment that was anchored
    world.clock.advance(days=13)
    with world.book(sqlite_book_url) as book:
        book.create_customer("New", "new@example.org")
        book.run_day()  # the dates that were missed are run as well
        restored.hold_sending(book.engine, reason="restored", by="ann")
        found = book.call("GET", "/sending")
        assert (found["lost_from"], found["lost_until"]) == ("2026-03-07", "2026-03-20")
    given = {"database_url": sqlite_book_url, "home": tmp_path}
    sending.hold("restored", "ann", date(2026, 3, 5), **given)
    with world.book(sqlite_book_url) as book:
        assert book.call("GET", "/sending")["lost_from"] == "2026-03-05"


def held_events(book: Tallybook) -> list[str]:
    """List how often the book was held as a copy."""
    events = book.call("GET", "/events", query={"limit": 1000})["data"]
    return [event["type"] for event in events if event["type"] == "collection.sending.held"]


def put_back(databases: Databases, url: str, dump: Path) -> None:
    """Bring a dump back under the name of the database, whoever works on that."""
    databases.drop(url)
    databases.create(name=urlsplit(url).path.removeprefix("/"))
    pg("pg_restore", "--no-owner", "--exit-on-error", "--dbname", url, str(dump))


def reopened(book: Tallybook) -> None:
    """Let the program find its connections again."""
    for _ in range(10):
        with suppress(Refused, DBAPIError):
            book.call("GET", "/sending")
            return
    raise AssertionError("the database does not come back")


@pytest.mark.parametrize(("restored_after", "ends"), [(4, SendingState.OPEN), (5, None)])
def test_the_copys_own_report_does_not_show_what_it_lost_on_that_day(
    book_url: str, tmp_path: Path, restored_after: int, ends: SendingState | None
) -> None:
    """A payout is sent in the evening, after the copy was made, and executed at once.

    After four days a report still shows it, so that it is an orphan; after five none does, and
    only a person can tell.
    """
    with Played(book_url, tmp_path) as book:
        book.pay_out()
        book.run_until(7)
        book.rail.tell(book.debit_of(1).transaction_id, "success", on=day(8))
        book.rail.told.append((day(7), "txn_lost", "success"))
        book.clock.advance(days=restored_after)
        last = book.clock.today()
        held = SetSending(SendingState.RECONCILING, "restored", "ann", day(7), last)
        assert book.door.ask_now(Command(SET_SENDING, held)).status == 200
        book.run()
        for _ in range(20):
            book.run(1)
            if book.items(ItemKind.ORPHAN):
                assert ends is not None
                book.rule(ItemKind.ORPHAN, Action.DISMISS)
        with book.database.reader() as connection:
            sending = find_sending(connection)
        assert sending is not None
        assert sending.state is (ends or SendingState.RECONCILING)
        assert len(book.items(ItemKind.RESTORED)) == (ends is None)
        assert verify(book.database) == []
