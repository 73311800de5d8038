"""Progress for people: bars on a terminal, else a plain line at most each second."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from tallybook.kernel.progress import Progress, Stopped

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 1.0


@contextmanager
def show_progress(stream: TextIO | None = None) -> Generator[Progress]:
    """Show how far work has come while the block runs, on the standard error unless told where."""
    stream = stream or sys.stderr
    assert stream is not None, "a program without standard error says where to show progress"
    if not stream.isatty():
        lines = ProgressLines(stream)
        yield lines
        lines.close()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=Console(file=stream)) as bars:
        yield ProgressBars(bars)


class ProgressLines:
    """Writes a line when a step ends, and while it runs at most one each second.

    A step that ends within a second and moved nothing is not worth a line.
    """

    def __init__(self, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._step: str | None = None
        self._total: int | None = None
        self._done = 0
        self._said = -1
        self._next_at = 0.0

    def begin(self, step: str, total: int | None = None) -> None:
        """Start a step, which ends the one before."""
        with self._lock:
            self._end()
            self._step, self._total, self._done, self._said = step, total, 0, -1
            self._next_at = self._monotonic() + SECONDS_BETWEEN_LINES

    def advance(self, count: int = 1) -> None:
        """Tell that so many more of the step's items are done."""
        with self._lock:
            self._done += count
            if (now := self._monotonic()) >= self._next_at:
                self._next_at = now + SECONDS_BETWEEN_LINES
                self._say()

    def close(self) -> None:
        """End the last step."""
        with self._lock:
            self._end()
            self._step = None

    def _end(self) -> None:
        if self._done and self._said != self._done:
            self._say()

    def _say(self) -> None:
        self._said = self._done
        of = "" if self._total is None else f" of {self._total:,}"
        print(f"{self._step}: {self._done:,}{of}", file=self._stream, flush=True)


class ProgressBars:
    """Draws a bar per step with rich."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, step: str, total: int | None = None) -> None:
        """Start a step, which ends the one before."""
        self._end()
        self._task = self._bars.add_task(step, total=total)

    def advance(self, count: int = 1) -> None:
        """Tell that so many more of the step's items are done."""
        if self._task is not None:
            self._bars.advance(self._task, count)

    def _end(self) -> None:
        if self._task is not None:
            # A step that had no total has its bar full now: it is over.
            task = next(task for task in self._bars.tasks if task.id == self._task)
            self._bars.update(self._task, total=task.completed)
            self._bars.stop_task(self._task)


class StopWhen:
    """Watches work and stops it between two items, once somebody wants that."""

    def __init__(self, is_wanted: Callable[[], bool], shown: Progress | None = None) -> None:
        self._is_wanted = is_wanted
        self._shown = shown

    def begin(self, step: str, total: int | None = None) -> None:
        """Start a step, or stop before it. Raises: Stopped."""
        if self._is_wanted():
            raise Stopped
        if self._shown is not None:
            self._shown.begin(step, total)

    def advance(self, count: int = 1) -> None:
        """Tell that so many more are done, and stop after them. Raises: Stopped."""
        if self._shown is not None:
            self._shown.advance(count)
        if self._is_wanted():
            raise Stopped


@contextmanager
def stop_at_signals() -> Generator[threading.Event]:
    """Let Ctrl-C and SIGTERM stop work between two items; a second Ctrl-C ends it at once."""
    wanted = threading.Event()

    def stop(number: int, frame: object) -> None:
        del frame
        if wanted.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        wanted.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
