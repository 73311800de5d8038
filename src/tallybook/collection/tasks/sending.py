"""Calling the Processor for transfers whose intent is on record, and recording what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import date

from tallybook.ambient.liveness import is_known_dead
from tallybook.collection.model import ACCOUNT_UNREADABLE
from tallybook.collection.operations.sending import SEND_INSTALLMENT, SendInstallment
from tallybook.collection.operations.transfers import (
    EXPIRE_INTENT,
    RECORD_ANSWER,
    Answer,
    MarkTransfer,
    RecordAnswer,
)
from tallybook.collection.queries import list_in_flight
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.due import DueRow
from tallybook.collection.tasks.insisting import ask_all, record_surely, refuse_trouble
from tallybook.customers.model import account_context
from tallybook.kernel.frozen import frozen
from tallybook.processor.model import Transfer, TransferState
from tallybook.processor.sender import Sent
from tallybook.writer.model import Command, Outcome

_log = logging.getLogger("tallybook.sending")

CHUNK = 200
"""How many intents go on record together; as many as may be open at once. Source: P3."""

NOT_CONNECTED_MAX = 20
"""So many refused connections in a row, or calls not let in, stop the sending of a run.

Source: P3.
"""


class TurnedAway:
    """Counts the calls in a row that the Processor did not look at."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self.why: str | None = None
        """Why no more are made; None while some may be."""

    def count(self, sent: Sent) -> None:
        """Take how the next call ended."""
        if sent.is_turned_away:
            self._in_a_row += 1
            if self._in_a_row == NOT_CONNECTED_MAX:
                self.why = sent.outcome
        elif sent.is_attempt:
            # What we could not begin says nothing of whether the Processor is there.
            self._in_a_row = 0


@frozen
class SendOrder:
    """A transfer on record, and the sealed number it goes to."""

    transfer: Transfer
    number_sealed: bytes


async def send_and_record(
    context: CollectionContext, order: SendOrder, *, asked_at: float
) -> Outcome:
    """Send one transfer and record what came of it; gives the outcome of the recording.

    `asked_at` is the monotonic time before its intent was asked for: its lease counts from there.

    Raises: Refused `call_unrecorded`.
    """
    sent = await _send(context, order, asked_at)
    (outcome,) = await _record(context, [(order.transfer, sent)], in_bulk=False)
    return outcome


async def send_due(
    context: CollectionContext, rows: Sequence[DueRow], *, run_on: date, sender: str
) -> list[tuple[Transfer, Sent]]:
    """Put intents on record for a chunk of rows, send them, and record what came of each.

    One transaction for the intents, no transaction while the calls are in the air, one for the
    answers.

    Raises: Refused `busy` or `outcome_unknown` where the database refused intents, once what has
        one is sent and recorded; `call_unrecorded`.
    """
    asked_at, lease = context.clock.monotonic(), context.sender.lease
    intents = await context.door.ask_chunk(
        [
            Command(
                SEND_INSTALLMENT,
                SendInstallment(row.installment_id, row.subject_id, run_on, sender, lease),
            )
            for row in rows
        ]
    )
    orders = [
        SendOrder(outcome.value, row.number_sealed)
        for row, outcome in zip(rows, intents, strict=True)
        if outcome.value is not None
    ]
    sent = await asyncio.gather(*(_send(context, order, asked_at) for order in orders))
    answered = list(zip((order.transfer for order in orders), sent, strict=True))
    await _record(context, answered, in_bulk=True)
    refuse_trouble(intents)
    return answered


async def expire_intents(context: CollectionContext) -> int:
    """Mark as unknown the intents of processes that are dead, or silent beyond their lease."""

    def load() -> list[Transfer]:
        with context.database.reader() as connection:
            return list_in_flight(connection, TransferState.INTENT)

    intents = await asyncio.to_thread(load)
    now = context.clock.now()
    over = [(transfer, is_known_dead(transfer.sender)) for transfer in intents]
    commands = [
        Command(EXPIRE_INTENT, MarkTransfer(transfer, sender_is_dead=dead))
        for transfer, dead in over
        if dead or transfer.lease_until <= now
    ]
    await ask_all(context.door, commands)
    return len(commands)


async def _send(context: CollectionContext, order: SendOrder, asked_at: float) -> Sent:
    account_id = order.transfer.bank_account_id
    try:
        number = context.secrets.unseal(order.number_sealed, context=account_context(account_id))
    except Exception:  # noqa: BLE001 - one of a chunk must not stop the others
        told = {"transfer_id": order.transfer.id}
        _log.exception("an account can't be unsealed, so nothing is sent to it", extra=told)
        return Sent(rejected=ACCOUNT_UNREADABLE, is_attempt=False)
    return await context.sender.send(order.transfer, number, asked_at=asked_at)


async def _record(
    context: CollectionContext, answered: Sequence[tuple[Transfer, Sent]], *, in_bulk: bool
) -> list[Outcome]:
    commands = [Command(RECORD_ANSWER, _answer(transfer, sent)) for transfer, sent in answered]
    told = [
        {"transfer_id": transfer.id, "transaction_id": sent.transaction_id}
        for transfer, sent in answered
    ]
    return await record_surely(context.door, commands, told, in_bulk=in_bulk)


def _answer(transfer: Transfer, sent: Sent) -> RecordAnswer:
    if sent.transaction_id is not None:
        return RecordAnswer(transfer, Answer.ACCEPTED, transaction_id=sent.transaction_id)
    if sent.rejected is not None:
        was_tried = sent.is_connected and sent.is_attempt
        answer = Answer.REJECTED if was_tried else Answer.NOT_CONNECTED
        return RecordAnswer(transfer, answer, reason=sent.rejected[:200])
    return RecordAnswer(transfer, Answer.UNKNOWN, reason=(sent.unknown or "unknown")[:200])
