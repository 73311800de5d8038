"""A process that stood still sends nothing that a person may have ruled on meanwhile: P3."""

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tallybook.collection.operations.sending import SEND_INSTALLMENT, lease_for
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.tasks.sending import expire_intents
from tallybook.processor.model import Action, ItemKind, TransferState
from tallybook.processor.port import Direction, TransferOrder
from tallybook.processor.sender import BEGIN_SECONDS
from tallybook.writer.model import Command, Outcome
from tests.importing import a_file, importing
from tests.making import day
from tests.played import DictatedProcessor, Played

pytestmark = pytest.mark.played

S = TransferState
HOUR = 3600


class Stall:
    """Lets a process stand still once, right after something of it has been committed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, door: Any, clock: Any, which: str) -> None:
        self.clock, self.which, self.ahead = clock, which, 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.is_due = True
        monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic() + self.ahead)
        self.ask, self.ask_chunk = door.ask, door.ask_chunk
        monkeypatch.setattr(door, "ask", self._ask)
        monkeypatch.setattr(door, "ask_chunk", self._ask_chunk)

    async def _ask(self, command: Command) -> Outcome:
        outcome: Outcome = await self.ask(command)
        await self._stand_still([command])
        return outcome

    async def _ask_chunk(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        outcomes: Sequence[Outcome] = await self.ask_chunk(commands)
        await self._stand_still(commands)
        return outcomes

    async def _stand_still(self, commands: Sequence[Command]) -> None:
        names = {command.operation.name for command in commands}
        if not self.is_due or not names & {SEND_INSTALLMENT.name, "advances.perform_advance"}:
            return
        self.is_due = False
        if self.which == "machine":
            self.ahead += HOUR
        else:
            self.clock.advance(seconds=HOUR)
        if self.meanwhile is not None:
            await self.meanwhile()


@pytest.fixture
def stand_still(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[Any, Any], Stall]:
    return lambda door, clock: Stall(monkeypatch, door, clock, request.param)


both_clocks = pytest.mark.parametrize(
    "stand_still", ["machine", "days"], indirect=True, ids=["by the machine", "by the record"]
)


def debits_executed(book: Played) -> int:
    return sum(
        call.order.direction is Direction.DEBIT and call.executed_as is not None
        for call in book.rail.calls
    )


@pytest.mark.parametrize("stand_still", ["days"], indirect=True)
def test_a_debit_ruled_on_while_its_process_stood_still_is_not_sent(
    book: Played, stand_still: Callable[[Any, Any], Stall]
) -> None:
    book.pay_out()
    book.run_until(6)
    stall = stand_still(book.door, book.clock)

    async def another_server() -> None:
        assert await expire_intents(book) == 1
        (item,) = book.items(ItemKind.UNKNOWN)
        ruled = Ruling(item.id, Action.CONFIRM_NOT_EXECUTED, "because", "ann")
        assert (await resolve_item(book, ruled)).status == 200

    stall.meanwhile = another_server
    book.run(1)
    assert (debits_executed(book), book.debit_of(1).state) == (0, S.NOT_EXECUTED)
    book.run(1)
    assert debits_executed(book) == 1
    assert [(debit.state, debit.sent_on) for debit in book.debits()] == [
        (S.NOT_EXECUTED, day(7)),
        (S.ACCEPTED, day(8)),
    ]


@both_clocks
def test_a_run_counts_the_lease_from_before_the_intent(
    book: Played, stand_still: Callable[[Any, Any], Stall]
) -> None:
    book.pay_out()
    book.run_until(6)
    stand_still(book.door, book.clock)
    assert book.run(1).view["summary"]["sent"]["lease_over"]["count"] == 1
    assert debits_executed(book) == 0
    assert book.run(1).view["summary"]["sent"]["accepted"]["count"] == 1, "it stayed due"


@both_clocks
def test_a_payout_counts_the_lease_from_before_the_intent(
    book: Played, stand_still: Callable[[Any, Any], Stall]
) -> None:
    book.customer()
    stand_still(book.door, book.clock)
    refused = book.advance().refusal
    assert refused is not None
    assert (refused.code, book.rail.calls) == ("processor_rejected", [])
    assert book.advance().status == 201


@pytest.mark.anyio
@both_clocks
async def test_an_import_counts_the_lease_from_before_the_intents(
    book_url: str, tmp_path: Path, stand_still: Callable[[Any, Any], Stall]
) -> None:
    async with importing(book_url, tmp_path) as book:
        stand_still(book.engine.door, book.engine.clock)
        late = await book.bring(a_file(range(3)))
        assert (late.performed, book.executed().total()) == (0, 0)
        assert (await book.bring(a_file(range(3)))).performed == 3


# -- a call that takes as long as it may


@pytest.mark.parametrize("seconds", [30, 300])
def test_a_call_in_the_air_is_not_given_up_before_its_deadline(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """It begins at the last moment, and is answered at the last moment, as the settings allow."""
    with Played(sqlite_book_url, tmp_path) as book:
        sender = book.sender
        sender.lease = lease_for(seconds)
        monkeypatch.setattr(Played, "sender", sender)
        book.pay_out()
        book.run_until(6)
        perform, expired = DictatedProcessor.perform_transaction, []

        async def slow(rail: Any, order: TransferOrder, *, may_send: Callable[[], bool]) -> str:
            book.clock.advance(seconds=BEGIN_SECONDS - 1)
            answer = await perform(rail, order, may_send=may_send)
            book.clock.advance(seconds=seconds)
            expired.append(await expire_intents(book))
            return answer

        monkeypatch.setattr(DictatedProcessor, "perform_transaction", slow)
        book.run(1)
        assert expired == [0]
        assert book.debit_of(1).state is S.ACCEPTED


def test_a_call_whose_time_to_begin_is_over_is_not_made(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its intent may still be in the air, as far as others know."""
    with Played(sqlite_book_url, tmp_path) as book:
        book.pay_out()
        book.run_until(6)
        perform = DictatedProcessor.perform_transaction

        async def late(rail: Any, order: TransferOrder, *, may_send: Callable[[], bool]) -> str:
            book.clock.advance(seconds=BEGIN_SECONDS)
            assert book.clock.now() < book.debit_of(1).lease_until
            return await perform(rail, order, may_send=may_send)

        monkeypatch.setattr(DictatedProcessor, "perform_transaction", late)
        assert list(book.run(1).view["summary"]["sent"]) == ["lease_over"]
        assert debits_executed(book) == 0
