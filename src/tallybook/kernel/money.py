"""Money as integers in minor units, and its one way in and out of text."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache, lru_cache

from iso4217 import Currency

from tallybook.kernel.refusal import Refusal, Refused

MINOR_MAX = 10**15
"""The largest amount one field may hold. Units: minor units.

A BIGINT holds the sum of 9,223 amounts of this size, or of any number that come to no more.
"""

_DECIMAL_TEXT = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?\Z", re.ASCII)


@cache
def currency_decimals(currency: str) -> int:
    """Tell how many decimals a currency has.

    Raises: Refused `currency_unknown`, also for codes that no money is counted in (XXX, XAU).
    Source: ISO 4217, by the iso4217 package.

    >>> currency_decimals("USD"), currency_decimals("JPY"), currency_decimals("KWD")
    (2, 0, 3)
    """
    try:
        decimals = Currency(currency).exponent
    except ValueError:
        decimals = None
    if decimals is None:
        raise Refused(Refusal("currency_unknown", param="currency"))
    return decimals


def parse_amount(value: object, currency: str, *, param: str = "amount") -> int:
    """Read an amount in major units, as it came from outside, into minor units.

    Takes an integer, a decimal string, or a Decimal that the currency's decimals hold exactly.
    More decimals than the currency has is an error here, never a rounding.

    Units: major units in, minor units out. The sign is kept: who asks decides what it may be.
    Raises: Refused `amount_invalid`, `currency_unknown`.

    >>> parse_amount("1250.5", "USD"), parse_amount(80000, "USD"), parse_amount("7", "JPY")
    (125050, 8000000, 7)
    """
    decimals = currency_decimals(currency)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Refused(Refusal("amount_invalid", param=param))
    if isinstance(value, int):
        # Compared before it is multiplied: an attacker's integer may have a million digits.
        minor = value * 10**decimals if abs(value) <= MINOR_MAX else MINOR_MAX + 1
    else:
        minor = _minor_of_decimal(value, decimals, param)
    if abs(minor) > MINOR_MAX:
        raise Refused(Refusal("amount_invalid", param=param))
    return minor


def plain_amount(value: object, *, param: str = "amount", may_be_zero: bool = False) -> str:
    """Write an amount the one way in which it is compared, while its currency is not known yet.

    `parse_amount` reads it once the currency is. Raises: Refused `amount_invalid`: not an amount,
    below zero, or zero where it may not be.

    >>> plain_amount("110000.00"), plain_amount(110000), plain_amount("0012.50")
    ('110000', '110000', '12.5')
    """
    text = value
    if isinstance(value, Decimal) and value.is_finite() and -40 <= value.adjusted() <= 40:
        text = format(value, "f")
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MINOR_MAX:
        text = str(value)
    if not isinstance(text, str) or not _DECIMAL_TEXT.match(text) or text.startswith("-"):
        raise Refused(Refusal("amount_invalid", param=param))
    whole, _, fraction = text.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    if (whole, fraction) == ("0", "") and not may_be_zero:
        raise Refused(Refusal("amount_invalid", param=param))
    return f"{whole}.{fraction}" if fraction else whole


def said_amount(minor: int, currency: str) -> str:
    """Write minor units as their amount is said in whatever currency.

    >>> said_amount(12_50, "USD"), said_amount(-100_00, "USD"), said_amount(100, "JPY")
    ('12.5', '-100', '100')
    """
    whole, _, fraction = format_amount(minor, currency).partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def parse_positive_amount(value: object, currency: str, *, param: str = "amount") -> int:
    """Read an amount that must be more than zero.

    Raises: Refused `amount_invalid`, `currency_unknown`.
    """
    minor = parse_amount(value, currency, param=param)
    if minor <= 0:
        raise Refused(Refusal("amount_invalid", param=param))
    return minor


def _minor_of_decimal(value: str | Decimal, decimals: int, param: str) -> int:
    if isinstance(value, Decimal):
        # 1e400 and NaN are Decimals too; a plain rendering of the first has 400 digits.
        if not value.is_finite() or not -40 <= value.adjusted() <= 40:
            raise Refused(Refusal("amount_invalid", param=param))
        value = format(value, "f")
    if not _DECIMAL_TEXT.match(value):
        raise Refused(Refusal("amount_invalid", param=param))
    whole, _, fraction = value.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise Refused(Refusal("amount_invalid", param=param))
    return int(whole + fraction.ljust(decimals, "0"))


@lru_cache(maxsize=8192)
def format_amount(minor: int, currency: str) -> str:
    """Write minor units as a decimal string in major units, with all of the currency's decimals.

    >>> format_amount(125050, "USD"), format_amount(-5, "USD"), format_amount(7, "JPY")
    ('1250.50', '-0.05', '7')
    """
    decimals = currency_decimals(currency)
    if decimals == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    digits = str(abs(minor)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
