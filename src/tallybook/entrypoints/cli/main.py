"""The command line. Everything heavy is imported by the command that needs it, when it runs."""

from __future__ import annotations

import sys
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tallybook.entrypoints.cli import bills, db, imports, keys, loans, sending
from tallybook.entrypoints.cli.options import Database, Processor, command, parse_day, parse_target

app = typer.Typer(
    name="tallybook",
    help="""One book for every kind of bill: advances, loans, household bills and the counter.

    \b
    First steps, with nothing to set up and no money that moves:
      tallybook demo          watch it work on a simulated Processor
      tallybook serve         the API, with its pages at http://127.0.0.1:8000/docs
      tallybook settings      what can be set, and where each setting came from

    \b
    Exit codes: 0 done, 1 done and something was found wrong, 2 the command line or a
    setting is wrong or there is no such book, 3 refused, 4 the machine or the database is
    in trouble, 130 interrupted.
    """,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(keys.group, name="keys")
app.add_typer(sending.group, name="sending")
app.add_typer(bills.group, name="bills")
app.add_typer(loans.group, name="loans")
app.add_typer(db.group, name="db")
app.add_typer(imports.group, name="import")


class ReportFormat(StrEnum):
    """How a report is written."""

    csv = "csv"
    json = "json"
    xlsx = "xlsx"


def main() -> None:
    """Run one command and exit with its code; trouble is told in a sentence, not a traceback."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a sentence
        from tallybook.entrypoints.errors import tell

        sys.exit(tell(error))


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from tallybook import __version__

        typer.echo(f"tallybook {__version__}")
        raise typer.Exit


@app.callback(help=app.info.help)
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    del version


@command(app)
def demo(
    *,
    seed: Annotated[
        int, typer.Option(min=0, help="What goes wrong is drawn from it: same seed, same end.")
    ] = 1,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to keep the book and the bank's log. [default: nowhere]"
        ),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, hidden=True, help="Take only so many of the advances.")
    ] = None,
) -> None:
    """Watch real advances go out, come back, and balance.

    It takes the advances of examples/advances.csv, starts a simulated Processor that loses calls,
    fails debits and reports late, and runs every business date. It plays the operator as well. At
    the end the book is compared with the Processor's own log; exits with 1 where they differ.

    Examples:
      tallybook demo
      tallybook demo --seed 7 --home demo-book
    """
    from tallybook.entrypoints.commands.demo import demo as run

    raise typer.Exit(run(seed=seed, home=home, rows=rows))


@command(app)
def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen at. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port; 0 takes any free one. [default: 8000]")
    ] = None,
    database: Database = None,
    processor: Processor = None,
) -> None:
    """Serve the API and start the daily run.

    An SQLite database is made where there is none, and an older one is brought up to date. Without
    a Processor a simulated one stands in, and no money moves. Ctrl-C or SIGTERM stops cleanly:
    calls that are being answered get their answers first.

    Examples:
      tallybook serve
      tallybook serve --port 9000 --database shop.db
      tallybook serve --processor http://127.0.0.1:9100
    """
    from tallybook.entrypoints.commands.serve import serve as run

    run(host=host, port=port, database_url=database, processor_url=processor)


@command(app, "run-day")
def run_day(
    *,
    day: Annotated[
        date | None,
        typer.Option("--date", parser=parse_day, metavar="DATE", help="[default: today's]"),
    ] = None,
    database: Database = None,
    processor: Processor = None,
) -> None:
    """Run one business date.

    Takes the Processor's report, settles, re-plans, sends what is due, and sums up. Dates that were
    missed are caught up first. A date that is finished changes nothing; one that was interrupted is
    gone on with.

    Examples:
      tallybook run-day
      tallybook run-day --date 2026-03-01
    """
    from tallybook.entrypoints.commands.daily import run_day as run

    run(day, database_url=database, processor_url=processor)


@command(app)
def report(
    *,
    days: Annotated[
        int, typer.Option(min=1, max=366, help="How many calendar days, the last one included.")
    ] = 5,
    style: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format", help="How it is written. [default: what the file's name says, else csv]"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            parser=parse_target, metavar="FILE", help="Where to. [default: standard output]"
        ),
    ] = None,
    as_of: Annotated[
        date | None,
        typer.Option(parser=parse_day, metavar="DATE", help="The last day. [default: today]"),
    ] = None,
    database: Database = None,
) -> None:
    """Write the report of the last days' transfers.

    It has every transfer that was submitted or resolved in these days, one a row: ids, customer,
    the account's last four digits, amount, and how it ended.

    Examples:
      tallybook report
      tallybook report --days 30 --output transfers.xlsx
      tallybook report --format json --as-of 2026-03-31
    """
    from tallybook.entrypoints.commands.report import report as run

    run(days, style, output, as_of, database_url=database)


@command(app)
def verify(
    *,
    anchor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold the chains against anchors written before, too."),
    ] = None,
    database: Database = None,
) -> None:
    """Check the whole book from raw rows.

    It recomputes balances, plans, claims, what the ledger must hold for each advance, and the hash
    chains, and sums up every table's rows against its seal. It only reads, and may run beside a
    working server. Exits with 1 if anything disagrees.

    Examples:
      tallybook verify
      tallybook verify --database postgresql://tallybook@localhost/book
      tallybook verify --anchor /mnt/elsewhere/anchor.jsonl
    """
    from tallybook.entrypoints.commands.verify import verify as run

    run(anchor, database_url=database)


@command(app)
def processor(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port to listen at, on this machine.")
    ] = 9100,
    seed: Annotated[
        int | None, typer.Option(help="What results are drawn from. [default: 1]")
    ] = None,
    faults: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="What goes wrong, and how often. [default: nothing]"),
    ] = None,
    database: Database = None,
) -> None:
    """Serve a simulated Processor over HTTP.

    For tests and demonstrations. It keeps what really happened in processor.db in the data
    directory of the database, apart from the simulator inside a program there. The same seed and
    the same calls give the same results. `--faults help` lists what can go wrong.

    Examples:
      tallybook processor --port 9100
      tallybook processor --seed 7 --faults fail=0.1,lost_after=0.02,lag=2
    """
    from tallybook.entrypoints.commands.processor import serve_processor

    serve_processor(port, simulator_seed=seed, simulator_faults=faults, database_url=database)


@command(app)
def settings(*, database: Database = None) -> None:
    """Show every setting and where it came from.

    Settings are read from the environment (TALLYBOOK_PORT, DATABASE_URL), then from `.env`. Any of
    them may stand in a file that TALLYBOOK_<NAME>_FILE names. Secrets are masked here.

    Example:
      TALLYBOOK_TIMEZONE=Europe/Berlin tallybook settings
    """
    from tallybook.entrypoints.commands.settings import show_settings

    show_settings(database_url=database)


@command(app)
def backup(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            parser=parse_target, metavar="FILE", help="Where to; it must not be there yet."
        ),
    ],
    database: Database = None,
) -> None:
    """Copy an SQLite book into a file, while it is in use.

    The copy is of one moment, checked, and readable by its owner alone. The key that seals account
    numbers is not in it.

    Example:
      tallybook backup /mnt/backups/billing-2026-03-01.db
    """
    from tallybook.entrypoints.commands.copies import backup as run

    run(file, database_url=database)


@command(app)
def restore(
    *,
    file: Annotated[Path, typer.Argument(help="A copy that `backup` made.")],
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Bring it back though `verify` finds faults.")
    ] = False,
    database: Database = None,
) -> None:
    """Bring a copy back as the book, where there is none.

    The copy is verified first. Nothing is sent from it, and no invoice mailed, until the
    Processor's reports have accounted for what was sent after it was made, or a person says so.

    Example:
      tallybook restore /mnt/backups/billing-2026-03-01.db --database billing.db
    """
    from tallybook.entrypoints.commands.copies import restore as run

    run(file, is_verified=not unverified, database_url=database)


@command(app)
def anchor(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            parser=parse_target, metavar="FILE", help="The file; what it holds is added to."
        ),
    ],
    database: Database = None,
) -> None:
    """Write where the chains stand into a file kept elsewhere.

    `verify --anchor` finds by it what chains alone can't show: a tail that was cut off, history
    that was written anew, an older copy.

    Example:
      tallybook anchor /mnt/elsewhere/anchor.jsonl
    """
    from tallybook.entrypoints.commands.copies import anchor as run

    run(file, database_url=database)
