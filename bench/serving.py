"""Tallybook as processes of their own: the server, the simulated Processor, calls to them."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.surroundings import Place

_PROGRAM = str(Path(sys.executable).parent / "tallybook")


@contextmanager
def serving(place: Place, settings: Mapping[str, str] | None = None) -> Generator[str]:
    """Serve a database in a process of its own; gives the server's address."""
    with _started(place, "serve", settings) as url:
        yield url


@contextmanager
def simulating(place: Place) -> Generator[str]:
    """Serve a simulated Processor without faults; gives its address."""
    with _started(place, "processor", {}) as url:
        yield url


def post(url: str, path: str, body: object) -> None:
    """Send one call."""
    call = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(call):
        pass


@contextmanager
def _started(place: Place, command: str, settings: Mapping[str, str] | None) -> Generator[str]:
    environment = os.environ | {
        "DATABASE_URL": place.url,
        "TALLYBOOK_HOME": str(place.home),
        "TALLYBOOK_RUN_ENABLED": "false",
        "TALLYBOOK_LOG_LEVEL": "WARNING",
        **(settings or {}),
    }
    process = subprocess.Popen(
        [_PROGRAM, command, "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = (line.split() for line in process.stdout)
        yield next(words[-1] for words in lines if words and words[-1].startswith("http"))
    finally:
        process.terminate()
        process.wait(30)
