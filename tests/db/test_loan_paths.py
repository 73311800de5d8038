"""Loans through every turn they can take, each a worked example, on both databases.

Each ends with `verify`: the ledger, the kept sums and the payments agree.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.collection.tasks import insisting
from tallybook.collection.tasks import paying as replies
from tallybook.entrypoints.library import Tallybook, open_book
from tallybook.kernel.ids import parse_id
from tallybook.kernel.refusal import Refused
from tallybook.loans.model import PaymentStatus
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.operations.pending import (
    BEGIN_PAYMENT,
    RECEIVE_AFTER_ALL,
    SETTLE_PAYMENT,
    SettlePayment,
)
from tallybook.loans.tasks import paying
from tallybook.loans.tasks.gateway import Charge, Charged
from tallybook.writer.model import Command, Outcome
from tests.played import DictatedProcessor
from tests.troubled import lose_answers, refuse_at_the_door

pytestmark = pytest.mark.played

FIRST = datetime(2026, 3, 2, 9, tzinfo=UTC)
NUMBER = "DE89370400440532013000"


class Lender:
    """One book, its clock and its Processor, in the words of a lender."""

    def __init__(self, book: Tallybook, clock: ManualClock, rail: DictatedProcessor) -> None:
        self.book, self.clock, self.rail = book, clock, rail

    def customer(self, name: str = "asha", number: str = NUMBER) -> str:
        made = self.book.create_customer(name, f"{name}@example.org", bank_accounts=[number])
        return str(made["id"])

    def loan(self, customer_id: str, **told: Any) -> str:
        """Lend 100.00 at 10 % over 4 weeks: 4 rows of 27.50, 25.00 and 2.50 each."""
        given: dict[str, Any] = {
            "principal": "100.00",
            "interest_rate": 10,
            "installments": 4,
            **told,
        }
        return str(self.book.create_loan(customer_id, **given)["id"])

    def pass_days(self, days: int, *, run: bool = False) -> None:
        for _ in range(days):
            self.clock.advance(days=1)
            if run:
                self.book.run_day()

    def rows(self, loan_id: str, **told: Any) -> list[tuple[str, str]]:
        return [(row["status"], row["paid"]) for row in self.book.get_schedule(loan_id, **told)]

    def balances(self) -> dict[str, Decimal]:
        """Give the house's accounts that are not zero."""
        trial = self.book.call("GET", "/ledger/accounts")["data"]
        return {
            each["name"]: Decimal(each["balance"]) for each in trial if Decimal(each["balance"])
        }

    def credit(self, customer_id: str) -> Decimal:
        lines = self.book.get_balance(customer_id)["data"]
        return sum((Decimal(line["credit"]) for line in lines), Decimal(0))

    def events(self) -> list[str]:
        """List what was published of loans."""
        found = self.book.call("GET", "/events", query={"after": 0, "limit": 100})["data"]
        return [each["type"].removeprefix("loans.") for each in found if "loans." in each["type"]]

    def refusal(self, method: str, path: str, body: Any) -> str:
        with pytest.raises(Refused) as caught:
            self.book.call(method, path, body)
        return caught.value.refusal.code


@pytest.fixture
def lender(book_url: str, tmp_path: Path) -> Iterator[Lender]:
    clock = ManualClock(FIRST)
    rail = DictatedProcessor(clock)
    with open_book(book_url, clock=clock, processor=rail, home=tmp_path) as book:
        yield Lender(book, clock, rail)
        assert book.verify() == []


# -- exact -----------------------------------------------------------------------------------------


def test_a_loan_paid_row_by_row_leaves_its_interest(lender: Lender) -> None:
    who = lender.customer()
    loan = lender.loan(who)
    assert lender.balances() == {
        "cash:bank": -100,
        "receivable:loans": 110,
        "unearned-interest": -10,
    }
    for _ in range(4):
        lender.pass_days(7)
        lender.book.make_payment(loan, "27.50")
    assert lender.balances() == {"cash:bank": 10, "income:interest": -10}
    assert lender.book.get_outstanding(loan) == 0
    assert lender.book.get_loan(loan)["status"] == "closed"
    assert lender.events() == [
        "loan.created",
        *["payment.received"] * 4,
        "loan.closed",
    ]
    history = list(lender.book.list_history(who))
    assert [each["kind"] for each in history] == [
        *["loans.payment.received"] * 4,
        "loans.loan.created",
    ]
    with pytest.raises(Refused) as caught:
        lender.book.make_payment(loan, "27.50")
    assert caught.value.refusal.code == "loan_closed"


