"""What touches an amount on either side and makes it another one: digits, a unit, a sign.

Half of an amount is never taken for the whole, nor what stands to somebody's credit for a debt.
Each of these looks at a few characters beside one amount, and ahead, which RE2 can't.
"""

from __future__ import annotations

import re
import unicodedata

from tallybook.bills.reading.formats import CURRENCY, MONTH

TORN = "an amount can't be read"
CREDIT = "an amount that may stand to the customer's credit"
_BEFORE = 16
"""How far back to look. Units: bytes."""


def _compile(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.IGNORECASE)


_COUNTED = (
    r" ?(?:%|(?:units?|kwh|days?|weeks?|months?|years?|yrs?|emis?|instal\w*|hours?|hrs?|mins?"
    r"|minutes?|times?|points?|gb|mb|am|pm|nos?|pcs|bills?|st|nd|rd|th)\b)"
)
"""What a number of its own counts: "Rs 499 84 days" is no torn amount."""
_DATED = rf"[-/.: ]{{0,3}}(?:st|nd|rd|th)?[-/.: ]{{0,3}}{MONTH}|[-/.:][0-9]"
_ANYTHING_AFTER = re.compile(
    rb"(?i)[-,'x*+=_`^~:/. ]{1,3}[0-9]|[oilk]| ?(?:[\x80-\xff]|k|l|crore|crs|mi|mn|billi|bn|tho|hun"
    rb"|ha[zj]|sau)|(?:/-)? ?\(?cr"
)
_ANYTHING_BEFORE = re.compile(rb"(?i)[-(]|cr\.? *\Z|[0-9](?:[.,']|,? )\Z")
"""Whether any of the patterns below may fit, which is seldom: one look instead of many."""
_UNIT_AFTER = _compile(
    r" ?(?:lakhs?|lacs?|crores?|crs|millions?|mn|billions?|bn|thousands?|hundreds?|ha[zj]aa?r"
    r"|sau)\b| ?k(?![a-z0-9&'-]|\.[a-z0-9]| ?no\b| electric)|[kl]\b"
    r"| ?(?:हज़ार|हजार|लाख|करोड़|करोड|सौ)"
)
"""Written out in words, an amount is not what its figures say."""
_MORE_AFTER = _compile(r"[,'x*+][0-9]| \+ ?[0-9]|\+ [0-9]")
"""More of any amount, even of one with both its decimals."""
_GLUED_AFTER = _compile(r"[-=_`^~:/][0-9]|[oil][0-9oil,]*(?![a-z0-9])|[^\x00-\x7f]+[0-9]")
"""More of it in another manner of writing: 2451-50, 12O0, or the separators of a script."""
_GROUP_AFTER = _compile(
    rf"(?:,? {{1,2}}| ,)[0-9]{{3}}(?![0-9/:-]|{_COUNTED}| ?{MONTH})"
    rf"|(?:,? {{1,2}}| ,)[0-9]{{2}}(?![0-9]|{_COUNTED}|{_DATED})"
    rf"| {{1,2}}[0-9](?![0-9]|{_COUNTED}|{_DATED})"
    rf"| {{1,2}}[1-9]/[2-9](?![0-9/])"
    rf"| \.[0-9]|\. [0-9]{{2}}(?![0-9]|{_COUNTED}|{_DATED})"
)
"""More of it behind a blank: "Rs 1 02 340.50", "Rs 2, 451", "Rs 2451. 50"."""
_GROUP_BEFORE = _compile(r"(?:^|[^0-9a-z*/.-])[0-9]{1,3}(?:,? |[.,'])\Z")
_GROUP = re.compile(rb"[0-9]{2,3}(?:,[0-9]{3})*(?:\.[0-9]+)?\Z")
_CREDIT_AFTER = _compile(r"(?:/-)? ?\(?(?:cr\b|credit(?:\)| bal))")
_SIGN = rf"{CURRENCY} ?[.:]? *"
_CREDIT_BEFORE = _compile(
    rf"(?:^|[ :=(])-{_SIGN}(?:[dc]r\.? *)?\Z|[:=] ?- {_SIGN}\Z|{_SIGN}(?:[dc]r\.? *)?[-(] *\Z"
    rf"|{_SIGN}cr\.? *\Z"
)
"""A minus at the sign or at the figures. A dash between blanks only sets a clause apart."""


def oddity(content: bytes, start: int, end: int, *, is_owed: bool) -> str:
    """Say why an amount may be another than its figures; empty where nothing beside it says so.

    `is_owed`: it is asked for; where money has moved, "Cr" behind it is no surprise.
    Units: byte offsets of the clean text.
    """
    if _ANYTHING_AFTER.match(content, end) is not None:
        after = _oddity_after(content, start, end, is_owed=is_owed)
        if after:
            return after
    near = max(0, start - _BEFORE)
    if _ANYTHING_BEFORE.search(content, near, start) is None:
        return ""
    return _oddity_before(content[near:start], content[start:end], is_owed=is_owed)


def _oddity_after(content: bytes, start: int, end: int, *, is_owed: bool) -> str:
    fraction = content[start:end].partition(b".")[2]
    if _UNIT_AFTER.match(content, end) or _MORE_AFTER.match(content, end):
        return TORN
    if len(fraction) < 2 and (
        _GLUED_AFTER.match(content, end)
        or (not fraction and _GROUP_AFTER.match(content, end))
        or _is_figure(content[end : end + 5].decode(errors="ignore").lstrip()[:1])
    ):
        return TORN
    if not _CREDIT_AFTER.match(content, end):
        return ""
    if is_owed:
        return CREDIT
    # So short, it may as well be in crores.
    return TORN if len(fraction) == 1 or end - start < 3 else ""


def _oddity_before(before: bytes, written: bytes, *, is_owed: bool) -> str:
    if _GROUP.match(written) and _GROUP_BEFORE.search(before):
        return TORN
    return CREDIT if is_owed and _CREDIT_BEFORE.search(before) else ""


def _is_figure(character: str) -> bool:
    """Tell whether it is a raised, circled or broken figure: a footnote as well as more digits."""
    return not character.isascii() and unicodedata.category(character) == "No"
