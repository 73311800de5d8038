"""The counter over HTTP: a plain sale, and every bad input, with nothing changed."""

import json
from typing import Any

import pytest

from tests.serving import Served

API = "/api/v1"
IPHONE = {"name": "iPhone 15", "stock": 10, "price": 80000, "tax_percent": 18}
AIRPODS = {"name": "AirPods Pro", "stock": 20, "price": 15000, "tax_percent": 12}
EXAMPLE = {
    "customer_email": "selva@gmail.com",
    "items": [{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 2}],
    "paid_amount": 120000,
}


@pytest.fixture
def shop(served: Served) -> Served:
    return open_shop(served)


@pytest.fixture
def sqlite_shop(served_on_sqlite: Served) -> Served:
    """For what is refused before any database is asked."""
    return open_shop(served_on_sqlite)


@pytest.fixture(scope="module")
def standing_shop(standing: Served) -> Served:
    """One shop for what is refused, and so leaves it as it was."""
    return open_shop(standing)


def open_shop(served: Served) -> Served:
    for product in (IPHONE, AIRPODS):
        assert served.post(f"{API}/products", product).status == 201
    fives = {"value": 500, "available_count": 100}
    assert served.post(f"{API}/denominations", fives).status == 201
    return served


def everything(shop: Served) -> list[Any]:
    """Take all that a refusal must leave alone."""
    paths = ("products", "drawer", "purchases", "ledger/trial-balance", "customers")
    return [shop.get(f"{API}/{path}").json() for path in paths]


def test_the_examples_work_as_written(shop: Served) -> None:
    """The example is underpaid: it says what is owed, and succeeds with enough money."""
    refused = shop.post(f"{API}/purchases", EXAMPLE)
    assert (refused.status, refused.code) == (409, "payment_insufficient")
    assert refused.json()["owed"] == "8000.00"
    sold = shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 130000})
    assert sold.status == 201
    bill = sold.json()
    assert bill["id"] == 1
    assert {name: bill[name] for name in bill if name.endswith("_amount")} == {
        "total_amount": "110000.00",
        "tax_amount": "18000.00",
        "final_amount": "128000.00",
        "paid_amount": "130000.00",
        "balance_amount": "2000.00",
    }
    assert bill["change"] == [{"value": "500.00", "count": 4}]
    assert [line["total"] for line in bill["items"]] == ["94400.00", "33600.00"]
    read = shop.get(f"{API}/purchases/1")
    assert (read.status, read.body) == (200, sold.body)
    listed = shop.get(f"{API}/purchases?customer_email=Selva@Gmail.com").json()
    assert listed == {"data": [bill], "has_more": False}
    assert shop.get(f"{API}/purchases?customer_email=nobody@gmail.com").json()["data"] == []
    assert shop.get(f"{API}/products/1").json()["stock"] == 9
    assert shop.get(f"{API}/denominations").json()["data"] == [
        {"value": "500.00", "available_count": 96}
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": 0}, "price_invalid"),
        ({"price": -1}, "price_invalid"),
        ({"price": "1.999"}, "price_invalid"),
        ({"price": 10**40}, "body_malformed"),
        ({"price": 10**25}, "price_invalid"),
        ({"price": True}, "amount_invalid"),
        ({"price": "NaN"}, "price_invalid"),
        ({"tax_percent": -1}, "tax_percent_invalid"),
        ({"tax_percent": 10**9}, "tax_percent_invalid"),
        ({"tax_percent": "1e9"}, "tax_percent_invalid"),
        ({"tax_percent": "12.50001"}, "tax_percent_invalid"),
        ({"tax_percent": True}, "field_invalid"),
        ({"stock": -1}, "field_invalid"),
        ({"stock": 10**12}, "field_invalid"),
        ({"stock": "5"}, "field_invalid"),
        ({"name": ""}, "field_invalid"),
        ({"name": "  "}, "product_name_invalid"),
        ({"name": "x" * 10_000}, "product_name_invalid"),
        ({"name": "bell\a"}, "product_name_invalid"),
        ({"name": "iPhone 15"}, "name_taken"),
        ({"name": "IPHONE 15"}, "name_taken"),
        ({"sku": "x" * 65}, "sku_invalid"),
        ({"currency": "EUR"}, "drawer_currency_differs"),
        ({"currency": "XXX"}, "currency_unknown"),
        ({"colour": "red"}, "field_invalid"),
    ],
)
def test_a_wrong_product_is_refused(
    standing_shop: Served, change: dict[str, Any], code: str
) -> None:
    before = everything(standing_shop)
    refused = standing_shop.post(f"{API}/products", IPHONE | {"name": "another"} | change)
    assert refused.code == code
    assert everything(standing_shop) == before


