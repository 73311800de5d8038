"""Idempotency keys over real HTTP, on both databases. Source: T5, I13, I14."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import FastAPI

from tallybook.entrypoints.api import make_routes
from tests.serving import Client, Served, serve_book

ASHA = {"name": "Asha", "email": "asha@example.org", "bank_accounts": ["12345678"]}
COPIES = 50


def test_fifty_copies_at_once_are_one_customer(served: Served) -> None:
    def ask(_: int) -> tuple[int, bytes, str | None]:
        answer = Client(served.url).post("/api/v1/customers", ASHA, key="the-key")
        return answer.status, answer.body, answer.headers.get("idempotency-replayed")

    with ThreadPoolExecutor(COPIES) as pool:
        answers = list(pool.map(ask, range(COPIES)))

    assert {status for status, _, _ in answers} == {201}
    assert len({body for _, body, _ in answers}) == 1
    assert sorted(str(replayed) for _, _, replayed in answers) == ["None"] + ["true"] * (COPIES - 1)
    assert len(served.get("/api/v1/customers").json()["data"]) == 1
    created = [
        event
        for event in served.get("/api/v1/events").json()["data"]
        if event["type"] == "customers.customer.created"
    ]
    assert len(created) == 1


def test_fifty_customers_at_once_with_one_email_are_one(served: Served) -> None:
    def ask(number: int) -> int:
        return Client(served.url).post("/api/v1/customers", ASHA, key=f"key-{number}").status

    with ThreadPoolExecutor(COPIES) as pool:
        statuses = sorted(pool.map(ask, range(COPIES)))

    assert statuses == [201] + [409] * (COPIES - 1)


def test_a_key_with_another_body_is_refused_and_does_nothing(served: Served) -> None:
    first = served.post("/api/v1/customers", ASHA, key="k")
    other = served.post("/api/v1/customers", {**ASHA, "email": "b@example.org"}, key="k")
    assert (other.status, other.code) == (422, "key_reused_with_other_input")
    assert [c["id"] for c in served.get("/api/v1/customers").json()["data"]] == [first.json()["id"]]


def test_a_key_with_another_call_is_refused(served: Served) -> None:
    first = served.post("/api/v1/customers", ASHA, key="k").json()["id"]
    other = served.post(f"/api/v1/customers/{first}/bank-accounts", {"number": "12345678"}, key="k")
    assert (other.status, other.code) == (422, "key_reused_with_other_input")


def test_the_same_question_in_other_words_is_the_same(served: Served) -> None:
    """The hash covers what was understood, not the bytes; and nothing that is random."""
    first = served.post("/api/v1/customers", {**ASHA, "credit_limit": "100"}, key="k")
    content = (
        b'{ "credit_limit": 100.00, "bank_accounts": ["12 34-5678"],'
        b' "name": " Asha ", "email": "asha@example.org "}'
    )
    again = served.post("/api/v1/customers", key="k", content=content)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"


def test_a_refusal_is_replayed_byte_for_byte(served: Served) -> None:
    served.post("/api/v1/customers", ASHA)
    refused = served.post("/api/v1/customers", ASHA, key="k")
    # The reason is gone by now; the answer that was given stays.
    ident = served.get("/api/v1/customers").json()["data"][0]["id"]
    served.put(f"/api/v1/customers/{ident}", {"email": "moved@example.org"})

    again = served.post("/api/v1/customers", ASHA, key="k")

    assert (refused.status, refused.code) == (409, "email_taken")
    assert (again.status, again.body) == (refused.status, refused.body)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotency-replayed"] == "true"


def test_an_unreadable_body_uses_no_key_up(served: Served) -> None:
    assert served.post("/api/v1/customers", key="k", content=b"{").code == "body_malformed"
    assert served.post("/api/v1/customers", {"name": "A"}, key="k").code == "field_invalid"
    assert served.post("/api/v1/customers", ASHA, key="k").status == 201


def test_a_key_outlives_the_server(book_url: str, tmp_path: Path) -> None:
    with serve_book(book_url, tmp_path) as served:
        first = served.post("/api/v1/customers", ASHA, key="k")
    with serve_book(book_url, tmp_path) as served:
        again = served.post("/api/v1/customers", ASHA, key="k")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"


def test_aliases_of_a_route_share_their_keys(book_url: str, tmp_path: Path) -> None:
    def add_alias(app: FastAPI) -> None:
        (route,) = [
            route for route in make_routes("/alias") if route.operation_id == "create_customer"
        ]
        app.router.routes.append(route)

    with serve_book(book_url, tmp_path, add_alias) as served:
        first = served.post("/api/v1/customers", ASHA, key="k")
        again = served.post("/alias/customers", ASHA, key="k")
        assert (again.status, again.body) == (201, first.body)


def test_without_a_key_each_call_is_its_own(served: Served) -> None:
    assert served.post("/api/v1/customers", ASHA).status == 201
    assert served.post("/api/v1/customers", ASHA).code == "email_taken"


@pytest.mark.parametrize("key", ["", " ", "\t", "é", "x" * 256])
def test_a_bad_key_is_refused(served_on_sqlite: Served, key: str) -> None:
    refused = served_on_sqlite.post(
        "/api/v1/customers",
        ASHA,
        headers={"Idempotency-Key": key.encode("latin-1")},
    )
    assert (refused.status, refused.code) == (422, "key_invalid")


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "~!@#$%^&*()"])
def test_any_printable_key_is_taken(served_on_sqlite: Served, key: str) -> None:
    made = served_on_sqlite.post("/api/v1/customers", ASHA, key=key)
    assert made.status == 201
