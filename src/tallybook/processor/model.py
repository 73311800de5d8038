"""What is known of transfers: their states, the reports about them, what waits for a person."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen
from tallybook.processor.port import Direction


class TransferState(StrEnum):
    """Where a transfer stands. Source: P2."""

    # What may follow what is in rules.py: MOVES.

    INTENT = "intent"
    """On record; the call has not been answered yet, or its process died."""
    ACCEPTED = "accepted"
    """The Processor gave a transaction id; the result comes with a report."""
    REJECTED = "rejected"
    """Proof that it was not executed: no connection, or a complete refusal."""
    UNKNOWN = "unknown"
    """Anything else: never sent again on a guess."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    """In none of the reports that should have shown it. It may still have been executed."""
    RETURNED = "returned"
    """Succeeded, then taken back."""
    NOT_EXECUTED = "not_executed"
    """Ruled so by a person, or by complete coverage of rows that identify transfers."""


class TransferKind(StrEnum):
    """What a transfer is for; each kind has one business that books it."""

    ADVANCE = "advance"
    LOAN = "loan"
    CREDIT_PAYOUT = "credit_payout"


@frozen
class Transfer:
    """One order to the Processor, on record before it is sent."""

    id: str
    kind: TransferKind
    direction: Direction
    customer_id: str
    bank_account_id: str
    subject_id: str
    """The advance or the loan, or for a credit payout the customer."""
    installment_id: str | None
    installment_number: int | None
    amount_minor: int
    currency: str
    state: TransferState
    held: bool
    """Timed out and not released: its amount may not be collected again. Source: A9."""
    transaction_id: str | None
    sent_on: date
    """The business date on which it was sent: S in P5."""
    intent_at: datetime
    lease_until: datetime
    """Until then the process that made the intent may send it; afterwards it is unknown."""
    sender: str
    """Which process made the intent: if it is known dead, nobody waits for the lease."""
    resolved_at: datetime | None
    resolved_on: date | None
    reason: str | None
    is_ruled: bool
    """A person has said what became of it: reports no longer move it by themselves. Of an accepted
    one they have said its id: reports move it then, and time does not."""
    request_key: str | None
    """The idempotency key whose reply waits for this transfer's outcome."""

    @property
    def is_debit(self) -> bool:
        """Tell whether it collects from the customer."""
        return self.direction is Direction.DEBIT


class Result(StrEnum):
    """What a report says of a transaction."""

    SUCCESS = "success"
    FAIL = "fail"


@frozen
class Fact:
    """That some report gave a transaction a result; kept once however often it is repeated."""

    transaction_id: str
    result: Result
    first_on: date
    """The date of the earliest report that has it. An older report that comes late lowers it."""
    happened_on: date
    """The row's own date where the Processor gives one, else `first_on`. Facts fold by it."""
    not_before: date
    """It can't have happened earlier: the day before its own date, by a calendar a day ahead of
    ours; without one the day of the report before it, or the window's start."""
    applied: bool
    """Whether the transfer with this id has been settled with it."""
    amount_minor: int | None
    account_hash: str | None
    """The keyed hash of the account it names; SHOWN_OTHERWISE where rows of it contradict."""
    direction: Direction | None
    reason: str | None


SHOWN_OTHERWISE = "-" * 64
"""Stands for the account of a fact that rows gave two amounts, accounts or directions: whoever's it
is, a person has to look."""


@frozen
class Report:
    """A report as it was taken. Its raw text is sealed: it may name account numbers."""

    id: str
    report_on: date
    taken_at: datetime
    sha256: str
    raw_sealed: bytes
    state: ReportState
    rows_count: int
    new_count: int
    missing_count: int
    """Facts known from earlier reports that it should repeat and does not."""
    is_rich: bool
    """Whether it proves absence: its rows tell amount, account and direction, and it is no file of
    days before."""
    problems: str
    """What could not be read, or is wrong with all of it, as JSON: line numbers and codes."""


class ReportState(StrEnum):
    """How far a report was taken in, and what it proves. Source: P4."""

    TAKEN = "taken"
    """Stored raw; its rows are being read in."""
    COMPLETE = "complete"
    """Read to its end, with every row that it had to repeat: it covers the days before its own."""
    INCOMPLETE = "incomplete"
    """Its rows are used; it covers no day."""


class ItemKind(StrEnum):
    """Why something waits for a person. Source: P9."""

    UNKNOWN = "unknown"
    ORPHAN = "orphan"
    CONTRADICTION = "contradiction"
    COLLISION = "collision"
    GAP = "gap"
    EXCESS = "excess"
    CREDIT_TIMED_OUT = "credit_timed_out"
    DEBIT_TIMED_OUT = "debit_timed_out"
    DEFAULT = "default"
    REPORTS_MISSING = "reports_missing"
    DEBIT_CAPPED = "debit_capped"
    RUN_CAPPED = "run_capped"
    RESTORED = "restored"


class Action(StrEnum):
    """What a person may do about an item."""

    CONFIRM_EXECUTED = "confirm_executed"
    CONFIRM_NOT_EXECUTED = "confirm_not_executed"
    RELEASE = "release"
    RESUME = "resume"
    CANCEL = "cancel"
    WRITE_OFF = "write_off"
    REFUND = "refund"
    OVERRIDE = "override"
    ADOPT = "adopt"
    """Say that an orphan collected a row of a plan, of which this book knows nothing: it was sent
    after the copy was made that the book was restored from."""
    DISMISS = "dismiss"


@frozen
class OperatorItem:
    """Something that no rule may settle by itself."""

    id: str
    kind: ItemKind
    about: str
    """What it is about, one open item a kind: a transfer, advance or transaction id, or a date."""
    transfer_id: str | None
    subject_id: str | None
    customer_id: str | None
    transfer_kind: TransferKind | None
    amount_minor: int | None
    """What it is about in money: the excess that may be refunded. Units: minor units."""
    currency: str | None
    detail: str
    """One sentence for the person who decides."""
    is_open: bool
    opened_on: date
    opened_at: datetime
    action: str | None
    reason: str | None
    resolved_by: str | None
    resolved_at: datetime | None


class SendingState(StrEnum):
    """Whether anything may be sent to the Processor."""

    OPEN = "open"
    STOPPED = "stopped"
    """A person stopped it."""
    RECONCILING = "reconciling"
    """The book is a restored copy: what was sent after it was made is to be found first."""


@frozen
class Sending:
    """The one switch that all sending goes by; where there is no row it is open."""

    name: str
    state: SendingState
    reason: str
    changed_by: str
    changed_at: datetime
    lost_from: date | None
    """The first date of which a restored copy may not know what was sent."""
    lost_until: date | None
    """The last such date: the one of the restore."""

    @property
    def is_open(self) -> bool:
        """Tell whether something may be sent."""
        return self.state is SendingState.OPEN

    @property
    def is_of_held_copy(self) -> bool:
        """Tell whether the book is a restored copy of which nobody knows yet what it lost."""
        return not self.is_open and self.lost_from is not None
