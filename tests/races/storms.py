"""Storms on tills: all want the last piece, all share one drawer, one key is asked many times.

Each storm says what was wrong, a line each, and nothing where all was well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, select

from tallybook.db.engine import Database
from tallybook.reports.verify import verify
from tallybook.retail.store import DENOMINATIONS_TABLE, PRODUCTS_TABLE, PURCHASES_TABLE
from tests.races.tills import Answer, Till

BUYERS = 200
COPIES = 50


async def last_item(tills: Sequence[Till], database: Database, product: int) -> list[str]:
    """Have 200 buyers at all tills want the one piece that is left: one gets it."""
    answers = await asyncio.gather(
        *(tills[buyer % len(tills)].sell(product, 2) for buyer in range(BUYERS))
    )
    told = Counter(answer and (answer.status, answer.code) for answer in answers)
    wrong: list[str] = []
    if told != {(201, None): 1, (409, "stock_insufficient"): BUYERS - 1}:
        wrong.append(f"product {product}: answered {dict(told)}")
    with database.reader() as connection:
        left = connection.execute(
            select(PRODUCTS_TABLE.c.stock).where(PRODUCTS_TABLE.c.id == product)
        ).scalar_one()
    if left != 0:
        wrong.append(f"product {product}: {left} pieces are left")
    return wrong


async def one_key(
    tills: Sequence[Till], product: int, keys: Sequence[str], *, patient: bool = False
) -> list[str]:
    """Ask for 50 copies of a sale under each key, at all tills at the same moment: each is one.

    `patient` asks again where nobody answered, as a client does whose server died.
    """

    async def ask(key: str, copy: int) -> Answer | None:
        for attempt in range(100):
            answer = await tills[(copy + attempt) % len(tills)].sell(product, 3, key)
            if not patient or (answer is not None and answer.status < 500):
                return answer
            await asyncio.sleep(0.05)
        return None

    wrong: list[str] = []
    answers = await asyncio.gather(*(ask(key, copy) for key in keys for copy in range(COPIES)))
    for place, key in enumerate(keys):
        told = set(answers[place * COPIES : (place + 1) * COPIES])
        if len(told) != 1 or {answer and answer.status for answer in told} != {201}:
            wrong.append(f"key {key}: {len(told)} different answers: {list(told)[:2]}")
    return wrong


def look(database: Database, *, sales: int, product: int, stock: int) -> list[str]:
    """Count what was sold against stock and drawer, and verify the whole book."""
    with database.reader() as connection:
        sold = connection.execute(select(func.count()).select_from(PURCHASES_TABLE)).scalar_one()
        left = connection.execute(
            select(PRODUCTS_TABLE.c.stock).where(PRODUCTS_TABLE.c.id == product)
        ).scalar_one()
        pieces = connection.execute(select(func.sum(DENOMINATIONS_TABLE.c["count"]))).scalar_one()
    wrong: list[str] = []
    if sold != sales:
        wrong.append(f"{sold} sales in the book instead of {sales}")
    if left != stock:
        wrong.append(f"{left} pieces of product {product} are left instead of {stock}")
    if int(pieces) != 1_000 + sales:
        wrong.append(f"{pieces} pieces in the drawer instead of {1_000 + sales}")
    return wrong + [f"verify: {found}" for found in verify(database)]
