"""A book with everything in it, written through the API: what proofs are held against."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tallybook.access.model import Scope
from tallybook.access.tasks import make_key
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.fresh import CountedIds
from tallybook.ambient.settings import Settings
from tallybook.db import migrate
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.library import Tallybook
from tallybook.processor.faults import Faults
from tallybook.processor.simulator import SimulatedProcessor

DAYS = 24
FAULTS = "fail=0.25,late=0.1,returned=0.15,lost_after=0.1,lost_before=0.05"
CUSTOMERS = 3


def write_whole_book(url: str, home: Path, *, days: int = DAYS) -> None:
    """Write advances, loans, bills, sales, keys and a stop into an empty database."""
    home.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(url)
    clock = ManualClock(datetime(2026, 1, 1, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(
        home / "truth.db", seed=11, clock=clock, faults=Faults.parse(FAULTS)
    )
    settings = Settings(database_url=SecretStr(url), home=home, _env_file=None)  # pyright: ignore[reportCallIssue] - pydantic-settings reads it
    engine = Engine.open(settings, clock=clock, ids=CountedIds(), processor=simulator)
    with Tallybook(engine) as book:
        customers = [_customer(book, number) for number in range(CUSTOMERS)]
        _sell(book)
        _read_bills(book, customers[0])
        _lend(book, customers[1])
        make_key(engine.door, bytes(32), "till", Scope.OPERATE)
        for state in ("stop", "start"):
            book.call("POST", f"/sending/{state}", {"reason": "a drill"})
        for _ in range(days):
            clock.advance(days=1)
            book.run_day()
    simulator.log.close()


def _customer(book: Tallybook, number: int) -> str:
    account = f"DE893704004405320{number:04d}"
    made = book.create_customer(
        f"Customer {number}", f"c{number}@example.org", bank_accounts=[account]
    )
    book.create_advance(
        account,
        "12.00",
        installments=6,
        interval_days=3,
        fee="0.50",
        idempotency_key=f"adv-{number}",
    )
    ident: str = made["id"]
    return ident


def _sell(book: Tallybook) -> None:
    def post(path: str, body: dict[str, Any]) -> Any:
        return book.call("POST", path, body, idempotency_key=f"{path}-{body}"[:200])

    tea = post("/products", {"name": "Tea", "stock": 50, "price": "3.50", "tax_percent": "10"})
    cup = post("/products", {"name": "Cup", "stock": 9, "price": "12", "tax_percent": "0"})
    for value, count in (("10", 10), ("5", 10), ("1", 40), ("0.05", 40), ("0.50", 20)):
        post("/denominations", {"value": value, "available_count": count})
    for paid, items in (
        ("20.00", [{"product_id": tea["id"], "quantity": 2}]),
        ("20", [{"product_id": cup["id"], "quantity": 1}]),
        (
            "50",
            [{"product_id": cup["id"], "quantity": 2}, {"product_id": tea["id"], "quantity": 1}],
        ),
    ):
        post("/purchases", {"customer_email": "p@q.org", "items": items, "paid_amount": paid})
    items = [{"product_id": cup["id"], "quantity": 1}]
    post("/purchases/3/refunds", {"items": items, "restock": True, "reason": "broken"})


def _read_bills(book: Tallybook, customer_id: str) -> None:
    bill = {
        "customer_id": customer_id,
        "account_type": "GAS_BILL",
        "account_number": "XX4471",
        "issuer": "Mahanagar Gas",
        "amount": "740.00",
    }
    book.call(
        "POST",
        "/messages",
        {
            **bill,
            "transaction_type": "BILL_GENERATION",
            "message_type": "BILL_STATEMENT",
            "bill_date": "2025-12-20",
            "due_on": "2026-01-10",
        },
    )
    book.call(
        "POST",
        "/messages",
        {
            **bill,
            "transaction_type": "BILL_CONFIRMATION",
            "message_type": "BILL_PAYMENT",
            "paid_on": "2025-12-30",
        },
    )
    book.call("POST", "/messages", {"customer_id": customer_id, "body": "Hello there, see you"})
    book.call(
        "POST",
        "/transactions",
        {
            "customer_id": customer_id,
            "amount": "-740.00",
            "happened_at": "2025-12-30T10:00:00Z",
            "description": "Mahanagar Gas",
        },
    )


def _lend(book: Tallybook, customer_id: str) -> None:
    loan = book.call(
        "POST",
        "/loans",
        {
            "customer_id": customer_id,
            "principal": "500.00",
            "interest_rate": "10",
            "installments": 5,
            "start_on": "2026-01-01",
            "interval": "weekly",
        },
    )
    book.call("POST", f"/loans/{loan['id']}/payments", {"amount": "110.00"})
