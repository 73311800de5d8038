"""The values of one CSV line, read by column: what is wrong names the column it stands in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import TypeVar

from tallybook.kernel.calendar import parse_date
from tallybook.kernel.refusal import Refusal, Refused

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def column_invalid(column: str, problem: str) -> Refusal:
    """Say what is wrong with a value."""
    return Refusal("field_invalid", param=column, details={"field": column, "problem": problem})


def require_columns(values: Mapping[str, str], columns: Sequence[str]) -> None:
    """Hold that a line has a value in each of these columns. Raises: Refused."""
    for column in columns:
        if column not in values:
            raise Refused(column_invalid(column, "it is empty"))


def read_column(column: str, clean: Callable[[str], T], text: str) -> T:
    """Clean a value, with the file's name for it where it is refused. Raises: Refused."""
    try:
        return clean(text)
    except Refused as refused:
        raise Refused(
            Refusal(refused.refusal.code, param=column, details=refused.refusal.details)
        ) from None


def read_day(values: Mapping[str, str], column: str) -> date:
    """Read a date. Raises: Refused `date_invalid`."""
    day = parse_date(values[column])
    if day is None:
        raise Refused(Refusal("date_invalid", param=column))
    return day


def read_count(values: Mapping[str, str], column: str, default: int, most: int) -> int:
    """Read a whole number from 1, or take the default where there is none. Raises: Refused."""
    text = values.get(column)
    if text is None:
        return default
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not plain or not 1 <= int(text) <= most:
        raise Refused(column_invalid(column, f"a whole number from 1 to {most} belongs here"))
    return int(text)


def read_text(values: Mapping[str, str], column: str, longest: int) -> str:
    """Read a text that may be missing, and is empty then. Raises: Refused."""
    text = values.get(column, "")
    if len(text) > longest:
        raise Refused(column_invalid(column, f"it is longer than {longest} characters"))
    return text


def read_choice(values: Mapping[str, str], column: str, default: E) -> E:
    """Read one of the words of an enumeration. Raises: Refused."""
    text = values.get(column)
    if text is None:
        return default
    kind = type(default)
    try:
        return kind(text.lower())
    except ValueError:
        listed = ", ".join(word.value for word in kind)
        raise Refused(column_invalid(column, f"one of these belongs here: {listed}")) from None
