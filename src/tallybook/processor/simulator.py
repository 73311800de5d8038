"""A Processor that only pretends: seeded, with a log of the truth and every known fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from tallybook.ambient.clock import Clock
from tallybook.kernel.frozen import frozen
from tallybook.kernel.money import currency_decimals, parse_positive_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.faults import CallFault, Fate, Faults, Odds, ReportFault
from tallybook.processor.model import Result
from tallybook.processor.port import (
    BalancesNotTold,
    Direction,
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
    TransferOrder,
)
from tallybook.processor.simulator_log import CallRow, LoggedCall, SimulatorLog
from tallybook.processor.simulator_report import ReportColumns, ReportOrder, write_report

ACCOUNT_LIMIT = REFERENCE_LIMIT = 255
_TELLS_ID = frozenset(
    {CallFault.NONE, CallFault.DRIP, CallFault.CROSSED, CallFault.SAME_ID, CallFault.DOUBLED}
)


class Answer(NamedTuple):
    """What the simulated Processor answers to one call, before it becomes bytes or exceptions."""

    fault: CallFault
    variant: int
    """Picks among the forms that the fault can take."""
    transaction_id: str | None
    """What the reply names: the transfer's id, or another's where replies crossed."""
    reason: str = ""
    """Why, where it was rejected."""


@frozen
class Total:
    """How many transfers, and their sum. Units: minor units."""

    count: int
    amount_minor: int


@frozen
class Truth:
    """What really happened, for tests to compare a book with."""

    transfers: tuple[LoggedCall, ...]
    """Every executed transfer, in order of arrival."""
    totals: Mapping[tuple[Direction, Result], Total]
    """By direction and final result, of everything executed."""


REJECT_STATUSES = (400, 402, 403, 404, 422)
REJECT_REASONS = ("malformed", "insufficient_funds", "account_blocked", "no_account", "limit")
BUSY_STATUSES = (429, 409, 408, 425)
ERROR_STATUSES = (500, 502, 503, 504)


class SimulatedProcessor:
    """Implements the port in process. `server.py` serves the same over HTTP. Source: P1, P2.

    The same seed and the same calls give the same results, in whatever order they come. Calls are
    equal when direction, account, amount and business date are; equal ones are told apart by
    counting. Its business date is the clock's, unless one was set in its log.

    A lost call raises at once: nothing here waits.

    Raises: Refused `currency_unknown`.
    """

    def __init__(
        self,
        log_path: Path,
        *,
        seed: int,
        clock: Clock,
        faults: Faults | None = None,
        currency: str = "USD",
        report_columns: ReportColumns = "plain",
        balances: Mapping[str, str] | None = None,
    ) -> None:
        currency_decimals(currency)
        self.currency = currency
        self.faults = faults or Faults()
        self.log = SimulatorLog(log_path)
        self._seed = seed
        self._odds = Odds(self.faults, seed)
        self._clock = clock
        self._report_columns: ReportColumns = report_columns
        self._balances = dict(balances or {})

    # The port.

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        """Make one transfer, or fail to, as the faults have it.

        Raises: ProcessorRejected, ProcessorUnknown.
        """
        if not may_send():
            raise ProcessorRejected("lease_lost", refused_before_sending=True)
        answer = self.receive(order)
        match answer.fault:
            case CallFault.REFUSED:
                raise ProcessorRejected("connection_refused", refused_before_sending=True)
            case CallFault.REJECTED:
                raise ProcessorRejected(answer.reason, refused_before_sending=False)
            case CallFault.LOST_BEFORE | CallFault.LOST_AFTER:
                raise ProcessorUnknown("reset")
            case CallFault.HANG_BEFORE | CallFault.HANG_AFTER | CallFault.DRIP:
                raise ProcessorUnknown("timeout")
            case CallFault.ERROR_BEFORE | CallFault.ERROR_AFTER:
                raise ProcessorUnknown(f"status_{pick(ERROR_STATUSES, answer)}")
            case CallFault.BUSY_BEFORE | CallFault.BUSY_AFTER:
                raise ProcessorUnknown(f"status_{pick(BUSY_STATUSES, answer)}")
            case CallFault.BROKEN_REPLY:
                raise ProcessorUnknown("reply_unreadable")
            case CallFault.NONE | CallFault.CROSSED | CallFault.SAME_ID | CallFault.DOUBLED:
                assert answer.transaction_id is not None
                return answer.transaction_id

    async def download_report(self) -> bytes:
        """Write today's report, in a thread of its own: a large one takes a second.

        Raises: ReportUnavailable.
        """
        fault, chunks = self.open_report()
        if fault is ReportFault.MISSING:
            raise ReportUnavailable("status_503")
        if fault is ReportFault.CUT:
            raise ReportUnavailable("reset")
        return await asyncio.to_thread(b"".join, chunks)

    async def available_balance(self, bank_account: str) -> str | None:
        """Tell the balance that the account was given, or none by the faults; else None.

        Raises: BalancesNotTold where it was given none and makes none up.
        """
        if not self.tells_balances:
            raise BalancesNotTold
        return self.tell_balance(bank_account)

    async def aclose(self) -> None:
        """Let go of the log."""
        self.log.close()

    # What the server needs as well.

    def today(self) -> date:
        """Tell the business date: the one that was set, else the clock's."""
        return date.fromordinal(self._today())

    def set_date(self, day: date | None) -> None:
        """Set the business date for every process that shares the log; None gives it back."""
        self.log.set_date(day)

    def receive(self, order: TransferOrder) -> Answer:
        """Take one call: decide its fate, log it, and tell what to answer."""
        try:
            amount_minor = self._check(order)
        except Refused as refused:
            return Answer(CallFault.REJECTED, 0, None, refused.refusal.code)
        today = self._today()
        direction = order.direction
        key = self._odds.key(direction, order.dst_bank_account, amount_minor, today)
        occurrence = 0
        while True:
            fate = self._odds.call_fate(key, occurrence, direction)
            answer, ident = self._answer(fate, today)
            call = _Call(order, amount_minor, today, key, occurrence)
            if self.log.add(_log_row(call, fate, answer, ident)):
                break
            # Another call of the same content has been here, perhaps just now in another process.
            occurrence = max(occurrence + 1, self.log.count_key(_signed(key)))
        if fate.fault is CallFault.DOUBLED:
            self._execute_again(call)
        return answer

    def open_report(self) -> tuple[ReportFault, Generator[bytes]]:
        """Start today's report: what is wrong with it, and its bytes in chunks."""
        day = self.today()
        fate = self._odds.report_fate(day.toordinal())
        order = ReportOrder(day, self._report_columns, self.currency, fate, self._seed)
        return fate.fault, write_report(self.log, order)

    @property
    def tells_balances(self) -> bool:
        """Tell whether it knows the balance of any account."""
        return bool(self._balances) or bool(self.faults.no_funds)

    def tell_balance(self, bank_account: str) -> str | None:
        """Tell what an account holds, as a decimal string; None where that is not known."""
        if self.faults.no_funds and self._odds.has_no_funds(bank_account, self._today()):
            return "0"
        return self._balances.get(bank_account)

    def truth(self) -> Truth:
        """Tell what really happened. For tests: it reads the whole log into memory."""
        with closing(self.log.read_calls()) as calls:
            transfers = tuple(call for call in calls if call.is_executed)
        totals: dict[tuple[Direction, Result], Total] = {}
        for transfer in transfers:
            result = transfer.final_result
            assert result is not None, transfer
            total = totals.get((transfer.direction, result), Total(0, 0))
            totals[transfer.direction, result] = Total(
                total.count + 1, total.amount_minor + transfer.amount_minor
            )
        return Truth(transfers, totals)

    def arrivals(self) -> Iterator[LoggedCall]:
        """List every call that came in, executed or not, in order of arrival.

        A refused connection never came in; what the Processor repeats by itself did not either.
        """
        with closing(self.log.read_calls()) as calls:
            yield from (call for call in calls if call.is_arrival)

    def _today(self) -> int:
        return self.log.date_ordinal() or self._clock.today().toordinal()

    def _check(self, order: TransferOrder) -> int:
        """Look at an order as a Processor would. Raises: Refused."""
        for text, limit, may_be_empty in (
            (order.src_bank_account, ACCOUNT_LIMIT, False),
            (order.dst_bank_account, ACCOUNT_LIMIT, False),
            (order.reference, REFERENCE_LIMIT, True),
        ):
            if len(text) > limit or not (text.isprintable() and (text or may_be_empty)):
                raise Refused(Refusal("field_invalid"))
        return parse_positive_amount(order.amount, self.currency)

    def _answer(self, fate: Fate, today: int) -> tuple[Answer, str | None]:
        """Turn a fate into an answer and the id under which the transfer is executed, if it is."""
        fault = fate.fault
        if not fault.executes:
            reason = REJECT_REASONS[fate.variant % len(REJECT_REASONS)]
            return Answer(fault, fate.variant, None, reason), None
        executed = answered = fate.transaction_id
        if fault in (CallFault.CROSSED, CallFault.SAME_ID):
            # The first transfer of all has no other to be mixed up with.
            answered = self.log.find_other_id(today, fate.pivot) or answered
            if fault is CallFault.SAME_ID:
                executed = answered
        return Answer(fault, fate.variant, answered if fault in _TELLS_ID else None), executed

    def _execute_again(self, call: _Call) -> None:
        key = self._odds.key("again", call.key, call.occurrence)
        fate = self._odds.call_fate(key, 0, call.order.direction)
        answer = Answer(CallFault.DOUBLED, 0, None)
        second = call._replace(key=key, occurrence=0)
        self.log.add(_log_row(second, fate, answer, fate.transaction_id, is_arrival=False))