def test_a_reversal_reopens_its_row_below_later_paid_ones(lender: Lender) -> None:
    loan = lender.loan(lender.customer())
    first = lender.book.make_payment(loan, "27.50")["id"]
    for _ in range(3):
        lender.book.make_payment(loan, "27.50")
    assert lender.book.get_loan(loan)["status"] == "closed"
    lender.pass_days(1)
    shown = lender.book.reverse_payment(loan, first, "bounced")
    assert (shown["status"], shown["reversed_on"]) == ("reversed", "2026-03-03")
    assert shown["outstanding"] == "27.50"
    assert [status for status, _ in lender.rows(loan)] == ["pending", "paid", "paid", "paid"]
    assert lender.book.get_loan(loan)["status"] == "active"
    # What was true the day before stays true of that day.
    assert lender.book.get_outstanding(loan, as_of="2026-03-02") == 0
    assert lender.balances() == {
        "cash:bank": Decimal("-17.50"),
        "income:interest": Decimal("-7.50"),
        "receivable:loans": Decimal("27.50"),
        "unearned-interest": Decimal("-2.50"),
    }
    path = f"/loans/{loan}/payments/{first}/reversal"
    assert lender.refusal("POST", path, {"reason": "again"}) == "payment_state_wrong"
    assert lender.book.make_payment(loan, "27.50")["installment_numbers"] == [1]
    assert lender.book.get_loan(loan)["status"] == "closed"
    assert lender.events()[-4:] == [
        "payment.reversed",
        "loan.reopened",
        "payment.received",
        "loan.closed",
    ]


def test_a_reversal_is_not_dated_before_its_payment_nor_ahead(lender: Lender) -> None:
    loan = lender.loan(lender.customer())
    lender.pass_days(20)
    paid = lender.book.make_payment(loan, "27.50", effective_on="2026-03-20")["id"]
    path = f"/loans/{loan}/payments/{paid}/reversal"
    for day, code in (
        ("2026-03-19", "reversal_before_payment"),
        ("2026-03-23", "date_in_future"),
        ("nonsense", "date_invalid"),
    ):
        assert lender.refusal("POST", path, {"reason": "x", "effective_on": day}) == code
    none = f"/loans/{loan}/payments/pay_{'0' * 32}/reversal"
    assert lender.refusal("POST", none, {"reason": "x"}) == "payment_not_found"
    lender.book.reverse_payment(loan, paid, "bounced", effective_on="2026-03-21")
    assert [lender.book.get_outstanding(loan, as_of=f"2026-03-{day}") for day in (19, 20, 21)] == [
        110,
        Decimal("82.50"),
        110,
    ]


# -- delinquency -----------------------------------------------------------------------------------


def test_delinquency_is_told_once_a_customer_and_refuses_advances(lender: Lender) -> None:
    who = lender.customer()
    first, second = lender.loan(who), lender.loan(who)
    lender.pass_days(14, run=True)  # two rows due, the second today
    assert "customer.delinquent" not in lender.events()
    lender.book.perform_advance(NUMBER, "10.00")
    lender.pass_days(1)
    # No run has told of it yet, and the advance is refused all the same.
    with pytest.raises(Refused) as caught:
        lender.book.perform_advance(NUMBER, "10.00")
    assert caught.value.refusal.details["reason"] == "loan_delinquent"
    told = lender.book.run_day()["summary"]["told"]
    assert told == {"loans": {"count": 2}}
    assert lender.events().count("customer.delinquent") == 1
    assert lender.book.is_delinquent(who)
    lender.book.make_payment(first, "27.50")
    assert "customer.current" not in lender.events()
    assert lender.book.is_delinquent(who)
    lender.book.make_payment(second, "27.50")
    assert lender.events()[-1] == "customer.current"
    assert not lender.book.is_delinquent(who)
    assert lender.book.is_delinquent(who, as_of=date(2026, 3, 24))
    lender.book.perform_advance(NUMBER, "10.00")