def test_a_sku_can_be_taken_away(shop: Served) -> None:
    product = f"{API}/products/1"
    for sent, sku in (({"sku": "A"}, "A"), ({"stock": 3}, "A"), ({"sku": None}, None)):
        assert shop.put(product, sent).json()["sku"] == sku
    assert shop.get(f"{API}/products?sku=A").json()["data"] == []
    assert shop.put(f"{API}/products/2", {"sku": "A"}).status == 200
    # What can't be absent stays as it is.
    assert shop.put(product, {"name": None, "price": None}).json()["name"] == "iPhone 15"


def test_a_drawer_before_its_first_use_has_all_decimals(served: Served) -> None:
    drawer = served.get(f"{API}/drawer").json()
    assert [drawer[part] for part in ("counted", "uncounted", "total")] == ["0.00"] * 3


@pytest.mark.parametrize(
    ("name", "percent", "shown"),
    [("चाय", 12.5, "12.5"), ("茶", "9.975", "9.975"), ("شاي", 0, "0"), ("x" * 255, 100, "100")],
)
def test_a_product_of_any_script_with_an_exact_tax(
    standing_shop: Served, name: str, percent: object, shown: str
) -> None:
    added = standing_shop.post(
        f"{API}/products", {"name": name, "stock": 0, "price": "0.01", "tax_percent": percent}
    )
    assert added.status == 201
    assert (added.json()["name"], added.json()["tax_percent"]) == (name, shown)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"items": []}, "field_invalid"),
        ({"items": [{"product_id": 1, "quantity": 0}]}, "field_invalid"),
        ({"items": [{"product_id": 1, "quantity": -1}]}, "field_invalid"),
        ({"items": [{"product_id": 1, "quantity": 10**12}]}, "field_invalid"),
        ({"items": [{"product_id": 1, "quantity": True}]}, "field_invalid"),
        ({"items": [{"product_id": 1, "quantity": 1.5}]}, "field_invalid"),
        ({"items": [{"product_id": 99, "quantity": 1}]}, "product_not_found"),
        ({"items": [{"product_id": 10**12, "quantity": 1}]}, "field_invalid"),
        ({"items": [{"product_id": 1, "quantity": 6}] * 2}, "stock_insufficient"),
        ({"items": [{"product_id": 1, "quantity": 10**9}]}, "stock_insufficient"),
        ({"paid_amount": 127_999}, "payment_insufficient"),
        ({"paid_amount": -1}, "amount_invalid"),
        ({"paid_amount": "128000.001"}, "amount_invalid"),
        ({"paid_amount": 128_001}, "change_impossible"),
        ({"tendered": [{"value": 500, "count": 1}]}, "tender_mismatch"),
        ({"tendered": [{"value": 7, "count": 1}]}, "denomination_unknown"),
        ({"tendered": [{"value": -500, "count": 1}]}, "denomination_invalid"),
        ({"tendered": [{"value": 500, "count": -1}]}, "field_invalid"),
        ({"tendered": []}, "tender_mismatch"),
        ({"customer_email": "nonsense"}, "email_invalid"),
        ({"customer_email": "a@b@c"}, "email_invalid"),
        ({"customer_email": "x" * 900 + "@example.org"}, "email_invalid"),
        ({"customer_email": "x" * 10_000}, "field_invalid"),
        ({"customer_email": "a\x00@example.org"}, "body_malformed"),
        ({"customer_email": 5}, "field_invalid"),
    ],
)
def test_a_wrong_purchase_is_refused(
    standing_shop: Served, change: dict[str, Any], code: str
) -> None:
    before = everything(standing_shop)
    refused = standing_shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 130_000} | change)
    assert refused.code == code
    assert everything(standing_shop) == before


