"""Invoices by e-mail, out of the event log, after the sale is on disk. Source: R10.

A mail server that is down, slow or mad delays no sale: this reads what was committed, in passes of
its own, and tries again later what did not go. A mail may go twice after a crash or a stall, never
not at all; its Message-ID is the same both times.
"""

from __future__ import annotations

import logging
import smtplib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Protocol

from pydantic_core import from_json
from sqlalchemy import Connection, select

from tallybook.ambient.clock import Clock
from tallybook.ambient.liveness import is_known_dead, this_process
from tallybook.collection.queries import find_job
from tallybook.db.engine import Database
from tallybook.kernel.frozen import frozen
from tallybook.kernel.refusal import Refused
from tallybook.processor.queries import find_sending
from tallybook.retail.model import Purchase, PurchaseItem
from tallybook.retail.operations.invoices import (
    CURSOR,
    MAIL_LEASE,
    MAILING,
    Attempt,
    ClaimMailing,
    ClaimMailingOperation,
    RecordMailing,
    RecordMailingOperation,
)
from tallybook.retail.operations.purchases import PURCHASE_RECORDED
from tallybook.retail.queries.reads import Sold, find_purchase
from tallybook.retail.store import INVOICE_RETRIES_TABLE, MAIL_CURSORS_TABLE, PURCHASES_TABLE
from tallybook.retail.tasks.mails import Send, write_invoice
from tallybook.writer.door import Door
from tallybook.writer.model import Command
from tallybook.writer.store import EVENTS

_log = logging.getLogger("tallybook.invoices")

TOGETHER = 200
"""Mails between two notes of how far it got; after a crash at most these go twice."""
ATTEMPTS_MAX = 12
"""With doubling pauses from a minute on: about a day and a half."""
FAILURES_IN_A_ROW = 3
"""After so many failures of the server's the rest of a pass waits untried, and loses no try by it:
a server that hangs holds up each mail."""
TOO_OLD = timedelta(days=7)
"""How long after a sale nobody begins to mail its invoice: mailing may have been off for a year."""
RESTORED = "RestoredCopy"
"""Why an invoice waits in a restored copy: the book that was lost may have mailed it."""
IDLE_SECONDS = 1.0
CLOSE_SECONDS = 5.0
NOTE_TRIES = 60
NOTE_PAUSE_SECONDS = 1.0

_ITS_OWN = smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError
"""What one mail is refused for, and the next may not be."""


class MailCounter(Protocol):
    """What mailing needs of the engine."""

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where writes go."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...


@dataclass(slots=True)
class Pass:
    """A pass under way: what breaks it off, and what it has tried so far."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Looked at before each mail."""
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    def sent(self) -> tuple[Attempt, ...]:
        """List those that went. Who breaks off notes no others: whoever goes on may have them."""
        return tuple(attempt for attempt in list(self.attempts) if attempt.problem is None)


def mail_invoices(
    counter: MailCounter,
    send: Send,
    *,
    sender: str,
    shop: str,
    holder: str | None = None,
    under_way: Pass | None = None,
) -> int:
    """Make one pass: send what is due, note what became of it.

    Of several processes on one book one mails: it claims that first, under its name (`holder`; None
    is this process), and sees before each mail that it still has it. One that has lost it, can't
    tell, or is stopped notes what it has sent; the others are due again.

    Returns: how much it looked at; with `TOGETHER` or more there may be more at once.
    Raises: Refused, where nothing can be noted; whatever the database raises.
    """
    holder, under_way = holder or this_process(), under_way or Pass()
    under_way.attempts.clear()
    now = counter.clock.now()
    with counter.database.reader() as connection:
        due = _due(connection, now)
    if due.numbers and not _has_mailing(counter, holder):
        return 0
    # Once more: who had the mailing before may just have noted what it sent.
    with counter.database.reader() as connection:
        due = _due(connection, now)
        tries = _tries(connection, due.numbers)
        sold = [found for number in due.numbers if (found := find_purchase(connection, number))]
        sending = find_sending(connection)
    # What was lost is accounted for when sending is started, and forgotten then.
    failure = None if sending is None or sending.lost_from is None else RESTORED
    write = partial(write_invoice, sender=sender, shop=shop)
    may_go_on = partial(_has_mailing, counter, holder)
    is_whole = False
    try:
        is_whole = _send_all(
            under_way, partial(_try, send, write), sold, tries, now, may_go_on, failure
        )
    finally:
        if not is_whole and (sent := under_way.sent()):
            _note(counter, RecordMailing(None, sent), under_way.stop)
    if not is_whole:
        return 0
    # A pass over other people's events is noted only when it is long: noting is an event as well.
    if under_way.attempts or due.too_old or due.read >= TOGETHER:
        _note(counter, RecordMailing(due.seq, tuple(under_way.attempts)), under_way.stop)
    if due.too_old:
        count, last = len(due.too_old), max(due.too_old)
        _log.warning("%d invoices are too old to be mailed, up to receipt %d", count, last)
    return max(due.read, len(under_way.attempts))


