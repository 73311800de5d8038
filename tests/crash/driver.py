"""Asks for flows to be killed, of a process that has no threads and so may fork."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.every_step import Crashed

ROOT = Path(__file__).resolve().parents[2]


class Crasher:
    """Has flows killed, one after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def crash(
        self,
        flow: str,
        template: str,
        *,
        server: str | None = None,
        random_kills: int | None = None,
        seed: int = 0,
    ) -> Crashed:
        """Kill a flow at each of its steps, or so often at a random moment.

        `template` is the URL of a migrated, empty database; `server` is where PostgreSQL's are
        made, None for SQLite.
        """
        asked = {
            "flow": flow,
            "template": template,
            "server": server,
            "random_kills": random_kills,
            "seed": seed,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the crashing process is gone: its errors are above"
        return Crashed(**json.loads(line))


@contextmanager
def crasher() -> Generator[Crasher]:
    """Start the process that forks, on a folder in memory where there is one: a kill is a kill."""
    memory = Path("/dev/shm")
    base = tempfile.mkdtemp(prefix="tallybook-crash-", dir=memory if memory.is_dir() else None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.every_step", base],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Crasher(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        shutil.rmtree(base, ignore_errors=True)
