"""What the sender asks of a Processor before it sends."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from tallybook.ambient.clock import ManualClock
from tallybook.processor.model import Transfer
from tallybook.processor.port import BalancesNotTold, Processor, TransferOrder
from tallybook.processor.sender import Sender


class Silent:
    """A Processor that tells no balances, and takes its time to say so."""

    def __init__(self) -> None:
        self.asked = self.sent = 0

    async def available_balance(self, bank_account: str) -> str | None:
        del bank_account
        self.asked += 1
        await asyncio.sleep(0.01)
        raise BalancesNotTold

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        del order
        assert may_send()
        self.sent += 1
        return f"txn_{self.sent}"


def test_one_debit_asks_for_all_that_go_out_with_it() -> None:
    silent, clock = Silent(), ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    sender = Sender(
        cast("Processor", silent), clock, house_account="HOUSE", lease=timedelta(seconds=60)
    )
    debit: Any = SimpleNamespace(
        is_debit=True, amount_minor=100, currency="USD", direction="debit", id="0" * 32
    )

    async def send_all() -> None:
        seen_at = clock.monotonic()
        calls = [
            sender.send(cast("Transfer", debit), "DE1", intent_seen_at=seen_at) for _ in range(50)
        ]
        await asyncio.gather(*calls)

    asyncio.run(send_all())
    assert (silent.asked, silent.sent) == (1, 50)
    clock.advance(days=1)
    asyncio.run(send_all())
    assert (silent.asked, silent.sent) == (2, 100)
