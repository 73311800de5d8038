"""Loans, their terms, and the payments made on them. Source: L1-L10."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen


class Interval(StrEnum):
    """How far apart due dates are, counted from the start date. Source: L1."""

    WEEKLY = "weekly"
    BIWEEKLY = "biweekly"
    MONTHLY = "monthly"
    """The same day of the month, or the month's last where it is shorter."""


class PaymentPolicy(StrEnum):
    """What a payment may be. Source: L5."""

    EXACT = "exact"
    """The amount of the oldest unpaid row, and it stays with that row."""
    FLEXIBLE = "flexible"
    """Any amount: oldest row first, interest before principal, the excess is credit."""


class Collection(StrEnum):
    """Who moves the money. Source: L9."""

    CUSTOMER_PAYS = "customer_pays"
    AUTO_DEBIT = "auto_debit"


class LoanStatus(StrEnum):
    """Where a loan stands. Source: L10."""

    ACTIVE = "active"
    CLOSED = "closed"
    """Nothing is owed; it opens again if a payment is reversed."""
    WRITTEN_OFF = "written_off"


@frozen
class Terms:
    """What decides a schedule and who counts as delinquent. Units: minor units."""

    principal_minor: int
    interest_minor: int
    installments: int
    interval: Interval
    start_on: date
    rounding_unit: int = 1
    payment_policy: PaymentPolicy = PaymentPolicy.EXACT
    delinquent_after: int = 2
    """How many consecutive rows, past due and unpaid, make a loan delinquent. Source: L6."""

    @property
    def total_minor(self) -> int:
        """Principal and interest."""
        return self.principal_minor + self.interest_minor


@frozen
class Loan:
    """One loan: its terms, and what its payments come to. Units: minor units.

    All from `received_minor` down to `is_delinquent` follows from the payments by a fold; it is
    kept for lists, and `verify` recomputes it.
    """

    id: str
    customer_id: str
    reference: str | None
    """The lender's own number of it, where it has one."""
    bank_account_id: str | None
    """Where `auto_debit` collects from."""
    principal_minor: int
    interest_rate: str
    """Percent of the principal for the whole term: an exact decimal, such as `10` or `7.25`."""
    interest_minor: int
    currency: str
    installments: int
    interval: Interval
    start_on: date
    rounding_unit: int
    payment_policy: PaymentPolicy
    delinquent_after: int
    collection: Collection
    status: LoanStatus
    payments_count: int
    received_minor: int
    """Money received and not taken back."""
    applied_minor: int
    """Paid with customer credit. Source: C3."""
    credited_minor: int
    """What was turned into customer credit and is not known to be taken back."""
    kept_minor: int
    """Credit that was spent before the payment it came from was taken back: owed once more."""
    earned_minor: int
    """Interest that has been paid; frozen by a write-off."""
    written_off_minor: int
    written_off_at_minor: int
    """What had been paid when it was written off: what comes later is recovered."""
    written_off_on: date | None
    delinquent_on: date | None
    """From when it is delinquent if nothing more is paid; None: never."""
    is_delinquent: bool
    """Whether it was told to be delinquent, by an event."""
    created_at: datetime

    @property
    def terms(self) -> Terms:
        """What its schedule follows from."""
        return Terms(
            self.principal_minor,
            self.interest_minor,
            self.installments,
            self.interval,
            self.start_on,
            self.rounding_unit,
            self.payment_policy,
            self.delinquent_after,
        )

    @property
    def total_minor(self) -> int:
        """Principal and interest."""
        return self.principal_minor + self.interest_minor

    @property
    def paid_minor(self) -> int:
        """What was paid in all, with money or with credit."""
        return self.received_minor + self.applied_minor


class PaymentStatus(StrEnum):
    """What became of a payment. Source: L8."""

    PAID = "paid"
    PENDING = "pending"
    """The gateway has not said yet; it reserves its row."""
    FAILED = "failed"
    REVERSED = "reversed"
    """Paid, then taken back: a bounced transfer."""


