"""Which dates are run, and which are not: none ahead of today, none forgotten. Source: T3."""

from datetime import date
from pathlib import Path

import pytest

from tallybook.collection.tasks.run import run_day
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