def test_impossible_change_names_amounts_that_can_be_paid(shop: Served) -> None:
    refused = shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 128_200}).json()
    assert refused["nearest"] == ["128000.00", "128500.00"]
    for amount in refused["nearest"]:
        assert shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": amount}).status == 201


def test_three_twenties_where_greedy_is_stuck(served: Served) -> None:
    served.post(f"{API}/products", {"name": "tea", "stock": 1, "price": 40, "tax_percent": 0})
    for value, count in ((50, 1), (20, 3)):
        served.post(f"{API}/denominations", {"value": value, "available_count": count})
    basket = {"items": [{"product_id": 1, "quantity": 1}], "paid_amount": 100}
    sold = served.post(f"{API}/purchases", basket)
    assert sold.json()["change"] == [{"value": "20.00", "count": 3}]
    assert sold.json()["customer_email"] is None


def test_tendered_pieces_enter_before_change_is_given(shop: Served) -> None:
    assert shop.post(f"{API}/denominations", {"value": 2000, "available_count": 0}).status == 201
    basket = {
        "items": [{"product_id": 2, "quantity": 1}],
        "paid_amount": 20_500,
        "tendered": [{"value": 500, "count": 1}, {"value": 2000, "count": 10}],
    }
    refused = shop.post(f"{API}/purchases", basket)
    assert refused.code == "change_impossible"  # 3,700 of change is no number of 500s
    assert shop.post(f"{API}/denominations", {"value": 100, "available_count": 9}).status == 201
    sold = shop.post(f"{API}/purchases", basket).json()
    assert sold["change"] == [
        {"value": "2000.00", "count": 1},
        {"value": "500.00", "count": 3},
        {"value": "100.00", "count": 2},
    ]
    counts = {
        item["value"]: item["available_count"]
        for item in shop.get(f"{API}/denominations").json()["data"]
    }
    assert counts == {"2000.00": 9, "500.00": 98, "100.00": 7}


def test_a_sold_product_is_retired_and_its_name_is_free(shop: Served) -> None:
    sold = shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 128_000})
    gone = shop.send("DELETE", f"{API}/products/1")
    assert (gone.status, gone.body) == (204, b"")
    assert shop.get(f"{API}/products/1").json()["active"] is False
    assert shop.send("DELETE", f"{API}/products/1").code == "product_not_found"
    assert shop.put(f"{API}/products/1", {"stock": 5}).code == "product_retired"
    refused = shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 128_000})
    assert refused.code == "product_retired"
    assert shop.get(f"{API}/purchases/1").body == sold.body
    again = shop.post(f"{API}/products", IPHONE)
    assert (again.status, again.json()["id"]) == (201, 3)
    assert [item["id"] for item in shop.get(f"{API}/products").json()["data"]] == [3, 2]


def test_a_taken_name_can_not_be_taken_by_renaming(shop: Served) -> None:
    assert shop.put(f"{API}/products/2", {"name": "iphone 15"}).code == "name_taken"
    renamed = shop.put(f"{API}/products/2", {"name": "AIRPODS PRO", "price": "12.34"}).json()
    assert (renamed["name"], renamed["price"], renamed["stock"]) == ("AIRPODS PRO", "12.34", 20)
    assert shop.put(f"{API}/products/99", {"stock": 1}).code == "product_not_found"
    assert shop.put(f"{API}/products/x", {"stock": 1}).code == "product_not_found"


def test_the_same_key_is_one_sale_and_another_basket_is_refused(shop: Served) -> None:
    basket = EXAMPLE | {"paid_amount": 128_000}
    first = shop.post(f"{API}/purchases", basket, key="sale-1")
    again = shop.post(f"{API}/purchases", basket, key="sale-1")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    before = everything(shop)
    other = basket | {"items": [{"product_id": 2, "quantity": 1}]}
    assert shop.post(f"{API}/purchases", other, key="sale-1").code == "key_reused_with_other_input"
    assert everything(shop) == before
    assert shop.get(f"{API}/purchases").json()["data"] == [first.json()]


