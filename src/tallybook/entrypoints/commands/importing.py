"""`tallybook import`: records brought in from files, with progress and a list of what failed."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, Self, TypeVar

from tallybook.advances.tasks.importing import ImportSummary, import_advances
from tallybook.ambient.garbage import keep_what_is_loaded
from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints import loops
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import ExitCode
from tallybook.entrypoints.progress import StopWhen, show_progress, stop_at_signals
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.progress import Progress
from tallybook.kernel.refusal import Refusal
from tallybook.loans.tasks.importing import import_loans, import_payments
from tallybook.wire.line_import import AddedCounts, WhenRefused

SHOWN_MOST = 20
"""So many refused lines are shown; a file can hold all of them."""


class Counts(Protocol):
    """What became of a file's lines."""

    @property
    def is_complete(self) -> bool:
        """Tell whether every line is in the book now."""
        ...


S = TypeVar("S", bound=Counts)
S_co = TypeVar("S_co", bound=Counts, covariant=True)


class RunImport(Protocol[S_co]):
    """Brings one kind of file in."""

    async def __call__(
        self, engine: Engine, stream: BinaryIO, /, *, progress: Progress, when_refused: WhenRefused
    ) -> S_co:
        """Bring it in. Raises: Refused, Stopped."""
        ...


def import_advances_file(path: Path, refused_path: Path | None, **given: object) -> ExitCode:
    """Pay out the advances of a file and say what became of its lines."""
    return import_file(path, refused_path, import_advances, summary_lines, **given)


def import_loans_file(path: Path, refused_path: Path | None, **given: object) -> ExitCode:
    """Take over the loans of a file and say what became of its lines."""
    return import_file(path, refused_path, import_loans, added_lines, **given)


def import_payments_file(path: Path, refused_path: Path | None, **given: object) -> ExitCode:
    """Record the loan payments of a file and say what became of its lines."""
    return import_file(path, refused_path, import_payments, added_lines, **given)


def import_file(
    path: Path,
    refused_path: Path | None,
    run: RunImport[S],
    show: Callable[[S], list[str]],
    **given: object,
) -> ExitCode:
    """Bring in a file of one kind, and say what became of its lines."""
    settings = load_settings(**given)
    log_to(level="WARNING", style=settings.log_format)
    with _opened(path) as stream, Refusals(refused_path) as refusals:
        counts = loops.run(_import(Engine.open(settings), run, stream, refusals))
    print("\n".join(refusals.shown + show(counts)))
    return ExitCode.DONE if counts.is_complete else ExitCode.FOUND


async def _import(engine: Engine, run: RunImport[S], stream: BinaryIO, refusals: Refusals) -> S:
    keep_what_is_loaded()
    async with engine:
        with stop_at_signals() as stop, show_progress() as shown:
            shown.begin("import", _count_lines(stream))
            return await run(
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


def added_lines(counts: AddedCounts) -> list[str]:
    r"""Write what became of lines of which each is in the book as soon as it is taken.

    >>> print("\n".join(added_lines(AddedCounts(added=682, refused=1))))
    lines    count
    added      682
    refused      1
    all        683
    """
    kinds = (
        ("added", counts.added),
        ("were in the book already", counts.already_there),
        ("refused", counts.refused),
    )
    rows = [(what, f"{count:,}") for what, count in kinds if count]
    rows.append(("all", f"{counts.lines:,}"))
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
