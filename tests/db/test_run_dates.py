"""Which dates are run, and which are not: none ahead of today, none forgotten. Source: T3."""

from datetime import date
from pathlib import Path
from typing import cast

import pytest

from tallybook.ambient.settings import Settings
from tallybook.collection import queries
from tallybook.collection.tasks.run import run_day
from tallybook.entrypoints.daily import last_run
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.scheduler import Scheduler
from tallybook.kernel.progress import Progress
from tallybook.kernel.refusal import Refusal, Refused
from tests.making import day
from tests.played import DictatedProcessor, Played

pytestmark = pytest.mark.played


def begin_and_die(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process begin today's run and die in it."""

    async def die(_: DictatedProcessor) -> bytes:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(DictatedProcessor, "download_report", die)
        with pytest.raises(RuntimeError, match="killed"):
            played.wait(run_day(played))


def refused(played: Played, asked: date | None = None) -> Refusal:
    with pytest.raises(Refused) as caught:
        played.wait(run_day(played, asked))
    return caught.value.refusal


def test_a_date_to_come_that_was_left_unfinished_is_not_run_before_it_has_come(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was ahead began it: what is due on it is not due yet."""
    with Played(book_url, tmp_path) as played:
        played.is_live = True
        played.pay_out()
        played.run_until(6)
        played.clock.advance(days=1)
        begin_and_die(played, monkeypatch)
        played.clock.advance(days=-1)
        monkeypatch.setattr("tallybook.collection.tasks.run.is_known_dead", lambda _: True)
        assert played.wait(run_day(played)).was_finished, "today's run was finished before"
        assert refused(played, day(-1)).code == "run_out_of_order"
        assert played.debits() == []
        played.clock.advance(days=1)
        done = played.wait(run_day(played))
        assert done.view["business_date"] == day(7).isoformat()
        assert [debit.sent_on for debit in played.debits()] == [day(7)]
        assert [call.came_on for call in played.rail.calls][1:] == [day(7)]


class Opened:
    """As much of an engine as the scheduler asks."""

    def __init__(self, played: Played) -> None:
        self.database = played.database
        self.settings = Settings(timezone="UTC", run_hour=6)


def office_day(played: Played) -> None:
    """Serve the book from nine to five: long after the hour of the run, and not for its night."""

    async def run(asked: date, progress: Progress) -> object:
        return await run_day(played, asked, progress=progress)

    async def last() -> date | None:
        return last_run(cast("Engine", Opened(played)))

    # A new one every day, as a new server has: whatever it remembers is gone.
    scheduler = Scheduler(clock=played.clock, zone="UTC", hour=6, last_run=last, run_day=run)
    for _ in range(8):
        played.wait(scheduler.look())
        played.clock.advance(hours=1)
    played.clock.advance(hours=16)


def days_run(played: Played) -> list[date]:
    with played.database.reader() as connection:
        found = queries.list_runs(connection, before=None, limit=100)
    return sorted(run.business_date for run in found)


def test_a_server_that_is_never_up_at_the_hour_runs_every_day_but_the_first(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path) as played:
        played.is_live = True
        played.customer()
        played.advance()
        played.rail.tell(played.credit_transfer().transaction_id, "success")
        office_day(played)
        assert days_run(played) == [], "whoever sets things up has the day for themselves"
        for _ in range(7):
            office_day(played)
        assert days_run(played) == [day(after) for after in range(8)]
        assert [debit.sent_on for debit in played.debits()] == [day(7)]


def test_a_book_that_has_sent_nothing_is_run_from_its_second_day(
    book_url: str, tmp_path: Path
) -> None:
    """The first debits of loans are sent by the run itself, and by nothing before it."""
    with Played(book_url, tmp_path) as played:
        played.customer()
        office_day(played)
        assert days_run(played) == []
        office_day(played)
        assert days_run(played) == [day(1)]


def test_a_book_in_which_nothing_ever_happened_has_nothing_to_run(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path) as played:
        office_day(played)
        office_day(played)
        assert days_run(played) == []


def test_what_would_run_a_date_to_come_first_is_refused(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Played(book_url, tmp_path) as played:
        played.clock.advance(days=2)
        begin_and_die(played, monkeypatch)
        played.is_live = True
        played.clock.advance(days=-1)
        monkeypatch.setattr("tallybook.collection.tasks.run.is_known_dead", lambda _: True)
        no = refused(played)
        assert no.code == "run_in_future"
        assert no.details == {"today": str(day(1)), "business_date": str(day(2))}
        played.is_live = False
        assert not played.wait(run_day(played, day(2))).was_finished, "days may be played"
