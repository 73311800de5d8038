"""The hash of what was asked: the same for the same question, whatever was made on the way."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tallybook.writer.model import Command


class Asking:
    name = "test.ask"


class AskingElse:
    name = "test.ask_else"


@dataclass(frozen=True, slots=True)
class Number:
    found_by: str
    sealed: bytes = field(repr=False, metadata={"hashed": False})


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Deep:
    name: str
    first: Number | None
    more: tuple[Number, ...] = ()
    named: dict[str, Number] = field(default_factory=dict)
    fresh_id: str = field(default="", repr=False, metadata={"hashed": False})


@dataclass(frozen=True, slots=True)
class Shown:
    fresh_id: str = field(metadata={"hashed": False})


def hash_of(asked: object, operation: Any = Asking) -> str:
    return Command(operation(), asked).input_hash()


A = Deep(
    "x",
    Number("1", b"\xff"),
    (Number("2", b"\xfe"), Number("3", b"\xfd")),
    {"k": Number("4", b"\xfc")},
    "f",
)


def test_what_differs_each_time_is_left_out_at_any_depth() -> None:
    other = Deep(
        "x",
        Number("1", b""),
        (Number("2", b"\x00"), Number("3", b"\x80\x80")),
        {"k": Number("4", b"?")},
        "g",
    )
    assert hash_of(A) == hash_of(other)


@pytest.mark.parametrize(
    "other",
    [
        replace(A, name="y"),
        replace(A, first=Number("9", b"\xff")),
        replace(A, first=None),
        replace(A, more=A.more[::-1]),
        replace(A, more=A.more[:1]),
        replace(A, named={"l": A.named["k"]}),
        replace(A, named={"k": Number("5", b"")}),
    ],
)
def test_what_was_asked_counts_at_any_depth(other: Deep) -> None:
    assert hash_of(A) != hash_of(other)


def test_plain_inputs_are_hashed_whole() -> None:
    assert hash_of(Plain("a", 1)) == hash_of(Plain("a", 1))
    assert len({hash_of(x) for x in (Plain("a"), Plain("a", 1), Plain("a", 0), Plain("b"))}) == 4
    assert hash_of(("a", 1)) != hash_of(("a", 2))


def test_another_operation_is_another_question() -> None:
    assert hash_of(A) != hash_of(A, AskingElse)


def test_what_is_not_hashed_may_not_be_shown() -> None:
    """It is left out because it is random or secret; both have no place in a repr either."""
    with pytest.raises(AssertionError):
        hash_of(Shown("1"))
    assert "sealed" not in repr(A)
