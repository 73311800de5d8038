"""`tallybook demo`: years of real advances in two minutes, and the book compared with the bank."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from tallybook.advances.tasks.import_lines import COLUMNS, AdvanceLine, parse_line
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.fresh import CountedIds
from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import Settings
from tallybook.db.scratch import Occurrences
from tallybook.entrypoints import loops
from tallybook.entrypoints.demo.bank import Bank, open_bank
from tallybook.entrypoints.demo.course import Course
from tallybook.entrypoints.demo.operator import Operator
from tallybook.entrypoints.demo.outcome import read_outcome
from tallybook.entrypoints.demo.pages import closing, opening
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.progress import StopWhen, show_progress, stop_at_signals
from tallybook.kernel.progress import Stopped
from tallybook.reports.verify import CHECKS, format_discrepancies, verify
from tallybook.wire.csv_reader import CsvReader

CURRENCY = "CZK"
EXAMPLE = Path("examples") / "advances.csv"
ROOM_BYTES = 512 * 1024 * 1024
"""What a book of the whole example may need, many times over."""


def demo(*, seed: int, home: Path | None = None, rows: int | None = None) -> ExitCode:
    """Play the demo and print what came of it; the exit code says whether all agreed.

    `rows` takes only the first advances of the example.
    """
    source = _find_example()
    log_to(level="ERROR", style="auto")
    began = time.monotonic()
    try:
        with _folder(home) as folder, open_bank(folder, seed=seed, currency=CURRENCY) as bank:
            agreed = loops.run(_play(folder, bank, source, seed, rows))
    except Stopped:
        raise CommandError("The demo was stopped.", ExitCode.INTERRUPTED) from None
    sys.stderr.write(f"The demo took {time.monotonic() - began:.0f} seconds.\n")
    return ExitCode.DONE if agreed else ExitCode.FOUND


async def _play(folder: Path, bank: Bank, source: Path, seed: int, rows: int | None) -> bool:
    clock = ManualClock(datetime(1990, 1, 1, 9, tzinfo=UTC))
    settings = _settings(folder, bank.url)
    async with Engine.open(settings, clock=clock, ids=CountedIds()) as engine:
        lines = _read_lines(source, engine, rows)
        clock.turn_to(lines[0].asked.effective_on or clock.today())
        with stop_at_signals() as stop, show_progress() as shown:
            course = Course(
                engine, clock, bank, Operator(engine, bank), StopWhen(stop.is_set, shown), lines
            )
            _print(opening(course, EXAMPLE.as_posix(), seed))
            await course.run()
            outcome = read_outcome(engine.database, bank)
            found = verify(engine.database, progress=shown)
        _print(closing(course, outcome, engine.currency))
        print(format_discrepancies(found) if found else f"{len(CHECKS)} checks of verify agree.")
        if not course.is_at_its_end:
            print("The days ran out before everything was settled.")
        return course.is_at_its_end and not outcome.discrepancies and not found


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _settings(folder: Path, processor_url: str) -> Settings:
    """Make settings that nothing around the demo has a say in: it is the same everywhere."""
    given: dict[str, Any] = {
        name: field.default
        for name, field in Settings.model_fields.items()
        if field.default is not PydanticUndefined
    }
    given |= {
        "database_url": SecretStr(f"sqlite:///{folder / 'book.db'}"),
        "home": folder,
        "currency": CURRENCY,
        "processor_url": processor_url,
    }
    return Settings(**given)


def _read_lines(source: Path, engine: Engine, rows: int | None) -> Sequence[AdvanceLine]:
    with source.open("rb") as stream:
        read = islice(CsvReader(stream, COLUMNS), rows)
        lines = [parse_line(line, engine.secrets, engine.currency) for line in read]
    with Occurrences() as seen:
        for line in lines:
            line.take_keys(seen)
    # By day, as they are performed; within a day in the order of the file.
    return sorted(lines, key=lambda line: (str(line.asked.effective_on), line.number))


def _find_example() -> Path:
    """Find the example: beside the program in a checkout, else where the demo is started."""
    for folder in (Path(__file__).parents[4], Path.cwd()):
        if (found := folder / EXAMPLE).is_file():
            return found
    raise CommandError(f"{EXAMPLE} is not here. Start the demo in a checkout of Tallybook.")


def _memory() -> Path | None:
    """Find a folder in memory with room for a book that nobody keeps; None where there is none.

    A book makes sure of each commit on the disk, some ten thousand times in a demo, and a slow disk
    takes minutes for that. What is thrown away needs no disk.
    """
    folder = Path("/dev/shm")  # noqa: S108 - the folder made in it has a name that nobody can guess
    try:
        has_room = shutil.disk_usage(folder).free >= ROOM_BYTES
    except OSError:
        return None
    return folder if has_room and os.access(folder, os.W_OK) else None


@contextmanager
def _folder(home: Path | None) -> Generator[Path]:
    """Lend a folder that is gone afterwards, or the one that was named, which stays."""
    if home is None:
        with tempfile.TemporaryDirectory(prefix="tallybook-demo-", dir=_memory()) as made:
            yield Path(made)
        return
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(home.iterdir()):
        raise CommandError(f"{home} is not empty. Name a folder that is.", ExitCode.USAGE)
    yield home.absolute()
    sys.stderr.write(f"The book and the bank's log are kept in {home}.\n")
