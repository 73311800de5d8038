"""Paying out: intent, call, outcome, and then the reply. Source: A2, C3."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tallybook.ambient.clock import Clock
from tallybook.ambient.liveness import this_process
from tallybook.collection.operations.credits import BeginPayout, BeginPayoutOperation
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.sending import SendOrder, expire_intents, send_and_record
from tallybook.collection.tasks.stopping import see_through
from tallybook.collection.tasks.switch import refuse_while_stopped
from tallybook.kernel.frozen import replace
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome

COMPLETION_SECONDS = 30
"""How much longer than a lease a copy of a request waits for the first one's reply."""

LOOK_SECONDS = 1
"""How long it waits before it looks whether whoever began the request is still alive."""

NO_REPLY = "null"
"""The body of an outcome that answers nobody."""


async def pay_out(context: CollectionContext, command: Command) -> Outcome:
    """Put an intent on record, send it, and give the reply once its outcome is on record.

    The command's value is the transfer to send and the sealed number it goes to. A copy with the
    same key waits for the first one's reply. Whoever asked may go away: what was begun is finished.

    Raises: Refused `sending_stopped`, `busy`, `shutting_down` before anything was begun;
        `call_unrecorded`; `outcome_unknown` to a copy whose first one takes too long.
    """
    refuse_while_stopped(context.sending, context.database, (command.key,))
    return await see_through(_run(context, command))


async def pay_out_credit(
    context: CollectionContext, asked: BeginPayout, *, key: str | None = None
) -> Outcome:
    """Pay customer credit out to one of the customer's accounts."""
    operation = BeginPayoutOperation(this_process(), context.sender.lease)
    return await pay_out(context, Command(operation, replace(asked, request_key=key), key))


async def _run(context: CollectionContext, command: Command) -> Outcome:
    asked_at = context.clock.monotonic()
    begun = await context.door.ask(command)
    if begun.pending and begun.replayed:
        return await wait_for_reply(context, command)
    if begun.value is None:
        return begun
    order = SendOrder(*begun.value)
    outcome = await send_and_record(context, order, asked_at=asked_at)
    if outcome.body != NO_REPLY:
        return outcome
    # The lease ran out meanwhile, and somebody else has said what became of it.
    if command.key is None:
        raise Refused(Refusal("call_unrecorded"))
    return await wait_for_reply(context, command)


async def wait_for_reply(context: CollectionContext, command: Command) -> Outcome:
    """Wait for the reply of a request that somebody began under the same key.

    They may have died since. Then nobody but us completes it: their intent expires here, and the
    reply says that the outcome is not known. Of a process elsewhere only its lease tells.

    Raises: Refused `outcome_unknown`.
    """
    expire = partial(expire_intents, context)
    seconds = context.sender.lease.total_seconds() + COMPLETION_SECONDS
    return await look_for_reply(context.door, context.clock, command, seconds, expire)


async def look_for_reply(
    door: Door,
    clock: Clock,
    command: Command,
    seconds: float,
    stand_in: Callable[[], Awaitable[object]],
) -> Outcome:
    """Wait for a reply, and now and then stand in for whoever died before they could give it.

    Raises: Refused `outcome_unknown` after so many seconds.
    """
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await door.ask_until_complete(command)
        except TimeoutError:
            await stand_in()
    raise Refused(Refusal("outcome_unknown"))
