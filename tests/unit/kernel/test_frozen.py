"""A copy of a frozen row is what dataclasses.replace would make of it."""

import dataclasses
import pickle
from dataclasses import dataclass, field

import pytest

from tallybook.kernel.frozen import frozen, replace


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


@frozen
class Light:
    id: str
    tags: tuple[str, ...] = field(default=())


def test_a_row_is_compared_and_hashed_by_its_fields_and_has_no_others() -> None:
    row = Light("1")
    assert row == Light("1", ())
    assert len({row, Light("1"), Light("2")}) == 2
    assert repr(row).endswith("Light(id='1', tags=())")
    with pytest.raises(AttributeError):
        row.note = "x"  # pyright: ignore[reportAttributeAccessIssue] - it has slots


@frozen
class Secretive:
    id: str
    secret: str = field(repr=False)
    note: str = field(default="", compare=False)


@frozen
class Empty:
    """Nothing."""


@frozen
class Outspoken:
    id: str

    def __repr__(self) -> str:
        return "mine"


def test_what_a_field_says_of_itself_is_heard() -> None:
    assert "hush" not in repr(Secretive("1", "hush"))
    assert Secretive("1", "a", "one") == Secretive("1", "a", "two")
    assert hash(Secretive("1", "a", "one")) == hash(Secretive("1", "a", "two"))
    assert Secretive("1", "a") != Secretive("1", "b")


def test_only_rows_of_one_class_are_equal() -> None:
    @frozen
    class Heavy:
        id: str
        tags: tuple[str, ...] = field(default=())

    assert Light("1") != Heavy("1")
    assert Light("1") != ("1", ())
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1


@pytest.mark.parametrize(
    "row", [Light("1", ("a",)), Secretive("1", "hush", "note"), Empty(), Outspoken("1")]
)
def test_a_row_is_packed_whole_for_another_process(row: object) -> None:
    packed = pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
    assert pickle.loads(packed) == row
    assert repr(pickle.loads(packed)) == repr(row)
    assert getattr(pickle.loads(packed), "note", None) == getattr(row, "note", None)
    assert b"secret" not in packed


def test_a_method_of_its_own_stays() -> None:
    assert repr(Outspoken("1")) == "mine"
    assert Outspoken("1") == Outspoken("1")


def test_the_type_checker_lets_nobody_assign_to_a_field() -> None:
    row = Light("1")
    # Were this not refused, `make types` would say that there is nothing to ignore.
    row.id = "2"  # pyright: ignore[reportAttributeAccessIssue] - this is the test
    assert row.id == "2", "and at run time nothing looks"
