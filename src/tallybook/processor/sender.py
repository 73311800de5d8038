"""Sends transfers to the Processor: once each, within their lease, with no transaction open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from tallybook.ambient.clock import Clock
from tallybook.ambient.logs import describe_error
from tallybook.kernel.frozen import frozen
from tallybook.kernel.money import format_amount, parse_amount
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Transfer
from tallybook.processor.port import (
    CURRENCY_NOT_SERVED,
    NOT_LET_IN,
    BalancesNotTold,
    Processor,
    ProcessorRejected,
    ProcessorUnknown,
    TransferOrder,
)

OPEN_MAX = 200
"""At most so many intents are in the air at once. Source: P3."""

BEGIN_SECONDS = 60
"""How long after its intent was asked for a call may begin. Source: P3."""

INSUFFICIENT_FUNDS = "insufficient_funds"

PROCESSOR_ERROR = "processor_error"
"""Why an outcome is unknown where the call broke in a way that the port knows nothing of."""

LEASE_OVER = "lease_over"
"""Why a transfer was not sent though the Processor may well be there. Source: P3."""

BALANCE_SECONDS = 5
"""How long a debit waits to be told a balance, beside the call's own deadline: a small part of its
lease, also where it waits for another's question first. Units: seconds. Source: P3, P8."""

SILENT_MAX = 5
"""So many questions in a row without an answer, and none is asked any more on that date."""

_log = logging.getLogger("tallybook.sending")


@frozen
class Sent:
    """How a call ended: an id, a refusal, or nothing that anyone can be sure of."""

    transaction_id: str | None = None
    rejected: str | None = None
    is_connected: bool = True
    is_attempt: bool = True
    """Not where we could not even begin, whether or not the Processor was there, or were not let
    in: a refusal that counts for nothing. So is whatever was not connected."""
    unknown: str | None = None

    @property
    def outcome(self) -> str:
        """Name how it ended, as a run counts it."""
        if self.transaction_id is not None:
            return "accepted"
        if self.rejected is None:
            return "unknown"
        named = (LEASE_OVER, CURRENCY_NOT_SERVED, NOT_LET_IN)
        if not self.is_attempt and self.rejected in named:
            return self.rejected
        return "rejected" if self.is_connected else "not_connected"

    @property
    def is_turned_away(self) -> bool:
        """Tell whether it did not get as far as to be looked at: the next one won't either."""
        return not self.is_connected or self.outcome == NOT_LET_IN


