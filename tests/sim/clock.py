"""The simulation's clock: turned by the seed, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from tallybook.ambient.clock import ManualClock

FIRST_DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


class SimClock(ManualClock):
    """A clock whose leases and deadlines pass with its days, not with the machine's."""

    def __init__(self) -> None:
        super().__init__(FIRST_DAY)

    def monotonic(self) -> float:
        """Tell the seconds since the first day."""
        return (self.now() - FIRST_DAY).total_seconds()
