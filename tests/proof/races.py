"""Rows of the long proof: the bank, and storms on real servers that share one PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db import migrate
from tallybook.db.engine import Database, open_database
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tests.cli.programs import Server, children_of, environment, serve
from tests.postgres import Databases
from tests.proof.check import Check, Ground, Result
from tests.races import bank, storms
from tests.races.tills import fill_drawer, server_tills, stock_up

ROOT = Path(__file__).resolve().parents[2]
BANK_SECONDS = 10
"""So long the bank is open before it is looked whether there is time left."""
KEYS_AT_ONCE = 20


# -- the bank


def run_bank(amount: int, ground: Ground) -> Result:
    """Move money for so many seconds; then see that stale reads would have been noticed."""
    failures: list[str] = []
    moved = reads = did = 0
    while did < amount and ground.may_go_on():
        url = _book(ground)
        seconds = min(BANK_SECONDS, amount - did)
        for client in _open_bank(url, seconds, bank.READ_COMMITTED, failures):
            moved += client["moved"]
            reads += client["reads"]
            failures += client["wrong"]
        Databases(ground.postgres()).drop(url)
        did += seconds
        ground.say(did, amount, f"seconds, {moved:,} transfers")
    stale = 0
    for _ in range(5):
        url = _book(ground)
        stale += sum(
            client["wrong_count"] for client in _open_bank(url, 3, bank.REPEATABLE_READ, failures)
        )
        Databases(ground.postgres()).drop(url)
        if stale:
            break
    if not stale:
        failures.append("the canary at REPEATABLE READ saw no anomaly: the bank would miss one")
    seen = (
        f"{moved:,} transfers, {reads:,} sums read, 0 wrong; at REPEATABLE READ without the chain"
        f" {stale:,} sums were wrong, as must be"
    )
    return Result(did, failures, seen)


def _open_bank(url: str, seconds: float, level: str, failures: list[str]) -> list[dict[str, Any]]:
    bank.open_bank(url)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.races.bank", url, str(seconds), level],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=seconds + 120, check=True,
    )  # fmt: skip
    clients: list[dict[str, Any]] = json.loads(ran.stdout)
    failures += [f"a client broke: {each}" for each in clients if "moved" not in each]
    return [each for each in clients if "moved" in each]


def _book(ground: Ground) -> str:
    url = Databases(ground.postgres()).create()
    migrate.upgrade(url)
    return url


# -- servers


class Shops:
    """Real servers on one book: they can be killed and come again."""

    def __init__(self, url: str, folder: Path) -> None:
        self._env = environment(
            DATABASE_URL=url, TALLYBOOK_HOME=str(folder / "home"), TALLYBOOK_RUN_ENABLED="false"
        )
        self._folder = folder
        self._stacks: dict[int, ExitStack] = {}
        self._servers: dict[int, Server] = {}

    def start(self, place: int) -> None:
        """Start a server, or start it again."""
        stack = ExitStack()
        self._servers[place] = stack.enter_context(serve(cwd=self._folder, env=self._env))
        self._stacks[place] = stack

    def kill(self, place: int) -> None:
        """`kill -9` a server."""
        self._servers[place].process.kill()
        self._stacks.pop(place).close()

    def kill_writer(self, place: int) -> None:
        """`kill -9` the process in which a server writes, where it has not died yet."""
        for writer in children_of(self._servers[place].process.pid):
            os.kill(writer, signal.SIGKILL)

    def address(self, place: int) -> str:
        """Tell where a server listens, now."""
        return f"http://127.0.0.1:{self._servers[place].port}"

    def close(self) -> None:
        """Stop all of them."""
        for stack in self._stacks.values():
            stack.close()


@contextmanager
def running_shops(url: str, folder: Path, count: int = 2) -> Generator[Shops]:
    shops = Shops(url, folder)
    try:
        for place in range(count):
            shops.start(place)
        yield shops
    finally:
        shops.close()


@contextmanager
def writing(url: str) -> Generator[tuple[Database, Door]]:
    database = open_database(url)
    door = Door(database.open_writer, LedgerJournal(), SystemClock(), FreshIds())
    try:
        yield database, door
    finally:
        door.close()
        database.close()


def run_one_key(amount: int, ground: Ground) -> Result:
    """Ask for 50 copies under each key at two servers, one of which is killed now and then."""
    url = _book(ground)
    failures: list[str] = []
    kills = 0

    async def kill_now_and_then(shops: Shops, over: asyncio.Event) -> None:
        nonlocal kills
        draw = Random(1)
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 2 + 4 * draw.random())
                return
            victim = draw.randrange(2)
            await asyncio.to_thread(shops.kill, victim)
            await asyncio.to_thread(shops.start, victim)
            kills += 1

    async def storm(shops: Shops, product: int) -> int:
        did = 0
        over = asyncio.Event()
        killing = asyncio.create_task(kill_now_and_then(shops, over))
        async with server_tills([lambda: shops.address(0), lambda: shops.address(1)]) as tills:
            while did < amount and len(failures) < 20 and ground.may_go_on():
                keys = [f"key {n}" for n in range(did, min(did + KEYS_AT_ONCE, amount))]
                failures.extend(await storms.one_key(tills, product, keys, patient=True))
                did += len(keys)
                ground.say(did, amount, f"keys, {kills} kills")
        over.set()
        await killing
        return did

    with writing(url) as (database, door), running_shops(url, ground.scratch) as shops:
        fill_drawer(door)
        product = stock_up(door, "plenty", stock=amount)
        did = asyncio.run(storm(shops, product))
        failures += storms.look(database, sales=did, product=product, stock=amount - did)
    return Result(did, failures, f"{did * storms.COPIES:,} requests, {kills} servers killed")


BANK = Check("bank, 16 clients", "seconds", full=1_800, in_check=10, run=run_bank, least=10)
CHECKS = [
    BANK,
    Check("one key", "keys x 50 copies", full=10_000, in_check=500, run=run_one_key),
]
