"""The words of the long proof: a check, the ground it runs on, and what it found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.postgres import DURABLE, UNPLUGGED, Server

SAID_EVERY_SECONDS = 15


@dataclass(frozen=True)
class Result:
    """What a check did, and what was wrong."""

    did: int
    """How much of what was asked, in the check's own unit."""
    failures: Sequence[str] = ()
    """One line each, with the command that repeats it where there is one. None: it passed."""
    seen: str = ""
    """What else a reader wants to know: rates, rare states reached, anomalies that had to show."""


@dataclass(frozen=True)
class Check:
    """One row of the proof: something that must hold, and how hard it is tried."""

    name: str
    unit: str
    """What is counted, such as `seeds x 200 steps`."""
    full: int
    """How much the long proof does at SCALE=1."""
    in_check: int
    """How much `make check` does, through a test that calls `run` with it."""
    run: Callable[[int, Ground], Result]
    least: int = 1
    """Fewer than this prove nothing, whatever the scale."""

    def asked(self, scale: float) -> int:
        """Tell how much a scale asks."""
        return max(self.least, round(self.full * scale))


@dataclass
class Ground:
    """Where a check runs: a folder of its own, a PostgreSQL if it wants one, time, an audience."""

    scratch: Path
    name: str = ""
    """Whose it is: several checks may speak at a time."""
    minutes: float | None = None
    """How long one check may take; what is not done by then is told as not done."""
    loud: bool = False
    _servers: list[Server] = field(default_factory=list[Server])
    _began: float = field(default_factory=time.monotonic)
    _said: float = 0
    _postgres_url: str = ""

    def may_go_on(self) -> bool:
        """Tell whether there is time left; a check asks between two units of its work."""
        if self.minutes is None:
            return True
        return time.monotonic() - self._began < self.minutes * 60

    def say(self, done: int, total: int, what: str = "") -> None:
        """Show progress now and then; cheap to call."""
        now = time.monotonic()
        if not self.loud or now - self._said < SAID_EVERY_SECONDS:
            return
        self._said = now
        self.tell(f"{done:,} of {total:,} {what} ({now - self._began:.0f} s)")

    def tell(self, line: str) -> None:
        """Write one line for whoever reads along."""
        if self.loud:
            print(f"  {self.name}: {line}", file=sys.stderr, flush=True)

    def postgres(self) -> str:
        """Give the URL of a PostgreSQL in which databases may be made, started when first asked."""
        if not self._postgres_url:
            self._postgres_url = self.own_postgres(UNPLUGGED).url
        return self._postgres_url

    def own_postgres(self, settings: Mapping[str, str] = DURABLE) -> Server:
        """Start one more PostgreSQL, for a check that stops and crashes it as it likes."""
        server = Server.create(settings)
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Leave no server behind."""
        while self._servers:
            self._servers.pop().remove()


@contextmanager
def ground(
    name: str = "", *, minutes: float | None = None, loud: bool = False, postgres_url: str = ""
) -> Generator[Ground]:
    """Make the ground for one check, and clear it away."""
    with TemporaryDirectory(prefix="tallybook-proof-") as folder:
        place = Ground(Path(folder), name, minutes, loud, _postgres_url=postgres_url)
        try:
            yield place
        finally:
            place.close()
