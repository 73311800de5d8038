"""A copy of a frozen row is what dataclasses.replace would make of it."""

import dataclasses
from dataclasses import dataclass, field

import pytest

from tallybook.kernel.frozen import replace


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    amount_minor: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Larger(Row):
    note: str | None = None


@dataclass(frozen=True)
class Derived:
    id: str
    doubled: str = field(init=False, default="")


@pytest.mark.parametrize(
    "changes", [{}, {"amount_minor": 2}, {"tags": ("b",), "id": "2"}, {"note": "x", "id": "3"}]
)
def test_it_is_what_the_slow_one_makes(changes: dict[str, object]) -> None:
    row = Larger("1", 1, ("a",))
    copy = replace(row, **changes)
    assert copy == dataclasses.replace(row, **changes)
    assert type(copy) is Larger
    assert row == Larger("1", 1, ("a",))


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(KeyError, match="amount"):
        replace(Row("1", 1), amount=2)


def test_a_class_that_is_no_plain_row_is_refused() -> None:
    with pytest.raises(AssertionError, match="Derived"):
        replace(Derived("1"), id="2")