class Sender:
    """Calls the Processor for transfers whose intent is on record."""

    def __init__(
        self,
        processor: Processor,
        clock: Clock,
        *,
        house_account: str,
        currency: str,
        lease: timedelta,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare to call; `is_open` is asked just before each first byte, and must be quick.

        `lease` is how long an intent that is sent by it is its process's alone.
        """
        self.lease = lease
        self._is_open = is_open
        self._processor = processor
        self._clock = clock
        self._house_account = house_account
        self._currency = currency
        self._open = asyncio.Semaphore(OPEN_MAX)
        self._balances: _Balances | None = None
        """What is known of them on the date of the last debit."""

    async def send(self, transfer: Transfer, bank_account: str, *, asked_at: float) -> Sent:
        """Send one transfer, once, if its call begins in time: it then ends within the lease.

        `asked_at` is the monotonic time before its intent was asked for. The time to begin is
        counted from there, on a clock that nobody can set and that shows a process which stood
        still; and from the instant on record, which is what others go by. Whichever ends first
        counts. Source: P3.
        """
        if transfer.currency != self._currency:
            message = f"a transfer in {transfer.currency} is not sent: {self._currency} is moved"
            _log.error(message, extra={"transfer_id": transfer.id})
            return Sent(rejected=CURRENCY_NOT_SERVED, is_attempt=False)
        begin_by = asked_at + BEGIN_SECONDS
        is_late = False

        def may_send() -> bool:
            nonlocal is_late
            # The switch first: it may have to be read, and the database may take its time.
            if not self._is_open():
                return False
            # The clock of days is the one that made the intent, so played days end no lease of it.
            is_late = (
                self._clock.monotonic() >= begin_by
                or self._clock.now() >= transfer.intent_at + timedelta(seconds=BEGIN_SECONDS)
            )
            return not is_late

        async with self._open:
            # Whatever it holds: what may not be sent is no attempt, which the call finds out.
            if await self._lacks_funds(transfer, bank_account, may_send) and may_send():
                return Sent(rejected=INSUFFICIENT_FUNDS)
            sent = await self._call(transfer, bank_account, may_send)
            if is_late and not sent.is_connected:
                return Sent(rejected=LEASE_OVER, is_attempt=False)
            return sent

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
            if not rejected.was_let_in:
                message = "the Processor lets nobody in: look at TALLYBOOK_PROCESSOR_TOKEN"
                _log.error(message, extra={"transfer_id": transfer.id})
                return Sent(rejected=NOT_LET_IN, is_attempt=False)
            return Sent(rejected=rejected.reason, is_connected=not rejected.refused_before_sending)
        except ProcessorUnknown as unknown:
            return Sent(unknown=unknown.reason)
        except Exception as error:  # noqa: BLE001 - whatever broke is this call's alone
            _log_broken("a call to the Processor broke", error, transfer)
            return Sent(unknown=PROCESSOR_ERROR)
        return Sent(transaction_id=answered)

    async def _lacks_funds(
        self, transfer: Transfer, bank_account: str, may_send: Callable[[], bool]
    ) -> bool:
        """Tell whether a debit is known to fail for lack of funds. Source: P8.

        What is not told in time holds nothing up: the debit is sent, and fails like any other.
        Nothing is asked about one that may not be sent.
        """
        if not transfer.is_debit:
            return False
        balances = self._balances_of_today()
        if not balances.is_answered:
            silent = balances.silent
            async with balances.first:
                # One asks for all that go out with it: most Processors tell no balances.
                if not balances.is_answered:
                    if balances.silent != silent:
                        return False
                    return await self._ask_balance(balances, transfer, bank_account, may_send)
        return await self._ask_balance(balances, transfer, bank_account, may_send)

    def _balances_of_today(self) -> _Balances:
        day, loop = self._clock.today(), asyncio.get_running_loop()
        known = self._balances
        if known is None or known.day != day or known.loop is not loop:
            known = self._balances = _Balances(day, loop)
        return known

    async def _ask_balance(
        self,
        balances: _Balances,
        transfer: Transfer,
        bank_account: str,
        may_send: Callable[[], bool],
    ) -> bool:
        if balances.are_told is False or balances.silent >= SILENT_MAX or not may_send():
            return False
        try:
            async with asyncio.timeout(BALANCE_SECONDS):
                balance = await self._processor.available_balance(bank_account)
            lacks_funds = balance is not None and _is_short(balance, transfer)
        except BalancesNotTold:
            # Whoever tells one account's balance may tell the next one's, whatever it says of this.
            balances.hear(are_told=balances.are_told or False)
            return False
        except TimeoutError:
            balances.silent += 1
            return False
        except Exception as error:  # noqa: BLE001 - as good as no answer
            # After so many the log has said it often enough.
            if balances.silent < SILENT_MAX:
                _log_broken("the question for a balance broke", error, transfer)
            balances.silent += 1
            return False
        balances.hear(are_told=balances.are_told or (True if balance is not None else None))
        return lacks_funds


def _log_broken(what: str, error: Exception, transfer: Transfer) -> None:
    """Log where a call broke and how, however an application logs: its words may quote a number."""
    message = f"{what}: {describe_error(error)}"
    _log.error(message, extra={"transfer_id": transfer.id})


def _is_short(balance: str, transfer: Transfer) -> bool:
    try:
        return parse_amount(balance, transfer.currency) < transfer.amount_minor
    except Refused:
        return False


@dataclass(slots=True)
class _Balances:
    """What is known of how the Processor tells balances: the next day's run asks anew."""

    day: date
    loop: asyncio.AbstractEventLoop
    """Whose tasks the lock is for."""
    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever asks while no question has been answered."""
    is_answered: bool = False
    are_told: bool | None = None
    """None while no answer has been clear."""
    silent: int = 0
    """How many questions in a row had no answer in time."""

    def hear(self, *, are_told: bool | None) -> None:
        """Keep what an answer says of the questions to come."""
        self.is_answered, self.are_told, self.silent = True, are_told, 0
