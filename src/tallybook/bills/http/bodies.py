"""What calls about household bills send, read into what the operations take."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from tallybook.bills.model import AccountType, Kind, MessageType
from tallybook.bills.operations.people import CorrectedReading
from tallybook.bills.operations.taking import (
    Intake,
    ParsedMessage,
    RawText,
    Taken,
    take_parsed,
    take_text,
)
from tallybook.bills.reading.reader import shipped_reader
from tallybook.bills.rules.states import see_minimum_fits
from tallybook.bills.views import CUSTOMER_PREFIX, MessageView
from tallybook.kernel.money import currency_decimals, parse_amount, plain_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.calls import body_id
from tallybook.wire.context import Context
from tallybook.wire.fields import Amount, Answer, Body, CurrencyCode, Day, Ident, Instant, Text
from tallybook.wire.problems import SHAPE_TAG

MESSAGES_MOST = 1_000
BODY_LIMIT = 5 * 1024 * 1024
"""Source: B11. Units: bytes."""

Short = Annotated[str, Field(min_length=1, max_length=64)]
IssuerName = Annotated[str, Field(min_length=1, max_length=200)]
In = Field(strict=False)


class NewMessage(Body):
    """A raw text, or what somebody else has read in one."""

    customer_id: Ident
    body: Annotated[str, Field(max_length=BODY_LIMIT)] | None = Field(default=None, repr=False)
    """The text as it came. Then nothing below `source_id` is given."""
    sender: Annotated[str, Field(max_length=1_000)] | None = None
    sent_at: Instant | None = None
    received_at: Instant | None = None
    source_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    account_type: Annotated[AccountType, In] | None = None
    transaction_type: Annotated[Kind, In] | None = None
    message_type: Annotated[MessageType, In] | None = None
    account_number: Short | None = None
    issuer: IssuerName | None = None
    amount: Amount | None = None
    minimum_due: Amount | None = None
    currency: CurrencyCode | None = None
    bill_date: Day | None = None
    due_on: Day | None = None
    paid_on: Day | None = None
    reference: Short | None = None


MessageList = Annotated[list[NewMessage], Field(min_length=1, max_length=MESSAGES_MOST)]


def _shape(body: object) -> str:
    return _MANY if isinstance(body, list) else _ONE


_ONE, _MANY = f"{SHAPE_TAG}one", f"{SHAPE_TAG}many"
OneOrMany = Annotated[
    Annotated[NewMessage, Tag(_ONE)] | Annotated[MessageList, Tag(_MANY)], Discriminator(_shape)
]
"""Told apart before they are read, so that a fault is told of the one that was meant."""


class ManyMessages(Answer):
    """What became of each message of a list, in its order."""

    data: list[MessageView]


class NewTransaction(Body):
    """A bank or wallet movement; negative is money out."""

    customer_id: Ident
    amount: Amount
    happened_at: Instant
    currency: CurrencyCode | None = None
    description: Text | None = None
    reference: Short | None = None
    account_number: Short | None = None


class NewLink(Body):
    """The bill that a transaction pays."""

    bill_id: Ident


class Correction(Body):
    """The right reading of a message, or `dismiss` where it is no bill."""

    dismiss: bool = False
    reason: Text = "corrected"
    account_type: Annotated[AccountType, In] | None = None
    transaction_type: Annotated[Kind, In] | None = None
    account_number: Short | None = None
    issuer: IssuerName | None = None
    amount: Amount | None = None
    minimum_due: Amount | None = None
    currency: CurrencyCode | None = None
    bill_date: Day | None = None
    due_on: Day | None = None
    paid_on: Day | None = None
    reference: Short | None = None


class ResolvedView(Answer):
    """What a settled message came to."""

    id: str
    status: str
    why: str
    bill_id: str | None
    transaction_id: str | None


def intake_of(context: Context) -> Intake:
    """Make what messages are taken in with."""
    return Intake(
        shipped_reader(),
        context.secrets,
        context.ids,
        context.clock.now(),
        context.settings.timezone,
    )


def take_message(message: NewMessage, intake: Intake, context: Context, place: str) -> Taken:
    """Take in one message; `place` stands before the names of its fields in refusals.

    Raises: Refused `customer_not_found`, `field_invalid`, `types_disagree`, `amount_invalid`,
        `currency_unknown`.
    """
    customer = body_id(
        CUSTOMER_PREFIX, message.customer_id, param=f"{place}customer_id",
        code="customer_not_found",
    )  # fmt: skip
    if message.body is not None:
        extra = sorted(message.model_fields_set - _OF_TEXTS)
        if extra:
            raise _missing(f"{place}{extra[0]}", "it goes with a parsed message, not with a body")
        return take_text(
            RawText(
                customer, message.body, message.sender, message.sent_at, message.received_at,
                message.source_id, is_receipt_named=message.received_at is not None,
            ),
            intake,
        )  # fmt: skip
    if (
        message.account_type is None
        or message.transaction_type is None
        or message.message_type is None
        or message.issuer is None
    ):
        missing = next(name for name in _NEEDED if getattr(message, name) is None)
        raise _missing(f"{place}{missing}", "it is needed where there is no body")
    currency = message.currency or context.settings.currency
    currency_decimals(currency)
    for name in ("sent_at", "received_at"):
        see_it_is_past(getattr(message, name), intake.now, f"{place}{name}")
    see_day_is_past(message.paid_on, context.clock.today(), f"{place}paid_on")
    amount = _minor(message.amount, currency, f"{place}amount")
    minimum = _minor(message.minimum_due, currency, f"{place}minimum_due")
    see_minimum_fits(amount, minimum, param=f"{place}minimum_due")
    parsed = ParsedMessage(
        customer_id=customer,
        account_type=message.account_type,
        transaction_type=message.transaction_type,
        message_type=message.message_type,
        issuer=message.issuer,
        number=message.account_number,
        amount_minor=amount,
        minimum_minor=minimum,
        currency=message.currency,
        bill_on=message.bill_date,
        due_on=message.due_on,
        paid_on=message.paid_on,
        reference=message.reference,
        sent_at=message.sent_at,
        received_at=message.received_at,
        source_id=message.source_id,
    )
    return take_parsed(parsed, intake)


_CLOCKS_APART = timedelta(days=1)
"""How far ahead of ours another clock or another zone's calendar may be."""


