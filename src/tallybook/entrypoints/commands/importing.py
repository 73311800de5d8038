"""`tallybook import`: records brought in from files, with progress and a list of what failed."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Self

from tallybook.advances.tasks.importing import ImportSummary, import_advances
from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import ExitCode
from tallybook.entrypoints.progress import StopWhen, show_progress, stop_at_signals
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.refusal import Refusal

SHOWN_MOST = 20
"""So many refused lines are shown; a file can hold all of them."""


def import_advances_file(path: Path, refused_path: Path | None, **given: object) -> ExitCode:
    """Pay out the advances of a file and say what became of its lines."""
    settings = load_settings(**given)
    log_to(level="WARNING", style=settings.log_format)
    with _opened(path) as stream, Refusals(refused_path) as refusals:
        summary = asyncio.run(_import(Engine.open(settings), stream, refusals))
    print("\n".join(refusals.shown + summary_lines(summary)))
    return ExitCode.DONE if summary.is_complete else ExitCode.FOUND


async def _import(engine: Engine, stream: BinaryIO, refusals: Refusals) -> ImportSummary:
    async with engine:
        with stop_at_signals() as stop, show_progress() as shown:
            shown.begin("import", _count_lines(stream))
            return await import_advances(
                engine,
                stream,
                progress=StopWhen(stop.is_set, shown),
                when_refused=refusals.add,
            )


class Refusals:
    """Collects the lines that were refused: the first ones to show, all of them for a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._count = 0
        self._first: list[str] = []
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        if self._path is not None:
            file = self._undo.enter_context(self._path.open("w", newline="", encoding="utf-8"))
            self._writer = csv.writer(file)
            self._writer.writerow(("line", "code", "reason"))
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def add(self, number: int, refusal: Refusal) -> None:
        """Take one refused line."""
        self._count += 1
        if self._path is not None:
            self._writer.writerow((number, refusal.code, refusal.sentence))
        if len(self._first) < SHOWN_MOST:
            self._first.append(f"line {number}: {refusal.sentence} ({refusal.code})")

    @property
    def shown(self) -> list[str]:
        """Give the lines for a person."""
        more = self._count - len(self._first)
        where = f"; {self._path} has them all" if self._path else "; --refused FILE lists them"
        return [*self._first, *([f"... and {more:,} more{where}"] if more else [])]


def summary_lines(summary: ImportSummary) -> list[str]:
    """Write what became of a file's lines.

    >>> for line in summary_lines(ImportSummary(performed=1_200, unknown=1)):
    ...     print(line)
    lines                              count
    paid out                           1,200
    unknown: each is an operator item      1
    all                                1,201
    """
    kinds = (
        ("paid out", summary.performed),
        ("were in the book already", summary.already_there),
        ("unknown: each is an operator item", summary.unknown),
        ("refused", summary.refused),
        ("not tried: the Processor was out of reach", summary.not_tried),
    )
    rows = [(what, f"{count:,}") for what, count in kinds if count]
    rows.append(("all", f"{summary.lines:,}"))
    return format_table(("lines", "count"), rows, right=("count",))


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    """Open a file, or the standard input where the name is `-`."""
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with path.open("rb") as stream:
        yield stream


def _count_lines(stream: BinaryIO) -> int | None:
    """Count a file's lines, the first of which names the columns; None where it can't go back."""
    if not stream.seekable():
        return None
    count = sum(part.count(b"\n") for part in iter(lambda: stream.read(1 << 20), b""))
    stream.seek(0)
    return max(count - 1, 0) or None
