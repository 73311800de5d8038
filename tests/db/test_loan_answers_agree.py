"""What one answer says of a loan, no other one denies, whatever happened to it. Source: L3-L7, C2.

Lives are drawn from a seed: payments of all sizes, late and dated back, decided by a gateway, taken
back as of today or before, their credit spent on other loans, loans given up and recovered from.
Nothing here knows what is right: answers are held against each other, and against sums of theirs.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.entrypoints.library import Tallybook, open_book
from tallybook.kernel.refusal import Refusal, Refused
from tests.played import DictatedProcessor

pytestmark = pytest.mark.played

FIRST = datetime(2026, 3, 2, 9, tzinfo=UTC)
CUSTOMERS = 8
STEPS = 40
NOTHING = Decimal(0)


class Life:
    """What happens to one customer's loans."""

    def __init__(self, book: Tallybook, clock: ManualClock, seed: int, seen: Counter[str]) -> None:
        self.book, self.clock, self.seen = book, clock, seen
        self.draw = Random(seed)
        made = book.create_customer(f"C {seed}", f"c{seed}@example.org")
        self.customer = str(made["id"])
        self.loans: list[Any] = []

    def live(self) -> None:
        """Let one thing happen; what is refused has not happened."""
        act = self.draw.choice((*(self.pay,) * 5, *(self.bounce,) * 3, self.lend, self.settle))
        if self.draw.random() < 0.02:
            act = self.give_up
        if len(self.loans) < 2:
            act = self.lend
        elif self.draw.random() < 0.5 and self.credit():
            act = self.use_credit
        try:
            act()
        except Refused as refused:
            self.seen[f"refused: {refused.refusal.code}"] += 1
        else:
            self.seen[act.__name__] += 1

    def lend(self) -> None:
        if len(self.loans) == 3:
            return
        start_on = self.clock.today() - timedelta(days=self.draw.choice((0, 15, 40)))
        loan = self.book.create_loan(
            self.customer,
            f"{self.draw.randint(3, 300)}.{self.draw.randrange(100):02}",
            self.draw.choice(("0", "10", "33.3333")),
            self.draw.randint(1, 5),
            start_on=start_on.isoformat(),
            payment_policy=self.draw.choice(("flexible", "flexible", "exact")),
            delinquent_after=self.draw.choice((1, 2)),
        )
        assert loan["schedule"] == self.book.get_schedule(loan["id"])
        self.loans.append(loan)

    def pay(self) -> None:
        loan = self.draw.choice(self.loans)
        rows = self.book.get_schedule(loan["id"])
        row = next((Decimal(each["amount"]) for each in rows if each["status"] != "paid"), None)
        owed = self.book.get_outstanding(loan["id"])
        amounts = [row or Decimal(5), owed or Decimal(1), owed + row_of(loan)]
        back = self.draw.choice((0, 0, self.draw.randrange(7)))
        day = max(self.clock.today() - timedelta(days=back), date.fromisoformat(loan["start_on"]))
        paid = self.book.make_payment(
            loan["id"],
            self.draw.choice((amounts[0], *amounts, Decimal(self.draw.randint(1, 9_999)) / 100)),
            method=self.draw.choice(("cash", "cash", "cash", "mock_paid", "mock_pending")),
            effective_on=day.isoformat(),
        )
        self.seen[f"paid and {paid['status']}"] += 1
        self.seen["dated back"] += back > 0
        self.seen["credit repaid"] += Decimal(paid["credit_repaid"]) > 0
        self.seen["recovered"] += self.book.get_loan(loan["id"])["status"] == "written_off"
        self.same(loan, paid)

    def bounce(self) -> None:
        loan, payment = self.one("paid")
        made_on = date.fromisoformat(payment["effective_on"])
        day = max(made_on, self.clock.today() - timedelta(days=self.draw.choice((0, 0, 2, 6))))
        shown = self.book.reverse_payment(
            loan["id"], payment["id"], "bounced", effective_on=day.isoformat()
        )
        self.seen["owed again"] += Decimal(shown["owed_again"]) > 0
        self.same(loan, shown)

    def settle(self) -> None:
        loan, payment = self.one("pending")
        path = f"/loans/{loan['id']}/payments/{payment['id']}/settlement"
        word = self.draw.choice(("paid", "paid", "failed"))
        self.same(loan, self.book.call("POST", path, {"status": word}))

    def use_credit(self) -> None:
        """Use as much credit as a loan takes: all that is held, or what is owed, or a row."""
        held, owing = self.credit(), [
            (each, self.book.get_outstanding(each["id"])) for each in self.loans
        ]  # fmt: skip
        loan, owed = self.draw.choice([each for each in owing if each[1]] or owing)
        is_exact = loan["payment_policy"] == "exact"
        amount = row_of(loan) if is_exact else min(held, owed)
        body = {"amount": str(amount), "subject_id": loan["id"], "reason": "asked for it"}
        self.book.call("POST", f"/customers/{self.customer}/credit-applications", body)

    def give_up(self) -> None:
        loan = self.draw.choice(self.loans)
        shown = self.book.write_off_loan(loan["id"], "moved away")
        assert shown == self.book.get_loan(loan["id"])

    def one(self, status: str) -> tuple[Any, Any]:
        """Choose a payment that stands so."""
        loan = self.draw.choice(self.loans)
        there = [p for p in self.book.list_payments(loan["id"]) if p["status"] == status]
        if not there:
            raise Refused(Refusal("payment_state_wrong", details={"status": f"not {status}"}))
        # The largest is the likeliest to have given credit.
        return loan, max(self.draw.choices(there, k=2), key=lambda p: Decimal(p["amount"]))

    def same(self, loan: Any, shown: Any) -> None:
        """Hold the answer of a write against what is read right after it."""
        path = f"/loans/{loan['id']}/payments/{shown['id']}"
        assert self.book.call("GET", path) == shown
        assert shown in [*self.book.list_payments(loan["id"])]
        assert Decimal(shown["outstanding"]) == self.book.get_outstanding(loan["id"])

    def credit(self) -> Decimal:
        lines = self.book.get_balance(self.customer)["data"]
        return sum((Decimal(line["credit"]) for line in lines), NOTHING)

    # -- what must agree ---------------------------------------------------------------------------

    def check_today(self) -> None:
        """Hold payments against rows and sums, and all against the ledger's balance."""
        credit = owed = NOTHING
        for loan in self.loans:
            shown = self.book.get_loan(loan["id"])
            payments = list(self.book.list_payments(loan["id"]))
            paid = [each for each in payments if each["status"] == "paid"]
            taken_back = [each for each in payments if each["status"] == "reversed"]
            kept = total(taken_back, "owed_again")
            went = total(paid, "amount") - total(paid, "credit") - total(paid, "credit_repaid")
            assert went == Decimal(shown["paid"])
            if shown["status"] != "written_off":
                assert kept - total(paid, "credit_repaid") == Decimal(shown["owed_again"])
            started = {row["number"] for row in shown["schedule"] if Decimal(row["paid"])}
            assert {number for each in paid for number in each["installment_numbers"]} == started
            reserved = {row["number"] for row in shown["schedule"] if row["reserved"]}
            pending = [each for each in payments if each["status"] == "pending"]
            assert {n for each in pending for n in each["installment_numbers"]} == reserved
            assert {each["outstanding"] for each in payments} <= {shown["outstanding"]}
            for each in payments:
                if each["status"] != "paid":
                    assert (each["credit"], each["credit_repaid"]) == ("0.00", "0.00")
                if each["status"] != "reversed":
                    assert each["owed_again"] == "0.00"
            credit += total(paid, "credit") + kept
            credit -= total([each for each in paid if each["method"] == "credit"], "amount")
            owed += Decimal(shown["outstanding"])
        assert self.credit() == credit
        lines = self.book.get_balance(self.customer)["data"]
        assert sum((Decimal(line["owed"]) for line in lines), NOTHING) == owed

    def check_on(self, day: date, portfolio: dict[str, Any]) -> None:
        """Hold every answer on a date against the schedule of that date."""
        listed = {each["id"]: each for each in self.book.list_loans(
            customer_id=self.customer, as_of=day)}  # fmt: skip
        delinquent = self.book.get_delinquency(self.customer, as_of=day)
        by_loan = {each.pop("loan_id"): each for each in delinquent["loans"]}
        for loan in self.loans:
            ident = loan["id"]
            shown = self.book.get_loan(ident, as_of=day)
            rows = shown.pop("schedule")
            assert rows == self.book.get_schedule(ident, as_of=day)
            assert shown == listed[ident]
            stands = self.book.get_delinquency(ident, as_of=day)
            assert stands == by_loan[ident]
            assert Decimal(shown["outstanding"]) == self.book.get_outstanding(ident, as_of=day)
            self.check_rows(day, shown, rows, stands)
            self.check_past(day, shown, rows)
            has_begun = date.fromisoformat(shown["start_on"]) <= day
            assert (ident in portfolio) is has_begun
            if has_begun:
                told = {**shown, **stands, "loan_id": ident}
                assert portfolio[ident] == {name: told[name] for name in portfolio[ident]}
        assert delinquent["is_delinquent"] == any(e["is_delinquent"] for e in by_loan.values())
        assert self.book.get_outstanding(self.customer, as_of=day) == total(
            [*listed.values()], "outstanding"
        )

    def check_rows(self, day: date, shown: Any, rows: Any, stands: Any) -> None:
        """Work the sums of a loan out of its rows."""
        paid, owed_again = total(rows, "paid"), Decimal(shown["owed_again"])
        assert paid == Decimal(shown["paid"])
        left = total(rows, "amount") - paid + owed_again
        if shown["status"] == "written_off" or date.fromisoformat(shown["start_on"]) > day:
            assert (shown["outstanding"], owed_again) == ("0.00", 0)
        else:
            assert Decimal(shown["outstanding"]) == left
            assert shown["status"] == ("active" if left else "closed")
            assert Decimal(stands["overdue"]) <= left
        missed = [row for row in rows if row["missed"]]
        assert missed == [
            row for row in rows
            if row["paid"] != row["amount"] and date.fromisoformat(row["due_on"]) < day
        ]  # fmt: skip
        assert Decimal(stands["overdue"]) == total(missed, "amount") - total(missed, "paid")
        longest = running = 0
        for row in rows:
            running = running + 1 if row["missed"] else 0
            longest = max(longest, running)
        days = (day - date.fromisoformat(missed[0]["due_on"])).days if missed else 0
        assert (stands["missed_in_a_row"], stands["days_past_due"]) == (longest, days)
        assert stands["is_delinquent"] is (longest >= shown["delinquent_after"])

    def check_past(self, day: date, shown: Any, rows: Any) -> None:
        """Hold a date against the payments of by then: none that comes later may show on it."""
        came = [
            each for each in self.book.list_payments(shown["id"])
            if date.fromisoformat(each["effective_on"]) <= day
        ]  # fmt: skip
        money = total([each for each in came if each["status"] in ("paid", "reversed")], "amount")
        assert Decimal(shown["paid"]) <= money
        reserved = {row["number"] for row in rows if row["reserved"]}
        pending = [each for each in came if each["status"] == "pending"]
        assert reserved == {n for each in pending for n in each["installment_numbers"]}
        # What had given no credit yet, nobody could spend and owe again.
        assert Decimal(shown["owed_again"]) <= max(NOTHING, money - Decimal(shown["total"]))


