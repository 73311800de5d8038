"""Races of several writers, and the bank. Real servers and kills are in the long proof."""

import asyncio
from collections.abc import Iterator

import pytest

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db.engine import open_database
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tests.proof.check import ground
from tests.proof.races import BANK
from tests.races import storms
from tests.races.tills import DoorTill, fill_drawer, stock_up

ROUNDS = 100
KEYS = 500


@pytest.fixture
def doors(postgres_book_url: str) -> Iterator[list[Door]]:
    """Two writers, each with a connection of its own, as two processes have."""
    database = open_database(postgres_book_url)
    opened = [
        Door(database.open_writer, LedgerJournal(), SystemClock(), FreshIds()) for _ in range(2)
    ]
    yield opened
    for door in opened:
        door.close()
    database.close()


@pytest.mark.slow
def test_last_items_and_copied_keys_are_sold_once(
    postgres_book_url: str, doors: list[Door]
) -> None:
    tills = [DoorTill(door) for door in doors]
    database = open_database(postgres_book_url)
    fill_drawer(doors[0])
    plenty = stock_up(doors[0], "plenty", stock=KEYS)
    keys = [f"key-{number}" for number in range(KEYS)]

    async def storm() -> list[str]:
        wrong: list[str] = []
        for number in range(ROUNDS):
            product = stock_up(doors[number % 2], f"last {number}", stock=1)
            wrong += await storms.last_item(tills, database, product)
        for at in range(0, KEYS, 20):
            wrong += await storms.one_key(tills, plenty, keys[at : at + 20])
        return wrong

    assert asyncio.run(storm()) == []
    assert storms.look(database, sales=ROUNDS + KEYS, product=plenty, stock=0) == []
    database.close()


@pytest.mark.slow
def test_money_moved_among_accounts_always_adds_up(postgres_url: str) -> None:
    server_url = postgres_url.rsplit("/", 1)[0] + "/postgres"
    with ground(postgres_url=server_url) as place:
        found = BANK.run(BANK.in_check, place)
    assert list(found.failures) == []
    assert found.did >= BANK.in_check
