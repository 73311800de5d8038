"""Customers over real HTTP, on both databases."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import psycopg
import pytest

from tallybook.ambient.secrets import SecretsError
from tallybook.customers.model import account_context
from tallybook.customers.queries import list_accounts_of
from tallybook.ledger.model import Chart, Entry, Posting
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.writer.model import Command
from tests.serving import Answer, Served

ASHA = {"name": "Asha Devi", "email": "asha@example.org"}
NUMBER = "DE89 3704-0044 0532 0130 00"
PLAIN = "DE89370400440532013000"


def create(served: Served, **fields: object) -> Answer:
    return served.post("/api/v1/customers", {**ASHA, **fields})


def post_entry(served: Served, kind: str, *postings: Posting) -> None:
    entry = Entry(kind, date(2026, 3, 2), postings)
    assert served.parts.door.ask_now(Command(POST_ENTRY, PostEntry(entry))).status == 201


# -- create ----------------------------------------------------------------------------------------


def test_a_customer_is_created_with_accounts(served: Served) -> None:
    made = create(served, credit_limit="2500.50", bank_accounts=[NUMBER, "000123456"])

    assert made.status == 201
    body = made.json()
    assert body | {"id": "", "created_at": "", "bank_accounts": []} == {
        **ASHA,
        "id": "",
        "status": "active",
        "credit_limit": "2500.50",
        "currency": "USD",
        "created_at": "",
        "bank_accounts": [],
    }
    assert body["id"].startswith("cus_")
    assert [account["last4"] for account in body["bank_accounts"]] == ["3000", "3456"]
    assert served.get(f"/api/v1/customers/{body['id']}").json() == body


def test_a_number_opens_again_only_for_its_own_row(served: Served) -> None:
    ident = create(served, bank_accounts=[NUMBER]).json()["id"].removeprefix("cus_")

    with served.parts.database.reader() as connection:
        (account,) = list_accounts_of(connection, [ident])[ident]

    seal, secrets = account.number_sealed, served.parts.secrets
    assert secrets.unseal(seal, context=account_context(account.id)) == PLAIN
    with pytest.raises(SecretsError):
        secrets.unseal(seal, context=account_context("another"))


def test_the_same_number_twice_in_one_request_is_one_account(served: Served) -> None:
    made = create(served, bank_accounts=[NUMBER, PLAIN.lower()])
    assert len(made.json()["bank_accounts"]) == 1


@pytest.mark.parametrize("email", ["asha@example.org", " ASHA@Example.ORG "])
def test_an_email_belongs_to_one_customer(served: Served, email: str) -> None:
    assert create(served).status == 201
    again = create(served, email=email)
    assert (again.status, again.code) == (409, "email_taken")
    assert again.json()["param"] == "email"


def test_a_number_belongs_to_one_customer(served: Served) -> None:
    assert create(served, bank_accounts=[NUMBER]).status == 201
    other = create(served, email="b@example.org", bank_accounts=["12345", PLAIN])
    assert (other.status, other.code) == (409, "bank_account_taken")
    assert other.json()["param"] == "bank_accounts.1"
    assert served.get("/api/v1/customers?email=b@example.org").json()["data"] == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  आशा देवी ", "आशा देवी"),
        ("Ng\u0303uyen", "Ng\u0303uyen"),
        ("Zoe\u0308", "Zo\u00eb"),  # two characters that make one are kept as one
        ("李小龙", "李小龙"),
        ("محمد", "محمد"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_name_may_be_in_any_script(served: Served, sent: str, kept: str) -> None:
    made = create(served, name=sent)
    assert made.status == 201
    assert served.get(f"/api/v1/customers/{made.json()['id']}").json()["name"] == kept


# -- add an account --------------------------------------------------------------------------------


def test_an_account_is_added_once(served: Served) -> None:
    ident = create(served).json()["id"]

    first = served.post(f"/api/v1/customers/{ident}/bank-accounts", {"number": NUMBER})
    again = served.post(f"/api/v1/customers/{ident}/bank-accounts", {"number": PLAIN})

    assert (first.status, again.status) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["last4"] == "3000"
    assert served.get(f"/api/v1/customers/{ident}").json()["bank_accounts"] == [first.json()]


def test_an_account_of_another_customer_is_not_added(served: Served) -> None:
    create(served, bank_accounts=[NUMBER])
    other = create(served, email="b@example.org").json()["id"]
    refused = served.post(f"/api/v1/customers/{other}/bank-accounts", {"number": NUMBER})
    assert (refused.status, refused.code) == (409, "bank_account_taken")


# -- change ----------------------------------------------------------------------------------------


def test_only_what_is_named_changes(served: Served) -> None:
    before = create(served, credit_limit=100, bank_accounts=[NUMBER]).json()

    after = served.put(f"/api/v1/customers/{before['id']}", {"status": "suspended"})

    assert after.status == 200
    assert after.json() == {**before, "status": "suspended"}
    assert served.get(f"/api/v1/customers/{before['id']}").json() == after.json()


def test_a_limit_is_set_and_taken_away(served: Served) -> None:
    path = f"/api/v1/customers/{create(served).json()['id']}"
    assert served.put(path, {"credit_limit": "10"}).json()["credit_limit"] == "10.00"
    assert served.put(path, {"name": "B"}).json()["credit_limit"] == "10.00"
    assert served.put(path, {"credit_limit": None}).json()["credit_limit"] is None
    assert served.put(path, {"credit_limit": "-1"}).code == "amount_invalid"


def test_an_email_that_was_given_up_is_free_again(served: Served) -> None:
    first = create(served).json()["id"]
    moved = served.put(f"/api/v1/customers/{first}", {"email": "new@example.org"})
    assert moved.status == 200
    assert create(served).status == 201
    back = served.put(f"/api/v1/customers/{first}", {"email": "ASHA@example.org"})
    assert (back.status, back.code) == (409, "email_taken")


def test_ones_own_email_is_not_taken(served: Served) -> None:
    ident = create(served).json()["id"]
    changed = served.put(f"/api/v1/customers/{ident}", {"email": "Asha@Example.org"})
    assert (changed.status, changed.json()["email"]) == (200, "Asha@Example.org")


# -- read ------------------------------------------------------------------------------------------


def test_lists_are_read_page_by_page_newest_first(served: Served) -> None:
    made = [create(served, email=f"c{number}@example.org").json()["id"] for number in range(5)]

    seen: list[str] = []
    path = "/api/v1/customers?limit=2"
    while True:
        page = served.get(path).json()
        seen += [customer["id"] for customer in page["data"]]
        if not page["has_more"]:
            break
        path = f"/api/v1/customers?limit=2&starting_after={seen[-1]}"

    assert seen == made[::-1]


def test_lists_are_narrowed(served: Served) -> None:
    first = create(served).json()["id"]
    second = create(served, email="b@example.org").json()["id"]
    served.put(f"/api/v1/customers/{second}", {"status": "suspended"})

    def found(query: str) -> list[str]:
        listed = served.get(f"/api/v1/customers?{query}").json()["data"]
        return [customer["id"] for customer in listed]

    assert found("status=active") == [first]
    assert found("status=suspended") == [second]
    assert found("email=B@example.ORG") == [second]


def test_balance_and_history_come_from_the_ledger(served: Served) -> None:
    ident = create(served).json()["id"]
    inside, subject = ident.removeprefix("cus_"), "1" * 32

    def line(account: str, amount: int) -> Posting:
        return Posting(account, amount, "USD", inside, subject)

    post_entry(
        served,
        "advances.credit.accepted",
        line(Chart.RECEIVABLE_ADVANCES, 10_000),
        line(Chart.IN_TRANSIT, -10_000),
    )
    assert served.get(f"/api/v1/customers/{ident}/balance").json() == {
        "customer_id": ident,
        "data": [
            {
                "product": "advances",
                "currency": "USD",
                "owed": "100.00",
                "in_flight": "100.00",
                "credit": "0.00",
            }
        ],
    }
    post_entry(
        served,
        "advances.credit.succeeded",
        line(Chart.IN_TRANSIT, 10_000),
        line(Chart.CASH_BANK, -10_000),
    )
    post_entry(
        served,
        "advances.debit.succeeded",
        line(Chart.CASH_BANK, 11_000),
        line(Chart.RECEIVABLE_ADVANCES, -10_000),
        line(Chart.CUSTOMER_CREDIT, -1_000),
    )
    lines = served.get(f"/api/v1/customers/{ident}/balance").json()["data"]
    shown = [(x["product"], x["owed"], x["in_flight"], x["credit"]) for x in lines]
    assert shown == [("advances", "0.00", "0.00", "0.00"), ("credit", "0.00", "0.00", "10.00")]

    first = served.get(f"/api/v1/customers/{ident}/history?limit=2").json()
    assert first["has_more"]
    assert [(m["entry"], m["kind"]) for m in first["data"]] == [
        (3, "advances.debit.succeeded"),
        (2, "advances.credit.succeeded"),
    ]
    assert first["data"][0]["lines"][0] == {
        "account": "cash:bank",
        "currency": "USD",
        "amount": "110.00",
        "subject_id": f"adv_{subject}",
    }
    rest = served.get(f"/api/v1/customers/{ident}/history?starting_after=2").json()
    assert [m["entry"] for m in rest["data"]] == [1]
    assert not rest["has_more"]


# -- what must not get out -------------------------------------------------------------------------


def test_no_number_is_readable_at_rest_or_in_an_event(
    served: Served, book_url: str, tmp_path: Path
) -> None:
    create(served, bank_accounts=[NUMBER])
    ident = create(served, email="b@example.org").json()["id"]
    served.post(f"/api/v1/customers/{ident}/bank-accounts", {"number": "9988776655443"}, key="k")
    served.post(f"/api/v1/customers/{ident}/bank-accounts", {"number": NUMBER}, key="l")
    served.put(f"/api/v1/customers/{ident}", {"email": "moved@example.org", "credit_limit": 5})
    canaries = [PLAIN, NUMBER, "9988776655443"]

    answers = [served.get(path).body.decode() for path in ("/api/v1/events", "/api/v1/customers")]
    stored = _everything_stored(book_url)
    events = [(e["type"], e["body"]) for e in served.get("/api/v1/events").json()["data"]]
    assert events == [
        ("customers.customer.created", {"status": "active", "bank_accounts": 1}),
        ("customers.bank_account.added", {"last4": "3000"}),
        ("customers.customer.created", {"status": "active", "bank_accounts": 0}),
        ("customers.bank_account.added", {"last4": "5443"}),
        (
            "customers.customer.changed",
            {
                "changed": ["email", "credit_limit_minor"],
                "status": "active",
                "credit_limit_minor": 500,
                "currency": "USD",
            },
        ),
    ]
    for text in [*answers, *stored]:
        for canary in canaries:
            assert canary not in text
            assert canary.encode().hex() not in text
    if book_url.startswith("sqlite"):
        for path in tmp_path.glob("book.db*"):
            assert not any(canary.encode() in path.read_bytes() for canary in canaries)


def _everything_stored(url: str) -> list[str]:
    """Read every row of every table, as text."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return [
                str(row)
                for (name,) in names.fetchall()
                for row in connection.execute(f"SELECT * FROM {name}")
            ]
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [
            str(row)
            for (name,) in names.fetchall()
            for row in connection.execute(f"SELECT t::text FROM {name} t")  # pyright: ignore[reportArgumentType, reportCallIssue] - a table's own name
        ]
