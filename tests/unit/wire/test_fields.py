"""The types that requests are made of convert nothing, and say what is wrong."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from tallybook.wire.fields import Amount, Body, Count, CurrencyCode, Day, Instant, Text
from tallybook.wire.problems import refusal_of_errors


class Inner(Body):
    count: Count


class Outer(Body):
    amount: Amount
    inner: list[Inner] = Field(default=[])
    day: Day | None = None


def refusal(shape: Any, value: object) -> tuple[str, str | None]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(shape).validate_python(value)
    found = refusal_of_errors(caught.value.errors())
    return found.code, found.param


@pytest.mark.parametrize("value", [1, 0, -5, "12.50", "", "nonsense", Decimal("1E+400")])
def test_an_amount_is_taken_as_it_came(value: object) -> None:
    assert TypeAdapter(Amount).validate_python(value) is value


@pytest.mark.parametrize("value", [True, None, 1.5, [], {}, b"1", "1" * 41])
def test_what_can_be_no_amount_is_refused(value: object) -> None:
    assert refusal(Outer, {"amount": value}) == ("amount_invalid", "amount")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "amount"),
        ({"amount": 1, "x": 1}, "x"),
        ({"amount": 1, "inner": {"count": 1}}, "inner"),
        ({"amount": 1, "inner": [{"count": True}]}, "inner.0.count"),
        ({"amount": 1, "inner": [{"count": 1}, {"count": "2"}]}, "inner.1.count"),
        ({"amount": 1, "inner": [{"count": Decimal(1)}]}, "inner.0.count"),
        ({"amount": 1, "inner": [{"count": -1}]}, "inner.0.count"),
        ({"amount": 1, "inner": [{"count": 10**10}]}, "inner.0.count"),
        ({"amount": 1, "inner": [{"count": 1, "y": 2}]}, "inner.0.y"),
        ({"amount": 1, "inner": None}, "inner"),
    ],
)
def test_nothing_is_converted_and_the_place_is_named(fields: object, param: str) -> None:
    assert refusal(Outer, fields) == ("field_invalid", param)


@pytest.mark.parametrize(
    "value",
    [
        "2026-2-3",
        "2026-02-30",
        "20260203",
        "2026-W48-1",
        "2026-02-3 ",
        "2026-02-03\n",
        "2026-02-03T00:00:00",
        "1899-12-31",
        "2201-01-01",
        "\u0662\u0660\u0662\u0666-02-03",
        20260203,
        True,
        date(2026, 2, 3),
    ],
)
def test_a_date_has_one_form(value: object) -> None:
    assert refusal(Outer, {"amount": 1, "day": value}) == ("date_invalid", "day")


def test_a_date_is_a_date() -> None:
    assert Outer(amount=1, day="2026-02-03").day == date(2026, 2, 3)  # pyright: ignore[reportArgumentType] - what the wire brings


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T20:00:00Z", datetime(2026, 3, 1, 20, tzinfo=UTC)),
        ("2026-03-01t20:00:00z", datetime(2026, 3, 1, 20, tzinfo=UTC)),
        ("2026-03-01 20:00:00+05:30", datetime(2026, 3, 1, 14, 30, tzinfo=UTC)),
        ("2026-03-01T20:00:00.5Z", datetime(2026, 3, 1, 20, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_an_instant_is_brought_to_utc(text: str, instant: datetime) -> None:
    read = TypeAdapter(Instant).validate_python(text)
    assert (read, read.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T20:00:00",
        "2026-03-01",
        "2026-03-01T24:00:01Z",
        "2026-02-30T00:00:00Z",
        "2026-03-01T20:00:00+99:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        1_772_395_200,
        None,
    ],
)
def test_an_instant_says_its_zone(value: object) -> None:
    assert refusal(Instant, value)[0] == "field_invalid"


def test_a_text_is_trimmed_and_bounded() -> None:
    read = TypeAdapter(Text)
    assert read.validate_python("  lost card\n(called)  ") == "lost card\n(called)"
    for bad in ("", "   ", "x" * 501, "a\x1b[2J", "a\x00", "\u202e", "\u200b \u2060", 5):
        assert refusal(Text, bad)[0] == "field_invalid"


@pytest.mark.parametrize("value", ["US", "DOLLAR", 840, None])
def test_a_currency_has_three_letters(value: object) -> None:
    assert refusal(CurrencyCode, value)[0] == "field_invalid"


def test_a_body_shows_no_input_in_its_errors() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Outer).validate_python({"amount": True, "inner": "12345678"})
    assert "12345678" not in str(caught.value)