def test_denominations(shop: Served) -> None:
    for body, code in (
        ({"value": 500, "available_count": 1}, "denomination_taken"),
        ({"value": 0, "available_count": 1}, "denomination_invalid"),
        ({"value": "0.001", "available_count": 1}, "denomination_invalid"),
        ({"value": 5, "available_count": -1}, "field_invalid"),
    ):
        assert shop.post(f"{API}/denominations", body).code == code
    assert shop.put(f"{API}/denominations/7", {"available_count": 1}).code == (
        "denomination_not_found"
    )
    changed = shop.put(f"{API}/denominations/500", {"available_count": 3})
    assert (changed.status, changed.json()) == (200, {"value": "500.00", "available_count": 3})
    assert shop.get(f"{API}/denominations/500.00").json() == changed.json()


def test_a_drawer_has_no_more_denominations_than_a_count_may_name(shop: Served) -> None:
    known = len(shop.get(f"{API}/denominations").json()["data"])
    for value in range(1, 101 - known):
        body = {"value": 10_000 + value, "available_count": 1}
        assert shop.post(f"{API}/denominations", body).status == 201
    one_more = {"value": 20_000, "available_count": 1}
    assert shop.post(f"{API}/denominations", one_more).code == "denominations_too_many"
    assert shop.put(f"{API}/denominations/10001", {"available_count": 2}).status == 200


def test_a_drawer_is_worth_no_more_than_an_amount_may_be(shop: Served) -> None:
    many = 10**9
    rich = {"value": "9000000.00", "available_count": many}
    assert shop.post(f"{API}/denominations", rich).code == "amount_invalid"
    assert shop.post(f"{API}/denominations", rich | {"available_count": 0}).status == 201
    assert shop.put(f"{API}/denominations/9000000", {"available_count": many}).code == (
        "amount_invalid"
    )
    counts = {"counts": [{"value": "9000000.00", "count": many}]}
    assert shop.post(f"{API}/drawer-sessions", counts).code == "amount_invalid"
    assert shop.post(f"{API}/drawer-sessions", {"counts": []}).status == 201
    session = f"{API}/drawer-sessions/1"
    assert shop.post(f"{session}/close", counts).code == "amount_invalid"
    paid_in = {"direction": "in", "amount": "9999999999999.99", "reason": "x"}
    assert shop.post(f"{session}/movements", paid_in).status == 201
    assert shop.post(f"{session}/movements", paid_in).code == "amount_invalid"
    before = shop.get(session).json()
    assert before["status"] == "open"


