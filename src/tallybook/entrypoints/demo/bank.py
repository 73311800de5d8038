"""The demo's Processor: `tallybook processor` in a process of its own, on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from tallybook.entrypoints.errors import CommandError
from tallybook.processor.simulator_log import LoggedCall, SimulatorLog

FAULTS: Mapping[str, str] = {
    "lost_before": "0.05",
    "lost_after": "0.05",
    "fail": "0.10",
    "late": "0.05",
    "very_late": "0.01",
    "returned": "0.02",
    "duplicate_report": "0.02",
    "missing_report": "0.03",
}
"""How unreliable it is: each knob of `tallybook processor --faults help` with its probability."""

START_SECONDS = 30
_READY = "processor listening on "
_PROGRAM = """
import os, sys, threading

def end_with_the_demo():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end_with_the_demo, daemon=True).start()
from tallybook.entrypoints.cli.main import main

main()
"""
"""The command, in a process that ends when nobody holds the other end of its standard input: so it
ends with the demo, however that ends."""


class Bank:
    """What a person who rings the bank up could learn, and the business date it is set to."""

    def __init__(self, url: str, log: SimulatorLog) -> None:
        self.url = url
        self._log = log
        self._read_to = 0
        self._by_reference: dict[str, LoggedCall] = {}
        self._by_transaction: dict[str, LoggedCall] = {}

    def set_date(self, day: date) -> None:
        """Let a business date begin at the bank as well."""
        self._log.set_date(day)

    def find(self, reference: str) -> LoggedCall | None:
        """Ask what became of an order, by our reference; None where none came in, or was lost."""
        call = self._by_reference.get(reference)
        return call if call is not None and call.is_executed else None

    def look_it_all_up(self) -> None:
        """Read what came in since the last time somebody asked."""
        for call in self._log.read_calls(after=self._read_to):
            self._read_to = call.position
            self._by_reference[call.reference] = call
            if call.transaction_id is not None:
                self._by_transaction[call.transaction_id] = call

    def executed(self) -> Iterator[LoggedCall]:
        """List every transfer that was executed."""
        with closing(self._log.read_calls()) as calls:
            yield from (call for call in calls if call.is_executed)

    def last_news_on(self) -> date:
        """Tell the date of the last result that its reports tell, or will tell."""
        self.look_it_all_up()
        told = [call.final_on for call in self._by_transaction.values() if call.final_on]
        return max(told, default=date.min)


@contextmanager
def open_bank(home: Path, *, seed: int, currency: str) -> Generator[Bank]:
    """Start the Processor, and stop it when the block ends. Raises: CommandError."""
    faults = ",".join(f"{name}={value}" for name, value in FAULTS.items())
    with _running(home, seed, faults, currency) as url, closing(_open_log(home)) as log:
        yield Bank(url, log)


def _open_log(home: Path) -> SimulatorLog:
    return SimulatorLog(home / "processor.db")


@contextmanager
def _running(home: Path, seed: int, faults: str, currency: str) -> Generator[str]:
    # What is set around the demo is somebody's own installation, and none of its business.
    surroundings = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("TALLYBOOK_") and name.upper() != "DATABASE_URL"
    }
    surroundings |= {"TALLYBOOK_HOME": str(home), "TALLYBOOK_CURRENCY": currency}
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, "processor", "--port", "0", "--seed", str(seed),
         "--faults", faults, "--database", str(home / "bank.db")],
        cwd=home,
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C is for the demo, which then stops the Processor in its own time.
        start_new_session=True,
    )  # fmt: skip
    # A process that never says it is ready is stopped, which ends the reading below.
    hold, said = process.stdin, process.stdout
    assert hold is not None
    assert said is not None
    patience = threading.Timer(START_SECONDS, process.kill)
    patience.start()
    try:
        for line in said:
            if line.startswith(_READY):
                patience.cancel()
                yield line.removeprefix(_READY).strip()
                return
        raise CommandError("The simulated Processor did not start. See what it says above.")
    finally:
        patience.cancel()
        process.terminate()
        process.wait()
        hold.close()
        said.close()
