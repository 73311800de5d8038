"""`tallybook report`: the transfers of the last days, into a file or to the standard output."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import BinaryIO

from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.progress import show_progress
from tallybook.reports.transfers import Format, Span, write_report


def report(
    days: int, style: str | None, output: Path | None, as_of: date | None, **given: object
) -> None:
    """Write the report. It is complete before it has its name: half of one is never found."""
    chosen = _format(style, output)
    if chosen is Format.XLSX and output is None and sys.stdout.isatty():
        raise CommandError(
            "A spreadsheet can't be shown on a terminal: name a file with --output.", ExitCode.USAGE
        )
    settings = load_settings(**given)
    log_to(level="WARNING", style=settings.log_format)
    engine = Engine.open(settings, may_create=False, sends_nothing=True)
    try:
        span = Span.of(days, as_of or engine.clock.today(), engine.clock)
        if output is None:
            _to_standard_output(engine, span, chosen)
        else:
            _to_file(engine, span, chosen, output)
    finally:
        engine.close()


def _format(style: str | None, output: Path | None) -> Format:
    """Choose how to write it: as asked, else as the file's name says, else as CSV."""
    ending = output.suffix.removeprefix(".").lower() if output else ""
    return Format(style or (ending if ending in list(Format) else Format.CSV))


def _to_file(engine: Engine, span: Span, style: Format, output: Path) -> None:
    draft = output.with_name(f".{output.name}.{os.getpid()}.draft")
    try:
        with show_progress() as progress, draft.open("xb") as target:
            progress.begin("report")
            count = _write(engine, span, style, target)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    print(f"{count:,} transfers of {span.first} to {span.last} are in {output}.")


def _to_standard_output(engine: Engine, span: Span, style: Format) -> None:
    with tempfile.TemporaryFile(prefix="tallybook-report-") as made:
        _write(engine, span, style, made)
        made.seek(0)
        shutil.copyfileobj(made, sys.stdout.buffer)
        sys.stdout.flush()


def _write(engine: Engine, span: Span, style: Format, target: BinaryIO) -> int:
    with engine.database.snapshot() as connection:
        return write_report(connection, span, style, target)
