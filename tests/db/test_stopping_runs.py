"""A run that is stopped, or whose caller goes away, leaves no answer behind and is gone on with."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tallybook.collection.tasks import run as run_task
from tallybook.collection.tasks.requests import request_report, request_run
from tallybook.collection.tasks.run import run_day
from tallybook.collection.tasks.stopping import finish_running
from tallybook.entrypoints.progress import StopWhen
from tallybook.kernel.progress import Stopped
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import TransferState
from tallybook.processor.port import TransferOrder
from tests.played import DictatedProcessor, Played, accepted

pytestmark = pytest.mark.played

NUMBERS = [f"DE8937040044053201{number:04d}" for number in range(6)]
ACCEPTED = [TransferState.ACCEPTED] * len(NUMBERS)


def due_today(played: Played) -> None:
    """Turn the clock to the day on which as many debits are due as there are numbers."""
    for number in NUMBERS:
        played.customer(number)
        played.advance(number)
    for call in list(played.rail.calls):
        played.rail.tell(call.executed_as, "success")
    played.run_until(6)
    played.clock.advance(days=1)


def debits(played: Played) -> list[TransferState]:
    return [each.state for which in range(len(NUMBERS)) for each in played.debits(which)]


@pytest.fixture
def in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a debit or two at a time."""
    monkeypatch.setattr(run_task, "CHUNK", 2)


@pytest.mark.usefixtures("in_small_chunks")
@pytest.mark.parametrize("key", [None, "run"])
def test_a_requested_run_ends_between_two_chunks_when_the_program_stops(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    with Played(book_url, tmp_path) as played:
        due_today(played)

        def stop(order: TransferOrder) -> None:
            del order
            played.is_stopping = True

        played.rail.says = stop
        outcome = played.wait(request_run(played, None, key=key))
        assert outcome.refusal is not None
        assert (outcome.refusal.code, outcome.refusal.kind.retry) == ("shutting_down", True)
        sent = debits(played)
        assert 0 < len(sent) < len(NUMBERS)
        assert set(sent) == {TransferState.ACCEPTED}
        again = played.wait(request_run(played, None))
        assert again.refusal is not None
        assert again.refusal.code == "shutting_down"
        assert debits(played) == sent
        # The next process waits for no lease, and the key is good for the retry.
        played.is_stopping, played.rail.says = False, accepted
        monkeypatch.setattr("tallybook.collection.tasks.requests.COPY_SECONDS", 0.1)
        assert played.wait(request_run(played, None, key=key)).status == 201
        assert debits(played) == ACCEPTED
        assert played.items() == []


@pytest.mark.usefixtures("in_small_chunks")
def test_a_run_that_its_watcher_stopped_is_gone_on_with_at_once(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path) as played:
        due_today(played)
        with pytest.raises(Stopped):
            played.wait(run_day(played, progress=StopWhen(lambda: bool(debits(played)))))
        assert 0 < len(debits(played)) < len(NUMBERS)
        assert not played.wait(run_day(played)).was_finished
        assert debits(played) == ACCEPTED


@pytest.mark.parametrize("key", [None, "run"])
def test_a_run_outlives_its_caller(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """A server that stops waits so long for a request, and then cancels it."""
    with Played(book_url, tmp_path) as played:
        due_today(played)

        async def go_away() -> None:
            in_the_air, may_answer = asyncio.Event(), asyncio.Event()
            perform = DictatedProcessor.perform_transaction

            async def slowly(
                rail: DictatedProcessor, order: TransferOrder, *, may_send: Callable[[], bool]
            ) -> str:
                in_the_air.set()
                await may_answer.wait()
                return await perform(rail, order, may_send=may_send)

            monkeypatch.setattr(DictatedProcessor, "perform_transaction", slowly)
            asked = asyncio.create_task(request_run(played, None, key=key))
            await in_the_air.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            may_answer.set()
            await finish_running()

        played.wait(go_away())
        assert debits(played) == ACCEPTED
        assert played.wait(request_run(played, None, key=key)).status == (201 if key else 200)


def test_no_report_is_begun_when_the_program_stops(book_url: str, tmp_path: Path) -> None:
    with Played(book_url, tmp_path) as played:
        played.is_stopping = True
        outcome = played.wait(request_report(played, None, None))
        assert outcome.refusal is not None
        assert outcome.refusal.code == "shutting_down"
        with pytest.raises(Refused):
            played.wait(run_day(played))
