"""`tallybook sending`: the kill switch."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from tallybook.entrypoints.cli.options import Database, command, parse_day

group = typer.Typer(
    help="Stop and start all sending to the Processor.", rich_markup_mode=None,
    no_args_is_help=True,
)  # fmt: skip


Reason = Annotated[str, typer.Option(help="Why; it is kept.")]


By = Annotated[str, typer.Option(help="Who says so; it is kept.")]


@command(group, "show")
def show_sending(*, database: Database = None) -> None:
    """Show whether anything may be sent to the Processor.

    Example:
      tallybook sending show
    """
    from tallybook.entrypoints.commands.sending import show

    show(database_url=database)


@command(group, "stop")
def stop_sending(*, reason: Reason, by: By = "operator", database: Database = None) -> None:
    """Stop all sending to the Processor, also by a run under way.

    Once this returns no call to the Processor begins any more, in any process.

    Example:
      tallybook sending stop --reason "amounts look wrong" --by ann
    """
    from tallybook.entrypoints.commands.sending import change
    from tallybook.processor.model import SendingState

    change(SendingState.STOPPED, reason, by, database_url=database)


@command(group, "start")
def start_sending(*, reason: Reason, by: By = "operator", database: Database = None) -> None:
    """Let sending go on, after a stop or a reconciled restore.

    Example:
      tallybook sending start --reason "it was the report" --by ann
    """
    from tallybook.entrypoints.commands.sending import change
    from tallybook.processor.model import SendingState

    change(SendingState.OPEN, reason, by, database_url=database)


@command(group, "hold")
def hold_sending(
    *,
    reason: Reason,
    by: By = "operator",
    lost_from: Annotated[
        date | None,
        typer.Option(
            parser=parse_day,
            metavar="DATE",
            help="When the copy was made, if days passed since it is used. [default: its last run]",
        ),
    ] = None,
    database: Database = None,
) -> None:
    """Say that this book is a restored copy, as by pg_restore.

    Nothing is sent until reports have accounted for what was sent after the copy was made. Say it
    before anything else is done with the copy; else name the date.

    Example:
      tallybook sending hold --reason "restored last night's base backup" --by ann
    """
    from tallybook.entrypoints.commands.sending import hold

    hold(reason, by, lost_from, database_url=database)
