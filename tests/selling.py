"""A shop for the tests: products, a drawer, and ways to buy from it."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json
from sqlalchemy import func, select

from tallybook.db.engine import Database
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.store import ACCOUNTS, BALANCES
from tallybook.retail.model import CounterTerms, Pieces
from tallybook.retail.operations.drawer import SetDenomination, SetDenominationOperation
from tallybook.retail.operations.products import AddProduct, AddProductOperation
from tallybook.retail.operations.purchases import RecordPurchase, RecordPurchaseOperation
from tallybook.retail.operations.refunds import GiveRefund, GiveRefundOperation
from tallybook.retail.queries.checks import drawer_cash, find_differences
from tallybook.retail.rules.basket import merge_lines
from tallybook.retail.rules.drawer import sort_pieces
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome


class Shop:
    """Speaks to one door in the counter's commands. Units: minor units."""

    def __init__(self, door: Door, *, cash_rounding: str = "none") -> None:
        self.door = door
        terms = CounterTerms("USD", cash_rounding)
        self._add = AddProductOperation(terms)
        self._set = SetDenominationOperation(terms)
        self._sell = RecordPurchaseOperation(terms)
        self._refund = GiveRefundOperation(terms)

    def add_product(self, name: str, price: int, *, stock: int = 1_000, **more: Any) -> int:
        """Add a product; gives its number."""
        fields: dict[str, Any] = {
            "sku": None,
            "tax_ppm": 0,
            "tax_inclusive": False,
            "oversell_limit": 0,
            "currency": "USD",
        } | more
        asked = AddProduct(name=name, stock=stock, price_minor=price, **fields)
        return from_json(done(self.door.ask_now(Command(self._add, asked))).body)["id"]

    def fill_drawer(self, counts: dict[int, int]) -> None:
        """Add denominations."""
        for value, count in counts.items():
            asked = SetDenomination(value, count, is_new=True)
            done(self.door.ask_now(Command(self._set, asked)))

    def sale(
        self,
        lines: Sequence[tuple[int, int]],
        paid: int,
        *,
        tendered: Pieces | None = None,
        email: str | None = None,
        key: str | None = None,
    ) -> Command:
        """Make a sale's command."""
        pieces = None if tendered is None else sort_pieces(tendered)
        asked = RecordPurchase(email, email, merge_lines(lines), paid, pieces)
        return Command(self._sell, asked, key)

    def sell(self, lines: Sequence[tuple[int, int]], paid: int, **more: Any) -> Outcome:
        """Sell, or be refused."""
        return self.door.ask_now(self.sale(lines, paid, **more))

    def refund(
        self,
        purchase: int,
        items: Sequence[tuple[int, int]] | None = None,
        *,
        restock: bool = False,
    ) -> Outcome:
        """Give money back, or be refused."""
        lines = None if items is None else merge_lines(items)
        return self.door.ask_now(
            Command(self._refund, GiveRefund(purchase, lines, restock, "because"))
        )


def done(outcome: Outcome) -> Outcome:
    """See that a command was not refused."""
    assert outcome.refusal is None, outcome.refusal
    return outcome


def code_of(outcome: Outcome) -> str | None:
    """Tell a refusal's code."""
    refusal: Refusal | None = outcome.refusal
    return None if refusal is None else refusal.code


def assert_book_is_clean(database: Database) -> None:
    """See that documents, stock, pieces and ledger tell the same."""
    with database.reader() as connection:
        assert list(find_differences(connection)) == []
        cash = drawer_cash(connection)
        booked = connection.execute(
            select(func.sum(BALANCES.c.debit_minor) - func.sum(BALANCES.c.credit_minor))
            .join(ACCOUNTS, ACCOUNTS.c.id == BALANCES.c.account_id)
            .where(ACCOUNTS.c.name == "cash:drawer")
        ).scalar()
        assert cash is None or cash[1] == int(booked or 0)
