"""What a product may be. Source: R1."""

from __future__ import annotations

import unicodedata

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.kernel.text import has_unseen, is_one_line

PRODUCT_NAME_LONGEST = 255
SKU_LONGEST = 64
REFERENCE_LONGEST = 64
STOCK_MAX = 10**9
"""Stock, quantities and counts of pieces: what a database integer and a shop both hold."""

_UNSEEN = frozenset({"Cf", "Zs"})
"""Joiners, direction marks and spaces: between letters some scripts need them; alone they are
nothing."""


def clean_product_name(name: str) -> str:
    """Trim a product's name, of any script, and bring it to one form of the same characters.

    Raises: Refused `product_name_invalid`: nothing to see, too long, or with control characters.

    >>> clean_product_name("  Darjeeling 100 g ")
    'Darjeeling 100 g'
    """
    bounded = name if len(name) <= 4 * PRODUCT_NAME_LONGEST else ""
    trimmed = unicodedata.normalize("NFC", bounded.strip())
    if not 1 <= len(trimmed) <= PRODUCT_NAME_LONGEST or not (
        is_one_line(trimmed) and _is_seen(trimmed)
    ):
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
    if not 1 <= len(trimmed) <= SKU_LONGEST or not is_one_line(trimmed) or has_unseen(trimmed):
        raise Refused(Refusal("sku_invalid", param="sku"))
    return trimmed


def clean_reference(reference: str) -> str:
    """Trim the number that a sale had where it was made; case counts, and nothing is cut off.

    Raises: Refused `sale_line_unfit`.

    >>> clean_reference(" 536365 ")
    '536365'
    """
    trimmed = reference.strip()
    if not 1 <= len(trimmed) <= REFERENCE_LONGEST:
        reason = f"its reference is empty or longer than {REFERENCE_LONGEST} characters"
        raise Refused(Refusal("sale_line_unfit", "reference", {"reason": reason}))
    if not is_one_line(trimmed) or has_unseen(trimmed):
        reason = "its reference has characters that nobody sees"
        raise Refused(Refusal("sale_line_unfit", "reference", {"reason": reason}))
    return trimmed


def _is_seen(text: str) -> bool:
    """Tell whether there is anything to see: joiners and marks alone are no name."""
    return any(unicodedata.category(character) not in _UNSEEN for character in text)
