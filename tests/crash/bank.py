"""The simulated Processor in a process of its own, with a log of its own for each book.

Its address is `http://host:port/NAME`, and NAME is the folder in which that book's log is: so one
process serves thousands of books, and outlives them all.
"""

from __future__ import annotations

import http.client
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tallybook.ambient.clock import ManualClock
from tallybook.processor.faults import Faults
from tallybook.processor.server import SimulatorApp, create_server
from tallybook.processor.simulator import SimulatedProcessor

LOG = "truth.db"
QUIET = "/quiet"


def open_bank(folder: Path, faults: str = "") -> SimulatedProcessor:
    """Open a book's Processor; its business date is the one set in its log."""
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    return SimulatedProcessor(folder / LOG, seed=7, clock=clock, faults=Faults.parse(faults))


class Banks:
    """Serves the Processor of whichever book the address names."""

    def __init__(self, base: Path) -> None:
        self._base = base

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == QUIET:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        name, _, rest = scope["raw_path"].decode().lstrip("/").partition("/book/")
        # Opened for one call and closed again, so that all of its log is in the one file.
        simulator = open_bank(self._base / name / "book")
        try:
            app = SimulatorApp(simulator, drip_seconds=0)
            await app({**scope, "raw_path": b"/" + rest.encode()}, receive, send)
        finally:
            simulator.log.close()


def wait_until_quiet(address: str) -> None:
    """Wait until every call that is on its way has been taken, whoever made it and died.

    The bank takes one after another, so that the second answer comes after all that was there
    before the first question.
    """
    where = urlsplit(address)
    for _ in range(2):
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        connection.request("GET", QUIET)
        connection.getresponse().read()
        connection.close()


def fork_banks(base: Path) -> tuple[int, str]:
    """Start the process; gives its id and address. It ends when it is killed."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    child = os.fork()
    if child:
        listening.close()
        return child, address
    try:
        server = create_server("127.0.0.1", 0, open_bank(base))
        server.config.app = Banks(base)
        server.startup = super(type(server), server).startup  # pyright: ignore[reportAttributeAccessIssue] - it need not say where it listens
        server.run(sockets=[listening])
    finally:
        os._exit(1)