def _send_all(
    under_way: Pass,
    try_one: Callable[[Purchase, Sequence[PurchaseItem]], tuple[str | None, bool]],
    sold: Sequence[Sold],
    tries: Mapping[int, int],
    now: datetime,
    may_go_on: Callable[[], bool],
    failure: str | None,
) -> bool:
    """Try each mail, unless the server fails, or nothing may go for a reason that is known before.

    Returns: whether it came to the end of them.
    """
    failures = 0 if failure is None else FAILURES_IN_A_ROW
    for purchase, items in sold:
        if failures >= FAILURES_IN_A_ROW:
            again = now + timedelta(minutes=1)
            under_way.attempts.append(Attempt(purchase.number, failure, again, was_tried=False))
            continue
        if under_way.stop.is_set() or not may_go_on():
            return False
        problem, is_servers = try_one(purchase, items)
        failure, failures = (problem, failures + 1) if is_servers else (None, 0)
        next_at = None
        if problem is not None and tries.get(purchase.number, 0) + 1 < ATTEMPTS_MAX:
            next_at = now + timedelta(minutes=2 ** tries.get(purchase.number, 0))
        elif problem is not None:
            _log.error("the invoice of receipt %d is given up: %s", purchase.number, problem)
        under_way.attempts.append(Attempt(purchase.number, problem, next_at))
    return True


def _note(
    counter: MailCounter, asked: RecordMailing, stop: threading.Event, tries: int = NOTE_TRIES
) -> None:
    """Note what was sent, also where the book is busy for a while: else it would all go again.

    Raises: Refused.
    """
    command = Command(RecordMailingOperation(), asked)
    while True:
        tries -= 1
        try:
            refusal = counter.door.ask_now(command).refusal
        except Refused as refused:
            refusal = refused.refusal
        if refusal is None:
            return
        _log.warning("what was mailed is not noted: %s", refusal.code)
        if tries <= 0 or not refusal.kind.retry:
            raise Refused(refusal)
        stop.wait(NOTE_PAUSE_SECONDS)


def _has_mailing(counter: MailCounter, holder: str) -> bool:
    """Tell whether a process has the mailing, for a while yet; claims it where it can."""
    with counter.database.reader() as connection:
        job = find_job(connection, MAILING)
    now, dead = counter.clock.now(), None
    if job is not None and job.lease_until > now:
        if job.holder == holder and job.lease_until > now + MAIL_LEASE / 2:
            return True
        dead = job.holder if is_known_dead(job.holder) else None
        if job.holder != holder and dead is None:
            return False
    asked = ClaimMailing(holder, dead)
    return bool(counter.door.ask_now(Command(ClaimMailingOperation(), asked)).value)


def _try(
    send: Send,
    write: Callable[[Purchase, Sequence[PurchaseItem]], EmailMessage],
    purchase: Purchase,
    items: Sequence[PurchaseItem],
) -> tuple[str | None, bool]:
    """Write a mail and send it; gives what went wrong, in a word, and whether it is the server's.

    It is not where it answered, and would not have this one mail, or where there is no such mail.
    """
    try:
        send(write(purchase, items))
    except Exception as error:  # noqa: BLE001 - an address that breaks a parser is that mail's own
        name = type(error).__name__
        _log.warning("the invoice of receipt %d was not sent: %s", purchase.number, name)
        is_servers = isinstance(error, (OSError, smtplib.SMTPException))
        return name, is_servers and not isinstance(error, _ITS_OWN)
    return None, False


