"""What happens at the counter: sales, refunds, counts, prices that change, tills that crowd."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tallybook.retail.model import Pieces
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
from tallybook.retail.operations.products import (
    AddProduct,
    AddProductOperation,
    ChangeProduct,
    ChangeProductOperation,
    RetireProduct,
    RetireProductOperation,
)
from tallybook.retail.operations.purchases import RecordPurchase, RecordPurchaseOperation
from tallybook.retail.operations.refunds import GiveRefund, GiveRefundOperation
from tallybook.retail.rules.basket import merge_lines
from tallybook.retail.rules.drawer import sort_pieces
from tallybook.writer.model import Command, Outcome
from tests.sim.auditor.counter import CounterAudit
from tests.sim.witness import Witness

if TYPE_CHECKING:
    from tests.sim.story import Story

VALUES = (10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 5)


class CounterActors:
    """A shop with a few products and a drawer, and whoever comes to it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        world = story.world
        terms = world.counter_terms
        self.chance = world.chance
        self.add = AddProductOperation(terms)
        self.change = ChangeProductOperation(terms)
        self.retire = RetireProductOperation()
        self.denominate = SetDenominationOperation(terms)
        self.sell = RecordPurchaseOperation(terms)
        self.give_back = GiveRefundOperation(terms)
        self.open = OpenSessionOperation(terms)
        self.close = CloseSessionOperation(terms)
        self.move = MoveCashOperation(terms)
        self.audit: CounterAudit = story.witness.counter
        self.session: int | None = None

    def open_shop(self) -> None:
        """Bring the first products and the first money."""
        for _ in range(self.chance.randint(2, 4)):
            self.new_product()
        values = self.chance.sample(VALUES, self.chance.randint(4, len(VALUES)))
        commands = [
            Command(
                self.denominate,
                SetDenomination(value, self.chance.randint(0, 4), is_new=True),
                self.story.fresh_key(),
            )
            for value in values
        ]
        self.story.ask(*commands)

    def new_product(self) -> None:
        """Add a product."""
        chance = self.chance
        price = chance.choice([chance.randint(1, 3_000), chance.randrange(5, 5_000, 5)])
        asked = AddProduct(
            name=f"product {len(self.audit.products) + 1}",
            sku=None,
            stock=chance.choice([1, 5, 20, 50, 50]),
            price_minor=price,
            tax_ppm=chance.choice([0, 0, 50_000, 125_000, 180_000, 333_333]),
            tax_inclusive=chance.random() < 0.3,
            oversell_limit=chance.choice([0, 0, 0, 2]),
            currency="USD",
        )
        self.story.ask(Command(self.add, asked, self.story.fresh_key()))

    def catalogue(self) -> None:
        """Change a price or a stock, or retire a product; what was sold stays as it was."""
        chance = self.chance
        product = chance.choice(sorted(self.audit.products))
        kind = chance.randrange(4)
        if kind == 0:
            self.new_product()
        elif kind == 1:
            asked = ChangeProduct(product, price_minor=chance.randint(1, 5_000))
            self.story.ask(Command(self.change, asked))
        elif kind == 2:
            self.story.ask(
                Command(self.change, ChangeProduct(product, stock=chance.randint(0, 40)))
            )
        elif len(self.audit.products) > 3 and chance.random() < 0.3:
            self.story.ask(Command(self.retire, RetireProduct(product)))

    def crowd(self) -> None:
        """Let several tills sell and refund at the same moment: one group, one commit."""
        commands = [
            self._refund() if self.audit.receipts and self.chance.random() < 0.35 else self._sale()
            for _ in range(self.chance.choice([1, 1, 2, 4]))
        ]
        self.story.ask(*commands)

    def _sale(self) -> Command:
        chance = self.chance
        products = sorted(self.audit.products)
        lines = [
            (chance.choice(products), chance.choice([1, 1, 2, 3]))
            for _ in range(chance.randint(1, 3))
        ]
        final = self.audit.price(lines)["final"]
        paid = chance.choice([
            final, final, final + chance.randrange(0, 500, 5), -(-final // 100) * 100,
            -(-final // 1_000) * 1_000, max(0, final - 1),
        ])  # fmt: skip
        tendered: Pieces | None = None
        known = sorted(self.audit.pieces, reverse=True)
        if chance.random() < 0.6 and known:
            pieces: dict[int, int] = {}
            left = paid
            for value in known:
                count, left = divmod(left, value)
                if count:
                    pieces[value] = count
            if left:
                pieces[known[-1]] = pieces.get(known[-1], 0) + 1
            paid = sum(value * count for value, count in pieces.items())
            tendered = sort_pieces(pieces.items())
        email = chance.choice([None, "walk@example.org", "ann@example.org"])
        asked = RecordPurchase(email, email, merge_lines(lines), paid, tendered)
        return Command(self.sell, asked, self.story.fresh_key())

    def _refund(self) -> Command:
        chance = self.chance
        number = chance.choice(sorted(self.audit.receipts))
        items = self.audit.receipts[number]["items"]
        lines = None
        if chance.random() < 0.7:
            item = chance.choice(items)
            lines = merge_lines([(item["product"], chance.randint(1, item["quantity"]))])
        asked = GiveRefund(number, lines, chance.random() < 0.5, "because")
        return Command(self.give_back, asked, self.story.fresh_key())

    def drawer(self) -> None:
        """Count the drawer, open or close a session, put money in or take it out."""
        chance = self.chance
        kind = chance.randrange(4)
        pieces = {
            value: max(0, count + chance.choice([0, 0, 0, 1, -1]))
            for value, count in self.audit.pieces.items()
        }
        counted = sort_pieces(pieces.items())
        if kind == 0:
            value = chance.choice(sorted(self.audit.pieces))
            asked = SetDenomination(value, chance.randint(0, 6), is_new=False)
            self.story.ask(Command(self.denominate, asked))
        elif self.session is None:
            (outcome,) = self.story.ask(Command(self.open, OpenSession(counted)))
            if outcome is not None and outcome.refusal is None:
                self.session = from_json(outcome.body)["id"]
        elif kind == 1:
            closed = Command(self.close, CloseSession(self.session, counted))
            self.story.ask(closed)
            self.session = None
        else:
            amount = chance.randrange(5, 2_000, 5)
            asked_move = MoveCash(self.session, amount, chance.random() < 0.6, None, "because")
            self.story.ask(Command(self.move, asked_move))


class CounterEar:
    """Takes what was committed at the counter to the auditor, and asks it what must have been."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.audit = witness.counter

    def heard(self, name: str, asked: Any, outcome: Outcome) -> None:
        """Hear one committed command by its name; others than the counter's are not for us."""
        action = getattr(self, "_" + name, None)
        if action is not None:
            body = from_json(outcome.body)
            action(asked, outcome.refusal and outcome.refusal.code, body)

    def _add_product(self, asked: Any, code: str | None, body: Any) -> None:
        if code is None:
            self.audit.products[body["id"]] = {
                "price": asked.price_minor, "tax_ppm": asked.tax_ppm, "stock": asked.stock,
                "inclusive": asked.tax_inclusive, "oversell": asked.oversell_limit, "active": True,
            }  # fmt: skip

    def _change_product(self, asked: Any, code: str | None, body: Any) -> None:
        del body
        if code is None:
            product = self.audit.products[asked.product_id]
            product["price"] = asked.price_minor or product["price"]
            product["stock"] = product["stock"] if asked.stock is None else asked.stock

    def _retire_product(self, asked: Any, code: str | None, body: Any) -> None:
        del body
        if code is None:
            self.audit.products[asked.product_id]["active"] = False

    def _set_denomination(self, asked: Any, code: str | None, body: Any) -> None:
        del body
        if code is None:
            self.audit.set_pieces(asked.value_minor, asked.count)

    def _open_drawer_session(self, asked: Any, code: str | None, body: Any) -> None:
        del body
        if code is None:
            self.audit.count_drawer(dict(asked.counts), opens=True)

    def _close_drawer_session(self, asked: Any, code: str | None, body: Any) -> None:
        if code is None:
            difference = self.audit.count_drawer(dict(asked.counts))
            if cents(body["over"]) - cents(body["short"]) != difference:
                self.witness.wrong.append(f"over or short by {body}, auditor: {difference}")
            self.witness.reached["drawer over or short"] += difference != 0

    def _move_cash(self, asked: Any, code: str | None, body: Any) -> None:
        if code is None:
            sign = 1 if asked.is_in else -1
            self.audit.move_cash(sign * asked.amount_minor, pieces_of(body["pieces"]))
        else:
            self.witness.reached[f"cash not moved: {code}"] += 1

    def _record_purchase(self, asked: Any, code: str | None, body: Any) -> None:
        lines, tendered = list(asked.lines), asked.tendered
        pieces = None if tendered is None else dict(tendered)
        reasons = self.audit.why_not_sold(lines, asked.paid_minor, pieces)
        if code is not None:
            self.witness.reached[f"sale refused: {code}"] += 1
            if code not in reasons:
                self.witness.wrong.append(f"sale refused with {code}, auditor: {reasons}: {asked}")
            return
        if reasons:
            self.witness.wrong.append(f"sale made against {reasons}: {asked}")
            return
        priced = self.audit.price(lines)
        shown = {
            "total": cents(body["total_amount"]), "tax": cents(body["tax_amount"]),
            "rounding": cents(body["rounding"]), "final": cents(body["final_amount"]),
        }  # fmt: skip
        for name, amount in shown.items():
            if amount != priced[name]:
                self.witness.wrong.append(f"sale {body['id']}: {name} {amount}, not {priced[name]}")
        wrong = self.audit.sell(
            body["id"], lines, asked.paid_minor, pieces, pieces_of(body["change"])
        )
        self.witness.wrong += [f"sale {body['id']}: {each}" for each in wrong]
        self.witness.reached["sale"] += 1

    def _give_refund(self, asked: Any, code: str | None, body: Any) -> None:
        number = asked.purchase_number
        lines = None if asked.items is None else list(asked.items)
        plan = self.audit.plan_refund(number, lines)
        may = plan is not None and self.audit.may_pay_out(plan["cash"])
        if code is not None:
            self.witness.reached[f"refund refused: {code}"] += 1
            if may:
                self.witness.wrong.append(f"refund refused with {code} though it can be: {asked}")
            return
        if plan is None or not may:
            self.witness.wrong.append(f"refund given that can't be: {asked}")
            return
        for name, shown in (("total", "total_amount"), ("tax", "tax_amount")):
            if cents(body[shown]) != plan[name]:
                self.witness.wrong.append(f"refund {body['id']}: {name} {body[shown]}, not {plan}")
        uncounted = cents(body["from_uncounted_cash"])
        wrong = self.audit.refund(
            number, plan, pieces_of(body["pieces"]), uncounted, restock=asked.restock
        )
        self.witness.wrong += [f"refund {body['id']}: {each}" for each in wrong]
        self.witness.reached["refund"] += 1
        self.witness.reached["refund out of uncounted cash"] += uncounted > 0
        self.witness.reached["refund to the last cent"] += self.audit.is_all_back(number)


def cents(text: str) -> int:
    """Read an amount."""
    return int(Decimal(text) * 100)


def pieces_of(shown: list[dict[str, Any]]) -> dict[int, int]:
    """Read pieces."""
    return {cents(each["value"]): each["count"] for each in shown}
