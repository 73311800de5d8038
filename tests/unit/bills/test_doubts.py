"""Nothing is guessed: what may be two things waits for a person, and a password is never kept.

Source: B1. Beside each group of texts that must wait stand texts like them that are plain.
"""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tallybook.bills.model import Kind
from tallybook.bills.reading.model import Verdict
from tallybook.bills.reading.reader import load_reader, shipped_reader
from tallybook.bills.reading.rulebook import RuleFileError
from tallybook.bills.reading.text import BYTES_MOST

DAY = date(2026, 6, 10)
EFFECTIVE = (Kind.GENERATION, Kind.IMMEDIATE, Kind.DUE_TODAY, Kind.CONFIRMATION,
             Kind.TXN_CONFIRMATION)  # fmt: skip


def read(text: str, sender: str = "VM-HDFCBK") -> Any:
    return shipped_reader().read(text, sender, DAY, day_is_sent=True)


# -- money taken back, and payments under way ------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Rs 740 refunded for gas bill BP 55001",
        "Your payment of Rs 740 towards gas bill is reversed",
        "Gas bill BP 55001: Rs 740 reversed",
        "Bill payment reversal of Rs 740 for BP 55001 done",
        "Refund initiated: Rs 740 for gas bill BP 55001",
        "Rs 740 has been credited back for your gas bill payment BP 55001",
        "Your BESCOM bill payment of Rs 500 has been refunded",
        "Rs 740 debited for gas bill is reversed to A/c XX1234",
        "Rs 1,240 has been refunded to your A/c XX1234 for failed BESCOM bill payment",
        "Rs 1240.00 reversed to A/c XX1234: BESCOM BILL PAYMENT 02-06-26",
        "Reversal of payment Rs 2451 for BESCOM RR No W220145 due to cheque dishonour",
        "Your payment of Rs 2451 towards BESCOM bill has been cancelled",
        "Your bill of Rs 1,240 dated 01-06-2026 has been cancelled. RR No W220145 BESCOM",
        "Cancelled: bill of Rs 740 for BP 55001 due 20-06-2026",
        "Your Airtel bill of Rs 499 due on 20-06-26 stands reversed",
        "Bill of Rs 1,240 for RR No W220145 stands withdrawn. Fresh bill follows. BESCOM",
        "Please ignore bill of Rs 740 dated 01-06-2026 for BP 55001, issued in error",
        "Your payment of Rs 2451 towards BESCOM bill is under process",
        "Your payment of Rs 2451 towards BESCOM bill is scheduled for 15-06-2026",
        "Your payment of Rs 740 for gas bill BP 55001 has been received and is under process",
        "We have initiated your payment of Rs 740 for gas bill BP 55001",
        "BESCOM: estimated bill for Jun is Rs 1,300 based on usage, RR No W220145",
        "Your provisional bill of Rs 500 is due on 20-06-26. RR No W220145",
        "Due to maintenance BESCOM bill payment of Rs 500 and above unavailable on 15-06-2026",
        "Your gas bill is Rs 740",
    ],
)
def test_what_is_taken_back_or_under_way_makes_nothing(text: str) -> None:
    reading = read(text, "VM-MGLGAS")
    assert reading.verdict is Verdict.BILL
    assert not reading.is_accepted


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Your gas bill for BP 55001 is Rs 740", Kind.GENERATION),
        ("Your gas bill of Rs 740 is ready", Kind.GENERATION),
        ("Bill of Rs 500 due on 20-06-26 is based on an estimated reading", Kind.GENERATION),
        ("Your Airtel bill of Rs 499 is due on 20-06-26. Refund of Rs 20 adjusted",
         Kind.GENERATION),
        ("Pay your gas bill of Rs 499 by 20-06-2026 or your supply will be cancelled",
         Kind.GENERATION),
        (("Your payment of Rs 588 for Airtel postpaid bill is pending. It will be refunded if it"
         " fails"), Kind.IMMEDIATE),
        ("Payment of Rs 588 received for gas bill BP 55001. Excess will be refunded",
         Kind.CONFIRMATION),
        ("Autopay: Rs 740 will be debited on 15-06-2026 for Mahanagar Gas", Kind.INFORMATION),
    ],
)  # fmt: skip
def test_what_is_plain_is_not_held_up(text: str, kind: Kind) -> None:
    reading = read(text, "VM-MGLGAS")
    assert (reading.kind, reading.is_accepted) == (kind, True), reading.doubts


