"""Loans that are debited: what is due goes out, what is missed stays due, on both databases."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.entrypoints.library import open_book
from tallybook.kernel.refusal import Refused
from tests.db.test_loan_paths import FIRST, Lender
from tests.played import DictatedProcessor

pytestmark = pytest.mark.played


class Debitor(Lender):
    """A lender whose loans are debited; a test says how each debit ends."""

    def debited(self, **told: Any) -> str:
        return self.loan(self.customer(), **{"collection": "auto_debit", **told})

    def run(self, days: int = 1) -> None:
        self.pass_days(days, run=True)

    def came(self) -> list[tuple[str, str]]:
        """List the debits that came in: date and amount."""
        return [(call.came_on.isoformat()[5:], call.order.amount) for call in self.rail.calls]

    def tell(self, which: int, result: str) -> None:
        """Let the reports say how a debit ended, counted from the first."""
        self.rail.tell(self.rail.calls[which].executed_as, result)


def open_lender(url: str, home: Path, first: datetime) -> Iterator[Debitor]:
    clock = ManualClock(first)
    rail = DictatedProcessor(clock)
    with open_book(url, clock=clock, processor=rail, home=home) as book:
        yield Debitor(book, clock, rail)
        assert book.verify() == []


@pytest.fixture
def lender(book_url: str, tmp_path: Path) -> Iterator[Debitor]:
    yield from open_lender(book_url, tmp_path, FIRST)


def test_each_row_is_debited_on_its_due_date(lender: Debitor) -> None:
    loan = lender.debited()
    for which in range(4):
        lender.run(7)
        lender.tell(which, "success")
    lender.run()
    assert lender.came() == [(day, "27.50") for day in ("03-09", "03-16", "03-23", "03-30")]
    rows = lender.book.get_schedule(loan)
    assert [row["paid_on"] for row in rows] == [row["due_on"] for row in rows]
    assert lender.book.get_loan(loan)["status"] == "closed"
    assert lender.balances() == {"cash:bank": 10, "income:interest": -10}
    lender.run(10)
    assert len(lender.came()) == 4


def test_a_miss_stays_due_and_is_tried_on_the_next_due_date(lender: Debitor) -> None:
    loan = lender.debited()
    lender.run(7)
    lender.tell(0, "fail")
    lender.run(6)
    assert lender.came() == [("03-09", "27.50")]
    assert lender.book.get_delinquency(loan)["days_past_due"] == 6
    assert lender.book.get_schedule(loan)[0]["due_on"] == "2026-03-09"
    lender.run()
    # The missed row and the one of the day, and no third.
    assert lender.came()[1:] == [("03-16", "27.50")] * 2
    lender.tell(1, "fail")
    lender.tell(2, "fail")
    lender.run(6)
    assert len(lender.came()) == 3
    assert lender.book.is_delinquent(loan)
    lender.run()
    assert len(lender.came()) == 5
    for which in (3, 4):
        lender.tell(which, "success")
    lender.run()
    paid = [row["number"] for row in lender.book.get_schedule(loan) if row["status"] == "paid"]
    assert len(paid) == 2
    assert lender.book.get_outstanding(loan) == 55


def test_what_the_customer_pays_is_not_debited(lender: Debitor) -> None:
    loan = lender.debited()
    lender.book.make_payment(loan, "27.50")
    lender.run(7)
    assert lender.came() == []
    lender.run(7)
    assert lender.came() == [("03-16", "27.50")]
    # The row that is out is reserved: who pays now pays the next one.
    with pytest.raises(Refused) as caught:
        lender.book.make_payment(loan, "27.50", installment_number=2)
    assert caught.value.refusal.code == "installment_reserved"
    assert lender.book.make_payment(loan, "27.50")["installment_numbers"] == [3]
    lender.tell(0, "success")
    lender.run(7)
    assert len(lender.came()) == 1
    lender.run(7)
    assert lender.came()[1:] == [("03-30", "27.50")]
    lender.tell(1, "success")
    lender.run()
    assert lender.book.get_outstanding(loan) == 0


def test_a_payment_that_bounces_is_debited_on_the_next_date(lender: Debitor) -> None:
    loan = lender.debited()
    paid = lender.book.make_payment(loan, "27.50")["id"]
    lender.run(8)
    lender.book.reverse_payment(loan, paid, "bounced")
    lender.run(6)
    assert lender.came() == [("03-16", "27.50")] * 2
    for which in (0, 1):
        lender.tell(which, "success")
    lender.run()
    assert [status for status, _ in lender.rows(loan)] == ["paid", "paid", "pending", "pending"]


def test_a_return_reopens_its_row(lender: Debitor) -> None:
    loan = lender.debited()
    lender.run(7)
    lender.tell(0, "success")
    lender.run()
    (payment,) = lender.book.list_payments(loan)
    assert (payment["method"], payment["effective_on"]) == ("auto_debit", "2026-03-09")
    path = f"/loans/{loan}/payments/{payment['id']}/reversal"
    assert lender.refusal("POST", path, {"reason": "x"}) == "payment_state_wrong"
    lender.rail.tell("txn_1", "fail", on=date(2026, 3, 11))
    lender.run()
    assert lender.rows(loan)[0] == ("pending", "0.00")
    (payment,) = lender.book.list_payments(loan)
    assert (payment["status"], payment["reversed_on"]) == ("reversed", "2026-03-11")
    assert lender.book.get_outstanding(loan, as_of="2026-03-10") == Decimal("82.50")
    lender.run(5)
    assert lender.came()[1:] == [("03-16", "27.50")] * 2


def test_a_late_success_of_what_was_paid_otherwise_is_credit(lender: Debitor) -> None:
    loan = lender.debited(installments=1)
    lender.run(7)
    # No report shows it: it times out, and its amount is held.
    lender.run(6)
    (item,) = lender.book.call("GET", "/operator-items")["data"]
    assert item["kind"] == "debit_timed_out"
    with pytest.raises(Refused) as caught:
        lender.book.make_payment(loan, "110.00")
    assert caught.value.refusal.code == "installment_reserved"
    path = f"/operator-items/{item['id']}/resolution"
    lender.book.call("POST", path, {"action": "release", "reason": "the bank has no trace"})
    assert lender.book.make_payment(loan, "110.00")["outstanding"] == "0.00"
    lender.tell(0, "success")
    lender.run()
    assert len(lender.came()) == 1
    assert lender.balances()["customer-credit"] == -110
    kinds = [each["kind"] for each in lender.book.call("GET", "/operator-items")["data"]]
    assert "excess" in kinds


def test_giving_up_ends_the_debits(lender: Debitor) -> None:
    loan = lender.debited()
    lender.run(7)
    lender.book.write_off_loan(loan, "moved away")
    lender.tell(0, "success")
    lender.run(8)
    assert len(lender.came()) == 1
    assert lender.balances()["income:recoveries"] == Decimal("-27.50")


def test_flexible_debits_shrink_by_what_is_paid(lender: Debitor) -> None:
    loan = lender.debited(payment_policy="flexible")
    lender.book.make_payment(loan, "30.00")
    lender.run(14)
    assert lender.came() == [("03-16", "25.00")]
    lender.tell(0, "success")
    lender.run()
    assert lender.rows(loan)[:2] == [("paid", "27.50")] * 2
    # A payment at the gateway is not debited meanwhile.
    waiting = lender.book.make_payment(loan, "27.50", method="mock_pending")["id"]
    lender.run(6)
    assert len(lender.came()) == 1
    settle = f"/loans/{loan}/payments/{waiting}/settlement"
    lender.book.call("POST", settle, {"status": "failed"})
    lender.run(7)
    assert lender.came()[1:] == [("03-30", "27.50")] * 2


def test_more_may_be_pending_than_is_owed(lender: Debitor) -> None:
    loan = lender.debited(payment_policy="flexible", installments=1)
    lender.run(7)
    lender.tell(0, "success")
    lender.run()
    assert lender.book.get_loan(loan)["status"] == "closed"
    waiting = lender.book.make_payment(loan, "27.50", method="mock_pending")["id"]
    assert lender.book.verify() == []
    settle = f"/loans/{loan}/payments/{waiting}/settlement"
    assert lender.book.call("POST", settle, {"status": "paid"})["credit"] == "27.50"


def test_debits_by_the_month_keep_their_day(book_url: str, tmp_path: Path) -> None:
    first = datetime.fromisoformat("2026-01-31T09:00:00+00:00")
    for lender in open_lender(book_url, tmp_path, first):
        lender.debited(interval="monthly", installments=2)
        lender.run(28)
        lender.tell(0, "success")
        lender.run(31)
        lender.tell(1, "fail")
        lender.run(30)
        # None left in the schedule: one month after the last, on the last day again.
        assert lender.came() == [
            ("02-28", "55.00"),
            ("03-31", "55.00"),
            ("04-30", "55.00"),
        ]


def test_debits_need_an_account_of_the_customers_own(lender: Debitor) -> None:
    asha, bela = lender.customer(), lender.customer("bela", "000123456")
    account = lender.book.get_customer(bela)["bank_accounts"][0]["id"]
    body = {
        "customer_id": asha, "principal": 100, "interest_rate": 0, "installments": 4,
        "collection": "auto_debit", "bank_account_id": account,
    }  # fmt: skip
    assert lender.refusal("POST", "/loans", body) == "bank_account_not_found"
    made = lender.book.call("POST", "/loans", {**body, "customer_id": bela})
    assert made["bank_account_id"] == account
