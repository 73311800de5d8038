"""What a basket costs: lines, tax, cash rounding. Source: R3, R4."""

from __future__ import annotations

import re
from decimal import Decimal

from tallybook.kernel.arithmetic import round_half_up
from tallybook.kernel.money import currency_decimals
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.model import CashRounding, RoundingMethod

RULES_VERSION = 1
"""Kept with each purchase. Whoever changes tax, rounding or change here gives it the next number
and keeps what older purchases need for their refunds."""

PPM = 1_000_000
"""A whole price in the unit that tax is counted in."""

_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,40})?\Z", re.ASCII)
_NEAREST = re.compile(r"nearest_([1-9][0-9]{0,8})\Z", re.ASCII)


def tax_ppm_of(percent: object) -> int:
    """Read a tax percent, 0 to 100 with at most four decimals, into millionths.

    Raises: Refused `tax_percent_invalid`. Source: R1.

    >>> tax_ppm_of(18), tax_ppm_of("12.5"), tax_ppm_of(Decimal("0.0001"))
    (180000, 125000, 1)
    """
    if isinstance(percent, bool) or not isinstance(percent, int | str | Decimal):
        raise Refused(Refusal("tax_percent_invalid", param="tax_percent"))
    if isinstance(percent, Decimal):
        in_reach = percent.is_finite() and -40 <= percent.adjusted() <= 40
        text = format(percent, "f") if in_reach else ""
    elif isinstance(percent, int):
        # Compared before it is written: an attacker's integer may have a million digits.
        text = str(percent) if 0 <= percent <= 100 else ""
    else:
        text = percent
    if not _PERCENT.match(text):
        raise Refused(Refusal("tax_percent_invalid", param="tax_percent"))
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    ppm = int(whole + fraction.ljust(4, "0")) if len(fraction) <= 4 else PPM + 1
    if ppm > PPM:
        raise Refused(Refusal("tax_percent_invalid", param="tax_percent"))
    return ppm


def show_tax_percent(tax_ppm: int) -> str:
    """Write a tax as percent, with as few decimals as it needs.

    >>> show_tax_percent(180000), show_tax_percent(125000), show_tax_percent(0)
    ('18', '12.5', '0')
    """
    whole, fraction = divmod(tax_ppm, 10_000)
    return f"{whole}.{fraction:04d}".rstrip("0") if fraction else str(whole)


def line_total(
    unit_price_minor: int, quantity: int, tax_ppm: int, *, tax_inclusive: bool
) -> tuple[int, int]:
    """Tell what a line costs before tax, and its tax, rounded once per line.

    Units: minor units. Source: R3.

    >>> line_total(1999, 3, 180_000, tax_inclusive=False)
    (5997, 1079)
    >>> line_total(1999, 3, 180_000, tax_inclusive=True)
    (5082, 915)
    """
    price = unit_price_minor * quantity
    if tax_inclusive:
        tax = round_half_up(price * tax_ppm, PPM + tax_ppm)
        return price - tax, tax
    return price, round_half_up(price * tax_ppm, PPM)


def cash_rounding_of(policy: str, currency: str) -> CashRounding:
    """Read a cash rounding policy: `none`, `floor_to_unit`, `nearest_<minor units>`.

    Raises: Refused `cash_rounding_invalid`. Source: R4.

    >>> cash_rounding_of("floor_to_unit", "INR").unit_minor, cash_rounding_of("nearest_5", "CHF")
    (100, CashRounding(method=<RoundingMethod.NEAREST: 'nearest'>, unit_minor=5))
    """
    if policy == "none":
        return CashRounding(RoundingMethod.NONE)
    if policy == "floor_to_unit":
        return CashRounding(RoundingMethod.FLOOR, 10 ** currency_decimals(currency))
    if found := _NEAREST.match(policy):
        return CashRounding(RoundingMethod.NEAREST, int(found.group(1)))
    raise Refused(Refusal("cash_rounding_invalid", param="cash_rounding"))


def round_cash(net_minor: int, rounding: CashRounding) -> int:
    """Round a net amount to one that cash can pay; tax is never touched.

    Units: minor units. Source: R4.

    >>> round_cash(235760, cash_rounding_of("floor_to_unit", "INR"))
    235700
    >>> [round_cash(net, cash_rounding_of("nearest_5", "CHF")) for net in (1002, 1003, 1007, 1008)]
    [1000, 1005, 1005, 1010]
    """
    unit = rounding.unit_minor
    if rounding.method is RoundingMethod.FLOOR:
        return net_minor // unit * unit
    if rounding.method is RoundingMethod.NEAREST:
        return round_half_up(net_minor, unit) * unit
    return net_minor
