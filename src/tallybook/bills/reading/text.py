"""Hostile text made plain: one space for every blank, nothing invisible, places kept."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tallybook.kernel.frozen import frozen

BYTES_MOST = 2048
"""A longer text is kept cut and never read: no biller writes one. Source: B11."""

_BLANKS = dict.fromkeys([*range(0x09, 0x0E), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028,
                         0x2029, 0x202F, 0x205F, 0x3000], " ")  # fmt: skip
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2010: "-", 0x2011: "-",
           0x2012: "-", 0x2013: "-", 0x2014: "-", 0x2212: "-", 0x20A8: "₹"}  # fmt: skip
_PLAIN = {**_BLANKS, **_QUOTES}
_SIMPLE = re.compile(r"[\x20-\x7e₹]*\Z")


@frozen
class CleanText:
    """A text as the rules see it, and the way back to the places of the original."""

    text: str
    content: bytes
    """The same in UTF-8, which is what the patterns run over."""
    places: list[int] | None
    """Where each character stood; None where none moved."""
    is_plain: bool = False
    """Whether it is the original, a byte for each character."""

    def place(self, offset: int) -> int:
        """Tell where in the original a byte offset of `content` stands. Units: characters."""
        if self.is_plain:
            return offset
        index = offset
        if len(self.content) != len(self.text):
            index = len(self.content[:offset].decode(errors="replace"))
        if self.places is None:
            return index
        return self.places[index] if index < len(self.places) else self.places[-1] + 1


def clean(body: str) -> CleanText:
    r"""Make a text plain: blanks to spaces, digits of any script to 0-9, invisible characters out.

    Right-to-left and zero-width characters would let a text show one amount and be read as
    another.

    >>> clean("Rs\u200b 5\u202e0").text
    'Rs 50'
    """
    if body.isascii() and body.isprintable():
        return CleanText(body, body.encode(), None, is_plain=True)
    text = body.translate(_PLAIN)
    if _SIMPLE.match(text):
        return CleanText(text, text.encode(), None)
    kept: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isascii():
            plain = character if character.isprintable() else ""
        else:
            plain = _plain(character)
        for piece in plain:
            kept.append(piece)
            places.append(place)
    whole = "".join(kept)
    return CleanText(whole, whole.encode(), places)


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category[0] == "C" or character == "\u034f":
        return ""
    if category == "No":
        return character  # a raised 1 is a footnote, or more digits: nobody knows which
    # Full-width and mathematical letters read like plain ones to a person, so also to a rule.
    folded = unicodedata.normalize("NFKC", character)
    return folded if folded.isascii() and folded.isprintable() else character


_HEADER_MOST = 64
"""A longer sender is not kept in mind: an inbox has few senders, and all of them are short."""


def sender_code(sender: str | None) -> str | None:
    """Take the biller's part out of an SMS header: `VM-HDFCBK-S` is HDFCBK.

    Returns: None where the sender is missing or is a phone number, which no biller sends from.

    >>> sender_code("AX-BESCOM-S"), sender_code("ADUNIONB"), sender_code("+919876543210")
    ('BESCOM', 'UNIONB', None)
    """
    if sender is None:
        return None
    return _code_of(sender) if len(sender) <= _HEADER_MOST else _code_of.__wrapped__(sender)


@lru_cache(maxsize=4096)
def _code_of(sender: str) -> str | None:
    text = sender.strip().upper()
    if "@" in text:
        return text.rpartition("@")[2] or None
    parts = [part for part in text.split("-") if part]
    if len(parts) >= 2 and len(parts[0]) == 2:
        code = parts[1]
    elif len(parts) == 1 and len(parts[0]) >= 8 and parts[0].isalpha():
        # Written without its dash: two letters of operator and circle come first.
        code = parts[0][2:]
    else:
        code = parts[0] if parts else ""
    return code if code and not _is_number(code) else None


def is_personal(sender: str | None) -> bool:
    """Tell whether a sender is missing or a plain phone number: anybody could have sent it."""
    return sender_code(sender) is None and not _is_header(sender)


def _is_header(sender: str | None) -> bool:
    """Tell whether it is a registered header with a numeric code, such as `VK-111444`."""
    return bool(sender and re.match(r"\s*[A-Za-z]{2}-[0-9]{5,6}\b", sender))


def _is_number(code: str) -> bool:
    return code.lstrip("+").replace(" ", "").isdigit()
