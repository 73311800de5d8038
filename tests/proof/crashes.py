"""Rows of the long proof: every flow killed at every step, and at thousands of random moments."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from itertools import cycle, product

from tallybook.db import migrate
from tests.crash.driver import Crasher, crasher
from tests.crash.flows import FLOWS
from tests.postgres import Databases
from tests.proof.check import Check, Ground, Result

DATABASES = ("SQLite", "PostgreSQL")
KILLS_AT_ONCE = 25


@contextmanager
def _crashing(ground: Ground) -> Generator[tuple[Crasher, dict[str, tuple[str, str | None]]]]:
    """Start the process that forks, and make a migrated, empty database of each kind."""
    file = ground.scratch / "empty.db"
    migrate.upgrade(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    databases = Databases(ground.postgres())
    url = databases.create()
    migrate.upgrade(url)
    databases.close_to_all(url)
    templates: dict[str, tuple[str, str | None]] = {
        "SQLite": (f"sqlite:///{file}", None),
        "PostgreSQL": (url, ground.postgres()),
    }
    try:
        with crasher() as driver:
            yield driver, templates
    finally:
        databases.drop(url)


def run_every_step(amount: int, ground: Ground) -> Result:
    """Kill each flow at each of its steps, on both databases."""
    failures: list[str] = []
    kills = did = 0
    with _crashing(ground) as (driver, templates):
        for database, flow in list(product(DATABASES, FLOWS))[:amount]:
            if not ground.may_go_on():
                break
            template, server = templates[database]
            found = driver.crash(flow, template, server=server)
            failures += [f"{database}: {what}" for what in found.failures]
            kills += found.kills
            did += 1
            ground.say(did, amount, f"flows, {kills} kills")
    return Result(did, failures, f"{kills:,} kills, each at a step of its own")


def run_random_kills(amount: int, ground: Ground) -> Result:
    """Kill flows from outside at random moments, a few at a time, on both databases."""
    failures: list[str] = []
    did = caught = 0
    with _crashing(ground) as (driver, templates):
        for seed, (flow, database) in enumerate(cycle(product(FLOWS, DATABASES))):
            if did >= amount or not ground.may_go_on():
                break
            template, server = templates[database]
            kills = min(KILLS_AT_ONCE, amount - did)
            found = driver.crash(flow, template, server=server, random_kills=kills, seed=seed)
            failures += [f"{database}: {what}" for what in found.failures]
            did += kills
            caught += found.kills
            ground.say(did, amount, "kills")
    return Result(did, failures, f"{caught:,} of them before the flow had ended")


_ALL = 2 * len(FLOWS)
CHECKS = [
    Check(
        "crash at every step",
        "flows x databases, each killed at every step",
        full=_ALL,
        in_check=len(FLOWS),
        run=run_every_step,
        least=_ALL,
    ),
    Check("random kills", "kills", full=10_000, in_check=KILLS_AT_ONCE, run=run_random_kills),
]