class InvoiceMailer:
    """Mails invoices in a thread of its own until it is closed."""

    def __init__(self, counter: MailCounter, send: Send, *, sender: str, shop: str) -> None:
        self._counter = counter
        self._stop = threading.Event()
        self._under_way = Pass(self._stop)
        self._pass = partial(
            mail_invoices, counter, send, sender=sender, shop=shop, under_way=self._under_way
        )
        self._thread = threading.Thread(target=self._serve, name="tallybook-invoices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the mail that is on its way.

        One that hangs is left, and repeated another day; those before it are not.
        """
        self._stop.set()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and (sent := self._under_way.sent()):
            with suppress(Refused):
                _note(self._counter, RecordMailing(None, sent), self._stop, tries=1)

    def _serve(self) -> None:
        while not self._stop.is_set():
            seen = 0
            try:
                seen = self._pass()
            except Exception:  # noqa: BLE001 - whatever it is, the next pass may do better
                # The book may be busy or away for a while; what is due stays due.
                _log.exception("a pass of the mailer failed")
            if seen < TOGETHER:
                self._stop.wait(IDLE_SECONDS)


@frozen
class _Due:
    read: int
    """How many events were read."""
    seq: int
    """The cursor after this pass."""
    numbers: Sequence[int]
    """The receipts to mail now."""
    too_old: Sequence[int]
    """Receipts that nobody waits for any more."""


def _due(connection: Connection, now: datetime) -> _Due:
    """Find what to mail now: retries that are due, then what the log has after the cursor."""
    cursor = select(MAIL_CURSORS_TABLE.c.event_seq).where(MAIL_CURSORS_TABLE.c.name == CURSOR)
    before = int(connection.execute(cursor).scalar() or 0)
    retries = (
        select(INVOICE_RETRIES_TABLE.c.purchase_number)
        .where(INVOICE_RETRIES_TABLE.c.open.is_(True), INVOICE_RETRIES_TABLE.c.next_at <= now)
        .order_by(INVOICE_RETRIES_TABLE.c.next_at)
        .limit(TOGETHER)
    )
    numbers = [int(number) for number in connection.execute(retries).scalars()]
    events = (
        select(EVENTS.c.seq, EVENTS.c.type, EVENTS.c.body)
        .where(EVENTS.c.seq > before)
        .order_by(EVENTS.c.seq)
        .limit(TOGETHER)
    )
    seq, read = before, 0
    sold: list[int] = []
    for row in connection.execute(events):
        seq, read = row.seq, read + 1
        if row.type == PURCHASE_RECORDED:
            sold.append(int(from_json(row.body)["purchase_id"]))
    noted = INVOICE_RETRIES_TABLE.c.purchase_number
    mailed = select(PURCHASES_TABLE.c.number, PURCHASES_TABLE.c.recorded_at).where(
        PURCHASES_TABLE.c.number.in_(sold),
        PURCHASES_TABLE.c.customer_email.is_not(None),
        # Who bought elsewhere, long ago, has their invoice.
        PURCHASES_TABLE.c.is_imported.is_(False),
        # What a pass that was broken off has sent.
        PURCHASES_TABLE.c.number.not_in(select(noted).where(noted.in_(sold))),
    )
    fresh, too_old = [], []
    for number, recorded_at in connection.execute(mailed.order_by(PURCHASES_TABLE.c.number)):
        (too_old if recorded_at < now - TOO_OLD else fresh).append(number)
    return _Due(read, seq, list(dict.fromkeys([*numbers, *fresh])), too_old)


def _tries(connection: Connection, numbers: Sequence[int]) -> dict[int, int]:
    columns = INVOICE_RETRIES_TABLE.c.purchase_number, INVOICE_RETRIES_TABLE.c.attempts
    wanted = select(*columns).where(columns[0].in_(numbers))
    return {row.purchase_number: row.attempts for row in connection.execute(wanted)}
