"""Loans over real HTTP, on both databases."""

import pytest

from tests.lending import Lending
from tests.serving import Served


@pytest.fixture
def lending(served: Served) -> Lending:
    return Lending(served)


def test_the_seeds_loan_falls_to_nothing(lending: Lending) -> None:
    loan = lending.loan(lending.customer())
    assert (loan["total"], loan["outstanding"], loan["status"]) == (
        "5500000.00",
        "5500000.00",
        "active",
    )
    rows = loan["schedule"]
    assert [row["number"] for row in rows] == list(range(1, 51))
    assert {row["amount"] for row in rows} == {"110000.00"}
    assert (rows[0]["due_on"], rows[49]["due_on"]) == ("2026-03-09", "2027-02-15")
    for count in range(1, 51):
        paid = lending.paid(loan["id"], "110000.00")
        assert paid["installment_numbers"] == [count]
        assert paid["outstanding"] == f"{5_500_000 - count * 110_000}.00"
    assert lending.outstanding(loan["id"]) == "0.00"
    assert lending.read(f"/loans/{loan['id']}")["status"] == "closed"
    refused = lending.pay(loan["id"], "110000.00")
    assert (refused.status, refused.code) == (409, "loan_closed")


def test_missing_two_is_delinquent_from_the_day_after(lending: Lending) -> None:
    who = lending.customer()
    loan = lending.loan(who, start_on="2026-02-16")["id"]
    # Rows are due on 23 February, 2 March (today) and 9 March.
    states = {
        "2026-02-23": (False, 0, 0, "current"),
        "2026-02-24": (False, 1, 1, "1-30"),
        "2026-03-02": (False, 1, 7, "1-30"),
        "2026-03-03": (True, 2, 8, "1-30"),
        "2026-03-26": (True, 5, 31, "31-60"),
    }
    for day, (is_delinquent, missed, days, bucket) in states.items():
        found = lending.delinquency(loan, day)
        assert found["is_delinquent"] is is_delinquent
        assert (found["missed_in_a_row"], found["days_past_due"], found["bucket"]) == (
            missed,
            days,
            bucket,
        )
        customers = lending.read(f"/customers/{who}/delinquency?as_of={day}")
        assert customers["is_delinquent"] is is_delinquent
    lending.paid(loan, "110000.00")
    # Today's payment changes nothing of yesterday, and what comes after it.
    assert lending.delinquency(loan, "2026-03-01")["missed_in_a_row"] == 1
    assert lending.delinquency(loan, "2026-03-03")["is_delinquent"] is False
    assert lending.delinquency(loan, "2026-03-03")["days_past_due"] == 1
    assert lending.delinquency(loan, "2026-03-10")["is_delinquent"] is True
    assert lending.outstanding(loan, "2026-03-01") == "5500000.00"
    assert lending.outstanding(loan, "2026-03-02") == "5390000.00"
    assert lending.outstanding(loan, "2026-02-15") == "0.00"
    (first, second, *_) = lending.schedule(loan, "2026-03-10")
    assert (first["status"], first["paid_on"], first["missed"]) == ("paid", "2026-03-02", False)
    assert (second["status"], second["paid_on"], second["missed"]) == ("pending", None, True)


def test_no_two_loans_have_one_reference(lending: Lending) -> None:
    who = lending.customer()
    made = lending.loan(who, reference=" Loan 2026/7 ")
    assert made["reference"] == "Loan 2026/7"
    assert lending.read(f"/loans/{made['id']}")["reference"] == "Loan 2026/7"
    taken = lending.ask(who, reference="Loan 2026/7", principal=1_000)
    assert (taken.status, taken.code) == (409, "loan_reference_taken")
    assert lending.loan(who)["reference"] is None
    for reference in ("", "x" * 65, "a\nb"):
        assert lending.ask(who, reference=reference).code == "field_invalid"
