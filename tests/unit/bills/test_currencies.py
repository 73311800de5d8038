"""Amounts in several currencies, and amounts that name none: no cent is invented or lost."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tallybook.bills.model import Link, MessageStatus
from tallybook.bills.rules.booking import bill_wants, transaction_wants
from tests.unit.bills.household import CUSTOMER, Household, moved, told

DUE = date(2026, 3, 20)
YEN: dict[str, Any] = {"currency": "JPY", "issuer": "Tepco", "number": "T-77"}
"""Another account. The households' installation counts in rupees: two decimals, the yen none."""


def day(number: int, hour: int = 9) -> datetime:
    return datetime(2026, 3, number, hour, tzinfo=UTC)


def amounts(household: Household) -> list[tuple[int | None, str, int]]:
    return [(bill.amount_minor, bill.currency, bill.paid_minor) for bill in household.bills]


def booked(household: Household) -> dict[tuple[str, str], int]:
    """Sum what the rows want booked, per account and currency."""
    sums: dict[tuple[str, str], int] = {}
    types = {row.id: row.type for row in household.accounts.values()}
    wants = [
        *map(bill_wants, household.all_bills.values()),
        *(transaction_wants(row, types.get(row.account_id or "")) for row in household.payments),
    ]
    for want in wants:
        for (account, currency, _), minor in want.items():
            name = account.split(":")[0]
            sums[name, currency] = sums.get((name, currency), 0) + minor
    return {key: minor for key, minor in sums.items() if minor}


# -- where nobody names a currency -----------------------------------------------------------------


def test_a_number_without_a_currency_stays_that_number_in_the_other_bills_currency() -> None:
    bare = told("GENERATION", day(1), 500_000, due_on=DUE, currency=None, minimum_minor=7_000)
    household = Household().take(bare).fold()
    assert amounts(household) == [(500_000, "INR", 0)]
    household.take(told("GENERATION", day(2), 7_000, due_on=date(2026, 3, 21), **YEN)).fold()
    assert amounts(household) == [(5_000, "JPY", 0), (7_000, "JPY", 0)]
    assert household.bills[0].minimum_minor == 70
    assert booked(household) == {("expense", "JPY"): 12_000, ("payable", "JPY"): -12_000}
    fact = household.facts[bare.message_id]
    assert (fact.amount_minor, fact.currency) == (500_000, None)  # stored as it came


def test_a_number_that_the_other_currency_can_not_hold_keeps_the_installations() -> None:
    household = Household().take(
        told("GENERATION", day(1), 7_050, due_on=DUE, currency=None),
        told("GENERATION", day(2), 7_000, due_on=date(2026, 3, 21), **YEN),
    )
    assert amounts(household.fold()) == [(7_050, "INR", 0), (7_000, "JPY", 0)]


@pytest.mark.parametrize("comes_first", [True, False])
def test_a_movement_without_a_currency_is_scaled_once_however_often_it_is_folded(
    *, comes_first: bool
) -> None:
    bare = moved(day(5), -700_000, is_currency_stated=False)
    bill = told("GENERATION", day(2), 7_000, due_on=DUE, **YEN)
    notice = told("CONFIRMATION", day(5), 7_000, **YEN)
    order = (bare, bill, notice) if comes_first else (bill, notice, bare)
    household = Household()
    for arrival in (*order, told("INFORMATION", day(8), **YEN)):
        household.take(arrival).fold()
    (row,) = household.payments
    assert (row.id, row.amount_minor, row.currency) == (bare.id, -7_000, "JPY")
    assert amounts(household) == [(7_000, "JPY", 7_000)]
    household.take(told("GENERATION", day(9), 100, due_on=date(2026, 3, 28))).fold()
    row = household.transactions[bare.id]  # rupees and yen by now: the notice still says which
    assert (row.amount_minor, row.currency) == (-7_000, "JPY")


def test_a_bill_without_an_amount_takes_the_currency_of_the_first_that_has_one() -> None:
    household = Household().take(
        told("GENERATION", day(1), None, due_on=DUE, currency=None),
        told("GENERATION", day(2), 900, due_on=DUE, currency="USD"),
        told("GENERATION", day(3), 100, due_on=date(2026, 4, 20), currency="EUR"),
    )
    assert amounts(household.fold()) == [(900, "USD", 0), (100, "EUR", 0)]


# -- two currencies never meet ---------------------------------------------------------------------


def test_a_payment_in_another_currency_waits() -> None:
    household = Household().take(
        told("GENERATION", day(1), 500, due_on=DUE, currency="USD"),
        told("CONFIRMATION", day(5), 500, currency="EUR"),
    )
    assert amounts(household.fold()) == [(500, "USD", 0)]
    (row,) = household.payments
    assert (row.currency, row.bound_minor, row.prepaid_minor) == ("EUR", 0, 500)
    assert "no unpaid bill before it is in EUR" in row.evidence
    assert booked(household) == {
        ("expense", "USD"): 500, ("payable", "USD"): -500,
        ("prepaid", "EUR"): 500, ("paid-from", "EUR"): -500,
    }  # fmt: skip


def test_a_statement_in_another_currency_revises_nothing_and_waits_for_a_person() -> None:
    foreign = told("GENERATION", day(3), 700, due_on=DUE, currency="USD")
    household = Household().take(told("GENERATION", day(1), 500, due_on=DUE), foreign).fold()
    assert amounts(household) == [(500, "INR", 0)]
    fact = household.facts[foreign.message_id]
    assert (fact.status, fact.bill_id) == (MessageStatus.REVIEW, None)
    assert fact.why == "it is in USD, and the bill of its dates is in INR"


def test_information_in_another_currency_fills_in_nothing() -> None:
    household = Household().take(
        told("GENERATION", day(1), 500, due_on=DUE),
        told("INFORMATION", day(2), due_on=DUE, minimum_minor=10, currency="USD"),
    )
    assert household.fold().bills[0].minimum_minor is None


def test_a_link_made_before_currencies_differed_pays_nothing() -> None:
    household = Household().take(told("GENERATION", day(1), 500, due_on=DUE)).fold()
    movement = moved(day(5), -500, currency="USD")
    link = Link("1" * 32, CUSTOMER, movement.id, household.bills[0].anchor, day(6))
    household.take(movement, link).fold()
    assert amounts(household) == [(500, "INR", 0)]
    assert household.payments[0].evidence.startswith("a person linked it, but the bill is in INR")
