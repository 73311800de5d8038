"""What several commands take, and how a command is added."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

P = ParamSpec("P")
R = TypeVar("R")


def command(
    group: typer.Typer, name: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add a command whose docstring is its help, with the lines of its examples kept apart."""

    def add(function: Callable[P, R]) -> Callable[P, R]:
        text = cleandoc(function.__doc__ or "").replace("\n\nExample", "\n\n\b\nExample")
        return group.command(name, help=text)(function)

    return add


Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The database: an SQLite file or postgresql://... [default: DATABASE_URL]",
        show_default=False,
    ),
]
Processor = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The Processor's address. [default: TALLYBOOK_PROCESSOR_URL, else a simulated one]",
        show_default=False,
    ),
]


def parse_day(text: str) -> date:
    """Read an option that is a date."""
    from tallybook.kernel.calendar import parse_date

    day = parse_date(text)
    if day is None:
        raise typer.BadParameter("a date is written YYYY-MM-DD, such as 2026-03-01")
    return day


def parse_target(text: str) -> Path:
    """Read an option that names a file to be written."""
    from tallybook.ambient.setting_types import is_file_path

    if not is_file_path(text):
        raise typer.BadParameter("it must name a file, not a folder, and be text in UTF-8")
    return Path(text)


Refused = Annotated[
    Path | None,
    typer.Option(
        parser=parse_target,
        metavar="FILE",
        help="Where to list the refused lines, as CSV. [default: nowhere]",
    ),
]
