"""What is read out of a message: fields with their place in the text and how sure we are."""

from __future__ import annotations

from dataclasses import field
from datetime import date
from enum import StrEnum

from tallybook.bills.model import AccountType, Kind
from tallybook.kernel.frozen import frozen

BAR = 75
"""Percent of confidence below which a field that moves money is put before a person. Policy."""


class Verdict(StrEnum):
    """What a text turned out to be."""

    BILL = "bill"
    """About a bill: its kind says what it asks or reports."""
    MOVEMENT = "movement"
    """A bank or wallet reports money in or out, without saying that a bill was paid."""
    NOISE = "noise"
    """Nothing to do with bills: offers, orders, purchases."""
    OTP = "otp"
    """A one-time password: its text is not kept. Source: B1."""
    PHISHING = "phishing"
    """A demand that looks like a trap: never applied, a person looks at it."""
    UNKNOWN = "unknown"
    """No rule knows it."""


@frozen
class Span:
    """One field's evidence. Units: characters of the body as it came; whole percent."""

    text: str
    start: int
    end: int
    confidence: int
    rule: str


@frozen
class Reading:
    """Everything that was read, and the evidence for it. Units: minor units."""

    verdict: Verdict
    rule: str | None = None
    kind: Kind | None = None
    bill_type: AccountType | None = None
    issuer: str | None = None
    account_number: str | None = None
    amount_minor: int | None = None
    minimum_minor: int | None = None
    currency: str | None = None
    bill_on: date | None = None
    due_on: date | None = None
    paid_on: date | None = None
    reference: str | None = None
    paid_from: str | None = None
    """The account or card the money left, where a bank names it."""
    is_credit: bool = False
    """For a movement: money came in."""
    spans: dict[str, Span] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    """Why a person should look, one sentence each; empty where nothing stands against it."""

    @property
    def confidence(self) -> int:
        """Tell how sure the least sure of the fields is that move money. Units: percent."""
        spans = self.spans
        return min([spans[name].confidence for name in _MOVES_MONEY if name in spans], default=0)

    @property
    def is_accepted(self) -> bool:
        """Tell whether it may be applied without a person looking at it."""
        return not self.doubts and (self.verdict is not Verdict.BILL or self.confidence >= BAR)


_MOVES_MONEY = ("kind", "bill_type", "amount", "minimum_due", "due_on", "account_number")
