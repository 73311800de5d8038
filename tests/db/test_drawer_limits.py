"""One drawer has one currency, and is worth no more than any amount may be. Source: R1."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tallybook.kernel.money import MINOR_MAX
from tallybook.retail.model import CounterTerms, Drawer
from tallybook.retail.operations.drawer import (
    CloseSession,
    CloseSessionOperation,
    MoveCash,
    MoveCashOperation,
    OpenSession,
    OpenSessionOperation,
    SetDenomination,
    SetDenominationOperation,
)
from tallybook.retail.operations.imports import (
    PastLine,
    RecordPastSale,
    RecordPastSaleOperation,
)
from tallybook.retail.operations.products import ChangeProduct, ChangeProductOperation
from tallybook.retail.operations.purchases import RecordPurchase, RecordPurchaseOperation
from tallybook.retail.operations.till import Till, check_worth
from tallybook.writer.model import Command
from tests.selling import Shop, assert_book_is_clean, code_of, done
from tests.serving import Parts

DOLLARS, YEN = CounterTerms("USD", "none"), CounterTerms("JPY", "none")
EMPTY = Drawer(1, "USD", 0, 0, 0, 0, 0, 0, None, "", "")


@pytest.fixture
def parts(book_url: str, tmp_path: Path) -> Iterator[Parts]:
    opened = Parts.open(book_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def shop(parts: Parts) -> Shop:
    shop = Shop(parts.door)
    shop.add_product("tea", 450)
    shop.fill_drawer({50_000: 2, 5: 0})
    done(shop.door.ask_now(Command(OpenSessionOperation(DOLLARS), OpenSession(((50_000, 2),)))))
    return shop


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        (MoveCashOperation, MoveCash(1, 5_000, is_in=True, pieces=None, reason="float")),
        (CloseSessionOperation, CloseSession(1, ((50_000, 2),))),
        (OpenSessionOperation, OpenSession(((50_000, 2),))),
        (SetDenominationOperation, SetDenomination(50_000, 3, is_new=False)),
        (ChangeProductOperation, ChangeProduct(1, price_minor=100)),
        (RecordPurchaseOperation, RecordPurchase(None, None, ((1, 1),), 450, None)),
        (
            RecordPastSaleOperation,
            RecordPastSale(
                "A1", date(2026, 1, 1), None, None, (PastLine(1, 1, 450, 0),), notes_stock=False
            ),
        ),
    ],
)
def test_amounts_of_another_currency_are_refused(
    parts: Parts, shop: Shop, operation: Any, asked: Any
) -> None:
    """500 yen and 500.00 dollars may be equal numbers, and are not equal money."""
    with parts.database.reader() as connection:
        before = connection.execute(text("SELECT count(*) FROM events")).scalar()
    outcome = shop.door.ask_now(Command(operation(YEN), asked))
    assert code_of(outcome) == "drawer_currency_differs"
    with parts.database.reader() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar() == before


def test_a_product_of_another_currency_may_still_be_renamed(shop: Shop) -> None:
    done(shop.door.ask_now(Command(ChangeProductOperation(YEN), ChangeProduct(1, name="chai"))))


def test_no_sale_makes_a_drawer_worth_more_than_an_amount_may_be(parts: Parts, shop: Shop) -> None:
    move = MoveCash(1, MINOR_MAX - 100_000, is_in=True, pieces=None, reason="full")
    done(shop.door.ask_now(Command(MoveCashOperation(DOLLARS), move)))
    assert code_of(shop.sell([(1, 1)], 450)) == "amount_invalid"
    # What takes out is always taken; one that is too rich from before can be emptied.
    out = MoveCash(1, 450, is_in=False, pieces=None, reason="less")
    done(shop.door.ask_now(Command(MoveCashOperation(DOLLARS), out)))
    done(shop.sell([(1, 1)], 450))
    assert_book_is_clean(parts.database)


def test_a_drawer_that_is_worth_too_much_may_become_worth_less() -> None:
    """A book from before may have one."""
    till = Till(EMPTY, is_new=False, counts={5: MINOR_MAX, 1: 9})
    assert check_worth(till, {5: 0, 1: 9}, "available_count") is None
    assert check_worth(till, {5: MINOR_MAX - 1, 1: 9}, "available_count") is None
    assert check_worth(till, {5: MINOR_MAX, 1: 10}, "available_count") is not None
    assert check_worth(till, till.counts, "paid_amount", 1) is not None
