"""Frozen rows, made and copied millions of times a day: frozen to the type checker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

R = TypeVar("R")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[R]) -> type[R]:
    """Make a class a dataclass with slots whose fields nobody may assign to.

    As `dataclass(frozen=True, slots=True)`, but that is held by `make types` and not at run time,
    where it made each new row ten times as dear: a fifth of a daily run went there. And what is
    the same for every class is not compiled anew for each, which took a tenth of a program's start.
    """
    made = dataclass(slots=True, eq=False, repr=False)(kind)
    compared = _reader([item.name for item in fields(made) if item.compare])  # pyright: ignore[reportArgumentType] - it is a dataclass now
    shown = [item.name for item in fields(made) if item.repr]  # pyright: ignore[reportArgumentType] - as above

    def equals(self: R, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(compared(self) == compared(other))

    def make_hash(self: R) -> int:
        return hash(compared(self))

    def show(self: R) -> str:
        return f"{made.__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    values = tuple_reader([item.name for item in fields(made)])  # pyright: ignore[reportArgumentType] - as above

    def pack(self: R) -> tuple[type[R], tuple[Any, ...]]:
        # Its values without their names: half the size for another process, and half the time.
        return type(self), values(self)

    methods = ("__eq__", equals), ("__hash__", make_hash), ("__repr__", show), ("__reduce__", pack)
    for name, method in methods:
        if name not in kind.__dict__ or (name == "__hash__" and kind.__hash__ is None):
            setattr(made, name, method)
    return made


def replace(row: R, **changes: object) -> R:
    """Copy a frozen dataclass with some of its fields changed.

    The same as `dataclasses.replace`, at a fifth of its cost: a daily run makes millions of copies,
    and that one looks at every field of the class each time. Raises: KeyError for a name that is
    no field.
    """
    places, read = _layout(type(row))
    values = list(read(row))
    for name, value in changes.items():
        values[places[name]] = value
    return type(row)(*values)


def values_of(kind: type[R]) -> Callable[[R], tuple[Any, ...]]:
    """Give what takes the values out of a row of a kind, in order: `kind(*values)` is that row."""
    return _layout(kind)[1]


@cache
def _layout(kind: type[Any]) -> tuple[Mapping[str, int], Callable[[Any], tuple[Any, ...]]]:
    """Tell at which place each field stands, and read them all."""
    every = fields(kind)
    assert all(field.init and not field.kw_only for field in every), f"{kind.__name__}: a plain row"
    assert len(every) > 1, f"{kind.__name__}: of one field there is nothing to keep"
    names = [field.name for field in every]
    return {name: place for place, name in enumerate(names)}, attrgetter(*names)


def _reader(names: Sequence[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else type


def tuple_reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Give what reads some attributes of an object into a tuple, however many they are."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: tuple(getattr(row, name) for name in names)