def row_of(loan: Any) -> Decimal:
    return Decimal(loan["schedule"][0]["amount"])


def total(records: list[Any], name: str) -> Decimal:
    return sum((Decimal(each[name]) for each in records), NOTHING)


def check_buckets(found: Any) -> None:
    """Hold the portfolio's sums against its rows."""
    rows = found["data"]
    given_up = [row for row in rows if row["status"] == "written_off"]
    for bucket in found["buckets"]:
        inside = [
            row for row in rows
            if row["status"] != "written_off" and row["bucket"] == bucket["bucket"]
        ]  # fmt: skip
        for name in ("outstanding", "overdue"):
            assert Decimal(bucket[name]) == total(inside, name)
        assert Decimal(bucket["overdue"]) <= Decimal(bucket["outstanding"])
        assert (bucket["loans"], bucket["delinquent"]) == (len(inside), told_of(inside))
    assert sum(each["loans"] for each in found["buckets"]) == len(rows) - len(given_up)
    for each in found["written_off"]:
        assert (each["loans"], each["delinquent"]) == (len(given_up), told_of(given_up))
        assert Decimal(each["overdue"]) == total(given_up, "overdue")
    assert bool(found["written_off"]) is bool(given_up)


def told_of(rows: list[Any]) -> int:
    return sum(row["is_delinquent"] for row in rows)


