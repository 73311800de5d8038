"""The chains of documents: each purchase's and refund's hash covers the one before. Source: R8."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from tallybook.retail.model import Purchase, PurchaseItem, Refund, RefundItem

FIRST_HASH = "0" * 64
"""What the first document of each chain is chained to."""

_SEPARATOR = "\x1f"
"""A control character, which no name, code or reason may hold: two texts never read as one."""


def _values_of(kind: type) -> attrgetter[tuple[object, ...]]:
    return attrgetter(*(item.name for item in fields(kind) if item.name != "hash"))


_PURCHASE = _values_of(Purchase)
_PURCHASE_ITEM = _values_of(PurchaseItem)
_REFUND = _values_of(Refund)
_REFUND_ITEM = _values_of(RefundItem)


def purchase_hash(previous: str, purchase: Purchase, items: Sequence[PurchaseItem]) -> str:
    """Hash a purchase with all of its lines, together with the hash of the one before it."""
    return _chain(previous, _PURCHASE(purchase), [_PURCHASE_ITEM(item) for item in items])


def refund_hash(previous: str, refund: Refund, items: Sequence[RefundItem]) -> str:
    """Hash a refund with all of its lines, together with the hash of the one before it."""
    return _chain(previous, _REFUND(refund), [_REFUND_ITEM(item) for item in items])


def _chain(previous: str, document: Sequence[object], lines: Sequence[Sequence[object]]) -> str:
    parts = [previous, *map(str, document)]
    for line in lines:
        parts += map(str, line)
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()