CREDIT_METHOD = "credit"
"""The method of a payment with customer credit."""
DEBIT_METHOD = "auto_debit"
"""The method of a payment that was collected through the Processor."""
OWN_METHODS = (CREDIT_METHOD, DEBIT_METHOD)
"""Payments that only Tallybook makes: with credit that is held, and by a debit that went through.
Their money is booked elsewhere, so that nobody may ask for one as if it were money in hand."""


@frozen
class Payment:
    """One payment on a loan. Amount, dates and row never change once it is paid.

    Units: minor units.
    """

    id: str
    loan_id: str
    sequence: int
    """Its place among the loan's payments, in the order of their arrival."""
    amount_minor: int
    method: str
    status: PaymentStatus
    effective_on: date
    """When it was made; `received_at` is when we learned of it. Source: T2."""
    installment_number: int | None
    """The row it stays with (`exact`), or that it reserves while it is pending."""
    kept_minor: int
    """Of a reversed payment: credit that had been spent and is owed once more."""
    reversed_on: date | None
    reason: str | None
    transfer_id: str | None
    """The debit that collected it."""
    reference: str | None
    """What the gateway calls it."""
    request_key: str | None
    """The idempotency key whose reply waits for the gateway."""
    received_at: datetime
    settled_at: datetime | None


@frozen
class ScheduleRow:
    """What is to be paid when. Units: minor units. Source: L2, L3."""

    number: int
    due_on: date
    amount_minor: int
    principal_minor: int
    interest_minor: int


@frozen
class PaidRow:
    """A row of the schedule as it stands on a date. Source: L3."""

    row: ScheduleRow
    paid_minor: int
    paid_on: date | None
    """When it was paid in full."""
    missed: bool
    """Past due and not paid in full."""
    reserved: bool = False
    """A payment for it is pending."""

    @property
    def is_paid(self) -> bool:
        """Tell whether it is paid in full."""
        return self.paid_minor >= self.row.amount_minor


@frozen
class Allocation:
    """What became of one payment. Units: minor units."""

    payment_id: str
    numbers: tuple[int, ...]
    """The rows that it paid, in full or in part."""
    credit_minor: int
    """What was too much and is customer credit."""
    repaid_minor: int
    """What it paid of what was owed once more: of credit that was spent before its own payment was
    taken back."""


@frozen
class Tally:
    """What payments come to on a date, in sums. Units: minor units."""

    loose_minor: int = 0
    """Paid without a row of its own: all of it where payments are flexible."""
    numbers: Sequence[int] = ()
    """The rows that exact payments stay with, in ascending order."""
    kept_minor: int = 0
    """Owed once more because of the payments that were taken back by then."""
    came_minor: int | None = None
    """What had come by then without a row of its own, with what was taken back since; it bounds the
    credit that can have been given. None: today, when all of it has come."""


@frozen
class Coverage:
    """How much of a schedule is paid. Units: minor units."""

    filled_minor: int
    """Fills the rows from the first on."""
    scattered: tuple[int, ...] = ()
    """Rows beyond the first unpaid one that are paid all the same: after a reversal."""
    excess_minor: int = 0
    """Paid beyond what is owed: customer credit."""
    short_minor: int = 0
    """Owed on top of the schedule: credit that was spent before its payment was taken back."""


class Bucket(StrEnum):
    """How long the oldest unpaid row is past due. Source: L6."""

    CURRENT = "current"
    TO_30 = "1-30"
    TO_60 = "31-60"
    TO_90 = "61-90"
    OVER_90 = "91+"


@frozen
class Delinquency:
    """How a loan stands on a date. Source: L6."""

    is_delinquent: bool
    missed_in_a_row: int
    """The longest run of consecutive rows that are past due and unpaid."""
    days_past_due: int
    bucket: Bucket
    overdue_minor: int
    """What is past due and unpaid. Units: minor units."""


@frozen
class LoanTerms:
    """What the settings say of loans that do not say it themselves."""

    payment_policy: PaymentPolicy
    delinquent_after: int
    hold_days: int = 30
    """After how many covered days a held debit is released. Source: A9."""