def test_no_answer_denies_another(book_url: str, tmp_path: Path) -> None:
    clock = ManualClock(FIRST)
    seen: Counter[str] = Counter()
    draw = Random(8)
    rail = DictatedProcessor(clock)
    with open_book(book_url, clock=clock, processor=rail, home=tmp_path) as book:
        lives = [Life(book, clock, seed, seen) for seed in range(CUSTOMERS)]
        for step in range(STEPS):
            for life in lives:
                life.live()
                life.check_today()
            if step % 8 == 7:
                today = clock.today()
                days = [today, today - timedelta(days=draw.randrange(60))]
                days += [today - timedelta(days=draw.randrange(7)), today + timedelta(days=20)]
                for day in days:
                    found = book.download_portfolio(as_of=day)
                    check_buckets(found)
                    rows = {row["loan_id"]: row for row in found["data"]}
                    for life in lives:
                        life.check_on(day, rows)
            clock.advance(days=draw.randrange(5))
        assert book.verify() == []
    common = ("pay", "bounce", "use_credit", "settle", "lend", "give_up", "dated back")
    rare = ("owed again", "credit repaid", "recovered")
    least = {**dict.fromkeys(common, 4), **dict.fromkeys(rare, 2)}
    assert {name: seen[name] for name, count in least.items() if seen[name] < count} == {}, seen
