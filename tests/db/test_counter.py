"""The counter through the door, on both databases: races, refusals without a trace, kill -9."""

import http.client
import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic_core import from_json
from sqlalchemy import Table, create_engine, exc, func, select, text

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db.engine import Database, open_database
from tallybook.db.metadata import METADATA
from tallybook.ledger.store import LedgerJournal
from tallybook.retail import store
from tallybook.retail.model import CounterTerms, value_of
from tallybook.retail.operations.products import ChangeProduct, ChangeProductOperation
from tallybook.retail.queries import reads
from tallybook.retail.queries.checks import find_differences
from tallybook.retail.rules.drawer import sort_pieces
from tallybook.retail.store import (
    DENOMINATIONS_TABLE,
    PRODUCTS_TABLE,
    PURCHASES_TABLE,
)
from tallybook.retail.views.receipts import receipt_html, receipt_text
from tallybook.writer.door import Door
from tallybook.writer.model import Command
from tests.cli.programs import Server, environment, serve
from tests.selling import Shop, assert_book_is_clean, code_of, done

ROUNDS = int(os.environ.get("TALLYBOOK_TEST_ROUNDS", "5"))
"""Full scale: 500."""
SALES = int(os.environ.get("TALLYBOOK_TEST_SALES", "240"))
"""Full scale: 10,000."""
BUYERS = 200
COINS: tuple[int, ...] = (5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)


@pytest.fixture
def database(book_url: str) -> Iterator[Database]:
    opened = open_database(book_url)
    yield opened
    opened.close()


@pytest.fixture
def tills(database: Database) -> Iterator[list[Shop]]:
    """Two tills, each with a writer and a connection of its own."""
    doors = [
        Door(database.open_writer, LedgerJournal(), SystemClock(), FreshIds()) for _ in range(2)
    ]
    yield [Shop(door) for door in doors]
    for door in doors:
        door.close()


@pytest.fixture
def shop(tills: list[Shop]) -> Shop:
    return tills[0]


def scalar(database: Database, wanted: Any) -> int:
    with database.reader() as connection:
        return connection.execute(wanted).scalar_one()


def test_the_migrated_tables_are_those_in_the_code(database: Database) -> None:
    with database.reader() as connection:
        # Of the counter's own module: what other domains migrate is theirs to compare.
        ours = {table.name for table in vars(store).values() if isinstance(table, Table)}
        opts = {
            "compare_type": True,
            "include_object": lambda _, name, kind, *__: kind != "table" or name in ours,
        }
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, METADATA) == []


@pytest.mark.slow
def test_the_last_item_is_sold_once(tills: list[Shop], database: Database) -> None:
    """Each round 200 buyers, through two writers at once, want the one piece that is left."""
    tills[0].fill_drawer(dict.fromkeys(COINS, 1_000_000))
    with ThreadPoolExecutor(BUYERS) as pool:
        for number in range(ROUNDS):
            product = tills[0].add_product(f"last {number}", 750, stock=1)

            def buy(buyer: int, product: int = product) -> str | None:
                email = f"buyer{buyer % 50}@example.org" if buyer % 2 else None
                return code_of(tills[buyer % 2].sell([(product, 1)], 1000, email=email))

            codes = list(pool.map(buy, range(BUYERS)))
            assert codes.count(None) == 1
            assert codes.count("stock_insufficient") == BUYERS - 1
            stock = select(PRODUCTS_TABLE.c.stock).where(PRODUCTS_TABLE.c.id == product)
            assert scalar(database, stock) == 0
    assert_book_is_clean(database)


