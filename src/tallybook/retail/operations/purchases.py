"""Selling: one command, all or nothing. Source: R2."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.customers.model import Customer, CustomerStatus
from tallybook.customers.store import CUSTOMER_BY_EMAIL, CUSTOMERS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Chart
from tallybook.retail.model import (
    CashRounding,
    CounterTerms,
    Pieces,
    Product,
    Purchase,
    pieces_text,
    value_of,
)
from tallybook.retail.operations.till import (
    DRAWER_LOCK,
    PIECES_READ,
    Rows,
    Till,
    check_worth,
    drawer_rows,
    entry_of,
    open_own_till,
)
from tallybook.retail.rules.basket import (
    Basket,
    BasketLine,
    check_product,
    check_stock,
    price_basket,
)
from tallybook.retail.rules.change import find_change, nearest_amounts
from tallybook.retail.rules.documents import seal_purchase
from tallybook.retail.rules.drawer import add_pieces
from tallybook.retail.rules.totals import RULES_VERSION, cash_rounding_of, round_cash
from tallybook.retail.store import PRODUCTS, PURCHASE_ITEMS, PURCHASES
from tallybook.retail.views.answers import show_purchase
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

PURCHASE_RECORDED = "retail.purchase.recorded"


@frozen
class RecordPurchase:
    """A parsed basket; the e-mail went through `clean_email` and `fold_email`."""

    email: str | None
    email_folded: str | None
    lines: tuple[tuple[int, int], ...]
    """Product and quantity, each product once: `merge_lines` saw to it."""
    paid_minor: int
    tendered: Pieces | None
    """The pieces paid with, sorted; None where nobody told."""


class RecordPurchaseOperation:
    """Sells a basket against cash: stock, money, pieces, receipt number and lines in one."""

    name = "retail.record_purchase"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms
        self._rounding = cash_rounding_of(terms.cash_rounding, terms.currency)

    def needs(self, command: RecordPurchase, seen: View) -> Needs:
        """Find the customer; lock the products and the drawer, and look at its pieces."""
        del seen
        email = command.email_folded
        return Needs(
            look_up=() if email is None else ((CUSTOMER_BY_EMAIL, email),),
            lock=(*((PRODUCTS, product_id) for product_id, _ in command.lines), DRAWER_LOCK),
            read=(PIECES_READ,),
        )

    def decide(
        self, view: View, command: RecordPurchase, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Sell, or say what stands against it."""
        till = open_own_till(view, self._terms)
        if isinstance(till, Refusal):
            return till
        number = till.drawer.purchases_count + 1
        lines = _choose_products(view, command.lines, till.drawer.currency)
        if isinstance(lines, Refusal):
            return lines
        basket = price_basket(lines, number)
        if isinstance(basket, Refusal):
            return basket
        cash = _take_cash(till, basket, self._rounding, command.paid_minor, command.tendered)
        if isinstance(cash, Refusal):
            return cash
        uncounted = command.paid_minor if command.tendered is None else 0
        if (refusal := check_worth(till, cash.counts, "paid_amount", uncounted)) is not None:
            return refusal
        customer, is_new = find_customer(
            view, command.email, command.email_folded, self._terms, moment, ids
        )
        purchase = Purchase(
            number=number,
            subject_id=ids.fresh(),
            customer_id=customer.id if customer else None,
            customer_email=command.email,
            currency=till.drawer.currency,
            total_minor=basket.total_minor,
            tax_minor=basket.tax_minor,
            rounding_minor=cash.final_minor - basket.net_minor,
            final_minor=cash.final_minor,
            paid_minor=command.paid_minor,
            tendered=None if command.tendered is None else pieces_text(command.tendered),
            change=pieces_text(cash.change),
            cash_rounding=self._terms.cash_rounding,
            rules_version=RULES_VERSION,
            sold_on=moment.today,
            recorded_at=moment.now,
            session_number=till.drawer.open_session,
            is_imported=False,
            reference=None,
            hash="",
        )
        return sale_decision(
            till,
            cash.counts,
            lines,
            basket,
            purchase,
            customer if is_new else None,
            uncounted_minor=uncounted,
        )


@frozen
class _Cash:
    final_minor: int
    change: Pieces
    counts: dict[int, int]


def _choose_products(
    view: View, lines: Sequence[tuple[int, int]], currency: str
) -> list[BasketLine] | Refusal:
    chosen: list[BasketLine] = []
    for product_id, quantity in lines:
        product = check_product(view.row(PRODUCTS, product_id), product_id, currency)
        if isinstance(product, Refusal):
            return product
        if (short := check_stock(product, quantity)) is not None:
            return short
        chosen.append(BasketLine(product, quantity, product.price_minor, product.tax_ppm))
    return chosen


