"""The two state charts of bill processing, step by step, for each type of bill, as raw texts.

Each file in bills/ is what a household's tables hold after each step. Where a change is meant,
`TALLYBOOK_TEST_WRITE_GOLDEN=1` writes them anew, to be read before they are committed.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Served, serve_book

GOLDEN = Path(__file__).parent / "bills"
BILLERS = {
    "ELECTRIC_BILL": ("AX-BESCOM", "BESCOM electricity bill for RR No. W220145"),
    "MOBILE_BILL": ("VM-AIRTEL", "Airtel postpaid bill for mobile no. 9000012345"),
    "GAS_BILL": ("VM-MGLGAS", "Mahanagar Gas bill for BP No. 210005551234"),
}


class Chart:
    """One household on its way through a chart, written down after each step."""

    def __init__(self, served: Served, bill_type: str, name: str) -> None:
        self.served = served
        self.sender, self.bill = BILLERS[bill_type]
        self.lines = [f"== {name}"]
        self.names: dict[str, str] = {}
        customer = {"name": name, "email": f"{name.lower().replace(' ', '.')}@example.org"}
        self.who = served.post("/api/v1/customers", customer).json()["id"]

    def step(self, name: str, sender: str, sent_on: str, body: str) -> None:
        """Send one text, and write down what the tables hold after it."""
        message = {
            "customer_id": self.who,
            "sender": sender,
            "body": body,
            "sent_at": f"{sent_on}T09:00:00Z",
        }
        answer = self.served.post("/api/v1/messages", message)
        assert answer.status == 201, answer.body
        shown = answer.json()
        kind = shown["read"]["kind"] or "a movement of money"
        self.lines += ["", f"-- {name}", f"{sender} {sent_on}: {body}"]
        self.lines.append(f"{shown['status']}, {kind}: {shown['why']}")
        for title, row in (("accounts", _account), ("bill infos", _bill), ("transactions", _paid)):
            self.lines.append(f"  {title}")
            rows = [row(self, item) for item in reversed(self._list(title))]
            self.lines += [f"    {text}" for text in rows or ["none"]]

    def says(self, text: str, **words: str) -> str:
        """Write the biller's text."""
        return text.format(bill=self.bill, **words)

    def named(self, ident: str | None) -> str:
        """Name a row by the order in which it was first seen: its id is another each time."""
        if ident is None:
            return "no bill"
        kind = {"bac": "account", "bill": "bill", "txn": "transaction"}[ident.split("_")[0]]
        number = sum(name.startswith(kind) for name in self.names.values()) + 1
        return self.names.setdefault(ident, f"{kind} {number}")

    def _list(self, title: str) -> list[Any]:
        path = {"accounts": "bill-accounts", "bill infos": "bills"}.get(title, title)
        return list(self.served.get(f"/api/v1/{path}?customer_id={self.who}").json()["data"])


def _account(chart: Chart, row: Any) -> str:
    return (
        f"{chart.named(row['id'])}: {row['type']} {row['issuer']} {row['number']},"
        f" bills on day {row['generation_day']}, due on day {row['due_day']}"
    )


def _bill(chart: Chart, row: Any) -> str:
    paid = f", paid {row['paid']} on {row['paid_on']}" if row["paid_on"] else ""
    return (
        f"{chart.named(row['id'])} of {chart.named(row['account']['id'])}: {row['amount']} dated"
        f" {row['bill_date']} due {row['due_on']}{paid}: {row['status']}, told"
        f" {len(row['history'])} times"
    )


def _paid(chart: Chart, row: Any) -> str:
    waits = f", {row['waiting']} waits" if row["waiting"] != "0.00" else ""
    return (
        f"{chart.named(row['id'])}: {row['amount']} on {row['happened_at'][:10]}"
        f" {row['description'] or '(no description)'!r} for {chart.named(row['bill_id'])}{waits}"
        f" ({row['evidence'] or 'nothing is known of it'})"
    )


