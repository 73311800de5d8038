"""Frozen rows, made and copied millions of times a day: frozen to the type checker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

R = TypeVar("R")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[R]) -> type[R]:
    """Make a class a dataclass with slots whose fields nobody may assign to.

    As `dataclass(frozen=True, slots=True)`, but that is held by `make types` and not at run time,
    where it made each new row ten times as dear: a fifth of a daily run went there.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


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
