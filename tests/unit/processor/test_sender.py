"""What the sender asks of a Processor before it sends, and what it does where nobody answers."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.processor.model import Transfer
from tallybook.processor.port import BalancesNotTold, Processor, ProcessorRejected, TransferOrder
from tallybook.processor.sender import BALANCE_SECONDS, BEGIN_SECONDS, SILENT_MAX, Sender, Sent

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LEASE = timedelta(seconds=60)


async def not_told() -> str | None:
    raise BalancesNotTold


async def silence() -> str | None:
    await asyncio.Event().wait()
    raise AssertionError


async def plenty() -> str | None:
    return "1000.00"


class Rail:
    """A Processor that accepts everything, and says of balances what the test dictates."""

    def __init__(self, says: Callable[[], Any]) -> None:
        self.asked = self.sent = 0
        self.says = says

    async def available_balance(self, bank_account: str) -> str | None:
        del bank_account
        self.asked += 1
        await asyncio.sleep(0)
        return cast("str | None", await self.says())

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        del order
        if not may_send():
            raise ProcessorRejected("not_sent", refused_before_sending=True)
        self.sent += 1
        return f"txn_{self.sent}"


class Sending:
    """One sender, and chunks of debits that are sent through it."""

    def __init__(self, says: Callable[[], Any]) -> None:
        self.rail, self.clock, self.is_open = Rail(says), ManualClock(NOW), True
        self.sender = Sender(
            cast("Processor", self.rail),
            self.clock,
            house_account="HOUSE",
            currency="USD",
            lease=LEASE,
            is_open=lambda: self.is_open,
        )

    async def send(self, count: int, *, currency: str = "USD") -> list[Sent]:
        """Send so many debits at once, each of 1.00."""
        debit: Any = SimpleNamespace(
            is_debit=True,
            amount_minor=100,
            currency=currency,
            direction="debit",
            id="0" * 32,
            intent_at=self.clock.now(),
        )
        asked_at = self.clock.monotonic()
        calls = [
            self.sender.send(cast("Transfer", debit), "DE1", asked_at=asked_at)
            for _ in range(count)
        ]
        return list(await asyncio.gather(*calls))

    @property
    def counts(self) -> tuple[int, int]:
        """How often it asked for a balance, and what it sent."""
        return self.rail.asked, self.rail.sent


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a balance but a moment."""
    monkeypatch.setattr("tallybook.processor.sender.BALANCE_SECONDS", 0.01)


def test_one_debit_asks_for_all_that_go_out_with_it() -> None:
    sending = Sending(not_told)
    asyncio.run(sending.send(50))
    assert sending.counts == (1, 50)
    sending.clock.advance(days=1)
    asyncio.run(sending.send(50))
    assert sending.counts == (2, 100)


# -- a balance call that hangs: P8


@pytest.mark.usefixtures("hasty")
def test_nobody_waits_for_a_balance_twice_where_none_is_told_in_time() -> None:
    sending = Sending(silence)

    async def chunks() -> None:
        async with asyncio.timeout(5):
            for chunk in range(1, SILENT_MAX + 4):
                await sending.send(20)
                assert sending.counts == (min(chunk, SILENT_MAX), 20 * chunk)
            sending.clock.advance(days=1)
            await sending.send(20)
            assert sending.rail.asked == SILENT_MAX + 1, "the next date asks anew"

    asyncio.run(chunks())


@pytest.mark.usefixtures("hasty")
def test_one_account_whose_balance_does_not_come_leaves_the_others_be() -> None:
    sending = Sending(silence)

    async def chunks() -> None:
        await sending.send(20)
        sending.rail.says = plenty
        await sending.send(20)
        sending.rail.says = silence
        await sending.send(1)
        sending.rail.says = poor
        assert {sent.rejected for sent in await sending.send(20)} == {"insufficient_funds"}

    asyncio.run(chunks())
    assert sending.counts == (42, 41)


@pytest.mark.usefixtures("hasty")
def test_balances_that_stop_coming_are_not_asked_for_any_more_that_date() -> None:
    sending = Sending(plenty)

    async def chunks() -> None:
        await sending.send(20)
        sending.rail.says = silence
        await sending.send(20)
        assert sending.counts == (40, 40)
        await sending.send(20)
        assert sending.counts == (40, 60)

    asyncio.run(chunks())


@pytest.mark.parametrize("trouble", [ValueError, ConnectionError, RuntimeError])
def test_a_question_that_breaks_holds_no_debit_up(
    trouble: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async def break_off() -> str | None:
        raise trouble("no account DE1")

    sending = Sending(break_off)

    async def chunks() -> None:
        for chunk in range(1, SILENT_MAX + 4):
            await sending.send(20)
            assert sending.counts == (min(chunk, SILENT_MAX), 20 * chunk)

    asyncio.run(chunks())
    assert len(caplog.records) == SILENT_MAX
    assert "DE1" not in caplog.text


def test_two_waits_for_a_balance_are_a_small_part_of_the_time_to_begin() -> None:
    assert BEGIN_SECONDS / 4 >= 2 * BALANCE_SECONDS


# -- a stop, and a lease that is over, while a balance is asked for: P3, P8


async def poor() -> str | None:
    return "0.99"


@pytest.mark.parametrize("count", [1, 20])
def test_nobody_is_asked_for_a_balance_after_a_stop_and_no_lack_of_funds_counts(count: int) -> None:
    async def stop() -> str | None:
        sending.is_open = False
        return await poor()

    sending = Sending(stop)
    sent = asyncio.run(sending.send(count))
    assert sending.counts == (1, 0)
    assert {each.outcome for each in sent} == {"not_connected"}


def test_a_lack_of_funds_that_is_told_after_the_lease_counts_for_nothing() -> None:
    async def late() -> str | None:
        sending.clock.advance(seconds=BEGIN_SECONDS + 1)
        return await poor()

    sending = Sending(late)
    (sent,) = asyncio.run(sending.send(1))
    assert (sent.outcome, sent.is_attempt) == ("lease_over", False)


# -- one currency: P1


def test_nothing_is_sent_in_another_currency_than_the_processors() -> None:
    sending = Sending(plenty)
    sent = asyncio.run(sending.send(3, currency="CZK"))
    assert sending.counts == (0, 0)
    assert {each.outcome for each in sent} == {"currency_not_served"}
    assert not any(each.is_attempt for each in sent)
