"""Numbers and names as clients really send them, byte for byte, with nothing changed on refusal."""

import json

import pytest

from tests.http.test_counter import API, everything, open_shop
from tests.serving import Served


@pytest.fixture
def shop(served_on_sqlite: Served) -> Served:
    """All of this is refused, or read, before any database is asked."""
    return open_shop(served_on_sqlite)


def product(**members: str) -> bytes:
    """Write a product as raw JSON, whose members are JSON texts themselves."""
    fields = {"name": '"another"', "stock": "1", "price": "1", "tax_percent": "0"} | members
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}").encode()


NOT_A_PRODUCT: list[tuple[str, str, str]] = [
    ("price", "0.335", "price_invalid"),
    ("price", "0.000", "price_invalid"),
    ("price", "-0.01", "price_invalid"),
    ("price", "1e400", "price_invalid"),
    ("price", "-1e400", "price_invalid"),
    ("price", "1e-400", "price_invalid"),
    ("price", "1e99999999999999999999", "body_malformed"),
    ("price", "NaN", "body_malformed"),
    ("price", "Infinity", "body_malformed"),
    ("price", "-Infinity", "body_malformed"),
    ("price", "null", "amount_invalid"),
    ("price", "true", "amount_invalid"),
    ("price", "[1]", "amount_invalid"),
    ("price", '"1e2"', "price_invalid"),
    ("price", '" 1"', "price_invalid"),
    ("price", '"1,50"', "price_invalid"),
    ("price", '"\uff11"', "price_invalid"),
    ("price", '"' + "9" * 41 + '"', "amount_invalid"),
    ("price", "10000000000000.01", "price_invalid"),
    ("tax_percent", "1e400", "tax_percent_invalid"),
    ("tax_percent", "-0.5", "tax_percent_invalid"),
    ("tax_percent", "100.0001", "tax_percent_invalid"),
    ("tax_percent", "NaN", "body_malformed"),
    ("tax_percent", "null", "field_invalid"),
    ("tax_percent", "[]", "field_invalid"),
    ("stock", "1.0", "field_invalid"),
    ("stock", "1e3", "field_invalid"),
    ("stock", "null", "field_invalid"),
    ("stock", "true", "field_invalid"),
    ("name", "null", "field_invalid"),
    ("name", "5", "field_invalid"),
    ("name", json.dumps("न" * 256), "product_name_invalid"),
    ("name", json.dumps("न" * 10_000), "product_name_invalid"),
    ("name", json.dumps("\u2028"), "product_name_invalid"),
    ("name", json.dumps("a\u2028b"), "product_name_invalid"),
    ("name", json.dumps("a\x1fb"), "product_name_invalid"),
    ("name", json.dumps("a\nb"), "product_name_invalid"),
    ("name", '"a\nb"', "body_malformed"),
    ("name", '"\\u0000"', "body_malformed"),
    ("name", '"\\ud800"', "body_malformed"),
    ("name", json.dumps("x" * 70_000), "body_too_large"),
]

AS_MEANT: list[tuple[str, str, str]] = [
    ("price", "0.01", "0.01"),
    ("price", "0.330", "0.33"),
    ("price", "1.5e1", "15.00"),
    ("price", "80000", "80000.00"),
    ("price", '"80000.00"', "80000.00"),
    ("price", "10000000000000", "10000000000000.00"),
    ("tax_percent", "12.5", "12.5"),
    ("tax_percent", "12.50", "12.5"),
    ("tax_percent", "1e1", "10"),
    ("tax_percent", "100", "100"),
    ("name", json.dumps("आशा की दुकान का दूध"), "आशा की दुकान का दूध"),
    ("name", json.dumps("👩‍👩‍👧 مربّى 茶"), "👩‍👩‍👧 مربّى 茶"),
    ("name", json.dumps("e\u0301"), "é"),
]

PAYMENTS: list[tuple[str, str | None]] = [
        ('"paid_amount": 1e400', "amount_invalid"),
        ('"paid_amount": NaN', "body_malformed"),
        ('"paid_amount": null', "amount_invalid"),
        ('"paid_amount": true', "amount_invalid"),
        ('"paid_amount": 128000.005', "amount_invalid"),
        ('"paid_amount": 128000, "paid_amount": 1', "body_malformed"),
        ('"paid_amount": 128000, "discount": 5', "field_invalid"),
        ('"paid_amount": 128000, "tendered": [{"value": 1e400, "count": 1}]',
         "denomination_invalid"),
        ('"paid_amount": 128000, "tendered": [{"value": 500, "count": true}]', "field_invalid"),
        ('"paid_amount": 128000, "tendered": null', None),
        ('"paid_amount": 128000, "customer_email": null', None),
        ('"paid_amount": "128000"', None),
]  # fmt: skip


def test_a_product_that_is_none(shop: Served) -> None:
    before = everything(shop)
    for field, text, code in NOT_A_PRODUCT:
        refused = shop.send("POST", f"{API}/products", content=product(**{field: text}))
        assert (refused.code, 400 <= refused.status < 500) == (code, True), (field, text[:50])
    assert everything(shop) == before


def test_a_product_as_it_was_meant(shop: Served) -> None:
    for number, (field, text, shown) in enumerate(AS_MEANT):
        body = product(**{"name": f'"product {number}"', field: text})
        added = shop.send("POST", f"{API}/products", content=body)
        assert (added.status, added.json()[field]) == (201, shown), (field, text)
        assert shop.get(f"{API}/products/{added.json()['id']}").json() == added.json()


def test_payments_as_they_come(shop: Served) -> None:
    lines = '[{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 2}]'
    for text, code in PAYMENTS:
        before = everything(shop)
        body = f'{{"items": {lines}, {text}}}'
        answer = shop.send("POST", f"{API}/purchases", content=body.encode())
        assert (answer.code, answer.status == 201) == (code, code is None), text
        assert (everything(shop) == before) is (code is not None), text


def test_a_change_to_nothing_that_can_be(shop: Served) -> None:
    before = everything(shop)
    for body, code in (
        ('{"price": null}', None),
        ('{"price": 0}', "price_invalid"),
        ('{"price": 0.335}', "price_invalid"),
        ('{"tax_percent": 101}', "tax_percent_invalid"),
        ('{"stock": -1}', "stock_insufficient"),
        ('{"name": "\\u0007"}', "product_name_invalid"),
        ('{"id": 5}', "field_invalid"),
        ("[]", "field_invalid"),
        ("", "body_malformed"),
    ):
        answer = shop.send("PUT", f"{API}/products/1", content=body.encode())
        assert answer.code == code, body
    assert everything(shop) == before
