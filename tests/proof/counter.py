"""The counter under many hands at once, over real connections to real servers. Source: R2, R5-R8.

Each check serves both databases, one after another; on PostgreSQL two tills are two servers.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.programs import Server, environment, run, serve
from tests.postgres import Databases
from tests.proof.check import Check, Ground, Result

BUYERS = 200
HANDS = 8
COINS: tuple[int, ...] = (10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 1)
"""Units: minor units."""
API = "/api/v1"


@dataclass
class Shop:
    """A book, and the servers that sell from it."""

    name: str
    servers: list[Server]
    home: Path
    settings: dict[str, str]
    """What makes one of its programs find the book."""
    failures: list[str] = field(default_factory=list[str])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Make one call that must succeed."""
        status, answer = self.servers[0].ask(method, API + path, body)
        assert status < 300, (method, path, status, answer)
        return answer

    def verify(self) -> None:
        """See that `tallybook verify` finds nothing."""
        found = run("verify", cwd=self.home, env=environment(**self.settings))
        if found.returncode != 0:
            self.failures.append(f"{self.name}: verify says {found.stdout[-800:]}{found.stderr}")


class Till:
    """One connection that is kept."""

    def __init__(self, server: Server) -> None:
        self._connection = server.connect()
        self._connection.connect()

    def buy(self, basket: object) -> tuple[int, Any]:
        """Ask for a basket."""
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"{API}/purchases", json.dumps(basket), headers)
        answer: http.client.HTTPResponse = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def shops(place: Ground) -> Generator[Iterator[Shop]]:
    """Give a fresh shop on each database, served by processes of their own."""
    with ExitStack() as stack:

        def opened() -> Iterator[Shop]:
            yield _open(stack, "SQLite", f"sqlite:///{place.scratch}/book.db", place.scratch, 1)
            url = Databases(place.postgres()).create()
            yield _open(stack, "PostgreSQL", url, place.scratch, 2)

        yield opened()


def _open(stack: ExitStack, name: str, url: str, scratch: Path, servers: int) -> Shop:
    settings = {
        "DATABASE_URL": url,
        "TALLYBOOK_HOME": str(scratch / name),
        "TALLYBOOK_RUN_ENABLED": "false",
        "TALLYBOOK_INVOICE_MAIL": "false",
        "TALLYBOOK_LOG_LEVEL": "ERROR",
    }
    # The first brings the book up to date; the others find it so.
    started = [
        stack.enter_context(serve(cwd=scratch, env=environment(**settings))) for _ in range(servers)
    ]
    shop = Shop(name, started, scratch, settings)
    for value in COINS:
        shop.ask("POST", "/denominations", {"value": shown(value), "available_count": 1_000_000})
    return shop


def shown(minor: int) -> str:
    """Write an amount as the wire has it."""
    return f"{minor // 100}.{minor % 100:02}"


def minor(amount: str) -> int:
    """Read an amount of the wire."""
    return int(amount.replace(".", ""))


def _together(pool: ThreadPoolExecutor, call: Callable[[int], Any], count: int) -> list[Any]:
    barrier = threading.Barrier(count)

    def at_once(number: int) -> Any:
        barrier.wait(60)
        return call(number)

    return list(pool.map(at_once, range(count)))


# --- the last item --------------------------------------------------------------------------------


