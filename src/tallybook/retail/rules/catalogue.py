"""What a product may be. Source: R1."""

from __future__ import annotations

import unicodedata

from tallybook.kernel.refusal import Refusal, Refused

PRODUCT_NAME_LONGEST = 255
SKU_LONGEST = 64
STOCK_MAX = 10**9
"""Stock, quantities and counts of pieces: what a database integer and a shop both hold."""

_NEVER_IN_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates, line and paragraph separators."""


def clean_product_name(name: str) -> str:
    """Trim a product's name, of any script, and bring it to one form of the same characters.

    Raises: Refused `product_name_invalid`: empty, too long, or with control characters.

    >>> clean_product_name("  Darjeeling 100 g ")
    'Darjeeling 100 g'
    """
    bounded = name if len(name) <= 4 * PRODUCT_NAME_LONGEST else ""
    trimmed = unicodedata.normalize("NFC", bounded.strip())
    if not 1 <= len(trimmed) <= PRODUCT_NAME_LONGEST or not _is_plain(trimmed):
        raise Refused(Refusal("product_name_invalid", param="name"))
    return trimmed


def fold_name(name: str) -> str:
    """Write a cleaned name the one way in which names are compared: without regard to case.

    >>> fold_name("TEA") == fold_name("tea")
    True
    """
    return unicodedata.normalize("NFC", name.casefold())


def clean_sku(sku: str) -> str:
    """Trim a stock keeping unit, the shop's own code; case counts.

    Raises: Refused `sku_invalid`.

    >>> clean_sku(" 85123A ")
    '85123A'
    """
    trimmed = sku.strip() if len(sku) <= 4 * SKU_LONGEST else ""
    if not 1 <= len(trimmed) <= SKU_LONGEST or not _is_plain(trimmed):
        raise Refused(Refusal("sku_invalid", param="sku"))
    return trimmed


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(character) in _NEVER_IN_TEXT for character in text)
