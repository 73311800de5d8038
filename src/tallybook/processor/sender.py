"""Sends transfers to the Processor: once each, within their lease, with no transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
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
        self._balances: _Balances | None = None
        """What is known of them on the date of the last debit."""

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
        if not transfer.is_debit:
            return False
        today = self._clock.today()
        if self._balances is None or self._balances.day != today:
            self._balances = _Balances(today)
        balances = self._balances
        if not balances.is_asked:
            async with balances.first:
                # One asks for all that go out with it: most Processors tell no balances.
                if not balances.is_asked:
                    try:
                        return await self._ask_balance(balances, transfer, bank_account)
                    finally:
                        balances.is_asked = True
        if balances.are_told is False:
            return False
        return await self._ask_balance(balances, transfer, bank_account)

    async def _ask_balance(
        self, balances: _Balances, transfer: Transfer, bank_account: str
    ) -> bool:
        try:
            balance = await self._processor.available_balance(bank_account)
        except BalancesNotTold:
            # Whoever tells one account's balance may tell the next one's, whatever it says of this.
            balances.are_told = balances.are_told or False
            return False
        if balance is None:
            return False
        balances.are_told = True
        try:
            return parse_amount(balance, transfer.currency) < transfer.amount_minor
        except Refused:
            return False


@dataclass(slots=True)
class _Balances:
    """Whether the Processor tells balances, on one date: the next day's run asks anew."""

    day: date
    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the first who asks; it is of the loop that the date's run is in."""
    is_asked: bool = False
    are_told: bool | None = None
    """None while no answer has been clear."""
