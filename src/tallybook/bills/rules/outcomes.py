"""What each message came to, told while a customer is folded."""

from __future__ import annotations

from tallybook.bills.model import Fact, MessageStatus
from tallybook.kernel.frozen import replace


class Outcomes:
    """The facts as they are to be stored: as they came, with what became of each."""

    def __init__(self) -> None:
        self.of: dict[str, Fact] = {}

    def tell(
        self,
        fact: Fact,
        status: MessageStatus,
        *,
        account_id: str | None = None,
        bill_id: str | None = None,
        transaction_id: str | None = None,
        why: str = "",
    ) -> None:
        """Say what a message came to; the last word on it counts."""
        self.of[fact.message_id] = replace(
            fact, status=status, account_id=account_id, bill_id=bill_id,
            transaction_id=transaction_id, why=why,
        )  # fmt: skip