def test_a_refund_that_a_bank_credits_is_money_that_came_in() -> None:
    text = "Your A/c XX1234 is credited with Rs 1,240 towards refund of BESCOM bill. Ref 6064123"
    reading = read(text)
    assert (reading.verdict, reading.is_credit) == (Verdict.MOVEMENT, True)
    assert reading.amount_minor == 124_000


def test_a_bill_to_come_is_no_bill() -> None:
    text = "BESCOM: meter reading for RR No W220145 is 4521 units. Bill will be generated soon"
    assert read(text, "AX-BESCOM").kind not in EFFECTIVE


# -- a new bill beside the payment of the last one -------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        (
            "Your last bill of Rs 700 was paid on 10-05-26. New bill of Rs 500 is generated, due"
            " 20-06-26. RR No W220145"
        ),
        "Your last bill was paid on 10-05-26. New bill of Rs 500 is generated, due 20-06-26",
        (
            "Your bill for A/c 1234567890: Rs.500.00 due 20-06-26; previous bill Rs 700.00 paid"
            " 10-05-26. -TATA POWER"
        ),
        (
            "HDFC card XX1234 stmt: Total due Rs 5,000 Min due Rs 250, Due 20-06-26. Payment"
            " received Rs 3,000"
        ),
        "Stmt for card XX1234: Payment of Rs 3,000 received. Total amount due Rs 5,000 by 20-06-26",
        "Bill Rs 500 for A/c 1234567. Previous bill Rs 700 paid 10-05-26",
        "Bill dated 01-06-26 Rs 500. Payment received for last month Rs 500. RR No W220145",
        "Payment for last bill Rs 700 received. Bill Rs 500 for June",
        "Thank you for your payment of Rs 700. Your bill of Rs 500 is due on 20-06-26",
        "Payment of Rs 500 received on 08-06-26. Your bill due date was 20-06-26",
        "EMI of Rs 5000 due on 05-06-26 debited from A/c XX12",
    ],
)
def test_a_payment_beside_a_bill_is_taken_for_neither(text: str) -> None:
    reading = read(text, "AX-BESCOM")
    assert reading.kind in EFFECTIVE
    assert not reading.is_accepted


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("Your credit card bill Rs 12,345 due on 20-06-26 has been paid. Thank you",
         Kind.CONFIRMATION, 1_234_500),
        ("Thank you for paying Rs 500 towards your bill. Next bill due 20-07-26",
         Kind.CONFIRMATION, 50_000),
        ("Payment of Rs 500 received towards your bill due on 20-06-26. Thank you",
         Kind.CONFIRMATION, 50_000),
        ("Payment of Rs 500 received for your last bill. Thank you", Kind.CONFIRMATION, 50_000),
        ("Payment of Rs 500 received for bill dated 01-06-26", Kind.CONFIRMATION, 50_000),
        ("Payment of Rs 500 received towards your current bill. Thank you",
         Kind.CONFIRMATION, 50_000),
        ("Payment of Rs 2451 received for RR No W220145. Balance due Rs 100", Kind.CONFIRMATION,
         245_100),
        ("Paid Rs 500 to BESCOM for bill W220145 due 20-06-26", Kind.CONFIRMATION, 50_000),
        ("Your BESCOM bill of Rs 499 is due on 20-06-26. Last bill paid: Rs 599 on 18-05-26",
         Kind.GENERATION, 49_900),
        ("EMI of Rs 15,000 for loan A/c XX9876 due on 15-06-26 will be debited", Kind.GENERATION,
         1_500_000),
    ],
)  # fmt: skip
def test_a_payment_alone_and_a_bill_alone_are_taken(text: str, kind: Kind, amount: int) -> None:
    reading = read(text, "AX-BESCOM")
    assert reading.is_accepted, reading.doubts
    same = {Kind.TXN_CONFIRMATION: Kind.CONFIRMATION}
    assert (same.get(reading.kind, reading.kind), reading.amount_minor) == (kind, amount)