def see_it_is_past(instant: datetime | None, now: datetime, param: str) -> None:
    """Refuse what is said to have happened after now. Source: T2. Raises: `date_in_future`."""
    if instant is not None and instant > now + _CLOCKS_APART:
        raise Refused(
            Refusal("date_in_future", param=param, details={"today": now.date().isoformat()})
        )


def see_day_is_past(day: date | None, today: date, param: str) -> None:
    """Refuse a payment that is dated after today. Source: T2. Raises: Refused `date_in_future`."""
    if day is not None and day > today + _CLOCKS_APART:
        raise Refused(Refusal("date_in_future", param=param, details={"today": today.isoformat()}))


_OF_TEXTS = frozenset({"customer_id", "body", "sender", "sent_at", "received_at", "source_id"})
_NEEDED = ("account_type", "transaction_type", "message_type", "issuer")


def _missing(name: str, problem: str) -> Refused:
    return Refused(
        Refusal("field_invalid", param=name, details={"field": name, "problem": problem})
    )


def _minor(amount: Amount | None, currency: str, param: str) -> int | None:
    """Read an amount of zero or more. Raises: Refused `amount_invalid`."""
    if amount is None:
        return None
    minor = parse_amount(amount, currency, param=param)
    if minor < 0:
        raise Refused(Refusal("amount_invalid", param=param))
    return minor


def _plain(amount: Amount | None, param: str) -> str | None:
    """Write an amount of zero or more plainly. Raises: Refused `amount_invalid`."""
    return None if amount is None else plain_amount(amount, param=param, may_be_zero=True)


def read_correction(body: Correction) -> CorrectedReading | None:
    """Read what a person says of a message; None where it is dismissed.

    Raises: Refused `field_invalid`, `amount_invalid`, `currency_unknown`.
    """
    if body.dismiss:
        return None
    if body.transaction_type is None:
        raise _missing("transaction_type", "it is needed, or `dismiss`")
    if body.currency is not None:
        currency_decimals(body.currency)
    return CorrectedReading(
        kind=body.transaction_type,
        bill_type=body.account_type,
        issuer=body.issuer,
        number=body.account_number,
        amount=_plain(body.amount, "amount"),
        minimum=_plain(body.minimum_due, "minimum_due"),
        currency=body.currency,
        bill_on=body.bill_date,
        due_on=body.due_on,
        paid_on=body.paid_on,
        reference=body.reference,
    )
