"""What touches an amount: half of one is never taken, nor a credit for a debt. Source: B1."""

from datetime import date
from typing import Any

import pytest

from tallybook.bills.model import Kind
from tallybook.bills.reading.margins import CREDIT, TORN
from tallybook.bills.reading.reader import shipped_reader

DAY = date(2026, 6, 1)
BILL = "Your BESCOM bill for RR No W22014 {} due 20-06-2026"


def read(text: str, sender: str = "AX-BESCOM") -> Any:
    return shipped_reader().read(text, sender, DAY)


@pytest.mark.parametrize(
    "written",
    [
        "Rs 1 02 340.50", "₹1 02 340", "Rs 2,\n451", "Rs 2, 451.00", "Rs 2 ,451", "Rs 2451 .50",
        "Rs 2451. 50", "Rs 2451-50", "Rs 2451=50", "Rs 2'451.00", "Rs 2\u2019451.00", "Rs. 4 99",
        "Rs 5 0 0", "Rs 2,451 50", "Rs 12O0", "Rs 5l0", "Rs 500/600", "Rs 500-600", "Rs 500 + 50",
        "Rs 2.5 K", "Rs 2.5k", "Rs 1.5 Mn", "Rs 2 hazar", "Rs 5 sau", "Rs 1.5 lac", "₹2 हज़ार",
        "Rs 2 1/2 lakh", "Rs 500\u00b9", "Rs 500\u2460", "Rs 500 \u00bd", "Rs 1\u00b7240",
        "Rs \u0661\u066c\u0662\u0664\u0660", "2 451/-", "2'451/-", "1 234.50 INR", "Rs 1.23,50",
    ],
)  # fmt: skip
def test_half_of_an_amount_goes_to_a_person(written: str) -> None:
    reading = read(BILL.format(written))
    assert (reading.amount_minor, reading.is_accepted) == (None, False)
    assert reading.doubts[0] == TORN


@pytest.mark.parametrize(
    "written",
    [
        "Rs 250 CR", "Rs 250 (Cr)", "Rs 120.00 Cr", "Rs 1.5 Cr.", "Rs.250.00CR", "Rs Cr. 250",
        "-Rs 2451", ": - Rs 2451", "Rs -2451", "Rs.-2451.00", "Rs (2451)", "Rs \u22122451",
        "Rs 250 (credit)", "Rs 250 credit balance", "-\u20b92451",
    ],
)  # fmt: skip
def test_what_may_be_a_credit_is_no_debt(written: str) -> None:
    reading = read(BILL.format(written))
    assert (reading.amount_minor, reading.is_accepted) == (None, False)
    assert reading.doubts[0] == CREDIT


@pytest.mark.parametrize(
    "written",
    [
        "of Rs 500", "Rs.500.00", "Rs 500/-", "Rs.500/-,", "Rs 500,", "Rs 500.", "Rs 500 -",
        "- Rs 500", "Amt-Rs 500", "Amount - Rs 500", "(Rs 500)", "Rs 500 (units 12)", "Rs 500;",
        "Rs 500 12-06-2026", "Rs 500 20 Jun", "Rs 500, 120 units,", "Rs 500. 30 days left.",
        "Rs 500 5 days left", "Rs.500is", "Rs.500only", "Rs 500. 1912 for help.", "₹500।",
        "Rs 500 K No 210012", "Rs 500 dated 02-06-2026", "Rs.500.00.", "Rs 500 credit card",
    ],
)  # fmt: skip
def test_an_amount_that_stands_by_itself_is_taken(written: str) -> None:
    reading = read(BILL.format(written))
    assert (reading.amount_minor, reading.is_accepted) == (50_000, True), reading.doubts


def test_a_credit_where_nothing_is_asked_for_is_only_told() -> None:
    reading = read("BESCOM: Bill amt Rs -250.00 (credit balance). No payment due. CA 12345")
    assert (reading.kind, reading.amount_minor) == (Kind.INFORMATION, None)
    assert reading.is_accepted


def test_an_amount_that_a_rule_finds_itself_is_looked_at_as_well() -> None:
    text = "A/c XX12 debited {} on 01-06-26"
    assert read(text.format("Rs 1.5 lakh"), "VM-SBIINB").doubts == (TORN,)
    assert read(text.format("Rs 2, 451.00"), "VM-SBIINB").doubts == (TORN,)
    # Where money came in, Cr says what the rest says.
    came_in = read("A/c XX12 credited with Rs 500 Cr on 01-06-26", "VM-SBIINB")
    assert (came_in.amount_minor, came_in.is_accepted) == (50_000, True)
    assert read("A/c XX12 credited with Rs 1.5 Cr on 01-06-26", "VM-SBIINB").doubts == (TORN,)
    own = "Your gas bill for CA No. 2100055 for Jun-2026 is {}. Due Date: 24-07-2026."
    assert read(own.format("Rs. 512/-"), "VM-MGLGAS").rule == "mahanagar-gas-bill"
    assert read(own.format("Rs. (512)/-"), "VM-MGLGAS").doubts == (CREDIT,)