def pick(statuses: Sequence[int], answer: Answer) -> int:
    """Pick the status that a fault takes this time."""
    return statuses[answer.variant % len(statuses)]


class _Call(NamedTuple):
    """A call with what its fate is drawn from. Units: minor units, ordinals of dates."""

    order: TransferOrder
    amount_minor: int
    arrived_on: int
    key: bytes
    occurrence: int


def _signed(key: bytes) -> int:
    """Write a key as SQLite's integers are: 64 bits with a sign."""
    return int.from_bytes(key, "big", signed=True)


def _log_row(
    call: _Call, fate: Fate, answer: Answer, ident: str | None, *, is_arrival: bool = True
) -> CallRow:
    order = call.order
    asked = (
        _signed(call.key),
        call.occurrence,
        int(is_arrival and answer.fault is not CallFault.REFUSED),
        order.src_bank_account,
        order.dst_bank_account,
        call.amount_minor,
        order.direction.value,
        order.reference,
        call.arrived_on,
        answer.fault.value,
        answer.transaction_id,
    )
    if ident is None:
        return (*asked, None, None, None, None, None, None)
    booked_on = call.arrived_on + fate.booked_after
    result_on = second_on = None
    if fate.result_after is not None:
        result_on = booked_on + fate.result_after
        second_on = result_on + fate.second_after if fate.second_result else None
    second = fate.second_result.value if fate.second_result and second_on else None
    return (*asked, ident, booked_on, fate.result.value, result_on, second, second_on)
