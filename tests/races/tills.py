"""Tills to storm: a till sells through a door in this process, or through a real server.

Whoever storms them does not see the difference; what came back is a status and the very bytes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from tallybook.retail.rules.drawer import sort_pieces
from tallybook.writer.door import Door
from tests.selling import Shop

PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: str

    @property
    def code(self) -> str | None:
        """Tell a refusal's code."""
        code: str | None = json.loads(self.body).get("code") if self.status >= 400 else None
        return code

    @property
    def number(self) -> int:
        """Tell a sale's receipt number."""
        number: int = json.loads(self.body)["id"]
        return number


class Till(Protocol):
    """Something that sells."""

    async def sell(self, product: int, pieces: int, key: str | None = None) -> Answer | None:
        """Sell one piece of a product, paid with so many 1.00; None where nobody answered."""
        ...


@dataclass(frozen=True, slots=True)
class DoorTill:
    """Sells through a door of this process."""

    door: Door

    async def sell(self, product: int, pieces: int, key: str | None = None) -> Answer | None:
        sale = Shop(self.door).sale(
            [(product, 1)], pieces * 100, tendered=sort_pieces([(100, pieces)]), key=key
        )
        outcome = await self.door.ask_until_complete(sale)
        return Answer(outcome.status, outcome.body)


@dataclass(frozen=True, slots=True)
class ServerTill:
    """Sells through a server, wherever it listens just now."""

    address: Callable[[], str]
    session: aiohttp.ClientSession

    async def sell(self, product: int, pieces: int, key: str | None = None) -> Answer | None:
        sale = {
            "items": [{"product_id": product, "quantity": 1}],
            "paid_amount": str(pieces),
            "tendered": [{"value": "1", "count": pieces}],
        }
        headers: Mapping[str, str] = {} if key is None else {"Idempotency-Key": key}
        url = f"{self.address()}/api/v1/purchases"
        try:
            async with self.session.post(url, json=sale, headers=headers) as answer:
                return Answer(answer.status, await answer.text())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None


@asynccontextmanager
async def server_tills(addresses: Sequence[Callable[[], str]]) -> AsyncGenerator[list[Till]]:
    """Make a till for each server."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield [ServerTill(address, session) for address in addresses]


def stock_up(door: Door, name: str, *, stock: int) -> int:
    """Add a product that costs 1.00; gives its number."""
    return Shop(door).add_product(name, 100, stock=stock)


def fill_drawer(door: Door) -> None:
    """Put a thousand pieces of 1.00 into the drawer."""
    Shop(door).fill_drawer({100: 1_000})
