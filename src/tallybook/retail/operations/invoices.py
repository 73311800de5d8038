"""Remembering which invoices were mailed, which have to be tried again, and why. Source: R10."""

from __future__ import annotations

from datetime import datetime, timedelta

from tallybook.collection.model import Job
from tallybook.collection.store import JOBS
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import InvoiceRetry, MailCursor
from tallybook.retail.operations.till import Rows
from tallybook.retail.store import INVOICE_RETRIES, MAIL_CURSORS
from tallybook.writer.model import Decision, Event, Moment, Needs, View

CURSOR = "invoices"


MAILING = "invoices"
"""The job of mailing invoices, which one process at a time has."""
MAIL_LEASE = timedelta(seconds=180)
"""How long the mailing process may be silent before another one mails. One mail may take long: a
server has some seconds for each of its answers."""


@frozen
class ClaimMailing:
    """That a process wants to mail invoices, or to go on."""

    holder: str
    dead_holder: str | None = None
    """A holder that the caller knows to be dead: nobody waits for its lease."""


class ClaimMailingOperation:
    """Takes the mailing, or prolongs it. Its value says whether it is the caller's. Source: R10."""

    name = "retail.claim_mailing"

    def needs(self, command: ClaimMailing, seen: View) -> Needs:
        """Lock the job."""
        del command, seen
        return Needs(lock=((JOBS, MAILING),))

    def decide(
        self, view: View, command: ClaimMailing, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Claim it, unless another process has it and may be alive."""
        before = view.row(JOBS, MAILING)
        job = Job(MAILING, None, None, command.holder, moment.now + MAIL_LEASE)
        if before is None:
            added, changed = ((JOBS, job),), ()
        elif (
            before.holder not in (command.holder, command.dead_holder)
            and before.lease_until > moment.now
        ):
            return Decision(value=False)
        else:
            added, changed = (), ((JOBS, job),)
        claimed = Event("retail.invoices.claimed", ids.fresh(), {})
        return Decision(added=added, changed=changed, events=(claimed,), value=True)


@frozen
class Attempt:
    """One try at mailing an invoice."""

    purchase_number: int
    problem: str | None
    """None: it was sent."""
    next_at: datetime | None
    """When to try again; None: never."""
    was_tried: bool = True
    """False where the server failed for those before it, so that it has all its tries left."""


@frozen
class RecordMailing:
    """How far the event log has been read, and what became of the mails."""

    event_seq: int | None
    """None for a pass that was broken off: then each mail that went is noted by itself, and the
    others are as due as before."""
    attempts: tuple[Attempt, ...]


class RecordMailingOperation:
    """Moves the cursor on, and keeps what could not be sent."""

    name = "retail.record_mailing"

    def needs(self, command: RecordMailing, seen: View) -> Needs:
        """Lock the cursor and what was tried."""
        del seen
        tried = ((INVOICE_RETRIES, attempt.purchase_number) for attempt in command.attempts)
        return Needs(lock=((MAIL_CURSORS, CURSOR), *tried))

    def decide(
        self, view: View, command: RecordMailing, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Record it.

        A mail that went at the first try leaves a row only where the cursor does not pass it.
        """
        added: Rows = []
        changed: Rows = []
        before = view.row(MAIL_CURSORS, CURSOR)
        read_to = command.event_seq
        if read_to is not None and (before is None or read_to > before.event_seq):
            cursor = MailCursor(CURSOR, read_to)
            (added if before is None else changed).append((MAIL_CURSORS, cursor))
        failed = 0
        for attempt in command.attempts:
            known = view.row(INVOICE_RETRIES, attempt.purchase_number)
            if known is None and attempt.problem is None and read_to is not None:
                continue
            failed += attempt.problem is not None
            row = InvoiceRetry(
                purchase_number=attempt.purchase_number,
                attempts=(0 if known is None else known.attempts) + attempt.was_tried,
                next_at=attempt.next_at or moment.now,
                problem=attempt.problem or "",
                open=attempt.next_at is not None,
            )
            (added if known is None else changed).append((INVOICE_RETRIES, row))
        body = {"sent": len(command.attempts) - failed, "failed": failed}
        return Decision(
            changed=changed,
            added=added,
            events=(Event("retail.invoices.mailed", ids.fresh(), body),),
        )
