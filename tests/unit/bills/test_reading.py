"""Reading texts: many issuers' manners, hostile input, and rule files that can't be used."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tallybook.bills.reading.model import Verdict
from tallybook.bills.reading.patterns import Match, Pattern
from tallybook.bills.reading.reader import Reader, load_reader, shipped_reader, show_reading
from tallybook.bills.reading.rulebook import SHIPPED, RuleFileError, read_rule_files
from tests.unit.bills.real import real_messages

DAY = date(2026, 6, 15)
MESSAGES: list[dict[str, Any]] = [
    message
    for name in ("messages.toml", "more_messages.toml")
    for message in tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))[
        "message"
    ]
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["text"][:50])
def test_a_message_is_read_as_its_writer_meant(message: dict[str, Any]) -> None:
    reading = shipped_reader().read(message["text"], message.get("sender"), DAY)
    shown = show_reading(reading)
    for name, wanted in message.items():
        if name in ("text", "sender", "may_wait"):
            continue
        wanted = wanted.isoformat() if isinstance(wanted, date) else wanted  # noqa: PLW2901 - the same in text
        assert (shown[name] or "") == wanted, name
    if reading.kind is not None and not message.get("may_wait"):
        assert reading.is_accepted, reading.doubts


def test_at_least_25_issuers_of_every_type_are_known() -> None:
    issuers = shipped_reader().book.issuers
    assert len(issuers) >= 25
    types = {str(issuer.bill_type) for issuer in issuers if issuer.bill_type}
    assert types == {"MOBILE_BILL", "ELECTRIC_BILL", "GAS_BILL", "LOAN", "CREDITCARD"}
    assert {issuer.role for issuer in issuers} == {"biller", "bank", "wallet"}


# -- bad input -------------------------------------------------------------------------------------


def read(text: str, sender: str | None = "AX-BESCOM", **more: Any) -> Any:
    return shipped_reader().read(text, sender, DAY, **more)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\n\t", "x" * 10_000_000, "\x00\x01\x02\xff", "\ud800 lone", "\u202e\u200b\u2066",
        "ÿþR\x00s\x00", "Rs", "Rs.", "due on", "₹" * 2_000, "9" * 2_000,
        "Rs " + "9" * 40 + " due on 1-1-26",
        "(" * 2_000, "bill " * 400, "-" * 2_048, "due on 99/99/9999", "\u0967\u0968 \u0930\u0941",
    ],
    ids=lambda text: repr(text[:16]),
)  # fmt: skip
def test_nothing_raises(text: str) -> None:
    reading = read(text)
    assert reading.kind is None or not reading.is_accepted or reading.amount_minor is None


def test_invisible_characters_hide_nothing() -> None:
    plain = read("Your BESCOM bill of Rs 1,240 is due on 20-06-2026")
    masked = read(
        "Your BES\u200bCOM bi\u200dll of Rs\u202e 1,\u206024\u200b0 is d\u00adue on 20-06-2026"
    )
    assert plain.amount_minor == masked.amount_minor == 124_000
    assert masked.is_accepted
    wide = read("Your BESCOM bill of Rs \uff11\uff12\uff14\uff10 is due on \u0968\u0966-06-2026")
    assert (wide.amount_minor, wide.due_on) == (124_000, date(2026, 6, 20))


def test_spans_point_into_the_text_as_it_came() -> None:
    text = "\u200bYour  BESCOM bill of ₹ 1,240.50\n is due on 20-06-2026"
    reading = read(text)
    span = reading.spans["amount"]
    assert text[span.start : span.end] == "1,240.50"
    due = reading.spans["due_on"]
    assert text[due.start : due.end] == "20-06-2026"


def test_a_one_time_password_is_known_for_one() -> None:
    assert read("553311 is your OTP for Rs 500 at SHOP", "VM-HDFCBK").verdict is Verdict.OTP
    assert read(
        "Your BESCOM bill of Rs 500 is due on 20-06-2026. Never share your OTP."
    ).is_accepted


def test_a_trap_is_not_a_bill() -> None:
    trap = "Your BESCOM bill of Rs 500 is overdue. Pay now or be disconnected tonight: {}"
    own = trap.format("https://www.bescom.co.in/pay")
    assert read(trap.format("http://bescom.example.com"), None).verdict is Verdict.PHISHING
    assert read(trap.format("bescom-pay.xyz/x"), "+919000000001").verdict is Verdict.PHISHING
    assert str(read(own, None).kind) == "BILL_IMMEDIATE"


@pytest.mark.parametrize(
    "text",
    [
        "Rs 500 spent on your Demo Credit Card XX11. Avl limit Rs 9,500",
        "Available balance in your a/c XX11 is Rs 12,000",
        "Your credit limit is now Rs 50,000 on Demo Credit Card",
    ],
)
def test_a_balance_or_a_limit_is_no_bill(text: str) -> None:
    reading = read(text, "VM-HDFCBK")
    assert reading.kind is None


def test_a_balance_beside_a_bill_is_not_its_amount() -> None:
    reading = read("Your BESCOM bill of Rs 500 is due on 20-06-2026. Wallet balance Rs 9,000")
    assert (reading.amount_minor, reading.is_accepted) == (50_000, True)


def test_two_amounts_go_to_a_person() -> None:
    reading = read("Your BESCOM bill: Rs 500 or Rs 700, due on 20-06-2026")
    assert not reading.is_accepted
    assert "amount" in reading.doubts[0]


def test_two_due_dates_go_to_a_person() -> None:
    reading = read("Your BESCOM bill of Rs 500 is due on 20-06-2026, payable by 28-06-2026")
    assert not reading.is_accepted


def test_a_date_without_a_year_is_the_nearest_or_not_guessed() -> None:
    assert read("Your BESCOM bill of Rs 500 is due on 20 June").due_on == date(2026, 6, 20)
    far = read("Your BESCOM bill of Rs 500 is due on 20 December")
    assert (far.due_on, far.is_accepted) == (None, True)


@pytest.mark.parametrize(
    "written", ["31-02-2026", "31/06/2026", "00-01-2026", "12-05-1970", "12-05-2099"]
)
def test_a_date_that_can_not_be_goes_to_a_person(written: str) -> None:
    reading = read(f"Your BESCOM bill of Rs 500 is due on {written}")
    assert not reading.is_accepted


def test_a_date_far_back_is_doubted_only_where_the_sending_time_is_known() -> None:
    text = "Your BESCOM bill of Rs 500 is due on 20-06-2022"
    assert read(text).is_accepted
    assert not read(text, day_is_sent=True).is_accepted


def test_lakh_grouping_and_odd_amounts() -> None:
    assert (
        read("Your BESCOM bill of Rs.1,02,340.50/- is due on 20-06-2026").amount_minor == 10_234_050
    )
    assert not read("Your BESCOM bill of Rs 1,02 is due on 20-06-2026").is_accepted
    assert not read("Your BESCOM bill of Rs 10.123 is due on 20-06-2026").is_accepted


@pytest.mark.parametrize(
    "amount", ["Rs 1.5 lakh", "Rs 2 451", "EUR 1.234,50", "Rs 12,34,5", "INR 3 crore", "Rs 50k"]
)
def test_an_amount_that_may_be_read_two_ways_goes_to_a_person(amount: str) -> None:
    assert not read(f"Your BESCOM bill of {amount} is due on 20-06-2026").is_accepted


def test_amounts_without_a_sign_are_taken_only_after_a_word_that_says_so() -> None:
    text = "BESCOM RR No W22014 bill. Amt:3210 Min due 0 Due date:20/06/26"
    assert read(text).amount_minor == 321_000
    assert read("Your BESCOM bill for 3210 units is due on 20/06/26").amount_minor is None
    assert read("BESCOM bill amount 20-06-2026 is the due date").amount_minor is None


def test_a_date_with_the_month_first_is_read_only_where_it_can_be_no_other() -> None:
    assert read("Your BESCOM bill of Rs 50 is due on 06/22/2026").due_on == date(2026, 6, 22)
    dollars = read("Your electricity bill of $50.00 is due on 07/06/2026")
    assert not dollars.is_accepted
    assert read("Your electricity bill of $50.00 is due on 22/06/2026").is_accepted
    assert read("Your electricity bill of Rs 50 is due on 07/06/2026").due_on == date(2026, 6, 7)


def test_an_everyday_word_is_no_issuer() -> None:
    text = "For the best service visit your branch. Your gas bill of Rs 50 is due on 20-06-2026"
    reading = read(text, None)
    assert (reading.issuer, str(reading.bill_type)) == (None, "GAS_BILL")
    named = read("BEST Undertaking bill of Rs 50 is due on 20-06-2026", None)
    assert named.issuer == "BEST"


def test_a_debit_to_a_biller_is_a_payment_and_to_anybody_else_a_movement() -> None:
    text = "Dear UPI user A/C X1102 debited by 1240.0 on date 12Jun26 trf to {} Refno 616312345678"
    paid = read(text.format("BESCOM"), "VM-SBIUPI")
    assert (str(paid.kind), paid.amount_minor) == ("BILL_TXN_CONFIRMATION", 124_000)
    assert (paid.issuer, paid.reference) == ("BESCOM", "616312345678")
    moved = read(text.format("RAMESH K"), "VM-SBIUPI")
    assert (moved.verdict, moved.is_credit) == (Verdict.MOVEMENT, False)
    credited = read("A/C X1102 credited by 1240.0 on 12Jun26 by BESCOM refund", "VM-SBIUPI")
    assert credited.kind is None


def test_pay_today_is_no_due_date_of_an_overdue_bill() -> None:
    assert read("Your BESCOM bill of Rs 50 is overdue. Pay today").due_on is None
    assert read("Your BESCOM bill of Rs 50 is due today").due_on == DAY


# -- rule files ------------------------------------------------------------------------------------

RULE = """
[[rule]]
name = "demo"
sender = "DEMOBL"
kind = "BILL_GENERATION"
type = "GAS_BILL"
issuer = "Demo Gas"
pattern = '{pattern}'
[[rule.sample]]
text = "Gas bill 12 is AMOUNT due 1-7-26"
sender = "AX-DEMOBL"
"""


def rule_file(tmp_path: Path, pattern: str, amount: str = "Rs 50", extra: str = "") -> Path:
    path = tmp_path / "own.toml"
    text = RULE.replace("{pattern}", pattern).replace("AMOUNT", amount)
    path.write_text(text + extra, encoding="utf-8")
    return path


def test_a_user_adds_a_rule_without_touching_code(tmp_path: Path) -> None:
    own = rule_file(tmp_path, "gas bill {account_number} is {amount} due {due_on}",
                    extra='amount = "50.00"\ndue_on = 2026-07-01\n')  # fmt: skip
    reading = load_reader([own]).read("Gas bill 77 is Rs 88 due 2-7-26", "XX-DEMOBL", DAY)
    assert (reading.rule, reading.issuer, reading.amount_minor) == ("demo", "Demo Gas", 8_800)
    assert reading.due_on == date(2026, 7, 2)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+b", "repeat inside a repeat"),
        ("(?:[a-z]*)*x", "repeat inside a repeat"),
        ("(?:(x+y*)*)z", "repeat inside a repeat"),
        ("bill (", "broken"),
        ("(bill) \\1", "broken"),
        ("a{9999}", "broken"),
        ("{amont}", "no shorthand"),
        ("(?P<total>x)", "may not be called"),
    ],
)
def test_a_broken_or_exponential_pattern_is_refused_with_its_line(
    tmp_path: Path, pattern: str, reason: str
) -> None:
    with pytest.raises(RuleFileError, match=reason) as refused:
        load_reader([rule_file(tmp_path, pattern)])
    assert (refused.value.file, refused.value.line) == ("own.toml", 8)


def test_a_sample_that_is_read_otherwise_is_refused(tmp_path: Path) -> None:
    own = rule_file(tmp_path, "gas bill {account_number} is {amount}", extra='amount = "51.00"\n')
    with pytest.raises(RuleFileError, match=r"amount is '50.00', not '51.00'"):
        load_reader([own])


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[[rule]]\nname = ", 2, "Invalid"),
        ("[[rules]]\nname = 'x'", 1, "unknown section"),
        ("[[rule]]\nname = 'x'\nkind = 'BILL'\npattern = 'x'", 1, "no kind"),
        ("[[rule]]\nname = 'x'\nkind = 'NOISE'\npatern = 'x'", 1, "no field"),
        ("[[issuer]]\nname = 'x'\nrole = 'friend'", 1, "a role is"),
        ("[[rule]]\nname='x'\nkind='NOISE'\nsender='X'\npattern='x'", 1, "no sample"),
    ],
)
def test_a_file_with_a_slip_is_refused(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RuleFileError, match=reason) as refused:
        load_reader([path])
    assert refused.value.line == line


@pytest.mark.parametrize("sender", ["", "sender = 'HDFCBK'"])
def test_ten_times_the_rules_are_not_tried_ten_times(
    tmp_path: Path, sender: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[str] = []
    search = Pattern.search

    def counted(pattern: Pattern, content: bytes) -> Match | None:
        searches.append(pattern.source)
        return search(pattern, content)

    monkeypatch.setattr(Pattern, "search", counted)

    def tried(count: int) -> int:
        path = tmp_path / f"{count}.toml"
        path.write_text(own_rules(count, sender), encoding="utf-8")
        reader = Reader(read_rule_files([path, *sorted(SHIPPED.glob("*.toml"))]))
        searches.clear()
        for message in MESSAGES:
            reader.read(message["text"], message.get("sender"), DAY)
        return len(searches)

    assert tried(250) == tried(25)


def own_rules(count: int, sender: str) -> str:
    """Write rules of a user's own, none of which any of our messages has."""
    sample = "[[rule.sample]]\ntext = 'x'\n" if sender else ""
    return "".join(
        f"[[rule]]\nname = 'own-{number}'\nkind = 'BILL_INFORMATION'\ntype = 'GAS_BILL'\n{sender}\n"
        f"pattern = 'company{number} .*? {{amount}} .*? by {{due_on}}'\n{sample}"
        for number in range(count)
    )


# -- the real messages, where they are -------------------------------------------------------------


def test_the_score_on_real_messages_holds() -> None:
    path = real_messages()
    if path is None:
        pytest.skip("the labelled messages are not here; TALLYBOOK_TEST_DATA names their folder")
    from examples.score_messages import score  # noqa: PLC0415 - only where there is what to score

    result = score(path)
    assert result.kinds_right >= 95 * result.messages // 100
    assert result.amounts_right >= 98 * result.accepted // 100
    assert result.due_right >= 98 * result.accepted_with_date // 100
    assert result.wrong_amounts == 0
