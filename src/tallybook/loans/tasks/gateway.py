"""Payment gateways: the port that they are asked through, and one that is only played. Source: L8.

A gateway is asked once, after the payment is on record and with no transaction open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tallybook.kernel.frozen import frozen
from tallybook.loans.model import PaymentStatus


@frozen
class Charge:
    """What a gateway is asked to collect. Units: minor units."""

    payment_id: str
    """Ours: a gateway that is asked twice under one id collects once."""
    amount_minor: int
    currency: str
    method: str


@frozen
class Charged:
    """What a gateway answers."""

    status: PaymentStatus
    """`paid`, `failed`, or `pending`: news will come."""
    reference: str | None = None
    reason: str | None = None


class Gateway(Protocol):
    """Somebody who collects a payment for us, at once or later."""

    def serves(self, method: str) -> bool:
        """Tell whether payments by this method are collected by the gateway."""
        ...

    async def charge(self, charge: Charge) -> Charged:
        """Ask for the money. Whatever it raises, nobody knows what came of it."""
        ...


class MockGateway:
    """Plays a gateway: the method says how it ends, as test cards do."""

    _ENDS: Mapping[str, PaymentStatus] = {
        "mock_paid": PaymentStatus.PAID,
        "mock_pending": PaymentStatus.PENDING,
        "mock_failed": PaymentStatus.FAILED,
    }

    def serves(self, method: str) -> bool:
        """Tell whether the method is one of those that are played."""
        return method in self._ENDS

    async def charge(self, charge: Charge) -> Charged:
        """End as the method says."""
        status = self._ENDS[charge.method]
        reason = "declined" if status is PaymentStatus.FAILED else None
        return Charged(status, f"mock-{charge.payment_id}", reason)