def test_a_payment_dated_back_changes_what_was_true_then(lender: Lender) -> None:
    loan = lender.loan(lender.customer())
    lender.pass_days(16)
    assert lender.book.is_delinquent(loan, as_of="2026-03-17")
    lender.book.make_payment(loan, "27.50", effective_on="2026-03-16")
    assert not lender.book.is_delinquent(loan, as_of="2026-03-17")
    assert lender.book.get_outstanding(loan, as_of="2026-03-15") == 110
    assert lender.book.get_outstanding(loan, as_of="2026-03-16") == Decimal("82.50")


# -- flexible --------------------------------------------------------------------------------------


def test_flexible_payments_fill_rows_interest_first_and_the_excess_is_credit(
    lender: Lender,
) -> None:
    who = lender.customer()
    loan = lender.loan(who, payment_policy="flexible")
    paid = lender.book.make_payment(loan, "2.00")
    assert (paid["installment_numbers"], paid["outstanding"]) == ([1], "108.00")
    assert lender.balances()["income:interest"] == -2
    paid = lender.book.make_payment(loan, "30.00")
    assert paid["installment_numbers"] == [1, 2]
    assert lender.balances()["income:interest"] == -5
    assert lender.rows(loan)[:2] == [("paid", "27.50"), ("pending", "4.50")]
    paid = lender.book.make_payment(loan, "100.00")
    assert (paid["credit"], paid["outstanding"]) == ("22.00", "0.00")
    assert lender.credit(who) == 22
    # Received money is never turned away.
    paid = lender.book.make_payment(loan, "5.00")
    assert (paid["credit"], paid["installment_numbers"]) == ("5.00", [])
    assert lender.balances() == {"cash:bank": 37, "income:interest": -10, "customer-credit": -27}
    assert lender.book.get_outstanding(who) == 0


def test_flexible_payments_are_folded_by_date(lender: Lender) -> None:
    loan = lender.loan(lender.customer(), payment_policy="flexible")
    lender.pass_days(5)
    late = lender.book.make_payment(loan, "27.50")["id"]
    early = lender.book.make_payment(loan, "27.50", effective_on="2026-03-04")
    assert early["installment_numbers"] == [1]
    shown = lender.book.call("GET", f"/loans/{loan}/payments/{late}")
    assert shown["installment_numbers"] == [2]
    assert [row["paid_on"] for row in lender.book.get_schedule(loan)[:2]] == [
        "2026-03-04",
        "2026-03-07",
    ]
    lender.book.reverse_payment(loan, early["id"], "bounced")
    assert lender.book.get_schedule(loan)[0]["paid_on"] == "2026-03-07"


def test_credit_that_is_spent_is_owed_again_when_its_payment_bounces(lender: Lender) -> None:
    who = lender.customer()
    loan, other = lender.loan(who, payment_policy="flexible"), lender.loan(who)
    paid = lender.book.make_payment(loan, "140.00")
    assert paid["credit"] == "30.00"
    path = f"/customers/{who}/credit-applications"
    use = {"amount": "27.50", "reason": "asked for it", "subject_id": other}
    assert lender.book.call("POST", path, use)["credit_left"] == "2.50"
    assert lender.book.get_outstanding(other) == Decimal("82.50")
    shown = lender.book.reverse_payment(loan, paid["id"], "bounced")
    # 2.50 could be had back; the rest was spent and is owed once more.
    assert (shown["outstanding"], lender.credit(who)) == ("137.50", 0)
    assert lender.book.make_payment(loan, "137.50")["outstanding"] == "0.00"
    assert lender.credit(who) == 0
    assert lender.book.make_payment(loan, "1.00")["credit"] == "1.00"


