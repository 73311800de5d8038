"""Paying through a gateway: on record first, then asked, then settled. Source: L8."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial
from typing import Protocol

from pydantic_core import to_json

from tallybook.ambient.clock import Clock
from tallybook.collection.tasks.insisting import record_surely
from tallybook.collection.tasks.paying import look_for_reply
from tallybook.collection.tasks.stopping import see_through
from tallybook.db.engine import Database
from tallybook.loans.model import Loan, Payment, PaymentStatus
from tallybook.loans.operations.paying import MakePayment
from tallybook.loans.operations.pending import (
    BEGIN_PAYMENT,
    RECEIVE_AFTER_ALL,
    SETTLE_PAYMENT,
    BeginPayment,
    ReceiveAfterAll,
    SettlePayment,
)
from tallybook.loans.queries import find_loan, list_payments_of, list_unanswered
from tallybook.loans.tasks.gateway import Charge, Charged, Gateway
from tallybook.loans.views import payment_view
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome

COMPLETION_SECONDS = 60
"""How long a copy of a request waits for the first one's reply."""
GATEWAY_SECONDS = 30
"""How long a gateway may take; what it has not said by then is pending."""
SILENT_SECONDS = GATEWAY_SECONDS + 10
"""A payment without an answer for so long was begun by a process that is gone."""

_log = logging.getLogger("tallybook.loans")


class GatewayContext(Protocol):
    """One running engine, as payments through a gateway see it."""

    @property
    def database(self) -> Database:
        """Where payments are kept."""
        ...

    @property
    def door(self) -> Door:
        """Where every write goes."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def gateway(self) -> Gateway:
        """Who collects payments for us."""
        ...


async def pay_through_gateway(
    context: GatewayContext, asked: MakePayment, *, key: str | None = None
) -> Outcome:
    """Put a payment on record, ask the gateway, and answer with what it says.

    Whoever asked may go away: what was begun is finished. A copy with the same key waits. Where
    somebody settled it first, the answer is the payment as they did: it is on record all the same.
    Where they said that it failed and the gateway took it, the answer is the payment that it is.
    Where this process dies in between, the payment stays pending until somebody settles it, and
    the reply says so (`answer_abandoned`).

    Raises: Refused `busy`, `shutting_down` before anything was begun; `call_unrecorded`;
        `outcome_unknown` to a copy whose first one takes too long.
    """
    return await see_through(_pay(context, asked, key))


async def _pay(context: GatewayContext, asked: MakePayment, key: str | None) -> Outcome:
    command = Command(BEGIN_PAYMENT, BeginPayment(asked, key), key)
    asked_at = context.clock.monotonic()
    begun = await context.door.ask(command)
    if begun.pending and begun.replayed:
        return await _wait(context, command)
    if begun.value is None:
        return begun
    payment, loan = begun.value
    if _is_late(context.clock, payment, asked_at):
        answer = Charged(PaymentStatus.FAILED, reason="the gateway was not asked in time")
    else:
        answer = await _ask(context, payment, loan)
    settled = SettlePayment(loan.id, payment.id, answer.status, answer.reference, answer.reason)
    told = {"payment_id": payment.id, "reference": answer.reference}
    settling = [Command(SETTLE_PAYMENT, settled)]
    (outcome,) = await record_surely(context.door, settling, [told], in_bulk=False)
    if outcome.refusal is None:
        return Outcome(201, outcome.body)
    # Somebody else has said what became of it. To refuse would be to ask for another payment.
    settled_as = outcome.refusal.details.get("status")
    if answer.status is PaymentStatus.PAID and settled_as == PaymentStatus.FAILED:
        taken = ReceiveAfterAll(loan.id, payment.id, answer.reference)
        receiving = [Command(RECEIVE_AFTER_ALL, taken, f"gateway.{payment.id}")]
        (outcome,) = await record_surely(context.door, receiving, [told], in_bulk=False)
        return outcome
    if answer.status is PaymentStatus.FAILED and settled_as == PaymentStatus.PAID:
        _log.error("a payment was settled otherwise than its gateway says", extra=told)
    if key is not None:
        return await _wait(context, command)
    return await asyncio.to_thread(_read, context, loan.id, payment.id)


def _is_late(clock: Clock, payment: Payment, asked_at: float) -> bool:
    """Tell whether this process stood still so long that a person may have ruled on the payment.

    As with the lease of a transfer (P3): by the machine's clock from before the payment was asked
    for, and by the instant on record; whichever ends first counts.
    """
    silent = clock.monotonic() - asked_at >= SILENT_SECONDS
    return silent or clock.now() >= payment.received_at + timedelta(seconds=SILENT_SECONDS)


async def _ask(context: GatewayContext, payment: Payment, loan: Loan) -> Charged:
    charge = Charge(payment.id, payment.amount_minor, loan.currency, payment.method)
    try:
        async with asyncio.timeout(GATEWAY_SECONDS):
            return await context.gateway.charge(charge)
    except Exception:  # noqa: BLE001 - whatever broke, nobody knows what came of it
        _log.exception("the gateway gave no answer")
        return Charged(PaymentStatus.PENDING, reason="the gateway gave no answer")


def _read(context: GatewayContext, loan_id: str, payment_id: str) -> Outcome:
    """Answer with a payment as it is."""
    with context.database.snapshot() as connection:
        loan = find_loan(connection, loan_id)
        payments = list_payments_of(connection, loan_id)
    assert loan is not None, "who was asked to pay has a loan"
    payment = next(each for each in payments if each.id == payment_id)
    return Outcome(201, to_json(payment_view(loan, payment, payments)).decode(), value=payment)


async def _wait(context: GatewayContext, command: Command) -> Outcome:
    answer = partial(answer_abandoned, context)
    return await look_for_reply(context.door, context.clock, command, COMPLETION_SECONDS, answer)


async def answer_abandoned(context: GatewayContext) -> int:
    """Answer requests whose process died before it heard the gateway: their payment is pending.

    Should the process be alive after all, what it hears still settles the payment.
    """

    def load() -> list[Payment]:
        before = context.clock.now() - timedelta(seconds=SILENT_SECONDS)
        with context.database.reader() as connection:
            return list_unanswered(connection, before)

    payments = await asyncio.to_thread(load)
    reason = "the gateway's answer was lost"
    await context.door.ask_chunk(
        [
            Command(
                SETTLE_PAYMENT,
                SettlePayment(each.loan_id, each.id, PaymentStatus.PENDING, reason=reason),
            )
            for each in payments
        ]
    )
    return len(payments)
