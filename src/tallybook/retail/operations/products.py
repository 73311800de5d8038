"""The catalogue: add a product, change it, retire it. Source: R1."""

from __future__ import annotations

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import CounterTerms, Product, StockMovement
from tallybook.retail.operations.till import (
    DRAWER_LOCK,
    PIECES_READ,
    Rows,
    currency_differs,
    drawer_rows,
    open_till,
)
from tallybook.retail.rules.catalogue import fold_name
from tallybook.retail.store import (
    PRODUCT_BY_NAME,
    PRODUCT_BY_SKU,
    PRODUCTS,
    STOCK_MOVEMENTS,
)
from tallybook.retail.views.answers import show_product
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Decision, Event, Index, Moment, Needs, Reply, View


@frozen
class AddProduct:
    """A new product; name and sku are cleaned, the price is more than zero."""

    name: str
    sku: str | None
    stock: int
    price_minor: int
    tax_ppm: int
    tax_inclusive: bool
    oversell_limit: int
    currency: str
    said: Said = said_of("price_minor", "currency")


class AddProductOperation:
    """Adds a product under the next number."""

    name = "retail.add_product"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: AddProduct, seen: View) -> Needs:
        """Lock the drawer, which gives the number; under it no name can be taken twice."""
        del seen
        return Needs(lock=(DRAWER_LOCK,), read=(PIECES_READ, *_places(command.name, command.sku)))

    def decide(
        self, view: View, command: AddProduct, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Add it, unless name or sku are taken."""
        till = open_till(view, self._terms)
        if command.currency != till.drawer.currency:
            return currency_differs(till.drawer.currency, "currency")
        product = Product(
            id=till.drawer.products_count + 1,
            name=command.name,
            name_folded=fold_name(command.name),
            sku=command.sku,
            stock=command.stock,
            price_minor=command.price_minor,
            tax_ppm=command.tax_ppm,
            tax_inclusive=command.tax_inclusive,
            oversell_limit=command.oversell_limit,
            currency=command.currency,
            active=True,
            created_at=moment.now,
        )
        if (taken := _find_taken(view, product)) is not None:
            return taken
        rows = drawer_rows(till, replace(till.drawer, products_count=product.id), till.counts)
        added: Rows = [(PRODUCTS, product), *rows.added]
        if product.stock:
            movement = StockMovement(ids.fresh(), product.id, product.stock, "created", moment.now)
            added.append((STOCK_MOVEMENTS, movement))
        return Decision(
            changed=rows.changed,
            added=added,
            events=(_event("retail.product.created", product, ids),),
            reply=Reply(201, show_product(product)),
            value=product,
        )


NO_SKU = ""
"""What a change says of a product that is to have no sku any more."""


@frozen
class ChangeProduct:
    """What is to be different about a product; None leaves it as it is."""

    product_id: int
    name: str | None = None
    sku: str | None = None
    """Or `NO_SKU`."""
    stock: int | None = None
    price_minor: int | None = None
    tax_ppm: int | None = None
    tax_inclusive: bool | None = None
    oversell_limit: int | None = None


class ChangeProductOperation:
    """Changes a product. What was sold keeps what it was sold as."""

    name = "retail.change_product"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: ChangeProduct, seen: View) -> Needs:
        """Lock the product, and the drawer, under which names are given."""
        del seen
        return Needs(
            lock=((PRODUCTS, command.product_id), DRAWER_LOCK),
            read=_places(command.name, command.sku),
        )

    def decide(
        self, view: View, command: ChangeProduct, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Change it, unless it is gone, a name is taken, or the price is in another currency."""
        before = view.row(PRODUCTS, command.product_id)
        refusal = _check_active(before, command.product_id)
        if before is None or refusal is not None:
            return refusal or _unknown(command.product_id)
        if command.price_minor is not None and before.currency != self._terms.currency:
            return currency_differs(before.currency, "price")
        after = _changed(before, command)
        if (taken := _find_taken(view, after)) is not None:
            return taken
        if after.stock < -after.oversell_limit:
            details = {"product_id": after.id, "wanted": 0, "available": after.stock}
            return Refusal("stock_insufficient", "oversell_limit", details)
        added: Rows = []
        if after.stock != before.stock:
            change = after.stock - before.stock
            movement = StockMovement(ids.fresh(), after.id, change, "set", moment.now)
            added.append((STOCK_MOVEMENTS, movement))
        return Decision(
            changed=((PRODUCTS, after),),
            added=added,
            events=(_event("retail.product.changed", after, ids),),
            reply=Reply(200, show_product(after)),
        )


@frozen
class RetireProduct:
    """A product that is not sold any more."""

    product_id: int


class RetireProductOperation:
    """Retires a product: receipts keep it, its name is free again. Source: R1."""

    name = "retail.retire_product"

    def needs(self, command: RetireProduct, seen: View) -> Needs:
        """Lock the product, and the drawer, under which names are given."""
        del seen
        return Needs(lock=((PRODUCTS, command.product_id), DRAWER_LOCK))

    def decide(
        self, view: View, command: RetireProduct, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Retire it, unless it is unknown or retired already."""
        del moment
        before = view.row(PRODUCTS, command.product_id)
        if before is None or not before.active:
            return _unknown(command.product_id)
        after = replace(before, active=False)
        return Decision(
            changed=((PRODUCTS, after),),
            events=(_event("retail.product.retired", after, ids),),
            reply=Reply(204, {}),
        )


def _places(name: str | None, sku: str | None) -> tuple[tuple[Index[Product], str], ...]:
    places: list[tuple[Index[Product], str]] = []
    if name is not None:
        places.append((PRODUCT_BY_NAME, fold_name(name)))
    if sku:
        places.append((PRODUCT_BY_SKU, sku))
    return tuple(places)


def _find_taken(view: View, product: Product) -> Refusal | None:
    for index, key, code, param in (
        (PRODUCT_BY_NAME, product.name_folded, "name_taken", "name"),
        (PRODUCT_BY_SKU, product.sku, "sku_taken", "sku"),
    ):
        if view.has_rows(index, key):
            other = view.one(index, key)
            if other is not None and other.id != product.id:
                return Refusal(code, param)
    return None


def _changed(before: Product, command: ChangeProduct) -> Product:
    wanted = {
        "name": command.name,
        "name_folded": None if command.name is None else fold_name(command.name),
        "sku": command.sku,
        "stock": command.stock,
        "price_minor": command.price_minor,
        "tax_ppm": command.tax_ppm,
        "tax_inclusive": command.tax_inclusive,
        "oversell_limit": command.oversell_limit,
    }
    after = replace(before, **{name: value for name, value in wanted.items() if value is not None})
    return replace(after, sku=None) if after.sku == NO_SKU else after


def _check_active(product: Product | None, product_id: int) -> Refusal | None:
    if product is None:
        return _unknown(product_id)
    if not product.active:
        return Refusal("product_retired", details={"product_id": product_id})
    return None


def _unknown(product_id: int) -> Refusal:
    return Refusal("product_not_found", details={"product_id": product_id})


def _event(kind: str, product: Product, ids: Ids) -> Event:
    # Products have numbers and no ids: the body names it, and the subject is this event's own.
    shown = show_product(product)
    return Event(kind, ids.fresh(), shown)
