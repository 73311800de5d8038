"""Taking messages in, before the door: read, hashed, and made into the rows they will be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field
from datetime import date, datetime, timedelta

from pydantic_core import to_json

from tallybook.ambient.secrets import Secrets
from tallybook.bills.model import (
    AccountType,
    Fact,
    Kind,
    Message,
    MessageStatus,
    MessageType,
)
from tallybook.bills.reading.model import Reading, Verdict
from tallybook.bills.reading.reader import Reader
from tallybook.bills.reading.text import BYTES_MOST
from tallybook.bills.rules.states import see_that_types_agree
from tallybook.kernel.calendar import business_date
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids

SENDER_MOST, ISSUER_MOST, NUMBER_MOST = 64, 200, 64
_SKEW = timedelta(days=1)
"""A phone's clock may be ahead of ours by this much."""


@frozen
class Taken:
    """A message on its way in. For an idempotency key only what was asked counts."""

    customer_id: str
    asked: str
    """The identity and everything the caller gave, hashed: the same for the same request."""
    message: Message = field(repr=False, metadata={"hashed": False})
    fact: Fact = field(repr=False, metadata={"hashed": False})
    older: str | None = field(default=None, repr=False, metadata={"hashed": False})
    """The identity that it had when a time of receipt was no part of it, where that differs."""


@frozen
class Intake:
    """Who reads messages, and with what: the reader, the key, ids, the clock's now and the zone."""

    reader: Reader
    secrets: Secrets
    ids: Ids
    now: datetime
    zone: str


@frozen
class RawText:
    """A message as it came."""

    customer_id: str
    body: str
    sender: str | None = None
    sent_at: datetime | None = None
    received_at: datetime | None = None
    source_id: str | None = None
    is_receipt_named: bool = False
    """Whether `received_at` came with the text; else whoever took it in has put it."""


@frozen
class ParsedMessage:
    """A message that somebody else has read. Units: minor units."""

    customer_id: str
    account_type: AccountType
    transaction_type: Kind
    message_type: MessageType
    issuer: str
    number: str | None = None
    amount_minor: int | None = None
    minimum_minor: int | None = None
    currency: str | None = None
    bill_on: date | None = None
    due_on: date | None = None
    paid_on: date | None = None
    reference: str | None = None
    sent_at: datetime | None = None
    received_at: datetime | None = None
    source_id: str | None = None


def take_text(raw: RawText, intake: Intake) -> Taken:
    """Read a raw text; whatever it is, it becomes a message with a status. Source: B1."""
    return take_reading(raw, read_text(raw, intake), intake)


def read_text(raw: RawText, intake: Intake) -> Reading:
    """Read a raw text by the rules, as of the business date on which it came."""
    at, on_day = _when(raw, intake)
    return intake.reader.read(raw.body, raw.sender, on_day, day_is_sent=raw.sent_at == at)


def take_reading(raw: RawText, reading: Reading, intake: Intake) -> Taken:
    """Make a text and what was read in it into a message with a status."""
    at, on_day = _when(raw, intake)
    body_hash = intake.secrets.keyed_hash(raw.body.encode(errors="replace").decode())
    sent_at = None if raw.sent_at is None else raw.sent_at.isoformat(" ")
    received = raw.received_at.isoformat(" ") if raw.received_at and raw.is_receipt_named else None
    said = ["text", raw.sender, body_hash]
    identity, older = _identities(intake, raw, said, sent_at, received)
    is_otp = reading.verdict is Verdict.OTP
    message = Message(
        id=intake.ids.fresh(),
        customer_id=raw.customer_id,
        identity=identity,
        sender=_storable(raw.sender, SENDER_MOST) if raw.sender else None,
        body=None if is_otp else _storable(raw.body, BYTES_MOST),
        body_hash=body_hash,
        sent_at=raw.sent_at,
        received_at=raw.received_at or intake.now,
        source_id=raw.source_id,
        rule=reading.rule,
        reading=_evidence(reading),
        recorded_at=intake.now,
    )
    status, why = _status_of(reading)
    if not is_otp and at != (raw.sent_at or raw.received_at or at):
        name = "sent" if raw.sent_at else "received"
        status, why = MessageStatus.REVIEW, f"it says that it was {name} in the future"
    fact = _fact_of_reading(message, reading, at, on_day, status, why)
    asked = _joined(older or identity, body_hash, raw.sender, sent_at, raw.source_id)
    return Taken(raw.customer_id, asked, message, fact, older)


def _when(raw: RawText, intake: Intake) -> tuple[datetime, date]:
    """Tell when a text came, and on which business date; a time that is yet to come is not it."""
    at = raw.sent_at or raw.received_at or intake.now
    if at > intake.now + _SKEW:
        at = intake.now
    return at, business_date(at, intake.zone)


