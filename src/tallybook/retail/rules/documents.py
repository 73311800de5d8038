"""The chains of documents: each purchase's and refund's hash covers the one before. Source: R8."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from pydantic_core import to_json

from tallybook.retail.model import Purchase, PurchaseItem, Refund, RefundItem

FIRST_HASH = "0" * 64
"""What the first document of each chain is chained to."""


def _values_of(kind: type) -> attrgetter[tuple[Any, ...]]:
    return attrgetter(*(item.name for item in fields(kind) if item.name != "hash"))


_PURCHASE = _values_of(Purchase)
_PURCHASE_ITEM = _values_of(PurchaseItem)
_REFUND = _values_of(Refund)
_REFUND_ITEM = _values_of(RefundItem)


def seal_purchase(previous: str, purchase: Purchase, items: Sequence[PurchaseItem]) -> Purchase:
    """Give a purchase its hash, which covers its lines and the hash of the one before it."""
    values = _PURCHASE(purchase)
    return Purchase(
        *values, hash=_chain(previous, values, [_PURCHASE_ITEM(item) for item in items])
    )


def purchase_hash(previous: str, purchase: Purchase, items: Sequence[PurchaseItem]) -> str:
    """Hash a purchase with all of its lines, together with the hash of the one before it."""
    return _chain(previous, _PURCHASE(purchase), [_PURCHASE_ITEM(item) for item in items])


def refund_hash(previous: str, refund: Refund, items: Sequence[RefundItem]) -> str:
    """Hash a refund with all of its lines, together with the hash of the one before it."""
    return _chain(previous, _REFUND(refund), [_REFUND_ITEM(item) for item in items])


def _chain(previous: str, document: Sequence[object], lines: Sequence[Sequence[object]]) -> str:
    # As JSON, in which two different documents never read as one.
    return hashlib.sha256(to_json((previous, document, lines))).hexdigest()
