"""The nouns of household bills: accounts, bills, messages, transactions. Source: B2-B5."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen


class AccountType(StrEnum):
    """What a bill is for: three kinds of bills, and two supporting ones."""

    MOBILE_BILL = "MOBILE_BILL"
    ELECTRIC_BILL = "ELECTRIC_BILL"
    GAS_BILL = "GAS_BILL"
    LOAN = "LOAN"
    CREDITCARD = "CREDITCARD"


UTILITIES = frozenset({AccountType.MOBILE_BILL, AccountType.ELECTRIC_BILL, AccountType.GAS_BILL})
"""Their bill is an expense when it comes. A card or a loan owes for what was bought before."""


class Kind(StrEnum):
    """What a message says about a bill: the bill transaction types."""

    GENERATION = "BILL_GENERATION"
    INFORMATION = "BILL_INFORMATION"
    CONFIRMATION = "BILL_CONFIRMATION"
    TXN_CONFIRMATION = "BILL_TXN_CONFIRMATION"
    IMMEDIATE = "BILL_IMMEDIATE"
    DUE_TODAY = "BILL_DUE_TODAY"


STATEMENTS = frozenset({Kind.GENERATION, Kind.IMMEDIATE, Kind.DUE_TODAY})
PAYMENTS = frozenset({Kind.CONFIRMATION, Kind.TXN_CONFIRMATION})


class MessageType(StrEnum):
    """What sort of message it is, used together with the kind."""

    PAYMENT = "BILL_PAYMENT"
    STATEMENT = "BILL_STATEMENT"
    INFORMATION = "INFORMATION"


class MessageStatus(StrEnum):
    """What became of a message."""

    RECORDED = "recorded"
    """Written down by an import whose accounts are not folded yet."""
    APPLIED = "applied"
    INFORMATION = "information"
    UNMATCHED = "unmatched"
    REVIEW = "review"
    DUPLICATE = "duplicate"
    OTP_DROPPED = "otp_dropped"


class BillState(StrEnum):
    """Where a bill stands on a day. Computed each time, never stored. Source: B5."""

    UNPAID = "unpaid"
    DUE_TODAY = "due_today"
    OVERDUE = "overdue"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    ROLLED_OVER = "rolled_over"


@frozen
class Message:
    """A text as it came, or what was sent ready-parsed. Never changed. Source: B1."""

    id: str
    customer_id: str
    identity: str
    """What makes it the same message: a hash of its source id, else of who, what and when."""
    sender: str | None
    body: str | None
    """None for a one-time password and for what came parsed; cut where it was longer than 2 kB."""
    body_hash: str
    sent_at: datetime | None
    received_at: datetime
    source_id: str | None
    rule: str | None
    reading: str
    """The evidence as JSON: each field's text, place, confidence and rule, and the doubts."""
    recorded_at: datetime


@frozen
class Fact:
    """What a message says, and what it came to in the fold of everything known."""

    message_id: str
    customer_id: str
    at: datetime
    """When it was sent, else received: with `hash` the one order of all facts. Source: B10."""
    hash: str
    on_day: date
    """The business date of `at`."""
    folds: bool
    """Whether it takes part: noise, dropped passwords and what waits for review do not."""
    is_movement: bool
    """A bank's report of money in or out that does not say what for."""
    kind: Kind | None
    bill_type: AccountType | None
    issuer: str | None
    number: str | None
    amount_minor: int | None
    minimum_minor: int | None
    currency: str | None
    """None where nobody said: then that of the customer's other bills."""
    bill_on: date | None
    due_on: date | None
    paid_on: date | None
    reference: str | None
    paid_from: str | None
    status: MessageStatus
    account_id: str | None = None
    bill_id: str | None = None
    transaction_id: str | None = None
    why: str = ""
    """In a sentence, what it came to and why."""


@frozen
class BillAccount:
    """One account with an issuer, and the recurring bill that it gets. Source: B3."""

    id: str
    customer_id: str
    type: AccountType
    issuer: str | None
    number: str | None
    anchor: str
    """The message it was made from: whatever account holds that message is this one."""
    cycle_days: int | None
    """How far apart its bills are. Units: days; None until there are two."""
    generation_day: int | None
    due_day: int | None
    """The days of the month on which the latest bill was made and was due."""
    merged_into: str | None
    created_at: datetime


@frozen
class Bill:
    """One bill of one period. Units: minor units. Source: B4."""

    id: str
    customer_id: str
    account_id: str
    type: AccountType
    anchor: str
    """The message it was made from: whatever bill holds that message is this one."""
    bill_on: date | None
    due_on: date | None
    dated_on: date
    """From when on it can be paid: its date, else the day it was first heard of or due."""
    amount_minor: int | None
    minimum_minor: int | None
    currency: str
    paid_minor: int
    paid_on: date | None
    is_rolled_over: bool
    merged_into: str | None
    """The bill that a late message showed this one to be part of."""
    history: str
    """JSON: what each message changed, in order."""
    evidence: str
    """JSON: what paid it, and why that is believed."""


@frozen
class Transaction:
    """A payment or another movement. Units: minor units, negative is money out. Source: B8."""

    id: str
    customer_id: str
    message_id: str | None
    """The message it was made from; None where a bank's feed or a person gave it."""
    at: datetime
    hash: str
    on_day: date
    amount_minor: int
    currency: str
    is_currency_stated: bool
    description: str
    reference: str | None
    number: str | None
    """The account that it names: the one it was paid from, or the biller's."""
    # What folding finds out: nothing yet.
    account_id: str | None = None
    bill_id: str | None = None
    bound: str = "[]"
    """JSON: [[bill id, minor units], ...]."""
    bound_minor: int = 0
    prepaid_minor: int = 0
    """What waits for a bill that has not come."""
    duplicate_of: str | None = None
    evidence: str = ""
    """Why it is linked, or why it is not, in a sentence."""


@frozen
class Link:
    """A person's word on what a transaction pays; the latest one counts, and it wins."""

    id: str
    customer_id: str
    transaction_id: str
    bill_anchor: str | None
    """The message of the bill that it pays; None: none of them, and nothing is to be guessed."""
    at: datetime


@frozen
class Resolution:
    """What a person said of a message that waited for review. Never changed."""

    id: str
    customer_id: str
    message_id: str
    action: str
    """`correct` or `dismiss`."""
    reason: str
    reading: str
    """JSON: what the message says, as the person reads it."""
    at: datetime