def sell_the_last_one(rounds: int, place: Ground) -> Result:
    """Have 200 connections want the one piece that is left, half the rounds on each database."""
    failures: list[str] = []
    did = 0
    with shops(place) as opened, ThreadPoolExecutor(BUYERS) as pool:
        for shop, its_rounds in zip(opened, (rounds - rounds // 2, rounds // 2), strict=True):
            tills = [Till(shop.servers[buyer % len(shop.servers)]) for buyer in range(BUYERS)]
            for number in range(its_rounds):
                if not place.may_go_on():
                    break
                _round(shop, tills, pool, number)
                did += 1
                place.say(did, rounds, f"rounds, now on {shop.name}")
            for till in tills:
                till.close()
            shop.verify()
            failures += shop.failures
    return Result(did, failures, f"{did * BUYERS:,} requests, half of them on each database")


def _round(shop: Shop, tills: list[Till], pool: ThreadPoolExecutor, number: int) -> None:
    body = {"name": f"last {number}", "stock": 1, "price": "7.50", "tax_percent": 0}
    product = shop.ask("POST", "/products", body)["id"]

    def buy(buyer: int) -> tuple[int, Any]:
        basket: dict[str, Any] = {
            "items": [{"product_id": product, "quantity": 1}],
            "paid_amount": "10.00",
        }
        if buyer % 2:
            basket["customer_email"] = f"buyer{buyer}@example.org"
        return tills[buyer].buy(basket)

    answers = _together(pool, buy, BUYERS)
    sold = sum(status == 201 for status, _ in answers)
    short = sum(answer.get("code") == "stock_insufficient" for _, answer in answers)
    stock = shop.ask("GET", f"/products/{product}")["stock"]
    if (sold, short, stock) != (1, BUYERS - 1, 0):
        strange = sorted({(status, str(answer.get("code"))) for status, answer in answers})
        shop.failures.append(f"{shop.name}, round {number}: {sold} sold, {stock} left, {strange}")


# --- two tills, one drawer ------------------------------------------------------------------------


def share_a_drawer(sales: int, place: Ground) -> Result:
    """Sell random baskets with change at two tills, and count the drawer to the piece."""
    failures: list[str] = []
    did = 0
    with shops(place) as opened:
        for shop in opened:
            prices = _stock_up(shop)
            moved = dict.fromkeys(COINS, 0)
            lock = threading.Lock()
            counted = _Counted(shop, prices, moved, lock)
            with ThreadPoolExecutor(HANDS) as pool:
                done = pool.map(
                    lambda hand, counted=counted: counted.sell(
                        hand, sales // HANDS + (hand < sales % HANDS), place
                    ),
                    range(HANDS),
                )
                did += sum(done)
            kept = {
                minor(item["value"]): item["available_count"]
                for item in shop.ask("GET", "/denominations")["data"]
            }
            expected = {value: 1_000_000 + moved[value] for value in COINS}
            if kept != expected:
                shop.failures.append(f"{shop.name}: the drawer has {kept}, not {expected}")
            shop.verify()
            failures += shop.failures
    return Result(did // 2, failures, f"{HANDS} hands at two tills")


def _stock_up(shop: Shop) -> dict[int, int]:
    dice = random.Random(5)
    prices: dict[int, int] = {}
    for number in range(40):
        price = dice.randrange(1, 4_000)
        body = {
            "name": f"product {number}",
            "stock": 10**8,
            "price": shown(price),
            "tax_percent": dice.choice([0, 5, 12.5, 18]),
        }
        prices[shop.ask("POST", "/products", body)["id"]] = price
    return prices


@dataclass
class _Counted:
    shop: Shop
    prices: dict[int, int]
    moved: dict[int, int]
    lock: threading.Lock

    def sell(self, hand: int, count: int, place: Ground) -> int:
        """Sell so often from one hand's connection, and keep count of every piece."""
        till = Till(self.shop.servers[hand % len(self.shop.servers)])
        dice = random.Random(hand)
        for number in range(count):
            if not place.may_go_on():
                return number
            status, answer = till.buy(self._basket(dice))
            if status != 201:
                self.shop.failures.append(f"{self.shop.name}, hand {hand}: {status} {answer}")
                continue
            with self.lock:
                for sign, pieces in ((1, answer["tendered"] or []), (-1, answer["change"])):
                    for piece in pieces:
                        self.moved[minor(piece["value"])] += sign * piece["count"]
            place.say(number, count, f"sales on {self.shop.name}")
        till.close()
        return count

    def _basket(self, dice: random.Random) -> dict[str, Any]:
        lines = [(product, dice.randrange(1, 4)) for product in dice.sample(list(self.prices), 2)]
        most = 2 * sum(self.prices[product] * quantity for product, quantity in lines)
        basket: dict[str, Any] = {
            "items": [{"product_id": product, "quantity": quantity} for product, quantity in lines]
        }
        if dice.random() < 0.8:
            pieces = {value: dice.randrange(3) for value in dice.sample(COINS, 4)}
            pieces[10_000] = pieces.get(10_000, 0) + most // 10_000 + 1
            paid = sum(value * count for value, count in pieces.items())
            tendered = [{"value": shown(value), "count": n} for value, n in pieces.items()]
            return basket | {"paid_amount": shown(paid), "tendered": tendered}
        return basket | {"paid_amount": shown(most + dice.randrange(5_000))}


CHECKS = [
    Check(
        "last item",
        "rounds of 200 buyers",
        full=10_000,
        in_check=6,
        run=sell_the_last_one,
        least=2,
    ),
    Check(
        "two tills, one drawer",
        "sales, on each database",
        full=10_000,
        in_check=240,
        run=share_a_drawer,
        least=HANDS,
    ),
]