def test_what_is_owed_again_is_paid_first_and_gives_no_credit(lender: Lender) -> None:
    who = lender.customer()
    loan, other = lender.loan(who, payment_policy="flexible"), lender.loan(who)
    paid = lender.book.make_payment(loan, "137.50")
    use = {"amount": "27.50", "reason": "asked for it", "subject_id": other}
    lender.book.call("POST", f"/customers/{who}/credit-applications", use)
    bounced = lender.book.reverse_payment(loan, paid["id"], "bounced")
    assert (bounced["owed_again"], bounced["outstanding"]) == ("27.50", "137.50")
    shown = lender.book.get_loan(loan)
    assert (shown["paid"], shown["owed_again"]) == ("0.00", "27.50")
    answers = [lender.book.make_payment(loan, amount) for amount in ("20.00", "35.00", "83.50")]
    assert [
        (each["credit_repaid"], each["installment_numbers"], each["credit"], each["outstanding"])
        for each in answers
    ] == [
        ("20.00", [], "0.00", "117.50"),
        ("7.50", [1], "0.00", "82.50"),
        ("0.00", [2, 3, 4], "1.00", "0.00"),
    ]
    names = ("id", "credit_repaid", "installment_numbers", "credit")
    listed = [{name: each[name] for name in names} for each in lender.book.list_payments(loan)]
    assert listed[-2::-1] == [{name: each[name] for name in names} for each in answers]
    shown = lender.book.get_loan(loan)
    assert (shown["paid"], shown["owed_again"]) == ("110.00", "0.00")
    assert lender.credit(who) == 1


def test_nothing_is_owed_again_on_a_day_before_it_was_given(lender: Lender) -> None:
    """It is told late that a payment bounced before the one came that gave the credit."""
    who = lender.customer()
    loan, other = lender.loan(who, payment_policy="flexible"), lender.loan(who)
    first = lender.book.make_payment(loan, "30.00")["id"]
    lender.pass_days(3)
    lender.book.make_payment(loan, "180.00")
    for amount in ("27.50", "27.50", "27.50"):
        use = {"amount": amount, "reason": "asked for it", "subject_id": other}
        lender.book.call("POST", f"/customers/{who}/credit-applications", use)
    shown = lender.book.reverse_payment(loan, first, "bounced", effective_on="2026-03-03")
    assert (shown["owed_again"], shown["outstanding"]) == ("82.50", "12.50")
    days = [f"2026-03-0{day}" for day in (2, 3, 4, 5)]
    owed = [lender.book.get_outstanding(loan, as_of=day) for day in days]
    assert owed == [80, 110, 110, Decimal("12.50")]
    assert lender.book.get_loan(loan, as_of=days[1])["owed_again"] == "0.00"


def test_part_of_the_excess_that_is_spent_stays_given(lender: Lender) -> None:
    who = lender.customer()
    loan, other = lender.loan(who, payment_policy="flexible"), lender.loan(who)
    first = lender.book.make_payment(loan, "30.00")["id"]
    lender.book.make_payment(loan, "180.00")  # 100.00 too much
    for amount in ("27.50", "27.50", "27.50"):
        use = {"amount": amount, "reason": "asked for it", "subject_id": other}
        lender.book.call("POST", f"/customers/{who}/credit-applications", use)
    assert lender.credit(who) == Decimal("17.50")
    shown = lender.book.reverse_payment(loan, first, "bounced")
    assert (shown["outstanding"], lender.credit(who)) == ("12.50", 0)
    assert lender.book.make_payment(loan, "12.50")["outstanding"] == "0.00"
    assert lender.credit(who) == 0


def test_credit_is_used_as_a_payment_would_be(lender: Lender) -> None:
    who = lender.customer()
    flexible, exact = lender.loan(who, payment_policy="flexible"), lender.loan(who)
    lender.book.make_payment(flexible, "200.00")
    path = f"/customers/{who}/credit-applications"
    for amount, subject, code in (
        ("90.01", exact, "credit_insufficient"),
        ("20.00", exact, "payment_amount_mismatch"),
        ("1.00", flexible, "subject_owes_less"),
        ("1.00", "loan_" + "0" * 32, "subject_not_found"),
    ):
        body = {"amount": amount, "reason": "x", "subject_id": subject}
        assert lender.refusal("POST", path, body) == code
    # Without a subject the oldest loan of which something is owed is paid.
    used = lender.book.call("POST", path, {"amount": "27.50", "reason": "x"})
    assert (used["subject_id"], used["credit_left"]) == (exact, "62.50")
    assert lender.rows(exact)[0] == ("paid", "27.50")
    (payment,) = lender.book.list_payments(exact)
    assert payment["method"] == "credit"
    # Taken back, it is credit again.
    lender.book.reverse_payment(exact, payment["id"], "a mistake")
    assert lender.credit(who) == 90


# -- the gateway -----------------------------------------------------------------------------------


