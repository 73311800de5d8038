"""Whoever waits is told how far work has come, and is not flooded."""

import io
import threading

import pytest

from tallybook.entrypoints.progress import ProgressLines, show_progress


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_come_at_most_each_second() -> None:
    stream, seconds = io.StringIO(), Seconds()
    lines = ProgressLines(stream, seconds)
    lines.begin("settle", 2_000)
    for _ in range(2_000):
        seconds.now += 0.0015
        lines.advance()
    lines.begin("send")
    lines.advance(5)
    lines.close()
    assert stream.getvalue().splitlines() == [
        "settle: 667 of 2,000",
        "settle: 1,334 of 2,000",
        "settle: 2,000 of 2,000",
        "send: 5",
    ]


def test_a_step_that_moved_nothing_says_nothing() -> None:
    stream = io.StringIO()
    with show_progress(stream) as progress:
        progress.begin("settle", 0)
        progress.begin("send", 0)
    assert stream.getvalue() == ""


def test_a_terminal_gets_bars() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with show_progress(terminal) as progress:
        progress.begin("settle", 2)
        progress.advance(2)
        progress.begin("send")
        progress.advance()
    assert "settle" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "send" in terminal.getvalue()


def test_threads_may_advance_together() -> None:
    stream = io.StringIO()
    with show_progress(stream) as progress:
        progress.begin("send", 8_000)
        threads = [
            threading.Thread(target=lambda: [progress.advance() for _ in range(1_000)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert stream.getvalue().splitlines()[-1] == "send: 8,000 of 8,000"


def test_nothing_is_shown_after_an_error() -> None:
    stream = io.StringIO()

    def work() -> None:
        with show_progress(stream) as progress:
            progress.begin("send", 2)
            progress.advance()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - any
        work()
    assert stream.getvalue() == ""
