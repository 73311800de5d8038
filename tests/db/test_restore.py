"""A restored copy sends nothing until what it lost is accounted for, and no debit is repeated.

The simulated Processor's own log is the truth: it knows what was sent after the copy was made.
Source: I32.
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.entrypoints.commands import copies
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.library import Tallybook
from tallybook.entrypoints.restored import write_anchor
from tallybook.kernel.refusal import Refused
from tallybook.processor.faults import Faults
from tallybook.processor.model import Action, ItemKind, SendingState
from tallybook.processor.port import Direction
from tallybook.processor.queries import find_sending
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.processor.simulator_log import LoggedCall
from tallybook.reports.verify import verify
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
        write_anchor(book.engine)  # as `serve` does every hour, and when it stops
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
            write_anchor(book.engine)
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
        write_anchor(book.engine)
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
