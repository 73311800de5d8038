"""What a name, an address and a number may be. Source: C1."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tallybook.customers.rules import (
    EMAIL_LONGEST,
    clean_email,
    clean_name,
    fold_email,
    last_four,
    normalise_number,
)
from tallybook.kernel.refusal import Refused

numbers = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=4, max_size=34)


def code_of(rule: Callable[[str], str], text: str) -> str:
    """Tell how a rule takes a text: its refusal's code and whatever it repeats, or `fine`."""
    try:
        rule(text)
    except Refused as refused:
        return refused.refusal.code + str(refused.refusal.details or "")
    return "fine"


# -- numbers ---------------------------------------------------------------------------------------


@given(numbers, st.data())
def test_spaces_hyphens_and_case_do_not_count(number: str, data: st.DataObject) -> None:
    written = "".join(
        data.draw(st.sampled_from(["", " ", "-", " - "]))
        + data.draw(st.sampled_from([character, character.lower()]))
        for character in number
    )
    assume(len(written) <= 136)
    assert normalise_number(written) == number


@given(numbers)
def test_a_normal_number_stays_as_it_is(number: str) -> None:
    assert normalise_number(number) == number
    assert last_four(number) == number[-4:]


@given(numbers, numbers)
def test_different_numbers_stay_different(one: str, other: str) -> None:
    assert (normalise_number(one) == normalise_number(other)) == (one == other)


def test_zeros_are_kept() -> None:
    assert normalise_number("0000") == "0000"
    assert normalise_number("00012345") != normalise_number("12345")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123",
        "1" * 35,
        "----",
        " " * 10_000_000,
        "1234.5678",
        "1234_5678",
        "1234/5678",
        "12345\n",
        "1234\t5678",
        "1234\u00a05678",
        "1234\u20115678",
        "1234567\u200b",
        "\u0661\u0662\u0663\u0664",
        "\uff11\uff12\uff13\uff14",
        "STRA\u00dfE",
        "\u0131234",
        "1234\x00",
        "1234\ud800",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    assert code_of(normalise_number, text) == "bank_account_invalid"


# -- names -----------------------------------------------------------------------------------------


@given(st.text())
def test_a_name_is_clean_or_refused_and_cleaning_twice_is_cleaning_once(name: str) -> None:
    assume(code_of(clean_name, name) == "fine")
    clean = clean_name(name)
    assert clean_name(clean) == clean
    assert 1 <= len(clean) <= 200
    assert clean == clean.strip()
    assert unicodedata.is_normalized("NFC", clean)
    clean.encode()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  \u3000 ",
        "x" * 201,
        " " * 10_000_000 + "x",
        "a\x00b",
        "a\nb",
        "a\u2028b",
        "a\x85b",
        "a\x7fb",
        "a\ud800b",
        "e\u0301" * 201,
        "\u202e",
        "\u3164 \u200d",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    assert code_of(clean_name, name) == "name_invalid"


def test_a_name_is_counted_as_it_is_kept() -> None:
    assert clean_name("e\u0301" * 200) == "\u00e9" * 200


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@b.c", " A@B.C\t"),
        ("stra\u00dfe@x.de", "STRASSE@X.DE"),
        ("jose\u0301@x.es", "JOS\u00c9@x.es"),
        ("\u03c3\u03c2@x.gr", "\u03a3\u03a3@x.gr"),
    ],
)
def test_addresses_are_compared_without_case(one: str, other: str) -> None:
    assert fold_email(one) == fold_email(other)


@given(st.text())
def test_an_address_is_clean_or_refused_and_folding_twice_is_folding_once(text: str) -> None:
    email = f"{text}@example.org"
    assume(code_of(clean_email, email) == "fine")
    clean = clean_email(email)
    assert clean_email(clean) == clean
    assert fold_email(clean) == fold_email(email)
    assert fold_email(fold_email(email)) == fold_email(email)
    assert len(fold_email(email)) <= EMAIL_LONGEST


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@",
        "a@",
        "@b",
        "ab.c",
        "a@b@c",
        "a b@c.d",
        "a@b c",
        "a@b.c\r\nBcc: x@y.z",
        "a\x00@b.c",
        "a\u2028@b.c",
        "a\ud800@b.c",
        "x" * 250 + "@b.cd",
        "\ufb03" * 120 + "@b.cd",  # three letters each when compared
        "x" * 10_000_000,
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert code_of(clean_email, email) == "email_invalid"


@pytest.mark.parametrize(
    "email",
    [
        "=?utf-8?q?@%",
        "a@[",
        ')@,"',
        "a,b@c.org",
        "a;b@c.org",
        "<a@b.c>",
        "a@b.c>",
        "a:b@c",
        '"a"@b.c',
        "a\\b@c.d",
    ],
)
def test_what_no_mail_can_go_to_is_refused_when_new_and_still_found(email: str) -> None:
    """A book from before may hold it: whoever has it is known by it."""
    assert code_of(clean_email, email) == "email_invalid"
    assert fold_email(f" {email.upper()}") == email


def test_what_nobody_sees_is_refused_in_a_new_address() -> None:
    assert code_of(clean_email, "a\u200bb@c.org") == "email_invalid"
    assert fold_email("A\u200bb@c.org") == "a\u200bb@c.org"


def test_an_apostrophe_is_fine() -> None:
    assert clean_email("o'brien@example.org") == "o'brien@example.org"
