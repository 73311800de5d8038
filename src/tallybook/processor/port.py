"""The port: what Tallybook asks of a Processor, whichever it is, and how a call can end."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from tallybook.kernel.frozen import frozen

ACCOUNT_NOT_KNOWN = "not_known"
"""The error of a 404 about the balance of one account, where those of others are told."""

CURRENCY_NOT_SERVED = "currency_not_served"
"""Why a transfer was not sent: the wire names no currency, so its figure would be moved in the
Processor's. Source: P1."""

NOT_LET_IN = "not_let_in"
"""Why a transfer was not executed where the Processor took no orders from us at all."""


class Direction(StrEnum):
    """Which way money goes, seen from the customer. Source: P1."""

    CREDIT = "credit"
    """The house pays the customer."""
    DEBIT = "debit"
    """The house collects from the customer."""


class ProcessorRejected(Exception):  # noqa: N818 - an answer of the Processor's, not our error
    """The Processor has definitely not executed the transfer.

    `refused_before_sending` tells the two kinds apart: no connection, so no byte left this
    machine and the transfer may be tried again in another run (P3), or a complete refusal. So may
    one that `was_let_in` denies: that says who we are not, and nothing of the transfer.
    """

    def __init__(
        self, reason: str, *, refused_before_sending: bool, was_let_in: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused_before_sending = refused_before_sending
        self.was_let_in = was_let_in


class ProcessorUnknown(Exception):  # noqa: N818 - an answer of the Processor's, not our error
    """Nobody knows whether the transfer was executed: everything that is not proof. Source: P2."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ReportUnavailable(Exception):  # noqa: N818 - an answer of the Processor's, not our error
    """The Processor gave no report now."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BalancesNotTold(Exception):  # noqa: N818 - an answer of the Processor's, not our error
    """The Processor does not tell the balance of any account."""


@frozen
class TransferOrder:
    """What the Processor is asked to do, in its own terms."""

    src_bank_account: str
    dst_bank_account: str
    amount: str
    """A decimal string in major units."""
    direction: Direction
    reference: str
    """Our own id of the transfer. A Processor may echo it, keep it or ignore it."""


class Processor(Protocol):
    """A black box that transfers money and reports results later. Source: P1."""

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        """Ask for one transfer, once, and give back the Processor's transaction id.

        `may_send` is asked at the last moment before the first byte leaves: it says no when the
        lease ran out (P3), and then nothing is sent.

        Raises: ProcessorRejected on proof that nothing was executed, else ProcessorUnknown.
        """
        ...

    async def download_report(self) -> bytes:
        """Fetch today's report, as it stands.

        Raises: ReportUnavailable.
        """
        ...

    async def available_balance(self, bank_account: str) -> str | None:
        """Tell what an account holds, as a decimal string; None where that is not known (P8).

        Raises: BalancesNotTold where it tells none at all: then it is not asked again that day;
            TimeoutError where no answer came in time, which holds no debit up.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and files."""
        ...
