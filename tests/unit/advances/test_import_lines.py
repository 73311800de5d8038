"""What one line of a file asks, what is wrong with it, and when two lines ask the same."""

from datetime import date
from pathlib import Path

import pytest

from tallybook.advances.tasks.import_lines import AdvanceLine, parse_line
from tallybook.ambient.secrets import Secrets
from tallybook.db.scratch import Occurrences
from tallybook.kernel.refusal import Refused
from tallybook.wire.csv_reader import CsvLine

WHOLE = {"bank_account": "CZ22 9999 1234", "amount": "1250.00", "effective_on": "1993-07-05"}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return Secrets.load_or_create(Path(tmp_path_factory.mktemp("key")) / "master.key")


def parse(secrets: Secrets, **changed: str | None) -> AdvanceLine:
    values = {name: value for name, value in {**WHOLE, **changed}.items() if value is not None}
    line = parse_line(CsvLine(7, values), secrets, "CZK")
    with Occurrences() as seen:
        line.take_keys(seen)
    return line


def test_a_line_is_read(secrets: Secrets) -> None:
    line = parse(secrets)
    asked = line.asked
    assert (asked.amount_minor, asked.currency, asked.fee_minor) == (125_000, "CZK", 0)
    assert (asked.installments, asked.interval_days) == (12, 7)
    assert asked.effective_on == date(1993, 7, 5)
    assert asked.is_import
    assert line.account is None


def test_optional_columns_are_read(secrets: Secrets) -> None:
    line = parse(
        secrets,
        currency="usd",
        installments="52",
        interval_days="14",
        fee="10.5",
        customer_name=" Eva  ",
        customer_email="Eva@Example.org",
    )
    asked, account = line.asked, line.account
    assert (asked.currency, asked.installments, asked.interval_days) == ("USD", 52, 14)
    assert asked.fee_minor == 1_050
    assert account is not None
    assert (account.name, account.email, account.email_folded) == (
        "Eva",
        "Eva@Example.org",
        "eva@example.org",
    )


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("bank_account", None, "field_invalid"),
        ("bank_account", "12?4", "bank_account_invalid"),
        ("bank_account", "1", "bank_account_invalid"),
        ("amount", None, "field_invalid"),
        ("amount", "0", "amount_invalid"),
        ("amount", "-1", "amount_invalid"),
        ("amount", "1e400", "amount_invalid"),
        ("amount", "NaN", "amount_invalid"),
        ("amount", "true", "amount_invalid"),
        ("amount", "12.345", "amount_invalid"),
        ("amount", "1,250.00", "amount_invalid"),
        ("amount", "1250,00", "amount_invalid"),
        ("amount", "10000000000000.01", "amount_invalid"),
        ("effective_on", None, "field_invalid"),
        ("effective_on", "05/07/1993", "date_invalid"),
        ("effective_on", "1993-02-30", "date_invalid"),
        ("effective_on", "1093-07-05", "date_invalid"),
        ("currency", "XXX", "currency_unknown"),
        ("currency", "koruna", "currency_unknown"),
        ("installments", "0", "field_invalid"),
        ("installments", "1.5", "field_invalid"),
        ("installments", "\u0661\u0662", "field_invalid"),
        ("installments", "521", "field_invalid"),
        ("installments", "9" * 5_000, "field_invalid"),
        ("interval_days", "-7", "field_invalid"),
        ("fee", "-0.01", "amount_invalid"),
        ("fee", "free", "amount_invalid"),
        ("customer_email", "eva", "email_invalid"),
        ("customer_name", "x" * 201, "name_invalid"),
        ("reference", "x" * 101, "field_invalid"),
    ],
)
def test_a_bad_value_is_refused_with_its_column(
    secrets: Secrets, column: str, value: str | None, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        parse(secrets, **{column: value})
    refusal = caught.value.refusal
    assert refusal.code == code
    assert refusal.param == column
    assert "9999" not in refusal.sentence


def test_a_name_without_an_address_is_refused(secrets: Secrets) -> None:
    with pytest.raises(Refused) as caught:
        parse(secrets, customer_name="Eva")
    assert caught.value.refusal.param == "customer_email"


def test_what_is_written_otherwise_and_means_the_same_has_the_same_key(secrets: Secrets) -> None:
    key = parse(secrets).key
    assert parse(secrets, bank_account="cz22-9999-1234").key == key
    assert parse(secrets, amount="1250").key == key
    assert parse(secrets, currency="CZK", installments="12", fee="0.00").key == key
    assert parse(secrets, customer_name="Eva", customer_email="e@example.org").key == key


def test_what_asks_for_something_else_has_another_key(secrets: Secrets) -> None:
    changed = [
        {"bank_account": "CZ2299991235"},
        {"amount": "1250.01"},
        {"effective_on": "1993-07-06"},
        {"currency": "USD"},
        {"installments": "13"},
        {"interval_days": "8"},
        {"fee": "1"},
        {"reference": "second"},
    ]
    keys = {parse(secrets, **each).key for each in ({}, *changed)}
    assert len(keys) == len(changed) + 1


def test_equal_lines_and_further_attempts_have_keys_of_their_own(secrets: Secrets) -> None:
    line = parse(secrets)
    keys: set[str] = set()
    with Occurrences() as seen:
        for _ in range(2):
            line.take_keys(seen)
            keys.add(line.key)
    line.attempt = 2
    keys.add(line.key)
    assert len(keys) == 3
    assert all(len(key) <= 255 for key in keys)


def test_no_number_shows(secrets: Secrets) -> None:
    line = parse(secrets, customer_name="Eva", customer_email="e@example.org")
    assert "99991234" not in repr(line)
    assert "99991234" not in line.key
