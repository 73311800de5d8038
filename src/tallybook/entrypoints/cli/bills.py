"""`tallybook bills`: household bills out of messages."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from tallybook.entrypoints.cli.options import Database, command, parse_day

group = typer.Typer(
    help="Read household bills out of messages.", rich_markup_mode=None, no_args_is_help=True
)


RuleFiles = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="FILE", help="Rules of your own, tried before the shipped."),
]


@command(group, "import")
def import_bills(
    *,
    file: Annotated[Path, typer.Argument(help="Messages, one JSON object a line.")],
    customer: Annotated[str, typer.Option(metavar="ID", help="Whose inbox it is: cus_...")],
    received_on: Annotated[
        date | None,
        typer.Option(
            parser=parse_day, metavar="DATE", help="For texts without a date. [default: now]"
        ),
    ] = None,
    rules: RuleFiles = None,
    database: Database = None,
) -> None:
    """Bring in an inbox of texts about bills.

    Each text becomes an account, a bill or a payment, or waits for review.

    Each line has `body`, and where known `sender`, `sent_at`, `source_id`. The same message again
    changes nothing, so that an interrupted import can be run again. Exits with 1 where a line was
    no message.

    Examples:
      tallybook bills import messages.jsonl --customer cus_0193...
      tallybook bills import old.jsonl --customer cus_0193... --received-on 2026-03-01
    """
    from tallybook.entrypoints.commands.bills import import_inbox

    raise typer.Exit(import_inbox(file, customer, received_on, rules or [], database_url=database))


@command(group)
def due(
    *,
    customer: Annotated[
        str | None, typer.Option(metavar="ID", help="One household. [default: all]")
    ] = None,
    database: Database = None,
) -> None:
    """Show the bills that are open, the earliest due first.

    Example:
      tallybook bills due --customer cus_0193...
    """
    from tallybook.entrypoints.commands.bills import show_due

    raise typer.Exit(show_due(customer, database_url=database))


@command(group, "try")
def try_bill_text(
    *,
    text: Annotated[str, typer.Argument(help="The text of one message.")],
    sender: Annotated[str | None, typer.Option(help="Its header, such as VM-HDFCBK.")] = None,
    rules: RuleFiles = None,
    day: Annotated[
        date | None,
        typer.Option(
            "--date", parser=parse_day, metavar="DATE", help="When it came. [default: today]"
        ),
    ] = None,
) -> None:
    """Show what each rule makes of a text.

    It shows what is read in the end as well. Nothing is recorded.

    Example:
      tallybook bills try "Your gas bill of Rs 740 is due on 20-03-2026" --sender VM-MGLGAS
    """
    from tallybook.ambient.clock import SystemClock
    from tallybook.entrypoints.commands.bills import try_text

    raise typer.Exit(try_text(text, sender, rules or [], day or SystemClock().today()))
