"""Ids: 32 hex digits of a UUID inside, a prefix that names the kind outside."""

from __future__ import annotations

import re
from typing import Protocol

_HEX32 = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)


class Ids(Protocol):
    """Where fresh ids come from. Rules are given one; tests give a counted one."""

    def fresh(self) -> str:
        """Make a new id: 32 hex digits, later ids sorting after earlier ones."""
        ...


def show_id(prefix: str, ident: str) -> str:
    """Write an id as people and programs outside see it.

    >>> show_id("adv", "0193" + "0" * 28)
    'adv_01930000000000000000000000000000'
    """
    return f"{prefix}_{ident}"


def parse_id(prefix: str, text: str) -> str | None:
    """Read an id of one kind; None where it is another kind's or nonsense.

    >>> parse_id("adv", "trf_01930000000000000000000000000000") is None
    True
    """
    kind, separator, ident = text.partition("_")
    if separator and kind == prefix and _HEX32.match(ident):
        return ident
    return None
