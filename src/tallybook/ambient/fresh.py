"""Fresh ids and randomness: the only place that makes them."""

from __future__ import annotations

import os
import struct
import threading
import time
from itertools import count


class FreshIds:
    """Makes UUIDv7 ids: 48 bits of milliseconds, a counter, then 62 random bits.

    Ids made by one process sort in the order in which they were made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._tails: list[int] = []
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Drop random numbers that a forked child shares with its parent."""
        self._lock = threading.Lock()
        self._tails = []

    def fresh(self) -> str:
        """Make a new id: 32 hex digits."""
        with self._lock:
            if not self._tails:
                # Asked of the system in bulk: a call for each id costs more than the id.
                self._tails = [*struct.unpack("256Q", os.urandom(8 * 256))]
            tail = self._tails.pop()
            # 12 bits below the millisecond: the sub-millisecond time, pushed on if it stands still.
            stamp = max(time.time_ns() * 4096 // 1_000_000, self._last + 1)
            self._last = stamp
        milliseconds, fraction = stamp >> 12, stamp & 0xFFF
        number = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | tail >> 2
        return f"{number:032x}"


def fresh_secret(size: int) -> bytes:
    """Make so many bytes that nobody can guess."""
    return os.urandom(size)


class CountedIds:
    """Makes ids by counting, so that a seeded run gives the same ids each time."""

    def __init__(self, start: int = 1) -> None:
        # Its next() is one step, so that threads may share it.
        self._numbers = count(start)

    def fresh(self) -> str:
        """Make the next id."""
        return f"{next(self._numbers):012x}70008{0:015x}"


def jitter_sleep(attempt: int) -> None:
    """Wait a random moment that grows with the attempts, at most a second.

    Two transactions that met in a deadlock must not meet again in step.
    """
    time.sleep(min(1.0, 0.002 * 2**attempt) * (os.urandom(1)[0] + 1) / 256)
