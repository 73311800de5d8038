"""Giving money back: a document of its own, for a whole purchase or a part of it. Source: R8."""

from __future__ import annotations

from datetime import date

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Chart
from tallybook.retail.model import (
    CounterTerms,
    Product,
    Purchase,
    PurchaseItem,
    Refund,
    RefundItem,
    pieces_text,
)
from tallybook.retail.operations.till import (
    DRAWER_LOCK,
    PIECES_READ,
    Till,
    drawer_rows,
    entry_of,
    open_till,
)
from tallybook.retail.rules.documents import refund_hash
from tallybook.retail.rules.drawer import CashOut, add_pieces, take_out
from tallybook.retail.rules.refunds import (
    RefundPlan,
    check_lines,
    choose_lines,
    plan_refund,
)
from tallybook.retail.rules.totals import cash_rounding_of
from tallybook.retail.store import (
    ITEMS_OF,
    PRODUCTS,
    PURCHASE_BY_NUMBER,
    REFUND_ITEMS,
    REFUND_ITEMS_OF,
    REFUNDS,
    REFUNDS_OF,
)
from tallybook.retail.views.answers import show_refund
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class GiveRefund:
    """A parsed request for a refund."""

    purchase_number: int
    items: tuple[tuple[int, int], ...] | None
    """Product and quantity, each product once; None gives back all that is left."""
    restock: bool
    reason: str
    refunded_on: date | None = None
    """For what was given back elsewhere, before it was brought here."""
    is_imported: bool = False
    reference: str | None = None
    lines: tuple[tuple[int, int], ...] | None = None
    """Line and quantity, where the lines themselves are known; `items` is then not looked at."""


