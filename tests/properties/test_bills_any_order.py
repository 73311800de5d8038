"""A household's bills end the same in whatever order the messages come. Source: B10, T4."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from tallybook.bills.model import AccountType, Fact, Link, Transaction
from tests.unit.bills.household import CUSTOMER, Household, a_bank_message, moved, told

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


# -- households drawn at random --------------------------------------------------------------------

_Arrival = Fact | Transaction | Link | tuple[str, str | None, datetime]
"""A person's word is (the message whose payment it is about, the message of the bill, when)."""


def a_household(chance: random.Random) -> list[Fact | Transaction | Link]:
    """Draw a household: two issuers or none named, masks, other wordings, currencies."""
    facts: dict[str, Fact | Transaction] = {}
    is_abroad = chance.random() < 0.3
    for _ in range(chance.randint(3, 9)):
        at = datetime(2026, chance.choice([1, 2, 3]), chance.randint(1, 28), 12, tzinfo=UTC)
        for again in range(2 if chance.random() < 0.3 else 1):
            fact = _an_arrival(chance, at + timedelta(minutes=4 * again), is_abroad=is_abroad)
            facts[fact.message_id if isinstance(fact, Fact) else fact.id] = fact
    movements = [each for each in facts.values() if isinstance(each, Transaction)]
    bills = [each.message_id for each in facts.values() if isinstance(each, Fact)]
    words = [
        Link(f"{place:032}", CUSTOMER, movement.id, chance.choice([None, *bills]), movement.at)
        for place, movement in enumerate(movements * 2)
        if chance.random() < 0.4
    ]
    return [*facts.values(), *words]


def _an_arrival(chance: random.Random, at: datetime, *, is_abroad: bool) -> Fact | Transaction:
    kind = chance.choice(
        ["GENERATION", "GENERATION", "CONFIRMATION", "CONFIRMATION", "TXN_CONFIRMATION",
         "IMMEDIATE", "DUE_TODAY", "INFORMATION", "a feed", "a bank"]
    )  # fmt: skip
    amount = chance.choice([10_000, 10_000, 20_000, 30_000])
    reference = chance.choice([None, None, "R1", "R2"])
    currency = chance.choice([None, "INR", "INR", "JPY" if is_abroad else "INR"])
    if kind == "a feed":
        is_stated = currency is not None
        return moved(
            at, chance.choice([-amount, -amount, amount]), reference=reference,
            currency=currency or "INR", is_currency_stated=is_stated,
        )  # fmt: skip
    if kind == "a bank":
        return a_bank_message(at, -amount, reference=reference, paid_from="XX44")
    return told(
        kind, at, amount if chance.random() < 0.9 else None, reference=reference,
        currency=currency,
        number=chance.choice(["K-100200", "M-300200", "200", "XXXX", "****", None]),
        issuer=chance.choice(["Northern Light", "Other Power", None]),
        bill_type=chance.choice([AccountType.ELECTRIC_BILL] * 2 + [AccountType.CREDITCARD]),
        due_on=chance.choice([None, None, date(2026, 2, 5), date(2026, 3, 20)]),
        bill_on=chance.choice([None, None, None, date(2026, 2, 1)]),
    )  # fmt: skip


def arrive(household: Household, arrivals: Sequence[_Arrival]) -> Household:
    """Let each arrive and fold; a person's word is about the payment as it is shown by then."""
    for arrival in arrivals:
        if isinstance(arrival, tuple):
            message, bill, at = arrival
            shown = household.facts[message].transaction_id
            assert shown is not None
            mark = f"{at:%Y%m%d%H%M%S}".rjust(32, "0")
            arrival = Link(mark, CUSTOMER, shown, bill, at)  # noqa: PLW2901 - as it is by then
        household.take(arrival).fold()
    return household


@pytest.mark.parametrize("block", range(6))
def test_households_drawn_at_random_end_the_same_in_any_order(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        chance = random.Random(seed)
        arrivals = a_household(chance)
        expected = Household().take(*arrivals).fold().everything(NEW_YEAR)
        for _ in range(2):
            chance.shuffle(arrivals)
            household = arrive(Household(), arrivals)
            assert household.everything(NEW_YEAR) == expected, seed
            _see_that_it_adds_up(household)


def _see_that_it_adds_up(household: Household) -> None:
    """See that what bills were paid is what payments say, in one currency."""
    for bill in household.bills:
        parts = [
            part
            for row in household.payments
            for ident, part in json.loads(row.bound)
            if ident == bill.id and row.currency == bill.currency
        ]
        assert sum(parts) == bill.paid_minor
    for row in household.payments:
        assert row.bound_minor + row.prepaid_minor in (0, -row.amount_minor)


@pytest.mark.parametrize("seed", range(60))
def test_a_persons_word_on_a_payment_counts_whoever_told_of_it_first(seed: int) -> None:
    """Two bills of one amount; biller, app and bank tell of one payment, a person rules on it."""
    chance = random.Random(seed)
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    bills = [
        told("GENERATION", date(2026, month, 1), 50_000, due_on=date(2026, month, 20))
        for month in (1, 2)
    ]
    tells: list[Fact | Transaction] = [
        told("CONFIRMATION", at, 50_000, reference="R1"),
        told("CONFIRMATION", at + timedelta(minutes=5), 50_000, reference="R1"),
        told("TXN_CONFIRMATION", at + timedelta(minutes=7), 50_000, reference="R1"),
        moved(at + timedelta(hours=2), -50_000, reference="R1"),
        moved(at + timedelta(hours=2, minutes=1), -50_000, reference="R-1"),
    ]
    notice = chance.choice([fact for fact in tells if isinstance(fact, Fact)])
    is_link = chance.random() < 0.5
    others: list[_Arrival] = [fact for fact in tells if fact is not notice]
    chance.shuffle(others)
    cut = chance.randint(0, len(others))
    word = (notice.message_id, bills[1].message_id if is_link else None, at + timedelta(days=1))
    wrong = (notice.message_id, bills[0].message_id, at + timedelta(hours=9))
    household = arrive(Household(), [*bills, notice, *others[:cut], wrong, word, *others[cut:]])
    assert [bill.paid_minor for bill in household.bills] == [0, 50_000 if is_link else 0]
    assert len(household.payments) == 1