@pytest.mark.slow
def test_two_tills_share_a_drawer_to_the_piece(tills: list[Shop], database: Database) -> None:
    """Random amounts, tendered and not: each value's count is opening plus in minus out."""
    opening = dict.fromkeys(COINS, SALES)
    tills[0].fill_drawer(opening)
    prices = {
        tills[0].add_product(f"product {n}", 1 + n * 37, stock=10**6): 1 + n * 37 for n in range(60)
    }
    moved = dict.fromkeys(COINS, 0)
    lock = threading.Lock()

    def serve(till: int) -> None:
        dice = random.Random(till)
        for _ in range(SALES // 8):
            lines = [(product, dice.randrange(1, 4)) for product in dice.sample(list(prices), 2)]
            cost = sum(prices[product] * quantity for product, quantity in lines)
            tendered = None
            paid = cost + dice.randrange(5_000)
            if dice.random() < 0.8:
                handful = [(value, dice.randrange(3)) for value in dice.sample(COINS, 4)]
                tendered = sort_pieces([*handful, (5000, cost // 5000 + 1)])
                paid = value_of(tendered)
            sold = from_json(done(tills[till % 2].sell(lines, paid, tendered=tendered)).body)
            with lock:
                for sign, pieces in ((1, sold["tendered"] or []), (-1, sold["change"])):
                    for piece in pieces:
                        value = int(piece["value"].replace(".", ""))
                        moved[value] += sign * piece["count"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(serve, range(8)))
    with database.reader() as connection:
        rows = connection.execute(
            select(
                DENOMINATIONS_TABLE.c.value_minor, DENOMINATIONS_TABLE.c["count"].label("count_")
            )
        )
        assert {row.value_minor: row.count_ for row in rows} == {
            value: opening[value] + moved[value] for value in COINS
        }
    assert_book_is_clean(database)


def test_a_refusal_leaves_no_trace(shop: Shop, database: Database) -> None:
    """Not in stock, drawer, receipt numbers or ledger, and it makes no customer."""
    tea = shop.add_product("tea", 450, stock=3)
    gone = shop.add_product("gone", 100)
    shop.fill_drawer({1000: 5, 100: 1})
    done(shop.sell([(tea, 1)], 450))
    before = snapshot(database)
    for lines, paid, tendered, code in (
        ([(tea, 3)], 10_000, None, "stock_insufficient"),
        ([(tea, 1), (tea, 1), (tea, 1)], 10_000, None, "stock_insufficient"),
        ([(99, 1)], 10_000, None, "product_not_found"),
        ([(tea, 1)], 449, None, "payment_insufficient"),
        ([(tea, 1)], 1000, ((100, 9),), "tender_mismatch"),
        ([(tea, 1)], 1000, ((77, 1),), "denomination_unknown"),
        ([(tea, 1)], 1000, ((1000, 1),), "change_impossible"),
        ([(tea, 10**9)], 10_000, None, "stock_insufficient"),
    ):
        outcome = shop.sell(lines, paid, tendered=tendered, email="new@example.org")
        assert code_of(outcome) == code
        assert snapshot(database) == before, code
    assert code_of(shop.refund(99)) == "purchase_not_found"
    assert code_of(shop.refund(1, [(gone, 1)])) == "item_not_in_purchase"
    assert code_of(shop.refund(1, [(tea, 2)])) == "refund_exceeds_purchase"
    assert snapshot(database) == before
    assert_book_is_clean(database)


def snapshot(database: Database) -> dict[str, list[Any]]:
    """Take every row there is, but for the keys."""
    with database.reader() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))]
            for table in METADATA.sorted_tables
            if table.name != "commands"
        }


def test_a_purchase_and_its_refunds_in_one_batch(shop: Shop, database: Database) -> None:
    """What was decided earlier in a batch counts for what comes later in it."""
    tea = shop.add_product("tea", 333, stock=10, tax_ppm=180_000)
    shop.fill_drawer({100: 50, 1: 500})
    done(shop.sell([(tea, 3)], 1179))
    commands = [shop.sale([(tea, 1)], 393, email="a@example.org") for _ in range(5)]
    outcomes = list(shop.door.submit_many(commands))
    assert [from_json(done(outcome).body)["id"] for outcome in outcomes] == [2, 3, 4, 5, 6]
    given = [done(shop.refund(1, [(tea, 1)], restock=True)) for _ in range(3)]
    amounts = [from_json(outcome.body)["refund_amount"] for outcome in given]
    assert sum(int(amount.replace(".", "")) for amount in amounts) == 1179
    assert code_of(shop.refund(1)) == "nothing_to_refund"
    with database.reader() as connection:
        product = reads.find_product(connection, tea)
        assert product is not None
        assert product.stock == 5
    assert_book_is_clean(database)


def test_receipts_stay_the_same_bytes(tills: list[Shop], database: Database) -> None:
    shop = tills[0]
    products = [shop.add_product(f"product {n}", 999 + n, tax_ppm=50_000) for n in range(5)]
    paid = 2 * (999 * 5 + 10) + 5 * 100
    done(shop.sell([(product, 2) for product in products], paid, email="a@example.org"))
    before = receipts(database)
    for product in products:
        change = ChangeProduct(
            product, name=f"renamed {product}", price_minor=1, tax_ppm=990_000, sku=f"n{product}"
        )
        done(
            shop.door.ask_now(Command(ChangeProductOperation(CounterTerms("USD", "none")), change))
        )
    assert receipts(database) == before


