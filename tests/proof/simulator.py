"""The simulation as rows of the proof: many seeds, on every core."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from functools import partial

from tests.proof.check import Check, Ground, Result
from tests.proof.workers import open_pool
from tests.sim.book import Book, open_book
from tests.sim.play import play
from tests.sim.rare import RARE, missed

STEPS = 200
SEEDS_A_TASK = 5
FIRST_SEED = 1
SEEDS_FOR_ALL_RARE = 150
"""From so many seeds on, a run that never meets one of the rare states has failed."""

_open = ExitStack()
_books: list[Book] = []


def _begin(kind: str, postgres_url: str) -> None:
    _books.append(_open.enter_context(open_book(kind, postgres_url)))


def _play_some(seeds: range) -> tuple[list[str], Counter[str]]:
    failures: list[str] = []
    reached: Counter[str] = Counter()
    for seed in seeds:
        told = play(_books[0], seed, STEPS)
        reached += told.reached
        if told.wrong:
            failures.append(f"{told.wrong[0]}; again: {told.again}")
    return failures, reached


def run(amount: int, ground: Ground, *, kind: str) -> Result:
    """Play so many seeds and see that none goes wrong and no rare state was missed."""
    url = ground.postgres() if kind == "postgresql" else ""
    failures: list[str] = []
    reached: Counter[str] = Counter()
    did = 0
    with open_pool(os.cpu_count() or 1, partial(_begin, kind, url)) as pool:
        waiting: dict[Future[tuple[list[str], Counter[str]]], int] = {}
        parts = _parts(amount)
        while True:
            while len(waiting) < 2 * (os.cpu_count() or 1) and ground.may_go_on():
                part = next(parts, None)
                if part is None:
                    break
                waiting[pool.submit(_play_some, part)] = len(part)
            if not waiting:
                break
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                wrong, rare = future.result()
                for each in wrong:
                    ground.tell(each)
                failures += wrong
                reached += rare
                did += waiting.pop(future)
            ground.say(did, amount, "seeds")
    if did >= SEEDS_FOR_ALL_RARE:
        failures += [f"never met: {name}" for name in missed(reached)]
    met = len(RARE) - len(missed(reached))
    return Result(did, failures, f"{met} of {len(RARE)} rare states met")


def _parts(amount: int) -> Iterator[range]:
    for start in range(0, amount, SEEDS_A_TASK):
        first = FIRST_SEED + start
        yield range(first, FIRST_SEED + min(amount, start + SEEDS_A_TASK))


CHECKS = [
    Check(
        "simulator, SQLite in memory",
        f"seeds x {STEPS} steps",
        full=20_000,
        in_check=70,
        run=partial(run, kind="sqlite"),
        least=10,
    ),
    Check(
        "simulator, PostgreSQL",
        f"seeds x {STEPS} steps",
        full=1_000,
        in_check=8,
        run=partial(run, kind="postgresql"),
        least=10,
    ),
]
