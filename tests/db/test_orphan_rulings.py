"""A person who names a transaction for an unknown transfer answers the orphan of that name too."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.collection import queries
from tallybook.collection.operations.items import RULE_ITEM, RuleItem
from tallybook.collection.tasks.run import run_day
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.model import Action, ItemKind, OperatorItem, TransferState
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.writer.model import Command

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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
