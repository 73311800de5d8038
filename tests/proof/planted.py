"""Planted bugs as a row of the proof: each must be found, and is told with what found it."""

from __future__ import annotations

import logging
from datetime import date

from tests.proof.bugs import BUGS, Bug, swallow
from tests.proof.check import Check, Ground, Result
from tests.sim.book import Book, open_book
from tests.sim.play import play

SEEDS = range(1, 61)
STEPS = 100


def find(bug: Bug, book: Book) -> str | None:
    """Look for a bug with the simulation, seed after seed; says which seed and what gave it away.

    None: nothing noticed it, so something that should is missing.
    """
    logging.disable(logging.CRITICAL)  # what breaks loudly is meant to
    try:
        with bug.planted():
            for seed in SEEDS:
                try:
                    told = play(book, seed, STEPS)
                except Exception as error:  # noqa: BLE001 - however it shows, it is found
                    return f"seed {seed}: {swallow(error)}"
                if told.wrong:
                    return f"seed {seed}: {told.wrong[0]}"
    finally:
        logging.disable(logging.NOTSET)
    return None


def rotating(count: int, on: date) -> list[Bug]:
    """Choose the bugs of a day, so that all have their turn."""
    start = on.toordinal() * count
    return [BUGS[(start + offset) % len(BUGS)] for offset in range(count)]


def run(amount: int, ground: Ground) -> Result:
    """Plant bugs one at a time and see that each is found."""
    failures: list[str] = []
    did = 0
    by_seed_one = 0
    with open_book("sqlite") as book:
        for bug in BUGS[:amount]:
            if not ground.may_go_on():
                break
            found = find(bug, book)
            if found is None:
                failures.append(f"not found: {bug.name}")
            else:
                by_seed_one += found.startswith("seed 1:")
                ground.tell(f"{bug.name}: {found[:160]}")
            did += 1
            ground.say(did, amount, "bugs")
    return Result(did, failures, f"{did - len(failures)} found, {by_seed_one} by the first seed")


CHECKS = [Check("planted bugs", "bugs", full=len(BUGS), in_check=5, run=run, least=len(BUGS))]
