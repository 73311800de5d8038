"""Strict JSON: what a lenient reader would guess about is refused here."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import NoReturn

from tallybook.kernel.refusal import Refusal, Refused

DEPTH_MAX = 32
"""How deep arrays and objects may be nested. No call of ours needs more than five."""
INTEGER_DIGITS_MAX = 30
FRACTION_CHARACTERS_MAX = 60
_TOO_DEEP = f"it is nested deeper than {DEPTH_MAX} levels"


def read_json(body: bytes) -> object:
    """Read one JSON value out of UTF-8 text.

    Numbers with a fraction or an exponent come back as Decimal, digit for digit, never through a
    float. Refused are: NaN and Infinity, repeated keys, text after the value, numbers longer than
    any amount, deep nesting, invalid UTF-8, half a surrogate pair, and U+0000, which PostgreSQL
    can't store.

    Raises: Refused `body_malformed`, which says what is wrong and repeats nothing of the body.

    >>> read_json(b'{"amount": 12.50, "count": 3}')
    {'amount': Decimal('12.50'), 'count': 3}
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        _refuse("it is not UTF-8")
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse(f"it is not JSON at line {error.lineno}, column {error.colno}")
    except RecursionError:
        _refuse(_TOO_DEEP)
    # Each walk is for the rare body only: most are flat and have no escapes.
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_too_deep(value):
        _refuse(_TOO_DEEP)
    if "\\u" in text and not _is_storable(value):
        _refuse("it has a character that is none: half a surrogate pair, or U+0000")
    return value


def _refuse(problem: str) -> NoReturn:
    raise Refused(Refusal("body_malformed", details={"problem": problem})) from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("a key is repeated")
    return members


def _integer(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX:
        _refuse(f"a number has more than {INTEGER_DIGITS_MAX} digits")
    return int(digits)


def _fraction(digits: str) -> Decimal:
    if len(digits) > FRACTION_CHARACTERS_MAX:
        _refuse(f"a number has more than {FRACTION_CHARACTERS_MAX} characters")
    try:
        return Decimal(digits)
    except ArithmeticError:
        # Past a Decimal's exponents, such as 1e99999999999999999999.
        _refuse("a number is out of all bounds")


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)


def _is_too_deep(value: object) -> bool:
    layer = [value]
    for _ in range(DEPTH_MAX + 1):
        layer = [inner for outer in layer for inner in _members(outer)]
        if not layer:
            return False
    return True


def _members(value: object) -> list[object]:
    """Give what an array or object holds, keys too; nothing for anything else."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list) else []


def _is_storable(value: object) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item or not _is_whole(item):
                return False
        else:
            waiting.extend(_members(item))
    return True


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
