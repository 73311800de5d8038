"""Rows of the long proof: hostile requests at the whole API, and mutated files at every reader."""

from __future__ import annotations

import asyncio

from tallybook.db import migrate
from tests.fuzz.api import Held, fuzz, fuzzed_engine, look
from tests.fuzz.generated import ask_generated
from tests.fuzz.readers import Readers
from tests.postgres import Databases
from tests.proof.check import Check, Ground, Result

REQUESTS_AT_ONCE = 2_400
"""So many requests build one book, which is then verified."""
EXAMPLES = 8


def run_api(amount: int, ground: Ground) -> Result:
    """Ask hostile requests of books on both databases in turn, each book verified at its end."""
    held, seed = Held(), 0
    while held.asked < amount and not held.failures and ground.may_go_on():
        seed += 1
        home = ground.scratch / f"fuzz-{seed}"
        home.mkdir()
        databases = Databases(ground.postgres()) if seed % 2 == 0 else None
        url = databases.create() if databases else f"sqlite:///{home / 'book.db'}"
        migrate.upgrade(url)
        with fuzzed_engine(url, home) as engine:
            if seed <= 2:
                ask_generated(engine, EXAMPLES, held)
            asyncio.run(fuzz(engine, seed, min(REQUESTS_AT_ONCE, amount - held.asked), held))
            look(engine, held)
        if databases:
            databases.drop(url)
        ground.say(held.asked, amount, "requests")
    return Result(held.asked, held.failures, held.shown())


def run_readers(amount: int, ground: Ground) -> Result:
    """Give mutated inputs to the readers in turn."""
    readers = Readers(ground.scratch)
    failures: list[str] = []
    seed = 0
    while seed < amount and len(failures) < 20 and (seed % 1_000 or ground.may_go_on()):
        failures += readers.try_one(seed)
        seed += 1
        if seed % 1_000 == 0:
            ground.say(seed, amount, "inputs")
    return Result(seed, failures, ", ".join(readers.all))


CHECKS = [
    Check("API fuzz", "requests", full=1_000_000, in_check=5_000, run=run_api),
    Check("reader fuzz", "mutated inputs", full=10_000_000, in_check=6_000, run=run_readers),
]
