"""What of a command makes it the same request, hashed. Source: T5."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic_core import to_json

Said = tuple[object, ...] | None
"""What a request said itself; None where no client asks."""


def said_of(*names: str) -> Any:
    """Declare a field for what a request said itself, where settings speak for what it left open.

    It stands in the hash for the fields that are named, which hold what that came to. So a request
    stays the same when a setting is changed. Where it is None they are hashed as they stand.
    """
    return field(default=None, repr=False, metadata={"stands_for": names})


def hash_said(operation: str, asked: object) -> str:
    """Hash what a request said."""
    kind = type(asked)
    left_out, said = _unhashed(kind), _said(kind)
    if said is None or getattr(asked, said[0]) is None:
        return _hash(operation, asked, left_out)
    name, spoken_for = said
    others = {each: way for each, way in (left_out or {}).items() if each != name}
    return _hash(operation, asked, {**others, **dict.fromkeys(spoken_for, True)})


def hash_whole(operation: str, asked: object) -> str:
    """Hash what a request came to by the settings of its day, as books had it before."""
    return _hash(operation, asked, _unhashed(type(asked)))


def _hash(operation: str, asked: object, left_out: Mapping[str, Any] | None) -> str:
    shown = to_json(asked, exclude=left_out)
    return hashlib.sha256(operation.encode() + b"|" + shown).hexdigest()


@cache
def _said(kind: type) -> tuple[str, tuple[str, ...]] | None:
    """Find the field of a class that stands for others, and which these are."""
    if not is_dataclass(kind):
        return None
    marked = ((item.name, item.metadata.get("stands_for")) for item in fields(kind))
    return next(((name, names) for name, names in marked if names is not None), None)


@cache
def _unhashed(kind: type) -> dict[str, Any] | None:
    """Find the fields that the hash leaves out, once a class, in the words of `to_json`."""
    if not is_dataclass(kind):
        return None
    hints = get_type_hints(kind)
    left_out: dict[str, Any] = {}
    for item in fields(kind):
        if "stands_for" in item.metadata:
            left_out[item.name] = True
        elif item.metadata.get("hashed") is False:
            assert not item.repr, f"{kind.__name__}.{item.name}: what is not hashed is not shown"
            left_out[item.name] = True
        elif inner := _unhashed_inside(hints[item.name]):
            left_out[item.name] = inner
    return left_out or None


def _unhashed_inside(hint: object) -> dict[str, Any] | None:
    if isinstance(hint, type) and is_dataclass(hint):
        return _unhashed(hint)
    for part in get_args(hint):
        if inner := _unhashed_inside(part):
            return inner if get_origin(hint) in (Union, UnionType) else {"__all__": inner}
    return None
