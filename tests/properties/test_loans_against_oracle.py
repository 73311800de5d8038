"""The rules of loans agree with the oracle, which works everything out the slow way. Source: L1-L7.

Histories are drawn from a seed: payments late, early, in part and too large, failed and pending,
reversed and backdated, in any order of arrival.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest

from tallybook.loans.model import (
    Allocation,
    Interval,
    Payment,
    PaymentPolicy,
    PaymentStatus,
    Terms,
)
from tallybook.loans.rules.paying import (
    allocate,
    allocation_of,
    cover,
    delinquency,
    earned_interest,
    next_unpaid,
    outstanding,
    tally,
)
from tallybook.loans.rules.schedule import interest_of, schedule
from tests import loan_oracle as oracle
from tests.loan_histories import draw_history, draw_loan

HISTORIES = 10_000
LOANS = 100_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def terms_of(loan: oracle.Loan) -> Terms:
    return Terms(
        principal_minor=loan["principal"],
        interest_minor=interest_of(loan["principal"], loan["rate"]),
        installments=loan["installments"],
        interval=Interval(loan["interval"]),
        start_on=loan["start_on"],
        rounding_unit=loan["unit"],
        payment_policy=PaymentPolicy(loan["policy"]),
        delinquent_after=loan["after"],
    )


def payment_of(payment: oracle.Payment, sequence: int) -> Payment:
    reversed_on: date | None = payment["reversed_on"]
    status = PaymentStatus.REVERSED if reversed_on else PaymentStatus(payment["status"])
    return Payment(
        id=f"{sequence:032x}",
        loan_id="f" * 32,
        sequence=sequence,
        amount_minor=payment["amount"],
        method="transfer",
        status=status,
        effective_on=payment["effective_on"],
        installment_number=payment.get("row"),
        kept_minor=payment.get("again", 0),
        reversed_on=reversed_on,
        reason=None,
        transfer_id=None,
        reference=None,
        request_key=None,
        received_at=NOON,
        settled_at=None,
    )


# -- schedules -----------------------------------------------------------------------------------


def test_a_hundred_thousand_loans_have_rows_that_sum_exactly() -> None:
    draw = Random(4)
    for number in range(LOANS):
        loan = draw_loan(draw, installments_most=60 if number % 20 == 0 else 6)
        terms = terms_of(loan)
        assert terms.interest_minor == oracle.interest_of(loan), loan
        rows = schedule(terms)
        amounts = [row.amount_minor for row in rows]
        assert sum(amounts) == loan["principal"] + terms.interest_minor, loan
        assert max(amounts) - min(amounts) <= loan["unit"], loan
        principal = interest = 0
        for row in rows:
            assert type(row.amount_minor) is type(row.interest_minor) is int, loan
            assert 0 <= row.interest_minor <= row.amount_minor, loan
            assert row.principal_minor == row.amount_minor - row.interest_minor, loan
            principal += row.principal_minor
            interest += row.interest_minor
        assert min(amounts) > 0, loan
        assert (principal, interest) == (loan["principal"], terms.interest_minor), loan


def test_schedules_are_those_of_the_oracle() -> None:
    draw = Random(5)
    for _ in range(2_000):
        loan = draw_loan(draw, installments_most=60)
        ours = [
            (row.number, row.due_on, row.amount_minor, row.principal_minor, row.interest_minor)
            for row in schedule(terms_of(loan))
        ]
        theirs = [
            (row["number"], row["due_on"], row["amount"], row["principal"], row["interest"])
            for row in oracle.make_rows(loan)
        ]
        assert ours == theirs, loan


# -- histories -----------------------------------------------------------------------------------


def ours(terms: Terms, payments: list[Payment], as_of: date) -> dict[str, Any]:
    """Ask the rules what the oracle tells."""
    coverage = cover(terms, tally(payments, as_of))
    rows, allocations = allocate(terms, schedule(terms), payments, as_of)
    stands = delinquency(terms, coverage, as_of)
    owed = outstanding(terms, coverage)
    return {
        "rows": [
            (
                each.row.number,
                each.paid_minor,
                "paid" if each.is_paid else "pending",
                each.paid_on,
                each.missed,
            )
            for each in rows
        ],
        "outstanding": owed,
        "owed_again": coverage.short_minor,
        "uses": [use_of(each) for each in allocations],
        "interest_left": terms.interest_minor - earned_interest(terms, coverage),
        "credit": coverage.excess_minor,
        "missed_in_a_row": stands.missed_in_a_row,
        "is_delinquent": stands.is_delinquent,
        "days_past_due": stands.days_past_due,
        "bucket": stands.bucket.value,
    }


def use_of(allocation: Allocation) -> tuple[list[int], int, int]:
    """Tell into which rows a payment went, what it paid of what is owed again, and its credit."""
    return [*allocation.numbers], allocation.repaid_minor, allocation.credit_minor


def theirs(loan: oracle.Loan, payments: list[oracle.Payment], as_of: date) -> dict[str, Any]:
    found = oracle.look(loan, payments, as_of)
    rows = [
        (row["number"], row["paid"], row["status"], row["paid_on"], row["missed"])
        for row in found["rows"]
    ]
    # In the order in which they are poured.
    there = sorted(payments, key=lambda each: each["effective_on"])
    uses = [found["uses"][id(each)] for each in there if id(each) in found["uses"]]
    return {
        **{name: value for name, value in found.items() if name != "status"},
        "rows": rows,
        "uses": [(use["rows"], use["again"], use["credit"]) for use in uses],
    }


def test_ten_thousand_histories_end_as_the_oracle_says() -> None:
    seen: Counter[str] = Counter()
    for number in range(HISTORIES):
        history = draw_history(number, seen)
        terms = terms_of(history.loan)
        payments = [payment_of(each, at) for at, each in enumerate(history.payments, start=1)]
        for as_of in history.days(3):
            told = theirs(history.loan, history.payments, as_of)
            assert ours(terms, payments, as_of) == told, (number, as_of)
            seen["delinquent"] += told["is_delinquent"]
            seen["still owed again"] += told["owed_again"] > 0
            seen["repaid in part"] += any(use[1] and use[0] for use in told["uses"])
            seen["credit"] += told["credit"] > 0
            seen["closed"] += told["outstanding"] == 0
            seen[told["bucket"]] += 1
    # A case that is never drawn proves nothing.
    rare = ("reversed", "backdated", "pending", "failed", "delinquent", "credit", "closed")
    rare += ("spent", "owed again", "repaid in part")
    refused = ("payment_amount_mismatch", "loan_closed")
    buckets = ("current", "1-30", "31-60", "61-90", "91+")
    assert {name: seen[name] for name in (*rare, *refused, *buckets) if seen[name] < 500} == {}
    assert seen["still owed again"] > 200


def test_a_payment_alone_is_for_what_it_is_among_all() -> None:
    """One is answered without laying rows out; a list lays them out. Both say the same."""
    far = date(2100, 1, 1)
    for number in range(2_000):
        history = draw_history(number, Counter())
        terms = terms_of(history.loan)
        payments = [payment_of(each, at) for at, each in enumerate(history.payments, start=1)]
        kept = sum(each.kept_minor for each in payments)
        _, allocations = allocate(terms, schedule(terms), payments, far)
        by_id = {each.payment_id: each for each in allocations}
        alone = [
            allocation_of(terms, payments, each, kept)
            for each in payments
            if each.status is PaymentStatus.PAID
        ]
        assert {each.payment_id: each for each in alone} == by_id, number


def test_flexible_payments_come_to_the_same_in_any_order_of_arrival() -> None:
    seen: Counter[str] = Counter()
    for number in range(1, 1_501, 2):
        history = draw_history(number, seen)
        terms = terms_of(history.loan)
        draw = Random(number)
        payments = [payment_of(each, at) for at, each in enumerate(history.payments, start=1)]
        places = draw.sample(range(1, len(payments) + 1), len(payments))
        other = [replace(each, sequence=at) for each, at in zip(payments, places, strict=True)]
        draw.shuffle(other)
        for as_of in history.days(3):
            found, wanted = ours(terms, other, as_of), ours(terms, payments, as_of)
            # What each was for may change with its place; what they come to may not.
            assert {**found, "uses": 0} == {**wanted, "uses": 0}, (number, as_of)


def test_the_next_exact_payment_is_for_the_row_that_the_oracle_names() -> None:
    seen: Counter[str] = Counter()
    far = date(2100, 1, 1)
    for number in range(0, 2_000, 2):
        history = draw_history(number, seen)
        terms = terms_of(history.loan)
        payments = [payment_of(each, at) for at, each in enumerate(history.payments, start=1)]
        reserved = [
            each.installment_number
            for each in payments
            if each.status is PaymentStatus.PENDING and each.installment_number
        ]
        row = oracle.oldest_unpaid(history.loan, history.payments)
        told = None if row is None else (row["number"], row["amount"])
        assert next_unpaid(terms, cover(terms, tally(payments, far)), reserved) == told, number


# -- the oracle itself -----------------------------------------------------------------------------


def test_the_oracle_gives_the_figures_of_the_task() -> None:
    """What it is compared with can be worked out by hand here."""
    loan: oracle.Loan = {
        "principal": 5_000_000, "rate": "10", "installments": 50, "interval": "weekly",
        "start_on": date(2026, 1, 1), "unit": 1, "policy": "exact", "after": 2,
    }  # fmt: skip
    rows = oracle.make_rows(loan)
    assert [row["amount"] for row in rows] == [110_000] * 50
    payments: list[oracle.Payment] = []
    for day, owed, delinquent in (
        (date(2026, 1, 8), 5_500_000, False),
        (date(2026, 1, 9), 5_500_000, False),
        (date(2026, 1, 15), 5_500_000, False),
        (date(2026, 1, 16), 5_500_000, True),
    ):
        found = oracle.look(loan, payments, day)
        assert (found["outstanding"], found["is_delinquent"]) == (owed, delinquent)
    paid: oracle.Payment = {
        "amount": 110_000, "effective_on": date(2026, 1, 16), "status": "paid", "reversed_on": None,
    }  # fmt: skip
    assert oracle.offer(loan, payments, {**paid, "amount": 1}) == "payment_amount_mismatch"
    assert oracle.offer(loan, payments, paid) is None
    found = oracle.look(loan, payments, date(2026, 1, 16))
    assert (found["outstanding"], found["is_delinquent"]) == (5_390_000, False)
    assert oracle.look(loan, payments, date(2026, 1, 15))["outstanding"] == 5_500_000


@pytest.mark.parametrize(
    ("total", "parts", "unit", "shares"),
    [
        (10, 3, 1, [4, 3, 3]),
        (1_005, 4, 10, [250, 250, 250, 255]),
        (1_358_025_90, 50, 1, [2_716_052] * 40 + [2_716_051] * 10),
    ],
)
def test_the_oracle_shares_out(total: int, parts: int, unit: int, shares: list[int]) -> None:
    assert oracle.share_out(total, parts, unit) == shares
