"""Real processes of `tallybook`, as a person or a service manager starts them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tallybook.db.migrate import upgrade
from tests.cli.forked import Forked

PROGRAM = [str(Path(sys.executable).with_name("tallybook"))]
"""What a person starts; the tests start most programs faster, by a fork (tests/cli/forked.py)."""
PATIENCE_SECONDS = 60
_KEPT = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR", "COVERAGE_PROCESS_START")


def environment(**settings: str) -> dict[str, str]:
    """Give a program nothing of what the developer or the test run has set."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | settings


def run(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    program = start(*arguments, cwd=cwd, env=env)
    patience = threading.Timer(PATIENCE_SECONDS, program.kill)
    patience.start()
    try:
        with ThreadPoolExecutor(1) as reading:
            errors = reading.submit(program.stderr.read)
            said = program.stdout.read()
        return subprocess.CompletedProcess(arguments, program.wait(), said, errors.result())
    finally:
        patience.cancel()
        program.close()


def begin_book(cwd: Path) -> None:
    """Make the book that commands find in a folder, as `tallybook db upgrade` does."""
    upgrade(f"sqlite:///{cwd / 'billing.db'}")


def start(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Forked:
    """Start a command and go on."""
    return Forked(arguments, cwd, environment() if env is None else env)


def children_of(process: int) -> list[int]:
    """List the processes that a process has split off or started, and not yet buried."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(child) for child in found.split()]


@dataclass
class Server:
    """A running `tallybook serve`, or another command that listens."""

    process: Forked
    said: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    port: int = 0

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Make one call; gives the status and what came."""
        connection = self.connect()
        try:
            content = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            raw = answer.read()
            is_json = "json" in (answer.getheader("Content-Type") or "")
            return answer.status, json.loads(raw) if is_json else raw
        finally:
            connection.close()

    def stop(self, *signals: signal.Signals) -> int:
        """Send signals and wait for the end; gives the exit code."""
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def serve(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    command: str = "serve",
    said_host: str = "127.0.0.1",
) -> Generator[Server]:
    """Start a server on a free port and wait until it listens; it is killed if it is left."""
    process = start(command, "--port", "0", *arguments, cwd=cwd, env=env)
    server = Server(process)
    drains = [
        threading.Thread(target=_drain, args=(process.stderr, server.errors)),
    ]
    drains[0].start()
    patience = threading.Timer(PATIENCE_SECONDS, process.kill)
    patience.start()
    try:
        for line in process.stdout:
            server.said.append(line)
            if found := re.search(rf"listen\w* \w+ http://{said_host}:([0-9]+)", line):
                server.port = int(found[1])
                break
        patience.cancel()
        assert server.port, f"it never listened: {server.said} {server.errors}"
        drains.append(threading.Thread(target=_drain, args=(process.stdout, server.said)))
        drains[1].start()
        yield server
    finally:
        process.kill()
        process.wait()
        for drain in drains:
            drain.join()
        process.close()


def _drain(stream: Any, lines: list[str]) -> None:
    lines.extend(stream)
