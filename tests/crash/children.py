"""Forked children that tell their parent what happened, line by line, until they are killed."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tallybook.ambient.liveness import this_process

Tell = Callable[[Any], None]
Work = Callable[[Tell], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended, and what it said."""

    signal: int
    """The signal that killed it; 0 where none did."""
    code: int
    said: list[Any]

    def found(self, kind: str) -> list[Any]:
        """List what it said of a kind."""
        return [each[kind] for each in self.said if kind in each]


def run_here(work: Work) -> Ended:
    """Do work in this process, and leave no thread of it behind."""
    said: list[Any] = []
    work(said.append)
    return Ended(0, 0, said)


def fork(work: Work, *, kill_after: float | None = None) -> Ended:
    """Do work in a child, which has no threads when it begins; wait until it is over.

    It is killed from outside after so many seconds, wherever it is, unless it has ended by then.
    """
    child = _start(work)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child.pid, signal.SIGKILL)
    return _wait(child)


def fork_all(works: Sequence[Work]) -> list[Ended]:
    """Do several works at once, each in a child of its own."""
    children = [_start(work) for work in works]
    return [_wait(child) for child in children]


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    told: int


def _start(work: Work) -> _Child:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        return _Child(child, read_end)
    os.close(read_end)
    this_process.cache_clear()  # the parent, whose name it may hold, outlives this child
    code = 1
    try:
        # One write a line: a line is there or it is not, whenever the child is killed.
        work(lambda said: _write(write_end, json.dumps(said).encode() + b"\n"))
        code = 0
    except BaseException:  # noqa: BLE001 - told to the parent
        _write(write_end, json.dumps({"broke": traceback.format_exc()}).encode() + b"\n")
    finally:
        os._exit(code)


def _wait(child: _Child) -> Ended:
    with os.fdopen(child.told, "rb") as told:
        text = told.read()
    _, status = os.waitpid(child.pid, 0)
    said = [json.loads(line) for line in text.splitlines()]
    if os.WIFSIGNALED(status):
        return Ended(os.WTERMSIG(status), 0, said)
    return Ended(0, os.WEXITSTATUS(status), said)


def _write(end: int, content: bytes) -> None:
    while content:
        content = content[os.write(end, content) :]


Run = Callable[[Work], Ended]
