"""Values that never change, and are made quickly.

A frozen dataclass sets each field through `object.__setattr__`, at seven times the price of an
assignment. One sale makes about sixty values with some 250 fields in all: that was a tenth of what
a sale cost. A record is such a dataclass in every respect but how long it takes to make one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a frozen dataclass with slots whose instances are made by plain assignments.

    While its fields are set, an instance is of a class of the same shape that may be assigned to;
    nobody else can hold it yet. A record is not derived from.

    >>> @record
    ... class Piece:
    ...     value: int
    ...     count: int = 1
    >>> Piece(500)
    Piece(value=500, count=1)
    """
    assert cls.__bases__ == (object,), f"{cls.__name__}: a record stands by itself"
    frozen: Any = dataclass(frozen=True, slots=True)(cls)
    assert not hasattr(frozen, "__post_init__"), f"{cls.__name__}: nothing would call it"
    is_open = type(cls.__name__, (), {"__slots__": frozen.__slots__})
    frozen.__init__ = _init_of(frozen, is_open)
    return frozen


def _init_of(frozen: type[Any], is_open: type) -> Callable[..., None]:
    known: dict[str, Any] = {"set_class": object.__setattr__, "is_open": is_open, "frozen": frozen}
    known["absent"] = MISSING
    parameters: list[str] = []
    lines = ['set_class(self, "__class__", is_open)']
    for item in fields(frozen):
        assert item.init, f"{frozen.__name__}.{item.name}: every field is given"
        value = item.name
        if item.default is not MISSING:
            known[f"default_{item.name}"] = item.default
            parameters.append(f"{item.name}=default_{item.name}")
        elif item.default_factory is not MISSING:
            known[f"make_{item.name}"] = item.default_factory
            parameters.append(f"{item.name}=absent")
            value = f"make_{item.name}() if {item.name} is absent else {item.name}"
        else:
            parameters.append(item.name)
        lines.append(f"self.{item.name} = {value}")
    lines.append("self.__class__ = frozen")
    body = "\n    ".join(lines)
    text = f"def __init__(self, {', '.join(parameters)}):\n    {body}\n"
    exec(text, known)  # noqa: S102 - as dataclasses does it; the text is made of field names alone
    return known["__init__"]
