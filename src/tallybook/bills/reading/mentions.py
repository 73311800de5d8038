"""Every amount and date in a text, and what the words around each make of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Generic, TypeVar

from tallybook.bills.reading.formats import currency_of, read_amount, read_date
from tallybook.bills.reading.margins import oddity
from tallybook.bills.reading.patterns import PatternSet, compile_pattern
from tallybook.bills.reading.rulebook import Cue
from tallybook.kernel.frozen import frozen

V = TypeVar("V")
PLAIN = "plain"
PLAIN_CONFIDENCE = 80
"""An amount that stands alone, with no word that says what it is."""
_BEFORE, _AFTER = 64, 40
"""How far the words may be from what they explain. Units: bytes."""

_MONEY = compile_pattern(
    r"{amount}|\b(?P<minimum_due>{number})(?:/-| ?(?:rupees|rupaye|inr|aed|usd|eur)\b| ?₹)"
    r"|\b(?:(?:total|net|min(?:imum)?|bill|due|payable|debited|credited) ?(?:amt|amount)|amt|amount"
    r"|(?:amt|amount|total|min(?:imum)?|net) (?:due|payable|dues)|total amt due|tad|mad"
    r"|(?:debited|credited) (?:by|for|with))\.? ?(?:is |of )?[:=-]? ?(?P<reference>{number})"
    r"|\b(?:emi|instal?lment)(?: of| is)? (?P<issuer>[0-9]{1,3}(?:,[0-9]{2,3})+(?:\.[0-9]{2})?"
    r"|[0-9]+\.[0-9]{2})"
)
"""A currency in front, `/-` or a currency behind, or a word right before it that says so. Any other
bare number is never taken for money."""
_MONEY_IN_FRONT, _MONEY_BEHIND = 1, 2
"""The groups with a currency; what the later ones find is bare but for the word before it."""
_BARE_CONFIDENCE = 80
_NO_MONEY_AFTER = re.compile(
    rb"(?i)[0-9a-z%:]|[/.-](?:[0-9a-z])| ?(?:days?|months?|emis?|units?)\b"
)
_DATE = compile_pattern("{date}")


@frozen
class Mention(Generic[V]):
    """One amount or date. Units: byte offsets of the clean text."""

    value: V | None
    """None where it can't be read: 31 February, more decimals than the currency has."""
    written: str
    start: int
    end: int
    role: str
    confidence: int
    currency: str = ""
    why: str = ""
    """Why an amount has no value though its figures have: what touches it."""


class Cues:
    """What words make of an amount or a date: the first entry that fits decides."""

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._cues = cues
        self._before = [index for index, cue in enumerate(cues) if cue.before is not None]
        self._after = [index for index, cue in enumerate(cues) if cue.after is not None]
        self._before_set = PatternSet([cue.before for cue in cues if cue.before is not None])
        self._after_set = PatternSet([cue.after for cue in cues if cue.after is not None])

    def role(self, content: bytes, start: int, end: int) -> tuple[str, int]:
        """Tell the role of what stands between two places, and how sure that is."""
        before = self._before_set.first(content[max(0, start - _BEFORE) : start])
        after = self._after_set.first(content[end : end + _AFTER])
        if before is None and after is None:
            return PLAIN, PLAIN_CONFIDENCE
        if before is None or after is None:
            place = self._after[after] if after is not None else self._before[before or 0]
        else:
            place = min(self._before[before], self._after[after])
        cue = self._cues[place]
        return cue.name, cue.confidence


def money_mentions(
    content: bytes, cues: Cues, default: str, *, is_owed: bool
) -> list[Mention[int]]:
    """Find the amounts of a text with their roles. `is_owed`: the text asks for money."""
    found: list[Mention[int]] = []
    for match in _MONEY.each(content):
        begin, stop = match.span()
        group = _MONEY_IN_FRONT
        while not match.has(group):
            group += 1
        start, end = match.span(group)
        if group > _MONEY_BEHIND:
            if end - start < 2 or _NO_MONEY_AFTER.match(content, end):
                continue
            currency = default
            role, confidence = cues.role(content, start, end)
            confidence = min(confidence, _BARE_CONFIDENCE)
        else:
            sign = content[begin:start] if group == _MONEY_IN_FRONT else content[end:stop]
            currency = currency_of(sign.decode(errors="replace"), default)
            role, confidence = cues.role(content, begin, end)
        written = match.text(group)
        why = oddity(content, start, end, is_owed=is_owed)
        value = None if why else read_amount(written, currency)
        found.append(Mention(value, written, start, end, role, confidence, currency, why))
    return found


def date_mentions(content: bytes, cues: Cues, day: date) -> list[Mention[date]]:
    """Find the dates of a text with their roles."""
    found: list[Mention[date]] = []
    for match in _DATE.each(content):
        start, end = match.span()
        written = match.text()
        role, confidence = cues.role(content, start, end)
        found.append(Mention(read_date(written, day), written, start, end, role, confidence))
    return found
