"""Sends transfers to the Processor: once each, within their lease, with no transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta

from tallybook.ambient.clock import Clock
from tallybook.kernel.frozen import frozen
from tallybook.kernel.money import format_amount, parse_amount
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Transfer
from tallybook.processor.port import (
    BalancesNotTold,
    Processor,
    ProcessorRejected,
    ProcessorUnknown,
    TransferOrder,
)

OPEN_MAX = 200
"""At most so many intents are in the air at once. Source: P3."""

INSUFFICIENT_FUNDS = "insufficient_funds"


@frozen
class Sent:
    """How a call ended: an id, a refusal, or nothing that anyone can be sure of."""

    transaction_id: str | None = None
    rejected: str | None = None
    is_connected: bool = True
    unknown: str | None = None


class Sender:
    """Calls the Processor for transfers whose intent is on record."""

    def __init__(
        self,
        processor: Processor,
        clock: Clock,
        *,
        house_account: str,
        lease: timedelta,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare to call; `is_open` is asked just before each first byte, and must be quick."""
        self._is_open = is_open
        self._processor = processor
        self._clock = clock
        self._house_account = house_account
        self._lease_seconds = lease.total_seconds()
        self._open = asyncio.Semaphore(OPEN_MAX)
        self._tells_none_on: date | None = None
        """The date on which the Processor said that it tells no balances: not asked again then."""
        self._told_on: date | None = None
        self._first_asked_on: date | None = None
        self._first_asking: tuple[date, asyncio.Lock] | None = None
        """A date, and what the first who asks on it holds: made anew in the loop of that run."""

    async def send(self, transfer: Transfer, bank_account: str, *, intent_seen_at: float) -> Sent:
        """Send one transfer, once.

        `intent_seen_at` is the monotonic time at which its intent was known to be on record: the
        lease is counted from there, on a clock that nobody can set. Source: P3.
        """
        deadline = intent_seen_at + self._lease_seconds
        async with self._open:
            if await self._lacks_funds(transfer, bank_account):
                return Sent(rejected=INSUFFICIENT_FUNDS)
            return await self._call(
                transfer,
                bank_account,
                lambda: self._clock.monotonic() < deadline and self._is_open(),
            )

    async def _call(
        self, transfer: Transfer, bank_account: str, may_send: Callable[[], bool]
    ) -> Sent:
        order = TransferOrder(
            src_bank_account=self._house_account,
            dst_bank_account=bank_account,
            amount=format_amount(transfer.amount_minor, transfer.currency),
            direction=transfer.direction,
            reference=transfer.id,
        )
        try:
            answered = await self._processor.perform_transaction(order, may_send=may_send)
        except ProcessorRejected as rejected:
            return Sent(rejected=rejected.reason, is_connected=not rejected.refused_before_sending)
        except ProcessorUnknown as unknown:
            return Sent(unknown=unknown.reason)
        return Sent(transaction_id=answered)

    async def _lacks_funds(self, transfer: Transfer, bank_account: str) -> bool:
        """Tell whether a debit is known to fail for lack of funds. Source: P8."""
        today = self._clock.today()
        if not transfer.is_debit or self._tells_none_on == today:
            return False
        if self._first_asked_on == today:
            return await self._ask_balance(transfer, bank_account, today)
        # One asks for all that go out with it: most Processors tell no balances.
        if self._first_asking is None or self._first_asking[0] != today:
            self._first_asking = today, asyncio.Lock()
        async with self._first_asking[1]:
            if self._first_asked_on != today:
                try:
                    return await self._ask_balance(transfer, bank_account, today)
                finally:
                    self._first_asked_on = today
        return await self._lacks_funds(transfer, bank_account)

    async def _ask_balance(self, transfer: Transfer, bank_account: str, today: date) -> bool:
        try:
            balance = await self._processor.available_balance(bank_account)
        except BalancesNotTold:
            # Asking again for each debit would double the calls; the next day's run asks anew.
            if self._told_on != today:
                self._tells_none_on = today
            return False
        if balance is None:
            return False
        # Whoever tells one account's balance may tell the next one's, whatever it said before.
        self._told_on, self._tells_none_on = today, None
        try:
            return parse_amount(balance, transfer.currency) < transfer.amount_minor
        except Refused:
            return False
