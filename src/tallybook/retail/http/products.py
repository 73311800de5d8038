"""The catalogue over HTTP. Source: R1."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from tallybook.kernel.money import parse_amount, said_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.http.fields import Percent, path_number, terms_of
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.products import (
    NO_SKU,
    AddProduct,
    AddProductOperation,
    ChangeProduct,
    ChangeProductOperation,
    RetireProduct,
    RetireProductOperation,
)
from tallybook.retail.queries import reads
from tallybook.retail.rules.catalogue import clean_product_name, clean_sku
from tallybook.retail.rules.totals import tax_ppm_of
from tallybook.retail.views.answers import show_product
from tallybook.retail.views.shapes import ProductView
from tallybook.wire.calls import Call
from tallybook.wire.context import InContext
from tallybook.wire.fields import COUNT_MAX, Amount, Body, Count, CurrencyCode
from tallybook.wire.paging import InPage, ListOf, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

ROUTER = Router("products")

ProductName = Annotated[str, Field(min_length=1, max_length=20_000)]
Sku = Annotated[str, Field(min_length=1, max_length=1_000)]

_RETIRE_PRODUCT = RetireProductOperation()


class NewProduct(Body):
    """A product to be sold."""

    name: ProductName
    stock: Count
    price: Amount
    tax_percent: Percent
    sku: Sku | None = None
    tax_inclusive: bool = False
    oversell_limit: Count = 0
    currency: CurrencyCode | None = None


class ProductChanges(Body):
    """What is to be different; a field left out stays as it is. A `null` sku is no sku."""

    name: ProductName | None = None
    stock: Annotated[int, Field(ge=-COUNT_MAX, le=COUNT_MAX)] | None = None
    price: Amount | None = None
    tax_percent: Percent | None = None
    sku: Sku | None = None
    tax_inclusive: bool | None = None
    oversell_limit: Count | None = None


@lru_cache(maxsize=16)
def _add_product(terms: CounterTerms) -> AddProductOperation:
    return AddProductOperation(terms)


@lru_cache(maxsize=16)
def _change_product(terms: CounterTerms) -> ChangeProductOperation:
    return ChangeProductOperation(terms)


@ROUTER.post(
    "/products",
    status_code=201,
    response_model=ProductView,
    responses=refusals(
        "product_name_invalid",
        "price_invalid",
        "tax_percent_invalid",
        "sku_invalid",
        "name_taken",
        "sku_taken",
        "currency_unknown",
        "drawer_currency_differs",
    ),
)
async def create_product(call: Call, body: NewProduct) -> Response:
    """Add a product to the catalogue."""
    currency = body.currency or call.context.settings.currency
    price_minor = read_price(body.price, currency)
    return await call.ask(
        _add_product(terms_of(call.context)),
        AddProduct(
            name=clean_product_name(body.name),
            sku=None if body.sku is None else clean_sku(body.sku),
            stock=body.stock,
            price_minor=price_minor,
            tax_ppm=tax_ppm_of(body.tax_percent),
            tax_inclusive=body.tax_inclusive,
            oversell_limit=body.oversell_limit,
            currency=currency,
            said=(said_amount(price_minor, currency), body.currency),
        ),
    )


@ROUTER.put(
    "/products/{product_id}",
    response_model=ProductView,
    responses=refusals(
        "product_not_found",
        "product_retired",
        "product_name_invalid",
        "price_invalid",
        "tax_percent_invalid",
        "sku_invalid",
        "name_taken",
        "sku_taken",
        "drawer_currency_differs",
        "stock_insufficient",
    ),
)
async def change_product(call: Call, product_id: str, body: ProductChanges) -> Response:
    """Change a product: any of the fields. What was sold keeps what it was sold as."""
    currency = call.context.settings.currency
    sku = None if body.sku is None else clean_sku(body.sku)
    return await call.ask(
        _change_product(terms_of(call.context)),
        ChangeProduct(
            product_number(product_id),
            name=None if body.name is None else clean_product_name(body.name),
            sku=NO_SKU if sku is None and "sku" in body.model_fields_set else sku,
            stock=body.stock,
            price_minor=None if body.price is None else read_price(body.price, currency),
            tax_ppm=None if body.tax_percent is None else tax_ppm_of(body.tax_percent),
            tax_inclusive=body.tax_inclusive,
            oversell_limit=body.oversell_limit,
        ),
    )


@ROUTER.delete("/products/{product_id}", status_code=204, responses=refusals("product_not_found"))
async def delete_product(call: Call, product_id: str) -> Response:
    """Retire a product: it is not sold any more, receipts keep it, its name is free again."""
    return await call.ask(_RETIRE_PRODUCT, RetireProduct(product_number(product_id)))


@ROUTER.get("/products", response_model=ListOf[ProductView])
def list_products(
    context: InContext,
    page: InPage,
    active: Annotated[bool, Query(description="False lists the retired ones.")] = True,  # noqa: FBT002 - a query parameter has a name
    sku: Annotated[str | None, Query(max_length=64)] = None,
) -> Any:  # noqa: ANN401 - the response model tells
    """List products, the newest first."""
    with context.database.reader() as connection:
        found = reads.list_products(
            connection,
            active=active,
            sku=sku,
            before=page.after_number(COUNT_MAX),
            limit=page.limit + 1,
        )
    return page_of(found, page, show_product)


@ROUTER.get(
    "/products/{product_id}",
    response_model=ProductView,
    responses=refusals("product_not_found"),
)
def read_product(context: InContext, product_id: str) -> Any:  # noqa: ANN401 - the response model tells
    """Read a product; a retired one says that it is not active."""
    number = product_number(product_id)
    with context.database.reader() as connection:
        product = reads.find_product(connection, number)
    if product is None:
        raise Refused(Refusal("product_not_found", details={"product_id": number}))
    return show_product(product)


def product_number(text: str) -> int:
    """Read a product's number out of an address. Raises: Refused `product_not_found`."""
    number = path_number(text, "product_not_found")
    if number > COUNT_MAX:
        raise Refused(Refusal("product_not_found", details={"product_id": number}))
    return number


def read_price(price: Amount, currency: str) -> int:
    """Read a price: more than zero. Raises: Refused `price_invalid`, `currency_unknown`."""
    try:
        price_minor = parse_amount(price, currency, param="price")
    except Refused as refused:
        if refused.refusal.code == "currency_unknown":
            raise
        price_minor = 0
    if price_minor <= 0:
        raise Refused(Refusal("price_invalid", param="price"))
    return price_minor