def receipts(database: Database) -> tuple[bytes, bytes]:
    with database.reader() as connection:
        sold = reads.find_purchase(connection, 1)
    assert sold is not None
    return receipt_html(*sold).encode(), receipt_text(*sold).encode()


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE products SET stock = stock + 1 WHERE id = 1",
        "UPDATE denominations SET count = count + 1 WHERE value_minor = 100",
        "UPDATE drawers SET uncounted_minor = uncounted_minor + 1",
        "UPDATE drawers SET purchases_count = purchases_count + 1",
        "UPDATE drawers SET purchase_hash = 'x'",
    ],
)
def test_what_was_tampered_with_is_found(shop: Shop, database: Database, tamper: str) -> None:
    tea = shop.add_product("tea", 450)
    shop.fill_drawer({100: 5, 50: 1})
    done(shop.sell([(tea, 1)], 500))
    assert_book_is_clean(database)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(text(tamper))
    engine.dispose()
    with database.reader() as connection:
        assert list(find_differences(connection)) != []


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE purchases SET customer_email = 'x@example.org' WHERE number = 2",
        "UPDATE purchase_items SET name = 'coffee' WHERE purchase_number = 1",
        "UPDATE purchase_items SET sku = 'C1' WHERE purchase_number = 2",
        "DELETE FROM purchase_items WHERE purchase_number = 2",
        "UPDATE refunds SET reason = 'none'",
        "UPDATE refund_items SET product_id = 2",
    ],
)
def test_a_document_changed_past_its_triggers_breaks_the_chain(
    shop: Shop, database: Database, tamper: str
) -> None:
    """Documents and their lines have no seal of their own: their chain covers every field."""
    tea = shop.add_product("tea", 450)
    shop.fill_drawer({100: 5, 50: 2})
    for _ in range(2):
        done(shop.sell([(tea, 1)], 450, email="a@example.org"))
    done(shop.refund(1, [(tea, 1)]))
    assert_book_is_clean(database)
    table = next(word for word in tamper.split() if word in METADATA.tables)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        if database.is_sqlite:
            for action in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER {table}_append_only_{action}"))
        else:
            connection.execute(text(f"DROP TRIGGER {table}_append_only ON {table}"))
        connection.execute(text(tamper))
    engine.dispose()
    with database.reader() as connection:
        assert any("hash chain" in found.sentence for found in find_differences(connection))


@pytest.mark.parametrize("table", ["purchases", "purchase_items", "refunds", "refund_items",
                                   "drawer_movements", "stock_movements"])  # fmt: skip
def test_documents_can_not_be_changed(database: Database, table: str) -> None:
    engine = create_engine(database.url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = connection.execute(
                text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"),
                {"t": table},
            ).scalar()
            assert found == 2
        else:
            with pytest.raises(exc.IntegrityError):
                connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()


# --- kill -9 --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_answered_survives_a_kill(book_url: str, tmp_path: Path) -> None:
    """Every acknowledged sale is in the book, none half, receipt numbers without a gap."""
    acknowledged: list[int] = []
    settings = environment(
        DATABASE_URL=book_url,
        TALLYBOOK_HOME=str(tmp_path / "home"),
        TALLYBOOK_RUN_ENABLED="false",
        TALLYBOOK_LOG_LEVEL="ERROR",
    )
    with serve(cwd=tmp_path, env=settings) as server:
        product = {"name": "tea", "stock": 10**6, "price": "4.50", "tax_percent": 5}
        assert server.ask("POST", "/api/v1/products", product)[0] == 201
        for value in ("5", "1", "0.25", "0.01"):
            count = {"value": value, "available_count": 10**6}
            assert server.ask("POST", "/api/v1/denominations", count)[0] == 201
        enough = threading.Event()
        with ThreadPoolExecutor(12) as pool:
            for buyer in range(12):
                pool.submit(buy_until_it_dies, server, buyer, acknowledged, enough)
            enough.wait(60)
            server.stop(signal.SIGKILL)
    assert len(acknowledged) >= 300
    database = open_database(book_url)
    with database.reader() as connection:
        numbers = set(connection.execute(select(PURCHASES_TABLE.c.number)).scalars())
        count = connection.execute(select(func.max(PURCHASES_TABLE.c.number))).scalar_one()
    assert set(acknowledged) <= numbers
    assert numbers == set(range(1, count + 1))
    assert_book_is_clean(database)
    database.close()


def buy_until_it_dies(
    server: Server, buyer: int, acknowledged: list[int], enough: threading.Event
) -> None:
    sale = {
        "customer_email": f"buyer{buyer}@example.org",
        "items": [{"product_id": 1, "quantity": 1}],
        "paid_amount": "5",
        "tendered": [{"value": "5", "count": 1}],
    }
    body, headers = json.dumps(sale), {"Content-Type": "application/json"}
    connection = server.connect()
    with suppress(OSError, http.client.HTTPException, ValueError):
        while True:
            connection.request("POST", "/api/v1/purchases", body, headers)
            acknowledged.append(json.loads(connection.getresponse().read())["id"])
            if len(acknowledged) >= 300:
                enough.set()
    connection.close()