def _take_cash(
    till: Till,
    basket: Basket,
    rounding: CashRounding,
    paid_minor: int,
    tendered: Pieces | None,
) -> _Cash | Refusal:
    """Take the payment and choose the change; tendered pieces may go back out. Source: R4-R6."""
    currency = till.drawer.currency
    counts = dict(till.counts)
    if tendered is not None:
        for value, _ in tendered:
            if value not in counts:
                details: dict[str, object] = {"value": format_amount(value, currency)}
                return Refusal("denomination_unknown", param="tendered", details=details)
        if value_of(tendered) != paid_minor:
            details = {"tendered": format_amount(value_of(tendered), currency)}
            return Refusal("tender_mismatch", param="tendered", details=details)
        counts = add_pieces(counts, tendered)
    final = round_cash(basket.net_minor, rounding)
    if paid_minor < final:
        details = {
            "final_amount": format_amount(final, currency),
            "owed": format_amount(final - paid_minor, currency),
        }
        return Refusal("payment_insufficient", param="paid_amount", details=details)
    if paid_minor == final:
        return _Cash(final, (), counts)
    change = find_change(paid_minor - final, tuple(sorted(counts.items(), reverse=True)))
    if change is None:
        # Told from the drawer's own pieces, so that it holds whatever pieces they pay with.
        below, above = nearest_amounts(paid_minor - final, till.pieces)
        nearest = [final + below] + ([] if above is None else [final + above])
        details = {
            "final_amount": format_amount(final, currency),
            "change": format_amount(paid_minor - final, currency),
            "nearest": [format_amount(amount, currency) for amount in nearest],
        }
        return Refusal("change_impossible", param="paid_amount", details=details)
    return _Cash(final, change, add_pieces(counts, change, -1))


def find_customer(
    view: View,
    email: str | None,
    folded: str | None,
    terms: CounterTerms,
    moment: Moment,
    ids: Ids,
) -> tuple[Customer | None, bool]:
    """Find who buys by e-mail, or make them; None without one. Says whether they are new."""
    if email is None or folded is None:
        return None, False
    known = view.one(CUSTOMER_BY_EMAIL, folded)
    if known is not None:
        return known, False
    # Nobody asked for a name at the counter; the address is the best there is.
    return (
        Customer(
            id=ids.fresh(),
            name=email[:200],
            email=email,
            email_folded=folded,
            status=CustomerStatus.ACTIVE,
            credit_limit_minor=None,
            currency=terms.currency,
            created_at=moment.now,
        ),
        True,
    )


def sale_decision(
    till: Till,
    counts: dict[int, int],
    lines: Sequence[BasketLine],
    basket: Basket,
    purchase: Purchase,
    new_customer: Customer | None,
    *,
    uncounted_minor: int = 0,
    takes_stock: bool = True,
) -> Decision:
    """Put a sale into rows, entry, events and reply.

    Units: `uncounted_minor` is the cash taken whose pieces nobody told. Source: R2, R6, G.
    """
    purchase = seal_purchase(till.drawer.purchase_hash, purchase, basket.items)
    drawer = replace(
        till.drawer,
        uncounted_minor=till.drawer.uncounted_minor + uncounted_minor,
        purchases_count=purchase.number,
        purchase_hash=purchase.hash,
    )
    rows = drawer_rows(till, drawer, counts)
    added: Rows = [*rows.added, (PURCHASES, purchase)]
    added += [(PURCHASE_ITEMS, item) for item in basket.items]
    events: list[Event] = []
    if new_customer is not None:
        added.insert(0, (CUSTOMERS, new_customer))
        created = {"status": new_customer.status.value, "bank_accounts": 0}
        events.append(
            Event("customers.customer.created", new_customer.id, created, new_customer.id)
        )
    events.append(
        Event(
            PURCHASE_RECORDED,
            purchase.subject_id,
            {
                "purchase_id": purchase.number,
                "final_amount": format_amount(purchase.final_minor, purchase.currency),
                "currency": purchase.currency,
                "hash": purchase.hash,
            },
            purchase.customer_id,
        )
    )
    sold = _take_stock(lines) if takes_stock else ()
    return Decision(
        changed=(*((PRODUCTS, product) for product in sold), *rows.changed),
        added=added,
        entries=_entry(purchase),
        events=events,
        reply=Reply(201, show_purchase(purchase, basket.items)),
    )


def _take_stock(lines: Sequence[BasketLine]) -> list[Product]:
    # A product may stand on several lines at different prices.
    left: dict[int, Product] = {}
    for line in lines:
        product = left.get(line.product.id, line.product)
        left[product.id] = replace(product, stock=product.stock - line.quantity)
    return list(left.values())


def _entry(purchase: Purchase) -> tuple[object, ...]:
    cash = Chart.CASH_FLOAT if purchase.is_imported else Chart.CASH_DRAWER
    return entry_of(
        "retail.purchase",
        purchase.sold_on,
        (
            (cash, purchase.paid_minor),
            (cash, purchase.final_minor - purchase.paid_minor),
            (Chart.SALES, -purchase.total_minor),
            (Chart.TAX_PAYABLE, -purchase.tax_minor),
            (Chart.ROUNDING, -purchase.rounding_minor),
        ),
        purchase.currency,
        purchase.subject_id,
        purchase.customer_id,
    )