def bill_generation(chart: Chart) -> None:
    """Check Account: none, CreateAccount; has one; then bills and bill infos, made or updated."""
    text = "Your {bill} dated {dated} is Rs. {amount}. Due date {due}."
    bill = ("10-02-2026", "28-02-2026")
    chart.step(
        "no account: the account, its bill and the bill info are created",
        chart.sender,
        "2026-02-10",
        chart.says(text, dated=bill[0], amount="1,200.00", due=bill[1]),
    )
    chart.step(
        "has account, same bill date: the bill info is updated",
        chart.sender,
        "2026-02-12",
        chart.says(text, dated=bill[0], amount="1,250.00", due=bill[1]),
    )
    chart.step(
        "has account, another bill date: a new bill info is created",
        chart.sender,
        "2026-03-01",
        chart.says(text, dated="01-03-2026", amount="900.00", due="20-03-2026"),
    )


def bill_generation_over(chart: Chart) -> None:
    """BILL_DUE_TODAY and BILL_IMMEDIATE are the first chart too, with their own due dates."""
    chart.step(
        "no account, due date over and not told: the day before",
        chart.sender,
        "2026-02-20",
        chart.says("Your {bill} is overdue. Pay Rs. 640.00 immediately."),
    )
    chart.step(
        "has account, due today",
        chart.sender,
        "2026-03-02",
        chart.says("Your {bill} of Rs. 700.00 is due today."),
    )


def bill_confirmation(chart: Chart) -> None:
    """Check Account; bills; updateBillInfosOnPayment; createBillTransaction."""
    paid = "Payment of Rs. {amount} received for your {bill} on {on}. Thank you."
    bill = "Your {bill} dated {dated} is Rs. {amount}. Due date {due}."
    bank = "Rs.{amount} debited from A/c XX4411 on {on}. Avl Bal Rs.9,000.00"
    chart.step(
        "no account: created; no bill infos: no changes; no transaction: one is created",
        chart.sender,
        "2026-01-05",
        chart.says(paid, amount="310.00", on="05-01-2026"),
    )
    chart.step(
        "has account, a bill info that is unpaid",
        chart.sender,
        "2026-01-12",
        chart.says(bill, dated="11-01-2026", amount="1,200.00", due="28-01-2026"),
    )
    chart.step(
        "an unpaid bill info: paid; no transaction: one is created and linked",
        chart.sender,
        "2026-01-20",
        chart.says(paid, amount="1,200.00", on="20-01-2026"),
    )
    chart.step(
        "the next bill info",
        chart.sender,
        "2026-02-10",
        chart.says(bill, dated="10-02-2026", amount="900.00", due="28-02-2026"),
    )
    chart.step(
        "the bank's message comes first",
        "VM-HDFCBK",
        "2026-02-19",
        bank.format(amount="900.00", on="19-02-2026"),
    )
    chart.step(
        "an unpaid bill info: paid; the transaction exists: its bill info is set",
        chart.sender,
        "2026-02-20",
        chart.says(paid, amount="900.00", on="20-02-2026"),
    )
    chart.step(
        "the bank's message of a payment that no bill asks for",
        "VM-HDFCBK",
        "2026-02-27",
        bank.format(amount="450.00", on="27-02-2026"),
    )
    chart.step(
        "none unpaid: no bill info changes; the transaction exists: nothing new",
        chart.sender,
        "2026-02-28",
        chart.says(paid, amount="450.00", on="28-02-2026"),
    )
    chart.step(
        "none unpaid, and no transaction: one is created for the account",
        chart.sender,
        "2026-03-02",
        chart.says(paid, amount="77.00", on="02-03-2026"),
    )


CHARTS: dict[str, Callable[[Chart], None]] = {
    "BILL_GENERATION": bill_generation,
    "BILL_DUE_TODAY and BILL_IMMEDIATE": bill_generation_over,
    "BILL_CONFIRMATION": bill_confirmation,
}


@pytest.fixture
def served_once(sqlite_book_url: str, tmp_path: Path) -> Iterator[Served]:
    with serve_book(sqlite_book_url, tmp_path) as server:
        yield server


@pytest.mark.parametrize("bill_type", BILLERS)
def test_the_charts_step_by_step(served_once: Served, bill_type: str) -> None:
    lines: list[str] = []
    for name, walk in CHARTS.items():
        chart = Chart(served_once, bill_type, name)
        walk(chart)
        lines += [*chart.lines, "", ""]
    text = "\n".join(lines).rstrip() + "\n"
    golden = GOLDEN / f"{bill_type.lower()}.txt"
    if os.environ.get("TALLYBOOK_TEST_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