def test_a_pending_payment_reserves_its_row(lender: Lender) -> None:
    loan = lender.loan(lender.customer())
    waiting = lender.book.make_payment(loan, "27.50", method="mock_pending", idempotency_key="w")
    assert (waiting["status"], waiting["installment_numbers"]) == ("pending", [1])
    assert waiting["outstanding"] == "110.00"
    assert lender.book.get_schedule(loan)[0]["reserved"] is True
    body = {"amount": "27.50", "installment_number": 1}
    path = f"/loans/{loan}/payments"
    assert lender.refusal("POST", path, body) == "installment_reserved"
    assert lender.book.make_payment(loan, "27.50")["installment_numbers"] == [2]
    settle = f"{path}/{waiting['id']}/settlement"
    settled = lender.book.call("POST", settle, {"status": "paid", "reference": "bank-7"})
    assert (settled["status"], settled["installment_numbers"]) == ("paid", [1])
    assert lender.refusal("POST", settle, {"status": "failed"}) == "payment_state_wrong"
    # The request's own reply is what it was.
    again = lender.book.make_payment(loan, "27.50", method="mock_pending", idempotency_key="w")
    assert again == waiting
    assert lender.book.get_outstanding(loan) == 55


@pytest.mark.parametrize("policy", ["exact", "flexible"])
def test_the_gateway_says_paid_or_failed_at_once(lender: Lender, policy: str) -> None:
    loan = lender.loan(lender.customer(), payment_policy=policy)
    failed = lender.book.make_payment(loan, "27.50", method="mock_failed", idempotency_key="f")
    assert (failed["status"], failed["reason"]) == ("failed", "declined")
    assert failed["outstanding"] == "110.00"
    paid = lender.book.make_payment(loan, "27.50", method="mock_paid", idempotency_key="p")
    assert (paid["status"], paid["installment_numbers"]) == ("paid", [1])
    assert lender.book.make_payment(loan, "27.50", method="mock_paid", idempotency_key="p") == paid
    assert [each["status"] for each in lender.book.list_payments(loan)] == ["paid", "failed"]
    assert lender.events()[1:] == [
        "payment.pending",
        "payment.failed",
        "payment.pending",
        "payment.received",
    ]


def test_a_failed_payment_frees_its_row(lender: Lender) -> None:
    loan = lender.loan(lender.customer(), installments=1)
    waiting = lender.book.make_payment(loan, "110.00", method="mock_pending")
    path = f"/loans/{loan}/payments"
    assert lender.refusal("POST", path, {"amount": "110.00"}) == "installment_reserved"
    lender.book.call("POST", f"{path}/{waiting['id']}/settlement", {"status": "failed"})
    assert lender.book.make_payment(loan, "110.00")["outstanding"] == "0.00"