# -- promos ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Switch to Jio postpaid @ Rs 399. No bill shock! Call 1800",
        "Win Rs 1,00,000! Pay your credit card bill via CRED by 20-06-2026",
        "Flat Rs 75 off on your first gas bill payment. Last date 20-06-2026",
        "Pay your electricity bill on PhonePe before 30 June and get a scratch card worth Rs 200",
        "Never miss a bill! Set autopay for your electricity bill & get Rs 25",
        "Pay electricity bill of Rs 500 or above before 30-06-2026 and get cashback",
        "Get 10% off upto Rs 100 on electricity bill payments using HDFC card",
    ],
)
def test_a_promo_with_nothing_of_a_bill_beside_it_is_dropped(text: str) -> None:
    assert read(text, "VM-PHONPE").verdict is Verdict.NOISE


@pytest.mark.parametrize(
    "text",
    [
        "Last chance! Pay just Rs 99 for Airtel Xstream before 20-06-2026",
        "Pay later is here! Buy now and pay by 05-07-2026. Limit Rs 20,000",
        "Become a CRED member. Pay your card bill before 20-06-2026 & get assured rewards",
        "Pay Rs 500 for your gas bill BP 123456 by 20-06-2026 to get Rs 25 off",
        "Your electricity bill of Rs 1,240 is generated. Pay by 20-06-2026 and get cashback",
        "Pay only Rs 4500 by 20-06-2026 for your HDFC card XX1234 and get Rs 100 cashback",
        "Rs 500 gas bill BP 123456, pay by 20-06-2026 and win Rs 1000",
    ],
)
def test_what_may_be_a_bill_or_a_promo_waits(text: str) -> None:
    reading = read(text, "VM-AIRTEL")
    assert reading.verdict is Verdict.BILL
    assert not reading.is_accepted


def test_a_bill_that_is_said_to_be_due_may_come_with_an_offer() -> None:
    text = "Your electricity bill of Rs 1,240 is due on 20-06-2026. Pay now & get flat Rs 50 off"
    reading = read(text, "AX-BESCOM")
    assert (reading.amount_minor, reading.is_accepted) == (124_000, True)
    no_sum = "Your gas bill is due on 20-06-2026. Pay by app and win Rs 1000"
    assert read(no_sum, "VM-MGLGAS").is_accepted


# -- one-time passwords ----------------------------------------------------------------------------

PASSWORDS = [
    "OTP for paying your BESCOM bill of Rs 1,240, valid for 10 mins. Do not share ...: 458921",
    (
        "Bill desk: OTP for paying your BESCOM bill of Rs 1,240, valid for 10 mins. Do not share it"
        " with anybody, bank never asks for it: 458921"
    ),
    (
        "OTP to pay your bill of Rs. 500.00 at BESCOM (valid 10 min, never share it with anyone,"
        " including bank staff) is 456789"
    ),
    "456789 BESCOM se Rs 500 bhugtan hetu aapka OTP hai",
    "456789 hai aapka one time password",
    "आपका ओटीपी 456789 है। Rs 500 BESCOM bill due 20-06-2026",
    "ओटीपी ४५८९२१",
    "Your code: 456789",
    "code 458921",
    "Your OTP is 4 5 8 9 2 1 for BESCOM payment Rs 500",
    "OTP 458-921 for Rs 500",
    "OTP(458921)",
    "OTP458921",
    "*458921* is your OTP",
    "Your OTP is X7K9P2",
    "OTP No. 458921 for BESCOM",
    "OTP for transaction 458921",
    "Your OTP for login = 456789",
    "OTP to add BESCOM consumer no 12345678: 458921",
    "OTP for card ending 1234 is 458921",
    "Do not share OTP with anyone. 456789",
    "458921. Never share this OTP with anyone",
    "Never share your OTP: 458921",
    "Your transaction password for bill payment Rs 1,240 is 458921",
    "Your login PIN: 458921",
    "Dear customer, 458921 is the SECRET OTP for BESCOM bill Rs 1,240",
]


