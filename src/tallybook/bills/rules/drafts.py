"""Bills and payments while their account is folded: what the two passes work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tallybook.kernel.frozen import frozen


@frozen
class Payment:
    """A payment as its account sees it. Units: minor units, more than zero."""

    id: str
    """The transaction it is."""
    on: date
    at: datetime
    hash: str
    amount: int
    currency: str
    bill_on: date | None = None
    due_on: date | None = None
    """The bill that it names."""
    anchor: str | None = None
    """The bill that a person says it pays."""
    is_barred: bool = False
    """A person says that it pays none of them."""


@dataclass(slots=True)
class BillDraft:
    """A bill while its account is folded."""

    anchor: str
    first: tuple[datetime, str]
    seen_on: date
    last_seen_on: date
    currency: str
    bill_on: date | None = None
    due_on: date | None = None
    amounts: list[tuple[date, int]] = field(default_factory=list)
    """Each revision with the day on which it was said."""
    minimum: int | None = None
    messages: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    paid: int = 0
    paid_on: date | None = None
    is_rolled_over: bool = False

    @property
    def amount(self) -> int | None:
        """Give the amount as last said. Units: minor units."""
        return self.amounts[-1][1] if self.amounts else None

    @property
    def dated_on(self) -> date:
        """Tell from when on it can be paid."""
        if self.bill_on is not None:
            return self.bill_on
        return min(self.seen_on, self.due_on) if self.due_on is not None else self.seen_on

    @property
    def order(self) -> tuple[date, date, tuple[datetime, str]]:
        """Order bills from the oldest on."""
        return self.due_on or self.dated_on, self.dated_on, self.first

    def open_on(self, day: date) -> int | None:
        """Tell what was open by what had been said on a day; None where no amount is known."""
        if not self.amounts:
            return None if self.paid == 0 else 0
        known = [amount for said_on, amount in self.amounts if said_on <= day]
        amount = known[-1] if known else self.amounts[0][1]
        return max(0, amount - self.paid)


@dataclass(slots=True)
class Bound:
    """Where one payment went."""

    parts: list[tuple[BillDraft, int]]
    waiting: int
    """What no bill took. Units: minor units."""
    why: str
