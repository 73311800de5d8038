"""Sales that were made elsewhere, brought in with their own prices and dates. Source: R2, T2."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tallybook.customers.store import CUSTOMER_BY_EMAIL
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import CounterTerms, Product, Purchase, StockMovement
from tallybook.retail.operations.purchases import find_customer, sale_decision
from tallybook.retail.operations.till import DRAWER_LOCK, PIECES_READ, Rows, open_own_till
from tallybook.retail.rules.basket import BasketLine, check_product, price_basket
from tallybook.retail.rules.totals import RULES_VERSION, cash_rounding_of, round_cash
from tallybook.retail.store import PRODUCTS, PURCHASE_BY_REFERENCE, STOCK_MOVEMENTS
from tallybook.writer.model import Decision, Moment, Needs, View


@frozen
class PastLine:
    """One line of a past sale, as it was sold. Units: minor units."""

    product_id: int
    quantity: int
    unit_price_minor: int
    tax_ppm: int
    name: str | None = None
    """None here, and below, is as the product is today."""
    tax_inclusive: bool | None = None


@frozen
class RecordPastSale:
    """A sale under the number that it had where it was made."""

    reference: str
    sold_on: date
    email: str | None
    email_folded: str | None
    lines: tuple[PastLine, ...]
    notes_stock: bool
    """Whether the stock that it brought in and took goes on record; today's stays as it is."""


class RecordPastSaleOperation:
    """Brings in a past sale: paid exactly, its cash long gone from this drawer."""

    name = "retail.record_past_sale"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms
        self._rounding = cash_rounding_of(terms.cash_rounding, terms.currency)

    def needs(self, command: RecordPastSale, seen: View) -> Needs:
        """Find customer and reference; lock the products and the drawer, which numbers it."""
        del seen
        email = command.email_folded
        return Needs(
            look_up=() if email is None else ((CUSTOMER_BY_EMAIL, email),),
            lock=(*((PRODUCTS, line.product_id) for line in command.lines), DRAWER_LOCK),
            read=(PIECES_READ, (PURCHASE_BY_REFERENCE, command.reference)),
        )

    def decide(
        self, view: View, command: RecordPastSale, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Record it, unless it is in the book or a product is not."""
        till = open_own_till(view, self._terms)
        if isinstance(till, Refusal):
            return till
        currency = till.drawer.currency
        known = view.one(PURCHASE_BY_REFERENCE, command.reference)
        if known is not None:
            return Refusal("reference_taken", "reference", {"purchase_id": known.number})
        lines: list[BasketLine] = []
        for line in command.lines:
            product = check_product(view.row(PRODUCTS, line.product_id), line.product_id, currency)
            if isinstance(product, Refusal):
                return product
            sold = _as_it_was(product, line)
            lines.append(BasketLine(sold, line.quantity, line.unit_price_minor, line.tax_ppm))
        number = till.drawer.purchases_count + 1
        basket = price_basket(lines, number)
        if isinstance(basket, Refusal):
            return basket
        final = round_cash(basket.net_minor, self._rounding)
        customer, is_new = find_customer(
            view, command.email, command.email_folded, self._terms, moment, ids
        )
        purchase = Purchase(
            number=number,
            subject_id=ids.fresh(),
            customer_id=customer.id if customer else None,
            customer_email=command.email,
            currency=currency,
            total_minor=basket.total_minor,
            tax_minor=basket.tax_minor,
            rounding_minor=final - basket.net_minor,
            final_minor=final,
            paid_minor=final,
            tendered=None,
            change="",
            cash_rounding=self._terms.cash_rounding,
            rules_version=RULES_VERSION,
            sold_on=command.sold_on,
            recorded_at=moment.now,
            session_number=None,
            is_imported=True,
            reference=command.reference,
            hash="",
        )
        decided = sale_decision(
            till,
            dict(till.counts),
            lines,
            basket,
            purchase,
            customer if is_new else None,
            takes_stock=False,
        )
        if not command.notes_stock:
            return decided
        return replace(decided, added=[*decided.added, *_passed_through(lines, moment, ids)])


def _as_it_was(product: Product, line: PastLine) -> Product:
    inclusive = product.tax_inclusive if line.tax_inclusive is None else line.tax_inclusive
    return replace(product, name=line.name or product.name, tax_inclusive=inclusive)


def _passed_through(lines: Sequence[BasketLine], moment: Moment, ids: Ids) -> Rows:
    """Put on record that what was sold had come in and went out.

    Both were before today's stock was counted, so they leave it as it is.
    """
    return [
        (STOCK_MOVEMENTS, StockMovement(ids.fresh(), line.product.id, change, reason, moment.now))
        for line in lines
        for change, reason in (
            (line.quantity, "imported stock"),
            (-line.quantity, "imported sale"),
        )
    ]
