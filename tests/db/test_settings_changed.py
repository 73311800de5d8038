"""A key is good for what was asked, whatever a setting says of it since. Source: T5."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.library import Tallybook
from tallybook.kernel.refusal import Refused
from tests.played import DictatedProcessor

FIRST = datetime(2026, 3, 2, 9, tzinfo=UTC)
NUMBER = "DE89370400440532013000"


@contextmanager
def book_with(url: str, home: Path, **settings: object) -> Generator[Tallybook]:
    clock = ManualClock(FIRST)
    loaded = load_settings(database_url=url, home=home, **settings)
    processor = DictatedProcessor(clock)
    # A book that collects in another currency is opened all the same.
    engine = Engine.open(loaded, clock=clock, processor=processor, sends_nothing=True)
    with Tallybook(engine) as book:
        yield book


def calls(customer: str) -> list[tuple[str, str, dict[str, Any]]]:
    """List calls in which something is left to the settings, or was served under them."""
    lent = {"customer_id": customer, "principal": 100, "interest_rate": 10, "installments": 4}
    paid_out = {"dst_bank_account": NUMBER, "amount": 100, "fee": 12}
    bill = {"account_type": "GAS_BILL", "transaction_type": "BILL_GENERATION",
            "message_type": "BILL_STATEMENT", "amount": 40, "issuer": "Gas Inc",
            "account_number": "7", "source_id": "m", "due_on": "2026-03-20"}  # fmt: skip
    return [
        ("POST", "/loans", lent),
        ("POST", "/loans", {**lent, "payment_policy": "exact"}),
        ("POST", "/loans", {**lent, "currency": "USD", "collection": "auto_debit"}),
        ("POST", "/advances", paid_out),
        ("POST", "/advances", {**paid_out, "currency": "USD"}),
        ("POST", "/customers", {"name": "B", "email": "b@example.org", "credit_limit": 500}),
        ("PUT", f"/customers/{customer}", {"credit_limit": 5000}),
        ("POST", f"/customers/{customer}/credit-applications", {"amount": 1, "reason": "x"}),
        ("POST", f"/customers/{customer}/credit-payouts", {"amount": 1, "reason": "x"}),
        ("POST", f"/customers/{customer}/credit-payouts",
         {"amount": 1, "reason": "x", "currency": "USD"}),
        ("POST", "/products", {"name": "tea", "stock": 1, "price": 3, "tax_percent": 5}),
        ("POST", "/messages", {"customer_id": customer, **bill}),
        ("POST", "/transactions", {"customer_id": customer, "amount": -100,
                                   "happened_at": "2026-03-01T23:30:00Z"}),
        ("POST", "/purchases", {"items": [{"product_id": 1, "quantity": 1}], "paid_amount": 4}),
    ]  # fmt: skip


def ask_all(book: Tallybook, customer: str) -> list[Any]:
    """Make each call under a key of its own; gives answers, or the codes of refusals."""
    answers: list[Any] = []
    for place, (method, path, body) in enumerate(calls(customer)):
        try:
            answers.append(book.call(method, path, body, idempotency_key=f"key-{place}"))
        except Refused as refused:
            answers.append(refused.refusal.code)
    return answers


CHANGED: list[dict[str, Any]] = [
    {"payment_policy": "flexible", "delinquent_after": 3},
    {"timezone": "Asia/Tokyo"},
    {"currency": "EUR"},
]


def test_a_key_gets_its_reply_after_a_setting_was_changed(book_url: str, tmp_path: Path) -> None:
    with book_with(book_url, tmp_path) as book:
        who = book.create_customer("asha", "a@example.org", bank_accounts=[NUMBER])["id"]
        first = ask_all(book, who)
        # There is no credit to use, and no change in the drawer.
        refused = [each for each in first if isinstance(each, str)]
        assert refused == [*["credit_insufficient"] * 2, "credit_insufficient", "change_impossible"]
        assert first[0]["payment_policy"] == "exact"
    for settings in CHANGED:
        with book_with(book_url, tmp_path, **settings) as book:
            assert ask_all(book, who) == first
            assert len([*book.list("/loans")]) == 3
            assert book.verify() == []


def test_amounts_are_the_same_in_a_currency_of_other_decimals(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    """A drawer has one currency for ever, and a message is known by its amount in minor units."""

    def compared(answers: list[Any], customer: str) -> list[Any]:
        asked = zip(answers, calls(customer), strict=True)
        return [each for each, (_, path, _) in asked if path not in ("/messages", "/purchases")]

    with book_with(sqlite_book_url, tmp_path) as book:
        who = book.create_customer("asha", "a@example.org", bank_accounts=[NUMBER])["id"]
        first = compared(ask_all(book, who), who)
    for currency in ("JPY", "KWD"):
        with book_with(sqlite_book_url, tmp_path, currency=currency) as book:
            assert compared(ask_all(book, who), who) == first


@pytest.mark.parametrize(
    "changed", [{"principal": 101}, {"currency": "EUR"}, {"payment_policy": "flexible"}]
)
def test_what_is_asked_otherwise_is_another_request(
    sqlite_book_url: str, tmp_path: Path, changed: dict[str, Any]
) -> None:
    with book_with(sqlite_book_url, tmp_path) as book:
        who = book.create_customer("asha", "a@example.org")["id"]
        body = {"customer_id": who, "principal": 100, "interest_rate": 10, "installments": 4}
        book.call("POST", "/loans", body, idempotency_key="k")
        with pytest.raises(Refused) as caught:
            book.call("POST", "/loans", {**body, **changed}, idempotency_key="k")
        assert caught.value.refusal.code == "key_reused_with_other_input"
