"""What each account holds for an advance, row by row of the table of entries. Source: G."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.advances.model import Advance, AdvanceStatus, Payout
from tallybook.advances.rules import (
    amount_to_collect,
    book_difference,
    credit_due,
    earned_fee,
    exposure,
    outstanding,
    position,
    status_of,
    with_credit,
)
from tallybook.collection.model import PlanStatus
from tallybook.ledger.model import Chart, imbalance
from tests.making import DAY, a_plan, an_advance

CASH, TRANSIT, OWED = Chart.CASH_BANK, Chart.IN_TRANSIT, Chart.RECEIVABLE_ADVANCES
DEFERRED, FEES, CREDIT = Chart.DEFERRED_FEES, Chart.INCOME_FEES, Chart.CUSTOMER_CREDIT
LOSS, RECOVERED = Chart.WRITE_OFF, Chart.INCOME_RECOVERIES

NEW = an_advance(
    fee_minor=120, payout=Payout.NONE, status=AdvanceStatus.PENDING, is_fee_booked=False
)
IN_TRANSIT = replace(NEW, payout=Payout.IN_TRANSIT)
PAID = replace(NEW, payout=Payout.PAID, status=AdvanceStatus.ACTIVE, is_fee_booked=True)


def moved(before: Advance, had: int, after: Advance, has: int) -> dict[Chart, int]:
    entry = book_difference(before, had, after, has, kind="test", effective_on=DAY)
    if entry is None:
        return {}
    assert not imbalance(entry)
    assert all(posting.subject_id == after.id for posting in entry.postings)
    assert all(posting.customer_id == after.customer_id for posting in entry.postings)
    return {Chart(posting.account): posting.amount_minor for posting in entry.postings}


# -- the table, row by row; debits are positive


def test_credit_accepted() -> None:
    assert moved(NEW, 0, IN_TRANSIT, 0) == {OWED: 1200, TRANSIT: -1200}


def test_credit_succeeded_and_the_fee_with_it() -> None:
    assert moved(IN_TRANSIT, 0, PAID, 0) == {
        TRANSIT: 1200,
        CASH: -1200,
        OWED: 120,
        DEFERRED: -120,
    }


def test_credit_failed_or_ruled_not_executed() -> None:
    void = replace(IN_TRANSIT, payout=Payout.VOID)
    assert moved(IN_TRANSIT, 0, void, 0) == {TRANSIT: 1200, OWED: -1200}


def test_a_credit_that_nobody_knows_of_is_not_booked() -> None:
    assert set(position(NEW, 0).values()) == {0}


def test_a_debit_that_succeeded_earns_its_share_of_the_fee() -> None:
    assert moved(PAID, 0, PAID, 110) == {CASH: 110, OWED: -110, DEFERRED: 10, FEES: -10}


def test_the_last_debit_earns_the_rest() -> None:
    odd = replace(PAID, fee_minor=125)
    assert earned_fee(odd, 1214) == 125 * 1214 // 1325
    shares = [earned_fee(odd, paid) for paid in (*range(0, 1325, 110), 1325)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 125)
    assert position(odd, 1325)[DEFERRED] == 0


def test_a_debit_that_was_returned_is_the_mirror() -> None:
    assert moved(PAID, 110, PAID, 0) == {CASH: -110, OWED: 110, DEFERRED: -10, FEES: 10}


def test_what_is_collected_above_what_is_owed_is_customer_credit() -> None:
    full = PAID
    over = with_credit(full, 1430, 0)
    assert over.credited_minor == 110
    assert moved(full, 1320, over, 1430) == {CASH: 110, CREDIT: -110}


def test_a_return_takes_the_unspent_excess_back_first() -> None:
    over = with_credit(PAID, 1430, 0)
    back = with_credit(over, 1320, 110)
    assert moved(over, 1430, back, 1320) == {CASH: -110, CREDIT: 110}
    assert amount_to_collect(back, 1320) == 1320


def test_a_return_of_spent_excess_is_owed_once_more() -> None:
    over = with_credit(PAID, 1430, 0)
    spent = with_credit(over, 1320, 0)
    assert spent.credited_minor == 110
    assert moved(over, 1430, spent, 1320) == {CASH: -110, OWED: 110}
    assert amount_to_collect(spent, 1320) == 1430


def test_a_return_of_partly_spent_excess_takes_what_is_left() -> None:
    over = with_credit(PAID, 1430, 0)
    partly = with_credit(over, 1320, 40)
    assert moved(over, 1430, partly, 1320) == {CASH: -110, CREDIT: 40, OWED: 70}
    assert amount_to_collect(partly, 1320) == 1390


def test_a_credit_returned_after_success_makes_credit_of_what_was_collected() -> None:
    void = with_credit(replace(PAID, payout=Payout.VOID), 330, 0)
    assert moved(PAID, 330, void, 330) == {
        CASH: 1200,
        DEFERRED: 90,
        FEES: 30,
        OWED: -990,
        CREDIT: -330,
    }
    assert outstanding(void, 330) == 0


def test_what_still_succeeds_after_that_is_credit_too() -> None:
    void = with_credit(replace(PAID, payout=Payout.VOID), 330, 0)
    more = with_credit(void, 440, 330)
    assert moved(void, 330, more, 440) == {CASH: 110, CREDIT: -110}


def test_credit_applied_pays_as_money_does() -> None:
    applied = replace(PAID, applied_minor=110)
    assert moved(PAID, 0, applied, 0) == {CREDIT: 110, OWED: -110, DEFERRED: 10, FEES: -10}
    assert amount_to_collect(applied, 0) == 1210


def given_up(advance: Advance, succeeded: int, status: AdvanceStatus) -> Advance:
    return replace(
        advance,
        status=status,
        written_off_minor=outstanding(advance, succeeded),
        written_off_at_minor=succeeded,
    )


def test_written_off_or_forgiven() -> None:
    lost = given_up(PAID, 330, AdvanceStatus.WRITTEN_OFF)
    assert moved(PAID, 330, lost, 330) == {LOSS: 900, DEFERRED: 90, OWED: -990}


def test_recovered_later() -> None:
    lost = given_up(PAID, 330, AdvanceStatus.WRITTEN_OFF)
    assert moved(lost, 330, lost, 440) == {CASH: 110, RECOVERED: -110}


def test_a_return_after_a_recovery_and_one_after_the_write_off() -> None:
    lost = given_up(PAID, 330, AdvanceStatus.WRITTEN_OFF)
    assert moved(lost, 440, lost, 330) == {CASH: -110, RECOVERED: 110}
    assert moved(lost, 330, lost, 220) == {CASH: -110, LOSS: 110}


def test_nothing_that_moved_is_no_entry() -> None:
    assert moved(PAID, 110, PAID, 110) == {}
    assert moved(PAID, 0, replace(PAID, status=AdvanceStatus.IN_DEFAULT), 0) == {}


# -- always

_ADVANCES = st.builds(
    lambda payout, booked, fee, credited, applied, written, at: an_advance(
        payout=payout,
        is_fee_booked=booked,
        fee_minor=fee,
        credited_minor=credited,
        applied_minor=applied,
        written_off_minor=written,
        written_off_at_minor=at,
    ),
    st.sampled_from(Payout),
    st.booleans(),
    st.integers(0, 500),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.sampled_from([0, 1, 700]),
    st.integers(0, 2000),
)


@given(before=_ADVANCES, after=_ADVANCES, had=st.integers(0, 3000), has=st.integers(0, 3000))
def test_every_difference_is_balanced(before: Advance, after: Advance, had: int, has: int) -> None:
    assert sum(position(before, had).values()) == 0
    old, new = position(before, had), position(after, has)
    change = moved(before, had, after, has)
    for chart in Chart:
        assert old.get(chart, 0) + change.get(chart, 0) == new.get(chart, 0)


class Told:
    """An advance whose debits succeed and are returned, and whose customer spends credit."""

    def __init__(self, **told: Any) -> None:
        self.advance = an_advance(**told)
        self.succeeded = self.unspent = 0

    def collect(self, amount: int) -> None:
        self.succeeded = max(0, self.succeeded + amount)
        before = self.advance.credited_minor
        self.advance = with_credit(self.advance, self.succeeded, self.unspent)
        self.unspent += self.advance.credited_minor - before


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(-6, 8)), max_size=25),
    applied=st.integers(0, 3),
)
def test_what_is_left_to_collect_is_what_is_owed(
    steps: list[tuple[bool, int]], applied: int
) -> None:
    """However much was given back and spent in between, collecting the rest settles it."""
    told = Told(amount_minor=9, applied_minor=applied)
    for spends, amount in steps:
        if spends:
            told.unspent -= min(told.unspent, abs(amount))
        else:
            told.collect(amount)
        assert told.unspent >= 0
        owed = outstanding(told.advance, told.succeeded)
        assert owed >= 0, "more than is owed is credit in the same step"
        to_collect = amount_to_collect(told.advance, told.succeeded)
        assert max(0, to_collect - told.succeeded) == owed


def test_what_was_spent_is_collected_in_more_than_one_step() -> None:
    spent = with_credit(with_credit(PAID, 1430, 0), 1320, 0)
    half = with_credit(spent, 1375, 0)
    assert outstanding(half, 1375) == 55
    assert amount_to_collect(half, 1375) == 1430
    whole = with_credit(half, 1430, 0)
    assert outstanding(whole, 1430) == 0
    assert whole.credited_minor == 110


# -- who owes what


@pytest.mark.parametrize(
    ("advance", "succeeded", "used"),
    [
        (NEW, 0, 1320),
        (IN_TRANSIT, 0, 1320),
        (PAID, 330, 990),
        (replace(PAID, applied_minor=100), 330, 890),
        (replace(PAID, payout=Payout.VOID, status=AdvanceStatus.FAILED), 330, 0),
        (given_up(PAID, 330, AdvanceStatus.WRITTEN_OFF), 330, 0),
        (with_credit(PAID, 1430, 0), 1430, 0),
    ],
)
def test_how_much_of_a_limit_an_advance_uses(advance: Advance, succeeded: int, used: int) -> None:
    assert exposure(advance, a_plan(succeeded_minor=succeeded)) == used


def test_credit_is_due_on_everything_that_was_collected_for_a_void_advance() -> None:
    assert credit_due(replace(PAID, payout=Payout.VOID), 330) == 330
    assert credit_due(PAID, 1320) == 0
    assert credit_due(PAID, 1321) == 1


# -- A13


@pytest.mark.parametrize("status", AdvanceStatus)
@pytest.mark.parametrize("is_collected", [True, False])
def test_the_status_follows_what_is_collected_and_a_persons_word_stays(
    status: AdvanceStatus, is_collected: bool
) -> None:
    plan = a_plan(succeeded_minor=1200 if is_collected else 1199)
    derived = {AdvanceStatus.ACTIVE, AdvanceStatus.COMPLETED}
    expected = status
    if status in derived | {AdvanceStatus.IN_DEFAULT} and is_collected:
        expected = AdvanceStatus.COMPLETED
    elif status in derived:
        expected = AdvanceStatus.ACTIVE
    assert status_of(an_advance(status=status), plan) is expected


def test_a_void_advance_has_failed_unless_a_person_closed_it() -> None:
    for status in AdvanceStatus:
        void = an_advance(status=status, payout=Payout.VOID)
        is_closed = status in (AdvanceStatus.CANCELLED, AdvanceStatus.WRITTEN_OFF)
        expected = status if is_closed else AdvanceStatus.FAILED
        assert status_of(void, a_plan(status=PlanStatus.CLOSED)) is expected
