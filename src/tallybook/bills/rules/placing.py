"""Which account a message is about: decided over all messages of a customer at once. Source: B3.

Decided over the whole set and not one after another, so that the order of arrival can't matter: a
card that was first seen as "59" and then as "0459" is one card either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tallybook.bills.model import AccountType, Fact, Kind
from tallybook.kernel.frozen import frozen

_SEPARATORS = re.compile(r"[\s./-]+")
_MASKED = re.compile(r".*[X*]")
_ALL_MASKED = re.compile(r"[X*]+\Z")


@lru_cache(maxsize=16_384)
def visible_end(number: str) -> str:
    """Give the part of a number that its mask leaves visible, the one way it is compared.

    One that is masked to its end tells nothing: it is as good as none.

    >>> visible_end("4xxx4006"), visible_end("**153"), visible_end("MEG-86"), visible_end("0459")
    ('4006', '153', 'MEG86', '0459')
    >>> visible_end("XXXX"), visible_end("**** ****")
    ('', '')
    """
    plain = _SEPARATORS.sub("", number.upper())
    if _ALL_MASKED.match(plain):
        return ""
    return _MASKED.sub("", plain) or plain


def fold_issuer(issuer: str | None) -> str | None:
    """Write an issuer's name the one way in which names are compared."""
    return " ".join(issuer.casefold().split()) if issuer else None


@dataclass(slots=True)
class Place:
    """One account as the messages show it."""

    type: AccountType
    issuer: str | None
    end: str | None
    """The longest end of its number that any message shows."""
    facts: list[Fact] = field(default_factory=list)
    currency: str = ""
    """What its amounts are in where nobody says; known when all its facts are here."""

    @property
    def shown_issuer(self) -> str | None:
        """Give the issuer's name as first written."""
        return next((fact.issuer for fact in self.facts if fact.issuer), None)

    @property
    def shown_number(self) -> str | None:
        """Give the number as written by the message that shows most of it."""
        best = [
            fact.number
            for fact in self.facts
            if fact.number and visible_end(fact.number) == self.end
        ]
        return max(best, key=lambda number: (len(number), number), default=None)


@frozen
class Placed:
    """Where messages belong, and why some belong nowhere."""

    places: Sequence[Place]
    unclear: dict[str, str]
    """Message id to the reason."""


def place_facts(facts: Iterable[Fact]) -> Placed:
    """Find the accounts of one customer, and put each fact into one. Facts come in fold order."""
    places: list[Place] = []
    unclear: dict[str, str] = {}
    by_type: dict[AccountType, list[Fact]] = {}
    for fact in facts:
        if fact.bill_type is not None and fact.kind is not None:
            by_type.setdefault(fact.bill_type, []).append(fact)
    for bill_type, group in by_type.items():
        found = _make_places(bill_type, group)
        for fact in group:
            _put(fact, found, unclear)
        places += [place for place in found if place.facts]
    return Placed(places, unclear)


def _makes_accounts(fact: Fact) -> bool:
    """Tell whether a fact may stand for an account by itself.

    A bank that reports a payment names itself rather than the one who was paid.
    """
    return fact.kind is not Kind.TXN_CONFIRMATION


def _make_places(bill_type: AccountType, group: Sequence[Fact]) -> list[Place]:
    makers = [fact for fact in group if _makes_accounts(fact)]
    by_issuer: dict[str | None, list[str | None]] = {}
    for fact in makers:
        ends = by_issuer.setdefault(fold_issuer(fact.issuer), [])
        ends.append(_end_of(fact))
    places: list[Place] = []
    for issuer in sorted(by_issuer, key=lambda issuer: (issuer is None, issuer or "")):
        ends = {end for end in by_issuer[issuer] if end is not None}
        longest = sorted(
            end for end in ends if not any(other != end and other.endswith(end) for other in ends)
        )
        if issuer is None:
            # Nobody is named: it is one of the named issuers' accounts if only one fits.
            longest = [end for end in longest if not any(_fits(place.end, end) for place in places)]
            if not longest and places:
                continue
        places += [Place(bill_type, issuer, end) for end in longest or [None]]
    return places


def _end_of(fact: Fact) -> str | None:
    return (visible_end(fact.number) or None) if fact.number else None


def _put(fact: Fact, places: Sequence[Place], unclear: dict[str, str]) -> None:
    issuer = fold_issuer(fact.issuer)
    end = _end_of(fact)
    fitting = [
        place
        for place in places
        if (issuer is None or place.issuer is None or place.issuer == issuer)
        and (end is None or place.end is None or _fits(place.end, end))
    ]
    if issuer is not None and any(place.issuer == issuer for place in fitting):
        fitting = [place for place in fitting if place.issuer == issuer]
    if end is not None and any(place.end is not None for place in fitting):
        fitting = [place for place in fitting if place.end is not None]
    if fact.kind is Kind.TXN_CONFIRMATION and not fitting:
        # Its issuer is then the bank or app that reports; the number and the type still count.
        fitting = [
            place for place in places if end is None or (place.end and _fits(place.end, end))
        ]
        if end is None:
            fitting = fitting if len(fitting) == 1 else []
    if len(fitting) == 1:
        fitting[0].facts.append(fact)
    elif fact.kind is not Kind.TXN_CONFIRMATION:
        unclear[fact.message_id] = (
            f"{len(fitting)} accounts fit this message; say which one is meant"
        )


def _fits(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one.endswith(other) or other.endswith(one)
