"""How amounts and dates are written in messages, and what they mean."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

from tallybook.kernel.calendar import FIRST_YEAR, LAST_YEAR
from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refused

NUMBER = r"[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?"
_SPACED = r"[0-9]{1,3}(?: [0-9]{3})+(?:\.[0-9]{1,2})?\b"
"""Thousands set apart by spaces. Half of such a number would be another amount."""
CURRENCY = (
    r"(?:\brs[.,]?|\binr|₹|\brupees|\bphp|₱|\blkr|\bnpr|\bpkr|\busd|\$|\beur|€"
    r"|\bgbp|£|\baed|\bsgd)"
)
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DATE = (
    rf"(?:\b[0-9]{{1,2}}{MONTH}(?:[0-9]{{4}}|[0-9]{{2}})\b"
    rf"|\b[0-9]{{1,2}}(?:st|nd|rd|th)?[-/ .]*{MONTH}\b\.?(?:[-/ .,']+(?:[0-9]{{4}}|[0-9]{{2}})\b)?"
    rf"|\b{MONTH}[-/ .]*[0-9]{{1,2}}(?:st|nd|rd|th)?\b(?:[-/ .,']+[0-9]{{4}}\b)?"
    r"|\b[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}\b"
    r"|\b[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})\b)"
)

_CODES = {
    "rs": "INR", "inr": "INR", "₹": "INR", "rupees": "INR", "php": "PHP", "₱": "PHP", "lkr": "LKR",
    "npr": "NPR", "pkr": "PKR", "usd": "USD", "$": "USD", "eur": "EUR", "€": "EUR", "gbp": "GBP",
    "£": "GBP", "aed": "AED", "sgd": "SGD",
}  # fmt: skip
_SIGN = re.compile(r"\s*([a-z]+|[₹₱$€£])")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
_PARTS = re.compile(r"[0-9]+|[a-z]{3}[a-z]*")
_ORDINAL = re.compile(r"(?<=[0-9])(?:st|nd|rd|th)\b")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*(?:,[0-9]{3})\Z|[0-9]+\Z")

_COMING_DAYS = 92
_GONE_DAYS = 45
"""How far a due date without a year may lie from its message; beyond, its year is not guessed."""


def money_pattern(name: str) -> str:
    """Write the pattern of a currency in front of a number, which is kept under a name.

    Indian texts put "Dr." or "Cr." between the two. A minus or a bracket there belongs to the
    amount: see margins.
    """
    return rf"{CURRENCY} ?[.:]? *(?:[dc]r\.? *)?[-(]? ?(?P<{name}>{_SPACED}|{NUMBER})"


@lru_cache(maxsize=4096)
def currency_of(mention: str, default: str) -> str:
    """Name the currency that a mention of money begins with.

    >>> currency_of("Rs. 120", "INR"), currency_of("₱2,450.00", "INR")
    ('INR', 'PHP')
    """
    found = _SIGN.match(mention.lower())
    return _CODES.get(found.group(1), default) if found else default


@lru_cache(maxsize=4096)
def read_amount(text: str, currency: str) -> int | None:
    """Read a number with lakh or thousands grouping into minor units; None where it is odd.

    >>> read_amount("1,02,340.50", "INR"), read_amount("1,02", "INR"), read_amount("5.123", "INR")
    (10234050, None, None)
    >>> read_amount("2 451.00", "INR"), read_amount("2 451", "INR")
    (245100, None)
    """
    whole, dot, fraction = text.rstrip(",").partition(".")
    if " " in whole:
        if not dot:
            return None  # it may as well be an amount and another number
        whole = whole.replace(" ", ",")
    if not _GROUPED.match(whole):
        return None
    try:
        return parse_amount(whole.replace(",", "") + dot + fraction, currency)
    except Refused:
        return None


@lru_cache(maxsize=4096)
def read_date(text: str, day: date) -> date | None:
    """Read a date as India writes it, day first; None where there is no such day.

    A date without a year is the nearest one that a bill seen on `day` can mean; where none is
    near, its year is not guessed.

    >>> read_date("13-MAY-22", date(2022, 5, 1)), read_date("31/02/2026", date(2026, 1, 1))
    (datetime.date(2022, 5, 13), None)
    >>> read_date("06/22/2026", date(2026, 6, 1))
    datetime.date(2026, 6, 22)
    >>> read_date("5th Jan", date(2025, 12, 20)), read_date("5th Jun", date(2025, 12, 20))
    (datetime.date(2026, 1, 5), None)
    """
    parts = _PARTS.findall(_ORDINAL.sub("", text.lower()))
    names = [part for part in parts if part.isalpha()]
    numbers = [part for part in parts if part.isdigit()]
    if names:
        month = _MONTHS.get(names[0][:3])
        if month is None or not numbers:
            return None
        if len(numbers) == 1:
            return _nearest(int(numbers[0]), month, day)
        return _make(int(numbers[1]), len(numbers[1]), month, int(numbers[0]))
    if len(numbers) != 3:
        return None
    if len(numbers[0]) == 4:
        return _make(int(numbers[0]), 4, int(numbers[1]), int(numbers[2]))
    first, second, year = int(numbers[0]), int(numbers[1]), int(numbers[2])
    if first <= 12 < second:
        first, second = second, first  # no month is above 12, so that one is the day
    return _make(year, len(numbers[2]), second, first)


def may_be_month_first(text: str) -> bool:
    """Tell whether a date in figures is another day where the month is written first.

    >>> may_be_month_first("07/06/2026"), may_be_month_first("22/06/2026")
    (True, False)
    """
    parts = _PARTS.findall(text)
    return (
        len(parts) == 3
        and all(part.isdigit() and len(part) <= 2 for part in parts[:2])
        and parts[0] != parts[1]
        and max(int(parts[0]), int(parts[1])) <= 12
    )


@lru_cache(maxsize=4096)
def has_year(text: str) -> bool:
    """Tell whether a date as written names its year."""
    parts = _PARTS.findall(_ORDINAL.sub("", text.lower()))
    return len(parts) >= 3


def _make(year: int, digits: int, month: int, day: int) -> date | None:
    if digits == 2:
        year += 2000
    try:
        made = date(year, month, day)
    except ValueError:
        return None
    return made if FIRST_YEAR <= made.year <= LAST_YEAR else None


def _nearest(day_number: int, month: int, day: date) -> date | None:
    candidates = [
        made
        for year in (day.year - 1, day.year, day.year + 1)
        if (made := _make(year, 4, month, day_number)) is not None
        and day - timedelta(days=_GONE_DAYS) <= made <= day + timedelta(days=_COMING_DAYS)
    ]
    return min(candidates, key=lambda made: abs((made - day).days), default=None)
