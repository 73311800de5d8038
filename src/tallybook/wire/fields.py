"""The types that requests are made of: strict, bounded, and described in OpenAPI.

A custom error's type is the refusal's code where one exists, so that a bad date is refused as
`date_invalid` wherever it stands; everything else is `field_invalid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from tallybook.kernel.calendar import FIRST_YEAR, LAST_YEAR, parse_date
from tallybook.kernel.text import TEXT_MAX, has_control, is_seen
from tallybook.wire.docstrings import describe_fields

AMOUNT_CHARACTERS_MAX = 40
COUNT_MAX = 10**9

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z",
    re.ASCII,
)


class Body(BaseModel):
    """What every request's body is derived from: no unknown fields, no conversions.

    `true` is not an integer here, `"12"` is no number, and a misspelt field is an error instead of
    a default that nobody asked for.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra=describe_fields,
    )


class Answer(BaseModel):
    """What every answer's shape is derived from, so that OpenAPI can tell it."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)


# -- in --------------------------------------------------------------------------------------


def _amount(value: object) -> int | str | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PydanticCustomError("amount_invalid", "it is not an amount")
    if isinstance(value, str) and len(value) > AMOUNT_CHARACTERS_MAX:
        raise PydanticCustomError("amount_invalid", "it is longer than any amount")
    return value


def _date(value: object) -> date:
    day = parse_date(value) if isinstance(value, str) else None
    if day is None:
        raise PydanticCustomError(
            "date_invalid", "it is not a date of 1900 to 2200 written YYYY-MM-DD"
        )
    return day


def _instant(value: object) -> datetime:
    try:
        if isinstance(value, str) and _INSTANT.match(value):
            instant = datetime.fromisoformat(value.upper()).astimezone(UTC)
            if FIRST_YEAR <= instant.year <= LAST_YEAR:
                return instant
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError(
        "instant_invalid", "it is not an instant written 2026-03-01T20:00:00Z (RFC 3339)"
    )


def _plain(text: str) -> str:
    if has_control(text):
        raise PydanticCustomError("text_invalid", "it has control characters")
    if not is_seen(text):
        raise PydanticCustomError("text_invalid", "it has nothing to see")
    return text


Amount = Annotated[
    int | str | Decimal,
    PlainValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
                {"type": "integer"},
                {"type": "number"},
            ],
            "description": "In major units: a decimal string, an integer, or a number whose"
            " decimals the currency has.",
            "examples": ["1250.00"],
        }
    ),
]
"""An amount as it came; `kernel.money.parse_amount` reads it once its currency is known."""

Day = Annotated[date, PlainValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]
"""A calendar date, written YYYY-MM-DD."""

Instant = Annotated[
    datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""An instant with its offset (RFC 3339), brought to UTC."""

_REFUSED_BY = {_amount: "amount_invalid", _date: "date_invalid"}


def codes_of(hint: object) -> set[str]:
    """Tell with which codes of their own the values of a type are refused, at any depth.

    So a route's description follows from what it takes, and no route has to remember it.
    """
    codes: set[str] = set()
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        for item in hint.model_fields.values():
            codes |= _codes_in(item.metadata) | codes_of(item.annotation)
        return codes
    codes |= _codes_in(getattr(hint, "__metadata__", ()))
    for part in get_args(hint):
        codes |= codes_of(part)
    return codes


def _codes_in(metadata: Iterable[object]) -> set[str]:
    return {
        code
        for each in metadata
        if isinstance(each, PlainValidator) and (code := _REFUSED_BY.get(each.func))  # pyright: ignore[reportArgumentType] - any function may be looked up
    }


Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
"""How many of something."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=800)]
"""A name as it came; the domain's rules trim and judge it."""

Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_MAX),
    AfterValidator(_plain),
]
"""A sentence that a person wrote, such as a reason: trimmed, something to see, nothing to obey."""

CurrencyCode = Annotated[
    str,
    StringConstraints(min_length=3, max_length=3),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"]}),
]
"""An ISO 4217 code as it came; `kernel.money` knows which there are."""

Ident = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""An id as it came, such as `cus_...`; `wire.calls.body_id` reads it."""

# -- out -------------------------------------------------------------------------------------

AmountText = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["1250.00"]}
    ),
]
"""An amount in major units with all of its currency's decimals."""