def test_a_copy_of_a_request_whose_process_died_is_told_that_it_is_pending(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    loan = lender.loan(lender.customer())

    async def die(charge: Charge) -> Charged:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(lender.book.engine.gateway, "charge", die)
        with pytest.raises(CancelledError):
            lender.book.make_payment(loan, "27.50", method="mock_paid", idempotency_key="k")
    lender.clock.advance(seconds=paying.SILENT_SECONDS + 1)
    monkeypatch.setattr(replies, "LOOK_SECONDS", 0.01)
    told = lender.book.make_payment(loan, "27.50", method="mock_paid", idempotency_key="k")
    assert (told["status"], told["reason"]) == ("pending", "the gateway's answer was lost")
    again = lender.book.make_payment(loan, "27.50", method="mock_paid", idempotency_key="k")
    assert again == told
    settle = f"/loans/{loan}/payments/{told['id']}/settlement"
    assert lender.book.call("POST", settle, {"status": "paid"})["status"] == "paid"
    assert lender.book.get_outstanding(loan) == Decimal("82.50")


def test_a_process_that_stood_still_asks_the_gateway_for_nothing(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person may have ruled on the payment meanwhile, and the customer paid in another way."""
    loan = lender.loan(lender.customer())
    ask = lender.book.engine.door.ask

    async def stall(command: Command) -> Outcome:
        outcome = await ask(command)
        if command.operation is BEGIN_PAYMENT:
            lender.clock.advance(seconds=paying.SILENT_SECONDS)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(lender.book.engine.door, "ask", stall)
        late = lender.book.make_payment(loan, "27.50", method="mock_paid")
    assert (late["status"], late["reason"]) == ("failed", "the gateway was not asked in time")
    assert late["outstanding"] == "110.00"
    paid = lender.book.make_payment(loan, "27.50", method="mock_paid")
    assert (paid["status"], paid["installment_numbers"]) == ("paid", [1])


@pytest.mark.parametrize(("times", "code"), [(2, None), (9, "call_unrecorded")])
def test_what_the_gateway_did_is_recorded_once_the_database_is_back(
    lender: Lender, monkeypatch: pytest.MonkeyPatch, times: int, code: str | None
) -> None:
    """Whoever heard `busy` of a payment that was made would make it again."""
    monkeypatch.setattr(insisting, "TRIES", 3)
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.001)
    loan = lender.loan(lender.customer())
    asked = refuse_at_the_door(lender.book.engine.door, "busy", times, SETTLE_PAYMENT)
    if code is None:
        assert lender.book.make_payment(loan, "27.50", method="mock_paid")["status"] == "paid"
    else:
        body = {"amount": "27.50", "method": "mock_paid"}
        assert lender.refusal("POST", f"/loans/{loan}/payments", body) == code
        assert [each["status"] for each in lender.book.list_payments(loan)] == ["pending"]
    assert asked[0] == 3


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("method", ["mock_paid", "mock_failed", "mock_pending"])
def test_a_payment_that_was_recorded_after_all_is_answered_with(
    lender: Lender, monkeypatch: pytest.MonkeyPatch, method: str, key: str | None
) -> None:
    """COMMIT went through and its answer was lost: whoever hears a refusal pays again."""
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.001)
    loan = lender.loan(lender.customer())
    asked = lose_answers(lender.book.engine.door, SETTLE_PAYMENT, 2)
    made = lender.book.make_payment(loan, "27.50", method=method, idempotency_key=key)
    assert (made["status"], asked[0]) == (method.removeprefix("mock_"), 3)
    assert list(lender.book.list_payments(loan)) == [made]
    told = {"paid": "received", "failed": "failed", "pending": "asked"}[made["status"]]
    assert lender.events()[1:] == ["payment.pending", f"payment.{told}"]
    if key is not None:
        again = lender.book.make_payment(loan, "27.50", method=method, idempotency_key=key)
        assert again == made


def settle_first(
    lender: Lender,
    monkeypatch: pytest.MonkeyPatch,
    loan: str,
    said: PaymentStatus,
    then: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Let a person say what became of each payment while the gateway is being asked for it."""
    door, gateway = lender.book.engine.door, lender.book.engine.gateway
    charge_it = gateway.charge

    async def charge(charge: Charge) -> Charged:
        settled = SettlePayment(parse_id("loan", loan) or "", charge.payment_id, said, "bank-7")
        assert (await door.ask(Command(SETTLE_PAYMENT, settled))).status == 200
        if then is not None:
            await then()
        return await charge_it(charge)

    monkeypatch.setattr(gateway, "charge", charge)


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize(
    ("said", "method", "is_logged"),
    [
        (PaymentStatus.PAID, "mock_paid", False),
        (PaymentStatus.PAID, "mock_failed", True),
        (PaymentStatus.FAILED, "mock_failed", False),
        (PaymentStatus.FAILED, "mock_pending", False),
    ],
)
def test_a_payment_that_somebody_settled_first_is_answered_with(
    lender: Lender,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    said: PaymentStatus,
    method: str,
    is_logged: bool,
    key: str | None,
) -> None:
    """While the gateway's own word can't be recorded. Where they differ, the log says so."""
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.001)
    loan = lender.loan(lender.customer())
    settle_first(lender, monkeypatch, loan, said)
    with caplog.at_level(logging.ERROR):
        made = lender.book.make_payment(loan, "27.50", method=method, idempotency_key=key)
    assert (made["status"], made["reference"]) == (said.value, "bank-7")
    assert list(lender.book.list_payments(loan)) == [made]
    assert [hasattr(each, "payment_id") for each in caplog.records] == [True] * is_logged


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("policy", ["exact", "flexible"])
def test_what_the_gateway_took_counts_though_somebody_said_that_it_failed(
    lender: Lender, monkeypatch: pytest.MonkeyPatch, policy: str, key: str | None
) -> None:
    """Money that was received is never turned away, and its row is not asked for again."""
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.001)
    loan = lender.loan(lender.customer(), payment_policy=policy)
    settle_first(lender, monkeypatch, loan, PaymentStatus.FAILED)
    asked = lose_answers(lender.book.engine.door, RECEIVE_AFTER_ALL, 2)
    made = lender.book.make_payment(loan, "27.50", method="mock_paid", idempotency_key=key)
    assert (made["status"], made["outstanding"], asked[0]) == ("paid", "82.50", 3)
    paid, failed = lender.book.list_payments(loan)
    assert (paid, failed["status"], failed["reference"]) == (made, "failed", "bank-7")
    assert paid["reference"].startswith("mock-")
    assert paid["reason"].startswith(failed["id"])
    assert lender.rows(loan)[:2] == [("paid", "27.50"), ("pending", "0.00")]
    assert lender.events()[1:] == ["payment.pending", "payment.failed", "payment.received"]


