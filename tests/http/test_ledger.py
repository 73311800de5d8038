"""The ledger and the event log over real HTTP, on both databases."""

from datetime import date
from typing import Any

from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.writer.model import Command
from tests.serving import Served

CUSTOMER, ADVANCE = "c" * 32, "a" * 32


def post(served: Served, amount: int, day: int, currency: str = "USD") -> None:
    entry = Entry(
        "advances.debit.succeeded",
        date(2026, 3, day),
        (
            Posting("cash:bank", amount, currency, CUSTOMER, ADVANCE),
            Posting("receivable:advances", -amount, currency, CUSTOMER, ADVANCE),
        ),
    )
    assert served.parts.door.ask_now(Command(POST_ENTRY, PostEntry(entry))).status == 201


def follow(served: Served, path: str) -> list[Any]:
    """Read all pages of a list of two a page."""
    rows: list[Any] = []
    after = ""
    while True:
        page = served.get(f"{path}?limit=2{after}").json()
        rows += page["data"]
        if not page["has_more"]:
            return rows
        after = f"&starting_after={rows[-1]['id']}"


def test_a_statement_is_read_page_by_page_with_its_balance(served: Served) -> None:
    for number in range(1, 6):
        post(served, 100 * number, day=number)

    path = "/api/v1/ledger/accounts/1/statement"
    lines = follow(served, path)

    assert [line["amount"] for line in lines] == ["5.00", "4.00", "3.00", "2.00", "1.00"]
    assert [line["balance"] for line in lines] == ["15.00", "10.00", "6.00", "3.00", "1.00"]
    assert lines[0] | {"recorded_at": ""} == {
        "id": "5.1",
        "entry": 5,
        "kind": "advances.debit.succeeded",
        "effective_on": "2026-03-05",
        "recorded_at": "",
        "amount": "5.00",
        "balance": "15.00",
        "customer_id": f"cus_{CUSTOMER}",
        "subject_id": f"adv_{ADVANCE}",
    }
    earlier = served.get(f"{path}?as_of=2026-03-02").json()
    assert earlier["account"]["balance"] == "3.00"
    assert [line["amount"] for line in earlier["data"]] == ["2.00", "1.00"]


def test_accounts_and_the_trial_balance_agree(served: Served) -> None:
    post(served, 250, day=1)
    post(served, 70, day=2, currency="JPY")
    post(served, -50, day=3)

    accounts = follow(served, "/api/v1/ledger/accounts")
    trial = served.get("/api/v1/ledger/trial-balance").json()

    assert [account["id"] for account in accounts] == [4, 3, 2, 1]
    shown = [(a["name"], a["currency"], a["debit"], a["credit"], a["balance"]) for a in accounts]
    assert shown == [
        ("receivable:advances", "JPY", "0", "70", "-70"),
        ("cash:bank", "JPY", "70", "0", "70"),
        ("receivable:advances", "USD", "0.50", "2.50", "-2.00"),
        ("cash:bank", "USD", "2.50", "0.50", "2.00"),
    ]
    assert trial["totals"] == [
        {"currency": "JPY", "debit": "70", "credit": "70", "balanced": True},
        {"currency": "USD", "debit": "3.00", "credit": "3.00", "balanced": True},
    ]
    assert sorted(trial["data"], key=lambda a: -a["id"]) == accounts
    assert served.get("/api/v1/ledger/trial-balance?book=elsewhere").json()["data"] == []
    assert served.get("/api/v1/ledger/accounts?book=elsewhere").json()["data"] == []
    first_day = served.get("/api/v1/ledger/trial-balance?as_of=2026-03-01").json()
    assert first_day["totals"] == [
        {"currency": "USD", "debit": "2.50", "credit": "2.50", "balanced": True}
    ]


def test_events_are_read_on_without_gaps(served: Served) -> None:
    made = [
        served.post("/api/v1/customers", {"name": "A", "email": f"{n}@x.y"}).json()["id"]
        for n in range(3)
    ]

    first = served.get("/api/v1/events?limit=2").json()
    rest = served.get(f"/api/v1/events?after={first['data'][-1]['seq']}").json()

    assert (first["has_more"], rest["has_more"]) == (True, False)
    events = [*first["data"], *rest["data"]]
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert [event["subject_id"] for event in events] == made
    assert events[0] == {
        "seq": 1,
        "type": "customers.customer.created",
        "subject_id": made[0],
        "customer_id": made[0],
        "occurred_at": "2026-03-02T09:00:00Z",
        "body": {"status": "active", "bank_accounts": 0},
    }
    assert served.get("/api/v1/events?after=3").json() == {"data": [], "has_more": False}