@pytest.mark.parametrize("text", PASSWORDS)
def test_a_one_time_password_is_dropped_in_any_wording(text: str) -> None:
    assert read(text).verdict is Verdict.OTP


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("Never share OTP. Your bill of Rs 500 for RR No W220145 due 20-06-2026", "AX-BESCOM"),
        (("Your BESCOM bill of Rs 500 for CA 12345678 is due on 20-06-2026. BESCOM never asks for"
         " OTP. Call 1912"), "AX-BESCOM"),
        (("Your BESCOM bill of Rs 500 for A/c No. 12345678 due 20-06-2026. Do not share OTP/PIN/CVV"
         " with anyone. Helpline 1800 425 9339"), "AX-BESCOM"),
        (("Your HDFC Bank Credit Card ending 1234 bill of Rs 5,000 is due on 20-06-2026. We never"
         " ask for your PIN, CVV or OTP"), "VM-HDFCBK"),
        (("Jun 2026 electricity bill Rs 1240 for consumer 12345678 due 20-06-2026. Don't share OTP"
         " with anyone."), "AX-BESCOM"),
        ("Bill No 12345678 Rs 500 due 20-06-2026. OTP is never asked by us", "AX-BESCOM"),
        (("Your gas bill for BP 55001234 is Rs 740, due 20-06-26, 1045 units. Do not share your OTP"
         " or click links"), "VM-MGLGAS"),
        (("EMI of Rs 5000 for loan no 12345678 is due on 15-06-2026. Don't share OTP. SMS HELP to"
         " 56767"), "VM-BAJAJF"),
    ],
)  # fmt: skip
def test_a_bill_that_warns_of_passwords_is_read(text: str, sender: str) -> None:
    reading = read(text, sender)
    assert (reading.kind, reading.is_accepted) == (Kind.GENERATION, True), reading.doubts


def test_a_senders_own_rule_keeps_no_password(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        "[[rule]]\nname = 'sloppy'\nsender = 'BESCOM'\nkind = 'BILL_GENERATION'\n"
        "type = 'ELECTRIC_BILL'\npattern = 'bill of {amount}'\n"
        "[[rule.sample]]\ntext = 'bill of Rs 500'\nsender = 'AX-BESCOM'\n",
        encoding="utf-8",
    )
    reader = load_reader([own])
    assert reader.read("A bill of Rs 500", "AX-BESCOM", DAY).rule == "sloppy"
    for text in PASSWORDS[:3]:
        assert reader.read(text, "AX-BESCOM", DAY).verdict is Verdict.OTP


def test_a_password_in_a_text_too_long_to_read_is_dropped_too() -> None:
    assert read("458921 is your OTP. " + "x" * BYTES_MOST).verdict is Verdict.OTP
    assert read("Your bill of Rs 500. " + "x" * BYTES_MOST).verdict is Verdict.UNKNOWN


# -- rule files ------------------------------------------------------------------------------------


def test_a_doubt_of_ones_own_holds_for_shipped_rules(tmp_path: Path) -> None:
    text = "Your gas bill of Rs 740 is due on 20-06-2026, disputed"
    assert read(text, "VM-MGLGAS").is_accepted
    own = tmp_path / "own.toml"
    own.write_text("[[doubt]]\nwhy = 'it is disputed'\npattern = '\\bdisputed\\b'\n")
    reading = load_reader([own]).read(text, "VM-MGLGAS", DAY)
    assert reading.doubts == ("it is disputed",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[doubt]]\npattern = 'x'", "a doubt has why"),
        ("[[doubt]]\nwhy = 'x'\npattern = 'x'\nkind = 'x'", "a doubt has why"),
        ("[[doubt]]\nwhy = 'x'\npattern = '(a+)+b'", "repeat inside a repeat"),
        ("[[rule]]\nname = 'x'\nkind = 'NOISE'\npattern = 'x'\nbeside = ['dew_on']", "no field"),
        ("[[rule]]\nname = 'x'\nkind = 'NOISE'\npattern = 'x'\nignoring = ['(']", "broken"),
    ],
)
def test_a_doubt_or_a_rule_with_a_slip_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(RuleFileError, match=reason):
        load_reader([own])
