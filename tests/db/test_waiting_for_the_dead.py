"""A request comes again after the process that began it died: its reply must not hang."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tallybook.advances.operations.begin import BeginAdvance, BeginAdvanceOperation
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.liveness import this_process
from tallybook.customers.rules import normalise_number
from tallybook.processor.model import ItemKind
from tallybook.writer.model import Command
from tests.importing import account, importing


@pytest.mark.anyio
async def test_the_copy_of_a_request_whose_process_died_is_told_that_nobody_knows(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        await book.register(1)
        engine = book.engine
        hashed = engine.secrets.keyed_hash(normalise_number(account(1)))
        asked = BeginAdvance(hashed, 120_000, "USD", 12, 7, 0, None)
        host, _, _ = this_process().partition("/")
        died = BeginAdvanceOperation(engine.advance_terms, f"{host}/1/before-the-boot")
        begun = await engine.door.ask(Command(died, replace(asked, request_key="k"), "k"))
        assert begun.pending

        copies = [perform_advance(engine, asked, key="k") for _ in range(20)]
        outcomes = await asyncio.wait_for(asyncio.gather(*copies), 20)

        assert {(outcome.status, outcome.replayed) for outcome in outcomes} == {(202, True)}
        assert len({outcome.body for outcome in outcomes}) == 1
        assert [item.kind for item in book.items()] == [ItemKind.UNKNOWN]
        assert not book.executed(), "what may have been sent is not sent again"
