"""What messages, movements and links come to, rule by rule."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tallybook.bills.model import AccountType, Link, MessageStatus
from tallybook.bills.rules.booking import bill_wants, transaction_wants
from tallybook.bills.rules.states import state_on
from tallybook.kernel.frozen import replace
from tests.unit.bills.household import CUSTOMER, Household, a_bank_message, moved, told

MARCH = date(2026, 3, 1)


def day(number: int, hour: int = 9) -> datetime:
    return datetime(2026, 3, number, hour, tzinfo=UTC)


def states(household: Household, today: date) -> list[str]:
    return [str(state_on(bill, today)) for bill in household.bills]


def paid(household: Household) -> list[tuple[int | None, int]]:
    return [(bill.amount_minor, bill.paid_minor) for bill in household.bills]


# -- accounts (B3) ---------------------------------------------------------------------------------


def test_a_number_is_compared_by_the_end_that_its_mask_leaves_visible() -> None:
    card = {"bill_type": AccountType.CREDITCARD, "issuer": "Harbour Card"}
    household = Household().take(
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20), number="XX59", **card),
        told("CONFIRMATION", day(5), 100, number="4000 1234 0459", **card),
    )
    household.fold()
    (account,) = [row for row in household.accounts.values() if row.merged_into is None]
    assert account.number == "4000 1234 0459"
    assert paid(household) == [(100, 100)]


def test_no_number_goes_to_the_only_account_and_with_two_to_a_person() -> None:
    one = told("GENERATION", day(1), 100, due_on=date(2026, 3, 20), number="11")
    bare = told("GENERATION", day(2), 200, due_on=date(2026, 3, 25), number=None)
    household = Household().take(one, bare).fold()
    assert {fact.status for fact in household.facts.values()} == {MessageStatus.APPLIED}
    assert len(household.bills) == 2
    household.take(told("GENERATION", day(1), 100, due_on=date(2026, 3, 21), number="22")).fold()
    fact = household.facts[bare.message_id]
    assert (fact.status, fact.why) == (
        MessageStatus.REVIEW, "2 accounts fit this message; say which one is meant",
    )  # fmt: skip
    assert len(household.bills) == 2


def test_two_issuers_of_one_type_are_two_accounts() -> None:
    household = Household().take(
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20), number=None),
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20), number=None, issuer="Hill Power"),
    )
    assert len(household.fold().accounts) == 2


# -- statements (B4-B6) ----------------------------------------------------------------------------


def test_two_unpaid_months_stay_two() -> None:
    household = Household().take(
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20)),
        told("GENERATION", day(31), 100, due_on=date(2026, 4, 20)),
    )
    assert paid(household.fold()) == [(100, 0), (100, 0)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"bill_on": MARCH}, {"bill_on": MARCH}),
        ({"due_on": date(2026, 3, 20)}, {"due_on": date(2026, 3, 20)}),
        ({"bill_on": MARCH, "due_on": date(2026, 3, 20)}, {"due_on": date(2026, 3, 20)}),
    ],
    ids=["same bill date", "same due date", "bill date told once"],
)
def test_a_revised_amount_updates_the_bill_with_its_history(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    household = Household().take(
        told("GENERATION", day(2), 100, **first), told("GENERATION", day(3), 150, **second)
    )
    (bill,) = household.fold().bills
    assert bill.amount_minor == 150
    assert '"amount":[100,150]' in bill.history


def test_without_dates_the_open_bill_of_that_amount_is_meant_within_a_cycle() -> None:
    household = Household().take(told("GENERATION", day(2), 100), told("GENERATION", day(9), 100))
    assert len(household.fold().bills) == 1
    household.take(told("GENERATION", day(31), 100)).fold()
    assert len(household.bills) == 2


def test_a_late_notice_without_a_date_is_due_the_day_before_and_today_is_today() -> None:
    household = Household().take(told("IMMEDIATE", day(10), 100)).fold()
    assert [bill.due_on for bill in household.bills] == [date(2026, 3, 9)]
    assert states(household, date(2026, 3, 10)) == ["overdue"]
    household = Household().take(told("DUE_TODAY", day(10), 100)).fold()
    assert [bill.due_on for bill in household.bills] == [date(2026, 3, 10)]
    assert states(household, date(2026, 3, 10)) == ["due_today"]


def test_a_state_is_told_from_dates_and_payments_each_time() -> None:
    household = Household().take(told("GENERATION", day(1), 100, due_on=date(2026, 3, 20))).fold()
    shown = [states(household, date(2026, 3, number))[0] for number in (19, 20, 21)]
    assert shown == ["unpaid", "due_today", "overdue"]
    household.take(told("CONFIRMATION", day(5), 40)).fold()
    shown = [states(household, date(2026, 3, number))[0] for number in (19, 20, 21)]
    assert shown == ["partly_paid", "due_today", "overdue"]
    household.take(told("CONFIRMATION", day(6), 60)).fold()
    assert states(household, date(2026, 3, 21)) == ["paid"]


def test_a_new_card_statement_takes_the_older_unpaid_one_over() -> None:
    card = {"bill_type": AccountType.CREDITCARD, "issuer": "Harbour Card"}
    household = Household().take(
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20), minimum_minor=10, **card),
        told("GENERATION", day(31), 180, due_on=date(2026, 4, 20), minimum_minor=20, **card),
        told("CONFIRMATION", datetime(2026, 4, 2, 9, tzinfo=UTC), 180, **card),
    )
    household.fold()
    assert states(household, date(2026, 4, 3)) == ["rolled_over", "paid"]
    assert [bill.minimum_minor for bill in household.bills] == [10, 20]
    assert [bill_wants(bill) for bill in household.bills] == [{}, {}]


def test_information_fills_in_what_is_missing_and_changes_nothing_else() -> None:
    household = Household().take(
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20)),
        told("INFORMATION", day(2), 999, due_on=date(2026, 3, 20), minimum_minor=10),
    )
    (bill,) = household.fold().bills
    assert (bill.amount_minor, bill.minimum_minor) == (100, 10)
    assert Household().take(told("INFORMATION", day(2), 999)).fold().bills == []


# -- payments (B7) ---------------------------------------------------------------------------------


def three_months() -> Household:
    return Household().take(
        told("GENERATION", datetime(2026, 1, 1, 9, tzinfo=UTC), 100, due_on=date(2026, 1, 20)),
        told("GENERATION", datetime(2026, 2, 1, 9, tzinfo=UTC), 130, due_on=date(2026, 2, 20)),
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20)),
    )


@pytest.mark.parametrize(
    ("amount", "more", "bound", "why"),
    [
        (100, {"due_on": date(2026, 3, 20)}, [0, 0, 100], "names the bill's due date"),
        (100, {}, [100, 0, 0], "oldest unpaid bill of exactly this amount"),
        (130, {}, [0, 130, 0], "oldest unpaid bill of exactly this amount"),
        (230, {}, [100, 130, 0], "exactly the sum of the 2 oldest"),
        (330, {}, [100, 130, 100], "exactly the sum of the 3 oldest"),
        (70, {}, [0, 0, 70], "it goes to the newest"),
    ],
    ids=["the named", "the oldest equal", "equal", "two", "three", "the newest in part"],
)
def test_a_payment_finds_its_bill(
    amount: int, more: dict[str, Any], bound: list[int], why: str
) -> None:
    household = three_months().take(told("CONFIRMATION", day(5), amount, **more)).fold()
    assert [bill.paid_minor for bill in household.bills] == bound
    (row,) = household.payments
    assert why in row.evidence


def test_only_bills_dated_on_or_before_the_payment_count_and_what_is_over_waits() -> None:
    household = Household().take(
        told("GENERATION", day(10), 100, bill_on=date(2026, 3, 10), due_on=date(2026, 3, 20)),
        told("CONFIRMATION", day(9), 100),
    )
    (row,) = household.fold().payments
    assert (row.bill_id, row.prepaid_minor) == (None, 100)
    household = three_months().take(told("CONFIRMATION", day(5), 500)).fold()
    (row,) = household.payments
    assert (row.bound_minor, row.prepaid_minor) == (330, 170)
    wants = transaction_wants(row, AccountType.ELECTRIC_BILL)
    assert sum(wants.values()) == 0
    assert wants[f"prepaid:{row.account_id}", "INR", row.id] == 170


def test_what_is_over_the_newest_does_not_wait_beside_an_older_bill() -> None:
    household = three_months().take(told("CONFIRMATION", day(5), 240)).fold()
    assert [bill.paid_minor for bill in household.bills] == [100, 40, 100]
    (row,) = household.payments
    assert "what is over to the oldest" in row.evidence
    card = {"bill_type": AccountType.CREDITCARD, "issuer": "Harbour Card"}
    household = Household().take(
        told("GENERATION", day(1), 100, due_on=date(2026, 3, 20), **card),
        told("GENERATION", day(31), 180, due_on=date(2026, 4, 20), **card),
        told("CONFIRMATION", datetime(2026, 4, 2, 9, tzinfo=UTC), 200, **card),
    )
    assert paid(household.fold()) == [(100, 0), (180, 180)]  # its statement has the arrears


# -- transactions (B8, B9) -------------------------------------------------------------------------


def test_the_best_evidence_wins_over_the_whole_window_and_not_who_comes_first() -> None:
    notice = told("CONFIRMATION", day(10), 500, reference="UTR77")
    near, right = moved(day(10, 10), -500), moved(day(11, 20), -500, reference="utr-77")
    household = Household().take(notice, near, right).fold()
    assert household.facts[notice.message_id].transaction_id == right.id
    assert "the same reference" in household.transactions[right.id].evidence


@pytest.mark.parametrize(
    ("at", "amount", "more"),
    [
        (day(12, 10), -500, {}),
        (day(10, 10), -501, {}),
        (day(10, 10), 500, {}),
        (day(10, 10), -500, {"currency": "USD"}),
    ],
    ids=["after the window", "another amount", "money in", "another currency"],
)
def test_what_can_not_be_the_payment_is_not_linked(
    at: datetime, amount: int, more: dict[str, Any]
) -> None:
    notice = told("CONFIRMATION", day(10), 500)
    other = moved(at, amount, **more)
    household = Household().take(notice, other).fold()
    assert household.facts[notice.message_id].transaction_id != other.id
    assert len(household.payments) == 2


def test_biller_wallet_and_bank_tell_of_one_payment() -> None:
    household = Household().take(
        told("GENERATION", day(1), 500, due_on=date(2026, 3, 20)),
        told("CONFIRMATION", day(10, 12), 500),
        told("TXN_CONFIRMATION", day(10, 11), 500),
        a_bank_message(day(10, 10), -500, paid_from="XX44"),
    )
    household.fold()
    (row,) = household.payments
    assert (row.amount_minor, row.bound_minor, row.number) == (-500, 500, "XX44")
    assert paid(household) == [(500, 500)]


def test_another_wording_within_ten_minutes_is_a_duplicate_and_twelve_payments_are_twelve() -> None:
    first = told("CONFIRMATION", day(10), 500, reference="R1")
    again = told("CONFIRMATION", day(10) + timedelta(minutes=9), 500, reference="R-1")
    later = told("CONFIRMATION", day(10) + timedelta(minutes=30), 500, reference="R2")
    household = Household().take(first, again, later).fold()
    assert household.facts[again.message_id].status is MessageStatus.DUPLICATE
    assert len(household.payments) == 2


def test_a_persons_link_wins_and_can_be_undone() -> None:
    household = three_months().take(told("CONFIRMATION", day(5), 100)).fold()
    (row,) = household.payments
    newest = household.bills[-1]
    household.take(Link("1" * 32, CUSTOMER, row.id, newest.anchor, day(6))).fold()
    assert [bill.paid_minor for bill in household.bills] == [0, 0, 100]
    household.take(Link("2" * 32, CUSTOMER, row.id, None, day(7))).fold()
    assert [bill.paid_minor for bill in household.bills] == [0, 0, 0]
    assert household.transactions[row.id].prepaid_minor == 0


@pytest.mark.parametrize("is_link", [True, False], ids=["linked", "unlinked"])
def test_a_persons_word_outlives_the_banks_message(*, is_link: bool) -> None:
    household = three_months().take(told("CONFIRMATION", day(5), 100)).fold()
    newest = household.bills[-1]
    word = Link("1" * 32, CUSTOMER, household.payments[0].id, newest.anchor, day(6))
    household.take(word if is_link else replace(word, bill_anchor=None)).fold()
    before = [bill.paid_minor for bill in household.bills]
    assert before == [0, 0, 100 if is_link else 0]
    household.take(moved(day(5, 12), -100)).fold()
    assert [bill.paid_minor for bill in household.bills] == before
    (row,) = household.payments
    assert row.message_id is None  # the bank's, and a later word on it wins over the earlier one
    household.take(Link("2" * 32, CUSTOMER, row.id, household.bills[0].anchor, day(7))).fold()
    assert [bill.paid_minor for bill in household.bills] == [100, 0, 0]


def test_an_undone_link_pays_nothing_though_the_biller_told_of_the_payment_too() -> None:
    movement = moved(day(5, 12), -100)
    household = three_months().take(told("CONFIRMATION", day(5), 100), movement).fold()
    household.take(Link("1" * 32, CUSTOMER, movement.id, None, day(6))).fold()
    assert [bill.paid_minor for bill in household.bills] == [0, 0, 0]
    assert len(household.payments) == 1


def test_money_in_pays_no_bill_whoever_says_so() -> None:
    household = three_months().take(moved(day(5), 100)).fold()
    row, bill = household.payments[0], household.bills[0]
    household.take(Link("1" * 32, CUSTOMER, row.id, bill.anchor, day(6))).fold()
    assert paid(household) == [(100, 0), (130, 0), (100, 0)]


@pytest.mark.parametrize(
    "more", [{"amount": 500}, {"amount": -500, "currency": "EUR"}], ids=["a refund", "in euros"]
)
def test_what_has_a_debits_reference_is_not_yet_another_wording_of_it(more: dict[str, Any]) -> None:
    out = moved(day(10, 10), -500, reference="R1")
    other = moved(day(10, 10) + timedelta(minutes=5), reference="R1", **more)
    assert len(Household().take(out, other).fold().payments) == 2


def test_two_wordings_are_one_transaction_whichever_comes_first() -> None:
    first = told("CONFIRMATION", day(10), 500, reference="R1")
    again = told("CONFIRMATION", day(10) + timedelta(minutes=5), 500, reference="R1")
    household = Household().take(again).fold()
    (made,) = household.payments
    household.take(first).fold()
    (row,) = household.payments
    assert row.message_id == first.message_id
    assert household.facts[again.message_id].transaction_id == row.id
    assert household.transactions[made.id].duplicate_of == row.id


def test_a_transaction_whose_message_waits_for_review_is_set_aside() -> None:
    bare = told("CONFIRMATION", day(5), 100, number=None)
    household = Household().take(told("GENERATION", day(1), 100, number="11"), bare).fold()
    (made,) = household.payments
    household.take(told("GENERATION", day(1), 200, number="22")).fold()
    assert household.facts[bare.message_id].status is MessageStatus.REVIEW
    assert household.payments == []
    assert household.transactions[made.id].duplicate_of == made.id


def test_an_account_that_no_message_stands_behind_any_more_is_set_aside() -> None:
    bare = told("GENERATION", day(1), 500, number=None, issuer=None)
    named = [
        told("GENERATION", day(2), 600, number="A1", issuer="Hill Power"),
        told("GENERATION", day(3), 700, number="B2", issuer="Lake Power"),
    ]
    household = Household()
    for fact in (bare, *named):
        household.take(fact).fold()
    standing = [row.number for row in household.accounts.values() if row.merged_into is None]
    assert sorted(map(str, standing)) == ["A1", "B2"]
