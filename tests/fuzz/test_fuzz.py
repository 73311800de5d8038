"""Hostile input, a little of it on every run; a million requests are in the long proof."""

import asyncio
from pathlib import Path

import pytest

from tests.fuzz.api import Held, fuzz, fuzzed_engine, look
from tests.fuzz.generated import ask_generated
from tests.fuzz.readers import Readers

REQUESTS = 2_500
"""On each database."""
INPUTS = 6_000
MOVE_MONEY = [
    f"POST /api/v1/{path}"
    for path in ("advances", "loans", "purchases", "purchases/{purchase_id}/refunds", "messages")
]


@pytest.mark.slow
def test_hostile_requests_break_nothing(book_url: str, tmp_path: Path) -> None:
    held = Held()
    with fuzzed_engine(book_url, tmp_path) as engine:
        asyncio.run(fuzz(engine, 1, REQUESTS, held))
        look(engine, held)
    assert held.failures == []
    assert len(held.reached) > 40, "most calls are accepted now and then, or nothing was tried"


@pytest.mark.slow
def test_what_schemathesis_draws_breaks_nothing(sqlite_book_url: str, tmp_path: Path) -> None:
    """A few requests of a few calls: it is slow, and the long proof asks all of them."""
    held = Held()
    with fuzzed_engine(sqlite_book_url, tmp_path) as engine:
        ask_generated(engine, 4, held, only=MOVE_MONEY)
        look(engine, held)
    assert held.failures == []
    assert held.asked > 6 * len(MOVE_MONEY)


def test_mutated_files_and_texts_break_no_reader(tmp_path: Path) -> None:
    readers = Readers(tmp_path)
    assert [wrong for seed in range(INPUTS) for wrong in readers.try_one(seed)] == []
