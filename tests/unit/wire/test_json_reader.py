"""The strict reader reads what JSON is, digit for digit, and refuses the rest without breaking."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallybook.kernel.refusal import Refused
from tallybook.wire.json_reader import DEPTH_MAX, INTEGER_DIGITS_MAX, read_json

plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | plain_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_text, inner, max_size=4),
    max_leaves=20,
)


def outcome_of(content: bytes) -> str:
    """Tell how reading ended; any other exception is a failure of the test."""
    try:
        read_json(content)
    except Refused as refused:
        return refused.refusal.code
    return "read"


@given(values)
def test_what_json_is_comes_back(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, max_value=10**20))
def test_fractions_keep_every_digit(number: Decimal) -> None:
    text = format(number, "f")
    read = read_json(f"[{text}]".encode())
    assert isinstance(read, list)
    assert format(read[0], "f") == text


@given(st.binary(max_size=60))
@example(b"\xff")
@example(b'"\\ud800"')
@example(b"-")
@example(b"1" * 5_000)
@example(b'"\\')
def test_bytes_are_read_or_refused_and_never_break_it(content: bytes) -> None:
    assert outcome_of(content) in ("read", "body_malformed")


@given(values, st.data())
def test_a_damaged_text_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    content = bytearray(json.dumps({"a": value}).encode())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    assert outcome_of(bytes(content)) in ("read", "body_malformed")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": 1, "a": 1}', "a key is repeated"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "a key is repeated"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"\xff", "it is not UTF-8"),
        (b"{\n 1}", "it is not JSON at line 2, column 2"),
        (b'"\\ud83d"', "it has a character that is none: half a surrogate pair, or U+0000"),
        (b'"\\u0000"', "it has a character that is none: half a surrogate pair, or U+0000"),
        (b'{"\\u0000": 1}', "it has a character that is none: half a surrogate pair, or U+0000"),
        (b"1" * (INTEGER_DIGITS_MAX + 1), "a number has more than 30 digits"),
        (b"0." + b"1" * 60, "a number has more than 60 characters"),
        (b"1e999999999999999999999", "a number is out of all bounds"),
        (b"[" * 500 + b"]" * 500, "it is nested deeper than 32 levels"),
        (b"[" * 100_000, "it is nested deeper than 32 levels"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, problem: str) -> None:
    with pytest.raises(Refused) as caught:
        read_json(content)
    assert caught.value.refusal.details == {"problem": problem}


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert read_json(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_the_depth_is_counted_exactly(opened: bytes) -> None:
    closed = b"]" if opened == b"[" else b"}"

    def nested(depth: int) -> bytes:
        return opened * depth + b"1" + closed * depth

    read_json(nested(DEPTH_MAX))
    with pytest.raises(Refused):
        read_json(nested(DEPTH_MAX + 1))


def test_width_is_not_depth() -> None:
    assert read_json(b"[" + b"[]," * 1_000 + b"[]]") == [[]] * 1_001
