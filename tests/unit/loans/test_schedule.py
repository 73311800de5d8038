"""Rows, interest and due dates of loans: exact whatever the terms."""

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.kernel.arithmetic import count_covered, split_evenly, sum_of_first
from tallybook.loans.model import Interval, Terms
from tallybook.loans.rules.schedule import count_past_due, due_on, interest_of, schedule
from tallybook.loans.rules.terms import check_terms

START = date(2026, 1, 1)


def terms(principal: int, rate: str, count: int, **told: object) -> Terms:
    told = {"interval": Interval.WEEKLY, "start_on": START, **told}
    return Terms(principal, interest_of(principal, rate), count, **told)  # pyright: ignore[reportArgumentType] - what a case tells


def test_the_seeds_loan() -> None:
    rows = schedule(terms(5_000_000_00, "10", 50))
    assert [row.number for row in rows] == list(range(1, 51))
    assert {row.amount_minor for row in rows} == {110_000_00}
    assert {(row.principal_minor, row.interest_minor) for row in rows} == {(100_000_00, 10_000_00)}
    assert (rows[0].due_on, rows[49].due_on) == (date(2026, 1, 8), date(2026, 12, 17))


def test_the_seeds_crooked_loan_loses_nothing() -> None:
    rows = schedule(terms(1_234_569, "10", 50))
    assert sum(row.amount_minor for row in rows) == 1_234_569 + 123_457  # 123,456.9, half-up
    assert sum(row.interest_minor for row in rows) == 123_457
    assert {row.amount_minor for row in rows} == {27_160, 27_161}


@pytest.mark.parametrize(
    ("principal", "rate", "interest"),
    [(5, "10", 1), (4, "10", 0), (15, "10", 2), (1, "0", 0), (10_000, "7.255555", 726)],
)
def test_interest_is_rounded_once_half_up(principal: int, rate: str, interest: int) -> None:
    assert interest_of(principal, rate) == interest


def test_months_are_counted_from_the_start() -> None:
    loan = terms(12_00, "0", 4, interval=Interval.MONTHLY, start_on=date(2026, 1, 31))
    assert [row.due_on.isoformat() for row in schedule(loan)] == [
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
    ]


def test_biweekly_rows_are_fourteen_days_apart() -> None:
    loan = terms(12_00, "0", 2, interval=Interval.BIWEEKLY)
    assert [due_on(loan, number) for number in (1, 2)] == [date(2026, 1, 15), date(2026, 1, 29)]


def test_whole_units_first_and_what_is_left_on_the_last() -> None:
    rows = schedule(terms(1_005, "0", 4, rounding_unit=10))
    assert [row.amount_minor for row in rows] == [250, 250, 250, 255]


def test_a_hundred_thousand_random_loans_split_exactly() -> None:
    draw = random.Random(3)
    for _ in range(100_000):
        count = draw.choice((1, 2, 7, 12, 50)) if draw.random() < 0.95 else draw.randint(1, 520)
        unit = draw.choice((1, 1, 1, 5, 100, 1_000))
        loan = terms(
            draw.randint(1, 10 ** draw.randint(3, 13)),
            f"{draw.randint(0, 99)}.{draw.randint(0, 999_999):06}",
            count,
            rounding_unit=unit,
        )
        if check_terms(loan) is not None:
            continue
        amounts = split_evenly(loan.total_minor, count, unit=unit)
        interest = split_evenly(loan.interest_minor, count, unit=unit)
        assert sum(amounts) == loan.principal_minor + loan.interest_minor
        assert sum(interest) == loan.interest_minor
        assert max(amounts) - min(amounts) <= unit
        assert all(type(amount) is int for amount in amounts)
        assert min(amounts) >= 1
        assert min(amount - part for amount, part in zip(amounts, interest, strict=True)) >= 0


@given(
    st.integers(0, 10**12),
    st.integers(1, 600),
    st.integers(1, 1_000),
    st.integers(0, 10**12),
)
def test_sums_of_a_split_are_those_of_its_parts(
    total: int, parts: int, unit: int, amount: int
) -> None:
    amounts = split_evenly(total, parts, unit=unit)
    for count in {0, 1, parts // 2, parts - 1, parts}:
        assert sum_of_first(total, parts, count, unit=unit) == sum(amounts[:count])
    if min(amounts) < 1:
        return
    covered, left = 0, amount
    while covered < parts and left >= amounts[covered]:
        left -= amounts[covered]
        covered += 1
    assert count_covered(total, parts, amount, unit=unit) == covered


@given(
    st.sampled_from(list(Interval)),
    st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    st.dates(date(1985, 1, 1), date(2110, 1, 1)),
)
def test_rows_past_due_are_counted_as_they_are_laid_out(
    interval: Interval, start_on: date, as_of: date
) -> None:
    loan = terms(1_000_00, "10", 60, interval=interval, start_on=start_on)
    assert count_past_due(loan, as_of) == sum(row.due_on < as_of for row in schedule(loan))


@pytest.mark.parametrize(
    ("loan", "code"),
    [
        (terms(49, "0", 50), "loan_too_small"),
        (terms(5_000, "0", 10, rounding_unit=1_000), "loan_too_small"),
        (terms(29, "100", 2, rounding_unit=50), "loan_too_small"),
        (terms(10**15, "1", 2), "amount_invalid"),
        (terms(10**9, "0", 10_000, interval=Interval.MONTHLY), "loan_too_long"),
        (terms(10**9, "0", 2_100, interval=Interval.MONTHLY), "loan_too_long"),
    ],
)
def test_terms_that_make_no_schedule(loan: Terms, code: str) -> None:
    refusal = check_terms(loan)
    assert refusal is not None
    assert refusal.code == code


def test_terms_that_just_make_one() -> None:
    assert check_terms(terms(50, "0", 50)) is None
    assert check_terms(terms(10_000, "0", 10_000, interval=Interval.WEEKLY)) is not None  # 2217
    assert check_terms(terms(9_000, "0", 9_000, interval=Interval.WEEKLY)) is None
