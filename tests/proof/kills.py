"""A row of the long proof: `kill -9` of servers, their writers and PostgreSQL while sales go on."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import select

from tallybook.db import migrate
from tallybook.db.engine import Database
from tallybook.reports.verify import verify
from tallybook.retail.store import PRODUCTS_TABLE, PURCHASES_TABLE
from tests.postgres import Databases, PostgresMissing, Server
from tests.proof.check import Check, Ground, Result
from tests.proof.races import Shops, running_shops, writing
from tests.races.tills import Answer, Till, fill_drawer, server_tills, stock_up

CLIENTS = 24
STOCK = 100
"""Little at a time, so that many are refused; it is filled up again after each cycle."""
PATIENCE_SECONDS = 60


@dataclass
class Told:
    """What clients were told, by key."""

    sold: dict[str, Answer] = field(default_factory=dict[str, Answer])
    refused: dict[str, Answer] = field(default_factory=dict[str, Answer])
    unanswered: int = 0


async def _client(
    tills: list[Till], product: int, name: str, over: asyncio.Event, told: Told
) -> None:
    """Sell until it is over; ask again under the same key where nobody answered."""
    number = 0
    while not over.is_set():
        number += 1
        key = f"{name}-{number}"
        for attempt in range(10_000):
            answer = await tills[(number + attempt) % len(tills)].sell(product, 2, key)
            if answer is not None and answer.status < 500:
                (told.sold if answer.status == 201 else told.refused)[key] = answer
                break
            told.unanswered += 1
            await asyncio.sleep(0.02)


async def _cycle(
    shops: Shops, server: Server, product: int, name: str, dice: Random, told: Told
) -> None:
    """Let clients sell, kill something, bring it back, and let every client have its answer."""
    over = asyncio.Event()
    async with server_tills([lambda: shops.address(0), lambda: shops.address(1)]) as tills:
        clients = [
            asyncio.create_task(_client(tills, product, f"{name}-{n}", over, told))
            for n in range(CLIENTS)
        ]
        await asyncio.sleep(0.2 + dice.random())
        if dice.random() < 0.5:
            await _kill_postmaster(server)
        else:
            victim = dice.randrange(2)
            if dice.random() < 0.5:
                shops.kill_writer(victim)  # it goes on by itself, until it is killed too
            else:
                await asyncio.to_thread(shops.kill, victim)
                await asyncio.to_thread(shops.start, victim)
        await asyncio.sleep(0.2)
        over.set()
        await asyncio.gather(*clients)


async def _kill_postmaster(server: Server) -> None:
    """`kill -9` the postmaster; its children die of it, and only then can another start.

    It is started by this thread, not by one of a pool: a server dies with the thread it is from.
    """
    process = server._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        await asyncio.sleep(0.2)
        try:
            server.start()
        except PostgresMissing:
            assert time.monotonic() < until, server.log()
        else:
            return


def _look(database: Database, told: Told) -> list[str]:
    """Hold what clients were told against the book."""
    with database.reader() as connection:
        stored = set(connection.execute(select(PURCHASES_TABLE.c.number)).scalars())
        left = connection.execute(
            select(PRODUCTS_TABLE.c.stock).order_by(PRODUCTS_TABLE.c.id)
        ).scalars()
        negative = [stock for stock in left if stock < 0]
    numbers = [answer.number for answer in told.sold.values()]
    wrong: list[str] = []
    if len(set(numbers)) != len(numbers):
        wrong.append("two keys were given the same sale")
    if lost := set(numbers) - stored:
        wrong.append(f"acknowledged and lost: sales {sorted(lost)[:10]}")
    if extra := stored - set(numbers):
        wrong.append(
            f"sold without anybody having been told, or after a refusal: {sorted(extra)[:10]}"
        )
    if negative:
        wrong.append(f"stock below zero: {negative}")
    if odd := {answer.code for answer in told.refused.values()} - {"stock_insufficient"}:
        wrong.append(f"refused for {odd}")
    return wrong + [f"verify: {found}" for found in verify(database)]


def run_kills(amount: int, ground: Ground) -> Result:
    """Kill servers, their writers and the postmaster, so many times, under load."""
    server = ground.own_postgres()
    url = Databases(server.url).create()
    migrate.upgrade(url)
    told, failures, did, dice = Told(), list[str](), 0, Random(1)
    with running_shops(url, ground.scratch) as shops:
        with writing(url) as (_, door):
            fill_drawer(door)
        while did < amount and not failures and ground.may_go_on():
            with writing(url) as (database, door):
                product = stock_up(door, f"product {did}", stock=STOCK)
            asyncio.run(_cycle(shops, server, product, f"cycle-{did}", dice, told))
            did += 1
            with writing(url) as (database, _):
                failures += [f"cycle {did}: {what}" for what in _look(database, told)]
            ground.say(did, amount, f"kills, {len(told.sold):,} sales")
    seen = (
        f"{len(told.sold):,} sales acknowledged and there, {len(told.refused):,} refusals without"
        f" effect, {told.unanswered:,} calls asked again"
    )
    return Result(did, failures, seen)


CHECKS = [Check("kill -9 under load", "kills of a server or PostgreSQL", 1_000, 5, run_kills)]