def take_parsed(parsed: ParsedMessage, intake: Intake) -> Taken:
    """Take in what came ready-parsed. Raises: Refused `types_disagree`."""
    see_that_types_agree(parsed.transaction_type, parsed.message_type)
    at = parsed.sent_at or parsed.received_at or intake.now
    said = [
        parsed.account_type, parsed.transaction_type, parsed.message_type, parsed.issuer,
        parsed.number, parsed.amount_minor, parsed.minimum_minor, parsed.currency,
        _text(parsed.bill_on), _text(parsed.due_on), _text(parsed.paid_on), parsed.reference,
        _text(parsed.sent_at),
    ]  # fmt: skip
    *shown, sent_at = [None if part is None else str(part) for part in said]
    received = _text(parsed.received_at)
    identity, older = _identities(intake, parsed, ["parsed", *shown], sent_at, received)
    message = Message(
        id=intake.ids.fresh(),
        customer_id=parsed.customer_id,
        identity=identity,
        sender=None,
        body=None,
        body_hash=intake.secrets.keyed_hash(json.dumps(said)),
        sent_at=parsed.sent_at,
        received_at=parsed.received_at or intake.now,
        source_id=parsed.source_id,
        rule=None,
        reading='{"confidence":100}',
        recorded_at=intake.now,
    )
    fact = Fact(
        message_id=message.id,
        customer_id=parsed.customer_id,
        at=at,
        hash=identity,
        on_day=business_date(at, intake.zone),
        folds=True,
        is_movement=False,
        kind=parsed.transaction_type,
        bill_type=parsed.account_type,
        issuer=parsed.issuer,
        number=parsed.number,
        amount_minor=parsed.amount_minor,
        minimum_minor=parsed.minimum_minor,
        currency=parsed.currency,
        bill_on=parsed.bill_on,
        due_on=parsed.due_on,
        paid_on=parsed.paid_on,
        reference=parsed.reference,
        paid_from=None,
        status=MessageStatus.RECORDED,
    )
    asked = json.dumps([older or identity, said, parsed.source_id])
    return Taken(parsed.customer_id, asked, message, fact, older)


def _identities(
    intake: Intake,
    given: RawText | ParsedMessage,
    said: Sequence[str | None],
    sent_at: str | None,
    received_at: str | None,
) -> tuple[str, str | None]:
    """Tell by what a message is known again, and by what it was where that was another.

    That is the source's own id; else what it says and when it was sent, or came. Source: B1.
    """

    def hashed(*what: str | None) -> str:
        return intake.secrets.keyed_hash(_joined(given.customer_id, *what))

    if given.source_id:
        return hashed("source", given.source_id), None
    by_sending = hashed(*said, sent_at)
    if sent_at is not None or received_at is None:
        return by_sending, None
    return hashed(*said, received_at), by_sending


def _joined(*parts: str | None) -> str:
    """Write parts so that no two lists of them look the same: each with its length."""
    return "".join(["1:-" if part is None else f"{len(part)}:{part}" for part in parts])


def _status_of(reading: Reading) -> tuple[MessageStatus, str]:
    if reading.verdict is Verdict.OTP:
        return MessageStatus.OTP_DROPPED, "a one-time password: its text was not kept"
    if reading.verdict is Verdict.PHISHING or reading.doubts:
        # A text that nothing knows is only unmatched; one that is too long for it may be a bill.
        return MessageStatus.REVIEW, "; ".join(reading.doubts)
    if reading.verdict in (Verdict.NOISE, Verdict.UNKNOWN):
        return MessageStatus.UNMATCHED, "no rule reads a bill in it"
    if not reading.is_accepted:
        return MessageStatus.REVIEW, f"only {reading.confidence} % sure of what it says"
    if reading.verdict is Verdict.MOVEMENT and not reading.amount_minor:
        return MessageStatus.UNMATCHED, "a movement of money without an amount"
    return MessageStatus.RECORDED, ""


def _fact_of_reading(
    message: Message,
    reading: Reading,
    at: datetime,
    on_day: date,
    status: MessageStatus,
    why: str,
) -> Fact:
    is_movement = reading.verdict is Verdict.MOVEMENT
    amount = reading.amount_minor
    if is_movement and amount is not None and not reading.is_credit:
        amount = -amount
    return Fact(
        message_id=message.id,
        customer_id=message.customer_id,
        at=at,
        hash=message.identity,
        on_day=on_day,
        folds=status is MessageStatus.RECORDED,
        is_movement=is_movement,
        kind=reading.kind,
        bill_type=reading.bill_type,
        issuer=_cut(reading.issuer, ISSUER_MOST),
        number=_cut(reading.account_number, NUMBER_MOST),
        amount_minor=amount,
        minimum_minor=reading.minimum_minor,
        currency=reading.currency,
        bill_on=reading.bill_on,
        due_on=reading.due_on,
        paid_on=reading.paid_on,
        reference=_cut(reading.reference, NUMBER_MOST),
        paid_from=_cut(reading.paid_from, NUMBER_MOST),
        status=status,
        why=why,
    )


def _evidence(reading: Reading) -> str:
    if reading.verdict in (Verdict.OTP, Verdict.NOISE, Verdict.UNKNOWN) and not reading.doubts:
        return "{}"
    fields = {
        name: {"start": span.start, "end": span.end, "confidence": span.confidence}
        for name, span in reading.spans.items()
    }
    shape = {"confidence": reading.confidence, "fields": fields, "doubts": reading.doubts}
    return to_json(shape).decode()


def _storable(text: str, most: int) -> str:
    """Cut a text to what is kept, and take out what a database can't hold."""
    if len(text) <= most and text.isascii() and "\x00" not in text:
        return text
    plain = text[:most].replace("\x00", "\ufffd").encode(errors="replace").decode()
    if len(plain.encode()) > most:
        plain = plain.encode()[:most].decode(errors="ignore")
    return plain


def _cut(text: str | None, most: int) -> str | None:
    return text[:most] if text else None


def _text(value: datetime | date | None) -> str | None:
    return value.isoformat() if value else None
