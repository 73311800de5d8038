"""What came of a call is recorded for certain: the money has moved, whatever the database does."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.collection.operations.sending import SEND_INSTALLMENT
from tallybook.collection.operations.transfers import RECORD_ANSWER, TIME_OUT
from tallybook.collection.tasks import insisting
from tallybook.customers.rules import normalise_number
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import ItemKind, TransferState
from tallybook.reports.verify import verify
from tallybook.writer.model import Command, Outcome
from tallybook.writer.transact import refused
from tests.importing import Importing, account, importing
from tests.played import Played
from tests.troubled import refuse_at_the_door

pytestmark = pytest.mark.anyio

S = TransferState


def an_advance(book: Importing) -> BeginAdvance:
    hashed = book.engine.secrets.keyed_hash(normalise_number(account(1)))
    return BeginAdvance(hashed, 120_000, "USD", 12, 7, 0, None)


@pytest.mark.parametrize("code", ["busy", "outcome_unknown", "internal_error"])
async def test_an_answer_is_recorded_once_the_database_is_back(
    book_url: str, tmp_path: Path, code: str
) -> None:
    async with importing(book_url, tmp_path) as book:
        await book.register(1)
        asked = refuse_at_the_door(book.engine.door, code, 3, RECORD_ANSWER)
        outcome = await perform_advance(book.engine, an_advance(book))

        assert (outcome.status, asked[0]) == (201, 4)
        assert book.executed() == {account(1): 1}
        assert not book.items()


@pytest.mark.parametrize("key", [None, "k"])
async def test_whoever_asked_never_hears_busy_of_money_that_moved(
    book_url: str,
    tmp_path: Path,
    key: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(insisting, "TRIES", 3)
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.001)
    async with importing(book_url, tmp_path) as book:
        await book.register(1)
        asked = an_advance(book)
        refuse_at_the_door(book.engine.door, "busy", 3, RECORD_ANSWER)
        with caplog.at_level(logging.ERROR), pytest.raises(Refused) as caught:
            await perform_advance(book.engine, asked, key=key)

        assert caught.value.refusal.code == "call_unrecorded"
        assert not caught.value.refusal.kind.retry
        (call,) = book.simulator.truth().transfers
        (told,) = [record for record in caplog.records if hasattr(record, "transaction_id")]
        assert vars(told)["transaction_id"] == call.transaction_id
        if key is None:
            return
        clock = book.engine.clock
        assert isinstance(clock, ManualClock)
        clock.turn_to(clock.today() + timedelta(days=1))
        again = await perform_advance(book.engine, asked, key=key)
        assert (again.status, again.replayed) == (202, True)
        assert [item.kind for item in book.items()] == [ItemKind.UNKNOWN]
        assert book.executed() == {account(1): 1}, "what may have been sent is not sent again"


@pytest.mark.played
@pytest.mark.parametrize("operation", [SEND_INSTALLMENT, TIME_OUT], ids=["sending", "marking"])
def test_a_run_whose_writes_are_refused_stays_open_and_is_gone_on_with(
    book_url: str, tmp_path: Path, operation: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away for one chunk: what was due may not wait for the next date."""
    with Played(book_url, tmp_path) as book:
        book.pay_out()
        door = book.door
        ask_chunk, refusals = door.ask_chunk, [0]

        async def away_once(commands: Sequence[Command]) -> list[Outcome]:
            if any(command.operation is operation for command in commands) and not refusals[0]:
                refusals[0] += 1
                return [refused(Refusal("busy")) for _ in commands]
            return await ask_chunk(commands)

        monkeypatch.setattr(door, "ask_chunk", away_once)
        with pytest.raises(Refused) as caught:
            book.run_until(20)
        assert (caught.value.refusal.code, refusals) == ("busy", [1])
        before = len(book.rail.calls)
        book.clock.advance(seconds=61)  # whoever was at work could be alive for so long
        book.run()
        sent, state = len(book.rail.calls) - before, book.debit_of(1).state
        assert (sent, state) == ((1, S.ACCEPTED) if before == 1 else (0, S.TIMED_OUT))
        assert verify(book.database) == []
