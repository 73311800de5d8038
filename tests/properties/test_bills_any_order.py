"""A household's bills end the same in whatever order the messages come. Source: B10, T4."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from tallybook.bills.model import AccountType, Fact, Transaction
from tests.unit.bills.household import Household, a_bank_message, moved, told

NEW_YEAR = date(2027, 1, 1)


def a_year() -> list[Fact]:
    """Twelve messages of one year: made, due today, overdue, paid; some of them said twice."""
    facts = [
        told(
            "GENERATION", date(2026, 1, 5), 124_000, bill_on=date(2026, 1, 4),
            due_on=date(2026, 1, 20),
        ),
        told("DUE_TODAY", date(2026, 1, 20), 124_000),
        told("CONFIRMATION", date(2026, 1, 20), 124_000, reference="N1001"),
        told("GENERATION", date(2026, 3, 5), 99_000, due_on=date(2026, 3, 20)),
        told("IMMEDIATE", date(2026, 3, 28), 99_000),
        told("GENERATION", date(2026, 5, 5), 101_500, due_on=date(2026, 5, 20)),
        told("GENERATION", date(2026, 5, 8), 111_500, due_on=date(2026, 5, 20)),
        told("CONFIRMATION", date(2026, 5, 19), 210_500, reference="N1002"),
        told("CONFIRMATION", date(2026, 7, 1), 87_000, reference="N1003"),
        told(
            "GENERATION", date(2026, 7, 6), 87_000, bill_on=date(2026, 6, 28),
            due_on=date(2026, 7, 20),
        ),
        told("INFORMATION", date(2026, 7, 7), minimum_minor=10_000),
        told("GENERATION", date(2026, 9, 5), 87_000, due_on=date(2026, 9, 20)),
    ]  # fmt: skip
    assert len({fact.message_id for fact in facts}) == 12
    return facts


def test_a_year_in_a_thousand_orders_has_one_end() -> None:
    facts = a_year()
    expected = Household().take(*facts).fold()
    shape = expected.shape(NEW_YEAR)
    states = [(bill.amount_minor, bill.paid_minor) for bill in expected.bills]
    assert states == [
        (124_000, 124_000),
        (99_000, 99_000),
        (111_500, 111_500),
        (87_000, 87_000),
        (87_000, 0),
    ]
    chance = random.Random(5)
    for turn in range(1_000):
        order = facts + chance.sample(facts, 3)  # some come twice
        chance.shuffle(order)
        household = Household()
        while order:
            # Folded after each arrival, or after a few, with whatever rows the last fold left.
            count = 1 if turn < 100 else chance.randint(1, 8)
            household.take(*order[:count]).fold()
            order = order[count:]
        assert household.shape(NEW_YEAR) == shape


def weekly_twins(
    movement: Callable[[datetime, int], Fact | Transaction],
) -> tuple[list[Fact], list[Fact | Transaction], list[Fact]]:
    start = datetime(2026, 1, 5, 10, tzinfo=UTC)
    chance = random.Random(7)
    bills: list[Fact] = []
    confirmations: list[Fact] = []
    movements: list[Fact | Transaction] = []
    for week in range(52):
        due = start + timedelta(weeks=week)
        loan = {"bill_type": AccountType.LOAN, "issuer": "Seven Lakes Finance", "number": "LN77"}
        bills.append(told("GENERATION", due - timedelta(days=3), 50_000, due_on=due.date(), **loan))
        paid_at = due + timedelta(minutes=chance.randrange(600))
        confirmations.append(told("CONFIRMATION", paid_at, 50_000, **loan))
        seen_at = paid_at + timedelta(minutes=chance.randrange(-2_000, 2_000))
        movements.append(movement(seen_at, -50_000))
    return bills, movements, confirmations


@pytest.mark.parametrize("movement", [moved, a_bank_message], ids=["a feed", "bank messages"])
def test_52_weekly_twins_and_their_52_bank_messages_make_52_links(
    movement: Callable[[datetime, int], Fact | Transaction],
) -> None:
    bills, movements, confirmations = weekly_twins(movement)
    chance = random.Random(11)
    shapes: set[str] = set()
    for _ in range(20):
        order: list[Fact | Transaction] = [*bills, *movements, *confirmations]
        chance.shuffle(order)
        household = Household()
        for start in range(0, len(order), 13):
            household.take(*order[start : start + 13]).fold()
        for confirmation, told_by in zip(confirmations, movements, strict=True):
            found = household.facts[confirmation.message_id].transaction_id
            wanted = (
                household.facts[told_by.message_id].transaction_id
                if isinstance(told_by, Fact)
                else told_by.id
            )
            assert found == wanted is not None
        assert len({row.bill_id for row in household.payments}) == 52
        assert all(bill.paid_minor == 50_000 for bill in household.bills)
        assert len(household.bills) == 52
        shapes.add(household.shape(NEW_YEAR))
    assert len(shapes) == 1


def test_twelve_equal_payments_in_one_hour_stay_twelve() -> None:
    at = datetime(2026, 5, 1, 10, tzinfo=UTC)
    confirmations = [told("CONFIRMATION", at + timedelta(minutes=n), 10_000) for n in range(12)]
    movements = [moved(at + timedelta(minutes=n, seconds=30), -10_000) for n in range(12)]
    household = Household().take(*confirmations, *movements).fold()
    assert len({fact.transaction_id for fact in household.facts.values()}) == 12
    assert len(household.payments) == 12