class GiveRefundOperation:
    """Gives back what is due for the quantities asked, after what was given back before."""

    name = "retail.give_refund"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: GiveRefund, seen: View) -> Needs:
        """Look up the purchase, which never changes; lock the drawer, which guards its refunds."""
        number = command.purchase_number
        products: tuple[int, ...] = ()
        if command.restock and seen.has_rows(ITEMS_OF, number):
            products = tuple({item.product_id for item in seen.rows(ITEMS_OF, number)})
        return Needs(
            look_up=((PURCHASE_BY_NUMBER, number), (ITEMS_OF, number)),
            lock=(*((PRODUCTS, product_id) for product_id in products), DRAWER_LOCK),
            read=(PIECES_READ, (REFUNDS_OF, number), (REFUND_ITEMS_OF, number)),
        )

    def decide(
        self, view: View, command: GiveRefund, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Give it back, or say what stands against it."""
        purchase = view.one(PURCHASE_BY_NUMBER, command.purchase_number)
        if purchase is None:
            return Refusal("purchase_not_found")
        till = open_till(view, self._terms)
        if till.drawer.currency != purchase.currency:
            return Refusal("drawer_currency_differs", details={"currency": till.drawer.currency})
        planned = _plan(view, purchase, command)
        if isinstance(planned, Refusal):
            return planned
        out = CashOut((), 0)
        if not command.is_imported:
            out = take_out(planned.cash_minor, till.counts, till.drawer.uncounted_minor)
        if out is None:
            amount = format_amount(planned.cash_minor, purchase.currency)
            return Refusal("drawer_insufficient", details={"amount": amount})
        refund, items = _refund_of(till, purchase, command, planned, out, moment, ids)
        return _decision(view, till, out, refund, items, planned)


def _plan(view: View, purchase: Purchase, command: GiveRefund) -> RefundPlan | Refusal:
    items: list[PurchaseItem] = view.rows(ITEMS_OF, purchase.number)
    so_far: dict[int, int] = {}
    for given in view.rows(REFUND_ITEMS_OF, purchase.number):
        so_far[given.purchase_line] = so_far.get(given.purchase_line, 0) + given.quantity
    cash_so_far = sum(refund.cash_minor for refund in view.rows(REFUNDS_OF, purchase.number))
    if command.lines is not None:
        chosen = check_lines(items, so_far, dict(command.lines))
    else:
        wanted = None if command.items is None else dict(command.items)
        chosen = choose_lines(items, so_far, wanted)
    if isinstance(chosen, Refusal):
        return chosen
    rounding = cash_rounding_of(purchase.cash_rounding, purchase.currency)
    return plan_refund(items, so_far, cash_so_far, chosen, rounding)


def _refund_of(
    till: Till,
    purchase: Purchase,
    command: GiveRefund,
    planned: RefundPlan,
    out: CashOut,
    moment: Moment,
    ids: Ids,
) -> tuple[Refund, list[RefundItem]]:
    number = till.drawer.refunds_count + 1
    items = [
        RefundItem(
            refund_number=number,
            purchase_number=purchase.number,
            purchase_line=line.item.line,
            product_id=line.item.product_id,
            quantity=line.quantity,
            amount_minor=line.amount_minor,
            tax_minor=line.tax_minor,
        )
        for line in planned.lines
    ]
    refund = Refund(
        number=number,
        subject_id=ids.fresh(),
        purchase_number=purchase.number,
        customer_id=purchase.customer_id,
        currency=purchase.currency,
        total_minor=planned.total_minor,
        tax_minor=planned.tax_minor,
        rounding_minor=planned.rounding_minor,
        cash_minor=planned.cash_minor,
        pieces=pieces_text(out.pieces),
        uncounted_minor=out.uncounted_minor,
        restock=command.restock,
        reason=command.reason,
        refunded_on=command.refunded_on or moment.today,
        recorded_at=moment.now,
        session_number=till.drawer.open_session,
        is_imported=command.is_imported,
        reference=command.reference,
        hash="",
    )
    return replace(refund, hash=refund_hash(till.drawer.refund_hash, refund, items)), items


def _decision(
    view: View,
    till: Till,
    out: CashOut,
    refund: Refund,
    items: list[RefundItem],
    planned: RefundPlan,
) -> Decision:
    drawer = replace(
        till.drawer,
        uncounted_minor=till.drawer.uncounted_minor - out.uncounted_minor,
        refunds_count=refund.number,
        refund_hash=refund.hash,
    )
    rows = drawer_rows(till, drawer, add_pieces(till.counts, out.pieces, -1))
    restocked = _restock(view, items) if refund.restock else ()
    given = Event(
        "retail.refund.given",
        refund.subject_id,
        {
            "refund_id": refund.number,
            "purchase_id": refund.purchase_number,
            "refund_amount": format_amount(refund.cash_minor, refund.currency),
            "currency": refund.currency,
            "hash": refund.hash,
        },
        refund.customer_id,
    )
    cash = Chart.CASH_FLOAT if refund.is_imported else Chart.CASH_DRAWER
    return Decision(
        changed=(*((PRODUCTS, product) for product in restocked), *rows.changed),
        added=(*rows.added, (REFUNDS, refund), *((REFUND_ITEMS, item) for item in items)),
        entries=entry_of(
            "retail.refund",
            refund.refunded_on,
            (
                (Chart.SALES, planned.total_minor),
                (Chart.TAX_PAYABLE, planned.tax_minor),
                (Chart.ROUNDING, planned.rounding_minor),
                (cash, -planned.cash_minor),
            ),
            refund.currency,
            refund.subject_id,
            refund.customer_id,
        ),
        events=(given,),
        reply=Reply(201, show_refund(refund, items)),
    )


def _restock(view: View, items: list[RefundItem]) -> list[Product]:
    returned: dict[int, Product] = {}
    for item in items:
        product = returned.get(item.product_id) or view.row(PRODUCTS, item.product_id)
        assert product is not None, "what was sold stays a product"
        returned[product.id] = replace(product, stock=product.stock + item.quantity)
    return list(returned.values())