def test_receipts_as_page_and_text(shop: Served) -> None:
    shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 128_000})
    text = shop.get(f"{API}/purchases/1/receipt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"USD 128000.00" in text.body
    page = shop.get(f"{API}/purchases/1/receipt", headers={"Accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert shop.get(f"{API}/purchases/2/receipt").code == "purchase_not_found"
    assert shop.get(f"{API}/purchases/nonsense").code == "purchase_not_found"


def test_refunds(shop: Served) -> None:
    shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 128_000})
    path = f"{API}/purchases/1/refunds"
    one = {"reason": "broken", "items": [{"product_id": 2, "quantity": 1}], "restock": True}
    given = shop.post(path, one)
    assert given.status == 201
    assert (given.json()["id"], given.json()["refund_amount"]) == (1, "16800.00")
    # 16,800 is no number of 500s: the rest came from cash that nobody had counted.
    assert given.json()["from_uncounted_cash"] == "300.00"
    assert shop.get(f"{API}/products/2").json()["stock"] == 19
    for body, code in (
        ({"reason": ""}, "field_invalid"),
        ({"reason": "x", "items": []}, "field_invalid"),
        ({"reason": "x", "items": [{"product_id": 2, "quantity": 2}]}, "refund_exceeds_purchase"),
        ({"reason": "x", "items": [{"product_id": 7, "quantity": 1}]}, "item_not_in_purchase"),
    ):
        assert shop.post(path, body).code == code
    rest = shop.post(path, {"reason": "all of it"}).json()
    assert rest["refund_amount"] == "111200.00"
    assert shop.post(path, {"reason": "again"}).code == "nothing_to_refund"
    assert shop.get(path).json()["data"] == [given.json(), rest]
    assert shop.post(f"{API}/purchases/9/refunds", {"reason": "x"}).code == "purchase_not_found"


def test_a_drawer_session(shop: Served) -> None:
    shop.post(f"{API}/denominations", {"value": 100, "available_count": 0})
    wrong = {"counts": [{"value": 7, "count": 1}]}
    assert shop.post(f"{API}/drawer-sessions", wrong).code == "denomination_unknown"
    opening = {"counts": [{"value": 500, "count": 100}]}
    opened = shop.post(f"{API}/drawer-sessions", opening)
    assert (opened.status, opened.json()["opening"]) == (201, "50000.00")
    assert shop.post(f"{API}/drawer-sessions", opening).code == "drawer_session_open"
    session = f"{API}/drawer-sessions/1"
    assert shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 130_000}).status == 201
    paid_in = {"direction": "in", "amount": 300, "reason": "coins"}
    assert shop.post(f"{session}/movements", paid_in).status == 201
    pieces = [{"value": 500, "count": 2}]
    paid_out = {"direction": "out", "amount": 1000, "reason": "window cleaner", "pieces": pieces}
    assert shop.post(f"{session}/movements", paid_out).status == 201
    for body, code in (
        ({"direction": "up", "amount": 1, "reason": "x"}, "field_invalid"),
        ({"direction": "out", "amount": 0, "reason": "x"}, "amount_invalid"),
        ({"direction": "out", "amount": 10**9, "reason": "x"}, "drawer_insufficient"),
        ({"direction": "in", "amount": 5, "reason": "x", "pieces": pieces}, "tender_mismatch"),
    ):
        assert shop.post(f"{session}/movements", body).code == code
    counted = {"counts": [{"value": 500, "count": 353}, {"value": 100, "count": 3}]}
    closed = shop.post(f"{session}/close", counted)
    assert closed.status == 200
    shown = closed.json()
    assert shown["expected"] == "177300.00"  # 50,000 + 128,000 + 300 - 1,000
    assert (shown["counted"], shown["over"], shown["short"]) == ("176800.00", "0.00", "500.00")
    assert shop.post(f"{session}/close", counted).code == "drawer_session_closed"
    assert shop.post(f"{session}/movements", paid_in).code == "drawer_session_closed"
    assert shop.get(session).json() == shown
    assert shop.get(f"{API}/drawer-sessions/2").code == "drawer_session_not_found"
    assert len(shop.get(f"{session}/movements").json()["data"]) == 4
    drawer = shop.get(f"{API}/drawer").json()
    assert (drawer["counted"], drawer["uncounted"]) == ("176800.00", "0.00")
    accounts = {
        account["name"]: account["balance"]
        for account in shop.get(f"{API}/ledger/trial-balance").json()["data"]
    }
    assert (accounts["cash:drawer"], accounts["over-short"]) == ("176800.00", "500.00")


def test_lists_are_paged(sqlite_shop: Served) -> None:
    for _ in range(3):
        sqlite_shop.post(f"{API}/purchases", EXAMPLE | {"paid_amount": 128_000})
    first = sqlite_shop.get(f"{API}/purchases?limit=2").json()
    assert ([sold["id"] for sold in first["data"]], first["has_more"]) == ([3, 2], True)
    rest = sqlite_shop.get(f"{API}/purchases?limit=2&starting_after=2").json()
    assert ([sold["id"] for sold in rest["data"]], rest["has_more"]) == ([1], False)
    assert sqlite_shop.get(f"{API}/products?limit=0").code == "field_invalid"


def test_numbers_with_a_fraction_are_read_digit_for_digit(sqlite_shop: Served) -> None:
    raw = json.dumps({"name": "gum", "stock": 1, "price": 0.1, "tax_percent": 12.5}).encode()
    added = sqlite_shop.send("POST", f"{API}/products", content=raw)
    assert (added.status, added.json()["price"]) == (201, "0.10")