@pytest.mark.parametrize(("rows", "numbers", "credit"), [(2, [2], "0.00"), (1, [], "110.00")])
def test_what_the_gateway_took_is_for_the_next_row_where_its_own_was_paid_meanwhile(
    lender: Lender, monkeypatch: pytest.MonkeyPatch, rows: int, numbers: list[int], credit: str
) -> None:
    loan = lender.loan(lender.customer(), installments=rows)
    amount = "110.00" if rows == 1 else "55.00"
    door = lender.book.engine.door

    async def pay_in_cash() -> None:
        asked = MakePayment(parse_id("loan", loan) or "", amount)
        assert (await door.ask(Command(MAKE_PAYMENT, asked))).status == 201

    settle_first(lender, monkeypatch, loan, PaymentStatus.FAILED, then=pay_in_cash)
    made = lender.book.make_payment(loan, amount, method="mock_paid")
    assert (made["installment_numbers"], made["credit"]) == (numbers, credit)
    assert lender.book.get_loan(loan)["status"] == "closed"


def test_a_settlement_that_is_told_again_changes_nothing(lender: Lender) -> None:
    loan = lender.loan(lender.customer())
    waiting = lender.book.make_payment(loan, "27.50", method="mock_pending")
    settle = f"/loans/{loan}/payments/{waiting['id']}/settlement"
    body = {"status": "paid", "reference": "bank-7"}
    settled = lender.book.call("POST", settle, body)
    events = lender.events()
    assert lender.book.call("POST", settle, body) == settled
    assert lender.book.call("POST", settle, {"status": "paid"}) == settled
    assert lender.events() == events
    for other in ({"status": "failed"}, {"status": "paid", "reference": "bank-8"}):
        assert lender.refusal("POST", settle, other) == "payment_state_wrong"


# -- given up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["exact", "flexible"])
def test_what_is_given_up_is_lost_and_what_comes_later_is_recovered(
    lender: Lender, policy: str
) -> None:
    who = lender.customer()
    loan = lender.loan(who, payment_policy=policy)
    first = lender.book.make_payment(loan, "27.50")["id"]
    lender.pass_days(1)
    shown = lender.book.write_off_loan(loan, "moved away")
    assert (shown["status"], shown["outstanding"]) == ("written_off", "0.00")
    assert lender.balances() == {
        "cash:bank": Decimal("-72.50"),
        "income:interest": Decimal("-2.50"),
        "expense:write-off": 75,
    }
    with pytest.raises(Refused) as caught:
        lender.book.perform_advance(NUMBER, "10.00")
    assert caught.value.refusal.details["reason"] == "loan_written_off"
    assert lender.book.get_outstanding(loan, as_of="2026-03-02") == Decimal("82.50")
    assert lender.refusal("POST", f"/loans/{loan}/write-off", {"reason": "x"}) == (
        "loan_state_wrong"
    )
    lender.book.make_payment(loan, "27.50")
    assert lender.balances()["income:recoveries"] == Decimal("-27.50")
    lender.book.reverse_payment(loan, first, "bounced")
    lender.book.make_payment(loan, "27.50")
    assert lender.balances()["cash:bank"] == -45


def test_a_closed_loan_is_not_given_up(lender: Lender) -> None:
    loan = lender.loan(lender.customer(), installments=1)
    lender.book.make_payment(loan, "110.00")
    body = {"reason": "x"}
    assert lender.refusal("POST", f"/loans/{loan}/write-off", body) == "loan_state_wrong"
