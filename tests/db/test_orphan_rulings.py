"""What a person says of an orphan: whose it is, or which row it collected."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.collection import queries
from tallybook.collection.operations.items import RULE_ITEM, RuleItem
from tallybook.collection.tasks import resolving
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.tasks.run import run_day
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.model import Action, ItemKind, OperatorItem, TransferState
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.writer.model import Command
from tests.making import day
from tests.played import Played

NUMBER = "DE0012345678"
TUESDAY, FRIDAY = date(2026, 3, 3), date(2026, 3, 6)


def items_of(engine: Engine, kind: ItemKind) -> list[OperatorItem]:
    with engine.database.reader() as connection:
        return queries.list_items(connection, is_open=None, kind=kind, limit=10)


@pytest.mark.anyio
async def test_confirming_an_unknown_transfer_answers_its_orphan(
    book_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    simulator = SimulatedProcessor(
        tmp_path / "simulator.db", seed=1, clock=clock, faults=Faults(lost_after=1)
    )
    settings = Settings(database_url=book_url, home=tmp_path)  # pyright: ignore[reportArgumentType] - pydantic makes the secret
    async with Engine.open(settings, clock=clock, processor=simulator) as engine:
        taken = take_number(NUMBER, engine.secrets, engine.ids)
        created = CreateCustomer("Asha", "asha@example.org", None, "USD", (taken,))
        await engine.door.ask(Command(CREATE_CUSTOMER, created))
        asked = BeginAdvance(taken.number_hash, 120_000, "USD", 12, 7, 0, None)
        assert (await perform_advance(engine, asked)).status == 202
        clock.turn_to(TUESDAY)
        await run_day(engine, TUESDAY)
        (unknown,) = items_of(engine, ItemKind.UNKNOWN)
        (orphan,) = items_of(engine, ItemKind.ORPHAN)
        assert (unknown.is_open, orphan.is_open) == (True, True)

        clock.turn_to(FRIDAY)
        with engine.database.reader() as connection:
            transfer = queries.find_transfer(connection, unknown.transfer_id or "")
        ruling = RuleItem(
            item_id=unknown.id,
            action=Action.CONFIRM_EXECUTED,
            reason="the bank says so",
            by="Ben",
            transfer_id=unknown.transfer_id,
            transaction_id=orphan.about,
            transfer=transfer,
        )
        assert (await engine.door.ask(Command(RULE_ITEM, ruling))).refusal is None

        (unknown,) = items_of(engine, ItemKind.UNKNOWN)
        (orphan,) = items_of(engine, ItemKind.ORPHAN)
        assert (unknown.action, unknown.resolved_by) == ("confirm_executed", "Ben")
        assert (orphan.is_open, orphan.action) == (False, "answered_by_news")
        with engine.database.reader() as connection:
            transfer = queries.find_transfer(connection, unknown.transfer_id or "")
        assert transfer is not None
        assert transfer.state is TransferState.SUCCEEDED
        assert transfer.resolved_on == TUESDAY, "it happened when the report says, not when ruled"


def test_an_adoption_that_is_asked_again_gets_its_reply(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another server, or after a late report that dates the transaction back."""
    with Played(book_url, tmp_path) as book:
        book.pay_out()
        book.run_until(6)
        monkeypatch.setattr(book.sending, "is_open", lambda: False)
        book.rail.told.append((day(7), "txn_lost", "success"))
        book.run(1)
        (item,) = book.items(ItemKind.ORPHAN)
        advance = book.advances()[0].id
        ruling = Ruling(item.id, Action.ADOPT, "in its list", "ann", subject_id=advance, number=1)
        first = book.wait(resolve_item(book, ruling, key="k1"))
        assert (first.status, book.debit_of(1).transaction_id) == (200, "txn_lost")
        monkeypatch.setattr(resolving, "this_process", lambda: "elsewhere/1/1")
        late = b"transaction_id,result\ntxn_lost,success\n#end,1\n"
        for report in (None, late):
            if report is not None:
                book.wait(take_report(book, report, day(6)))
            again = book.wait(resolve_item(book, ruling, key="k1"))
            assert (again.status, again.replayed, again.body) == (200, True, first.body)
        book.run(1)
        assert (book.debit_of(1).state, book.items()) == (TransferState.SUCCEEDED, [])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
