"""What the counter's calls are made of."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from pydantic import Field, WithJsonSchema

from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.model import CounterTerms, Pieces
from tallybook.retail.rules.drawer import DENOMINATIONS_MAX, sort_pieces
from tallybook.wire.context import Context
from tallybook.wire.fields import COUNT_MAX, Amount, Body, Count

ProductNumber = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Quantity = Annotated[int, Field(ge=1, le=COUNT_MAX)]
LINES_MAX = 500
"""How many lines one call may bring; what 64 kB hold."""
PIECES_MAX = DENOMINATIONS_MAX
"""How many values one call may name: every one that a drawer can have."""

Percent = Annotated[
    int | str | Decimal,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]+)?$"},
                {"type": "number", "minimum": 0, "maximum": 100},
            ],
            "description": "0 to 100, with at most four decimals.",
            "examples": ["12.5"],
        }
    ),
]
"""A percent as it came; `rules.totals.tax_ppm_of` reads it."""


class PiecesIn(Body):
    """Some notes or coins of one value."""

    value: Amount
    count: Count


class ItemIn(Body):
    """How much of one product."""

    product_id: ProductNumber
    quantity: Quantity


@lru_cache(maxsize=16)
def _terms(currency: str, cash_rounding: str) -> CounterTerms:
    return CounterTerms(currency, cash_rounding)


def terms_of(context: Context) -> CounterTerms:
    """Tell how this installation sells."""
    return _terms(context.settings.currency, context.settings.cash_rounding)


def read_pieces_in(pieces: list[PiecesIn], currency: str, param: str) -> Pieces:
    """Read notes and coins: values above zero, equal ones added up, none of them left out.

    Raises: Refused `denomination_invalid`.
    """
    return sort_pieces(
        (read_value(piece.value, currency, f"{param}.{place}.value"), piece.count)
        for place, piece in enumerate(pieces)
    )


def read_value(value: Amount, currency: str, param: str = "value") -> int:
    """Read the value of a note or coin. Raises: Refused `denomination_invalid`."""
    try:
        value_minor = parse_amount(value, currency, param=param)
    except Refused:
        value_minor = 0
    if value_minor <= 0:
        raise Refused(Refusal("denomination_invalid", param=param))
    return value_minor


def path_number(text: str, code: str) -> int:
    """Read a number out of an address. Raises: Refused `code`, for what no number can be."""
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise Refused(Refusal(code))
    return int(text)
