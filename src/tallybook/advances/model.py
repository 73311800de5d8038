"""An advance and its terms. Source: A1-A13."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen


class AdvanceStatus(StrEnum):
    """Where an advance stands as a whole. Source: A13."""

    PENDING = "pending"
    """Its credit has not succeeded yet."""
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    """Its credit failed, or was taken back."""
    IN_DEFAULT = "in_default"
    CANCELLED = "cancelled"
    WRITTEN_OFF = "written_off"


class Payout(StrEnum):
    """Where the advance's own money stands in the books."""

    NONE = "none"
    """Not booked: not accepted yet, refused, or unknown."""
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    VOID = "void"
    """It came back, or never went out: nothing is owed for it."""


@frozen
class Advance:
    """One advance. Its collection is the plan with the same id. Units: minor units."""

    id: str
    customer_id: str
    bank_account_id: str
    amount_minor: int
    fee_minor: int
    currency: str
    installments_count: int
    interval_days: int
    effective_on: date
    """The day of the advance: its rows are due so many intervals later. Source: A4."""
    status: AdvanceStatus
    payout: Payout
    is_fee_booked: bool
    """The fee is owed from the day the plan is activated."""
    credited_minor: int
    """What was collected above what was owed, and turned into customer credit that is not
    known to be taken back."""
    applied_minor: int
    """What was paid with customer credit instead of a debit. Source: C3."""
    written_off_minor: int
    """What was given up, unearned fee included; 0 while nothing was."""
    written_off_at_minor: int
    """What had been collected when it was given up: what comes later is recovered."""
    credit_transfer_id: str
    created_at: datetime

    @property
    def total_minor(self) -> int:
        """What the customer owes in all: amount + fee."""
        return self.amount_minor + self.fee_minor


@frozen
class AdvanceTerms:
    """What an advance may be, and how it is collected: the installation's settings."""

    currency: str
    """The Processor's one currency. Source: P1."""
    min_minor: int
    max_minor: int
    on_failed_debit: str
    max_attempts: int
    hold_days: int
