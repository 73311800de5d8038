"""The command line. Everything heavy is imported by the command that needs it, when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

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
    setting is wrong, 3 refused, 4 the machine or the database is in trouble.
    """,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(
    help="Look after the database's schema.", rich_markup_mode=None, no_args_is_help=True
)
imports = typer.Typer(
    help="Bring records in from files, straight into the database.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
bills = typer.Typer(
    help="Read household bills out of messages.", rich_markup_mode=None, no_args_is_help=True
)
keys = typer.Typer(
    help="Make, list, replace and revoke API keys.", rich_markup_mode=None, no_args_is_help=True
)
sending = typer.Typer(
    help="Stop and start all sending to the Processor.", rich_markup_mode=None,
    no_args_is_help=True,
)  # fmt: skip
app.add_typer(keys, name="keys")
app.add_typer(sending, name="sending")
loans = typer.Typer(
    help="Make loans, take payments, and see how a loan stands on any date.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(bills, name="bills")
app.add_typer(loans, name="loans")
app.add_typer(db, name="db")
app.add_typer(imports, name="import")

P = ParamSpec("P")
R = TypeVar("R")


def _command(
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


def _day(text: str) -> date:
    from tallybook.kernel.calendar import parse_date

    day = parse_date(text)
    if day is None:
        raise typer.BadParameter("a date is written YYYY-MM-DD, such as 2026-03-01")
    return day


class ReportFormat(StrEnum):
    """How a report is written."""

    csv = "csv"
    json = "json"
    xlsx = "xlsx"


class PortfolioStyle(StrEnum):
    """How a portfolio is written."""

    csv = "csv"
    json = "json"


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


@_command(app)
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


@_command(app)
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


@_command(app, "run-day")
def run_day(
    *,
    day: Annotated[
        date | None,
        typer.Option("--date", parser=_day, metavar="DATE", help="[default: today's]"),
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


@_command(app)
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
        Path | None, typer.Option(metavar="FILE", help="Where to. [default: standard output]")
    ] = None,
    as_of: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="DATE", help="The last day. [default: today]"),
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


@_command(app)
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


@_command(app)
def processor(
    *,
    port: Annotated[int, typer.Option(help="The port to listen at, on this machine.")] = 9100,
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

    For tests and demonstrations. It keeps what really happened in the data directory of the
    database. The same seed and the same calls give the same results. `--faults help` lists what can
    go wrong.

    Examples:
      tallybook processor --port 9100
      tallybook processor --seed 7 --faults fail=0.1,lost_after=0.02,lag=2
    """
    from tallybook.entrypoints.commands.processor import serve_processor

    serve_processor(port, simulator_seed=seed, simulator_faults=faults, database_url=database)


@_command(app)
def settings(*, database: Database = None) -> None:
    """Show every setting and where it came from.

    Settings are read from the environment (TALLYBOOK_PORT, DATABASE_URL), then from `.env`. Any of
    them may stand in a file that TALLYBOOK_<NAME>_FILE names. Secrets are masked here.

    Example:
      TALLYBOOK_TIMEZONE=Europe/Berlin tallybook settings
    """
    from tallybook.entrypoints.commands.settings import show_settings

    show_settings(database_url=database)


@_command(db)
def upgrade(*, database: Database = None) -> None:
    """Bring a database up to this version.

    Once is enough, and twice does no harm. Several may do it at once: one does the work.

    Example:
      tallybook db upgrade --database postgresql://tallybook@localhost/book
    """
    from tallybook.entrypoints.commands.database import upgrade as run

    run(database_url=database)


@_command(db)
def current(*, database: Database = None) -> None:
    """Show which version a database is at.

    Exits with 1 where it is not the one that this program needs.

    Example:
      tallybook db current
    """
    from tallybook.entrypoints.commands.database import current as run

    run(database_url=database)


@_command(imports, "advances")
def import_advances(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads the standard input.")],
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to list the refused lines, as CSV. [default: nowhere]"
        ),
    ] = None,
    database: Database = None,
    processor: Processor = None,
) -> None:
    """Pay out the advances that a CSV file lists.

    Each line is paid out once, however often the file is brought in again: after an interruption,
    or with its refused lines put right. Columns: bank_account, amount, effective_on, and where
    wanted currency, installments, interval_days, fee, reference; customer_name and customer_email
    register the account first. Exits with 1 where a line was refused or not tried.

    Examples:
      tallybook import advances advances.csv
      tallybook import advances advances.csv --refused refused.csv
    """
    from tallybook.entrypoints.commands.importing import import_advances_file

    code = import_advances_file(file, refused, database_url=database, processor_url=processor)
    raise typer.Exit(code)


@_command(imports, "loans")
def import_loans(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads the standard input.")],
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to list the refused lines, as CSV. [default: nowhere]"
        ),
    ] = None,
    database: Database = None,
) -> None:
    """Take over the loans that a CSV file lists.

    Each loan comes in once, however often it is tried.

    Columns: customer_email, principal, interest_rate, installments, start_on, and
    where wanted customer_name, reference, interval, currency, rounding_unit, payment_policy,
    delinquent_after. A customer who is not known is registered. `reference` is your own number of
    the loan: payments are brought in under it. Exits with 1 where a line was refused.

    Example:
      tallybook import loans examples/loans/loans.csv
    """
    from tallybook.entrypoints.commands.importing import import_loans_file

    raise typer.Exit(import_loans_file(file, refused, database_url=database))


@_command(imports, "payments")
def import_payments(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file; - reads the standard input.")],
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to list the refused lines, as CSV. [default: nowhere]"
        ),
    ] = None,
    database: Database = None,
) -> None:
    """Record the loan payments that a CSV file lists.

    Each payment comes in once, however often it is tried.

    Columns: loan (its id or its reference), amount, effective_on, and where wanted method,
    installment_number, reference. Dates may lie as far back as the loan's start. Lines are taken
    in the order in which they stand. Exits with 1 where a line was refused.

    Example:
      tallybook import payments examples/loans/payments.csv
    """
    from tallybook.entrypoints.commands.importing import import_payments_file

    raise typer.Exit(import_payments_file(file, refused, database_url=database))


RuleFiles = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="FILE", help="Rules of your own, tried before the shipped."),
]


@_command(bills, "import")
def import_bills(
    *,
    file: Annotated[Path, typer.Argument(help="Messages, one JSON object a line.")],
    customer: Annotated[str, typer.Option(metavar="ID", help="Whose inbox it is: cus_...")],
    received_on: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="DATE", help="For texts without a date. [default: now]"),
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


@_command(bills)
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


@_command(bills, "try")
def try_bill_text(
    *,
    text: Annotated[str, typer.Argument(help="The text of one message.")],
    sender: Annotated[str | None, typer.Option(help="Its header, such as VM-HDFCBK.")] = None,
    rules: RuleFiles = None,
    day: Annotated[
        date | None,
        typer.Option("--date", parser=_day, metavar="DATE", help="When it came. [default: today]"),
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


@_command(imports, "products")
def import_products(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file.")],
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to list the refused lines, as CSV. [default: nowhere]"
        ),
    ] = None,
    database: Database = None,
) -> None:
    """Add the products that a CSV file lists.

    Columns: name, price, and where wanted sku, stock, tax_percent, tax_inclusive, oversell_limit,
    currency. A name or sku that is taken is refused by line. Exits with 1 where one was.

    Example:
      tallybook import products catalogue.csv
    """
    from tallybook.entrypoints.commands.counter import import_products_file

    raise typer.Exit(import_products_file(file, refused, database_url=database))


@_command(imports, "sales")
def import_sales(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file.")],
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to list the refused lines, as CSV. [default: nowhere]"
        ),
    ] = None,
    stock: Annotated[
        bool,
        typer.Option(
            "--stock", help="Open products with the stock that the file sells, and take it."
        ),
    ] = False,
    database: Database = None,
) -> None:
    """Bring in past sales from a CSV file.

    Each invoice comes in once, however often it is tried.

    Columns: reference, sku, quantity, unit_price, sold_on, and where wanted name, tax_percent,
    customer, customer_email. Lines of one invoice stand together; a negative quantity takes back
    what the same customer bought before at that price. Exits with 1 where a line was refused.

    Example:
      tallybook import sales examples/counter/invoices.csv --stock
    """
    from tallybook.entrypoints.commands.counter import import_sales_file

    raise typer.Exit(import_sales_file(file, refused, stock=stock, database_url=database))


class KeyScope(StrEnum):
    """What a key is good for; each has those before it in it."""

    read = "read"
    operate = "operate"
    money = "money"


KeyId = Annotated[str, typer.Argument(metavar="ID", help="A key's id, as `keys list` shows it.")]


@_command(keys, "create")
def create_key(
    *,
    name: Annotated[str, typer.Argument(help="Who will use it, such as till-1.")],
    scope: Annotated[
        KeyScope, typer.Option(help="read: look; operate: record as well; money: everything.")
    ] = KeyScope.read,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it is good. [default: until revoked]")
    ] = None,
    database: Database = None,
) -> None:
    """Make an API key, and show it once.

    From the first key on every call needs one, and `serve` may listen at other addresses than this
    machine's own. Only a hash of the key is kept.

    Examples:
      tallybook keys create dashboard
      tallybook keys create till-1 --scope operate --days 365
    """
    from tallybook.entrypoints.commands.keys import create

    create(name, scope.value, days, database_url=database)


@_command(keys, "list")
def list_api_keys(*, database: Database = None) -> None:
    """List every API key: whose, what for, when last used.

    Example:
      tallybook keys list
    """
    from tallybook.entrypoints.commands.keys import show

    show(database_url=database)


@_command(keys, "rotate")
def rotate_key(
    *,
    key_id: KeyId,
    keep_hours: Annotated[
        int, typer.Option(min=0, max=720, help="How long the old key stays good.")
    ] = 24,
    database: Database = None,
) -> None:
    """Make another key for a client; the old one ends by itself.

    A request sent again with the new key is still the same request.

    Example:
      tallybook keys rotate key_0193... --keep-hours 2
    """
    from tallybook.entrypoints.commands.keys import rotate

    rotate(key_id, keep_hours, database_url=database)


@_command(keys, "revoke")
def revoke_key(*, key_id: KeyId, database: Database = None) -> None:
    """Revoke an API key for ever; servers see it in two seconds.

    Example:
      tallybook keys revoke key_0193...
    """
    from tallybook.entrypoints.commands.keys import revoke

    revoke(key_id, database_url=database)


@_command(app)
def backup(
    *,
    file: Annotated[Path, typer.Argument(help="Where to; it must not be there yet.")],
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


@_command(app)
def restore(
    *,
    file: Annotated[Path, typer.Argument(help="A copy that `backup` made.")],
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Bring it back though `verify` finds faults.")
    ] = False,
    database: Database = None,
) -> None:
    """Bring a copy back as the book, where there is none.

    The copy is verified first. Nothing is sent from it until the Processor's reports have accounted
    for what was sent after it was made, or a person says so.

    Example:
      tallybook restore /mnt/backups/billing-2026-03-01.db --database billing.db
    """
    from tallybook.entrypoints.commands.copies import restore as run

    run(file, is_verified=not unverified, database_url=database)


@_command(app)
def anchor(
    *,
    file: Annotated[Path, typer.Argument(help="The file; what it holds is added to.")],
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


Reason = Annotated[str, typer.Option(help="Why; it is kept.")]
By = Annotated[str, typer.Option(help="Who says so; it is kept.")]


@_command(sending, "show")
def show_sending(*, database: Database = None) -> None:
    """Show whether anything may be sent to the Processor.

    Example:
      tallybook sending show
    """
    from tallybook.entrypoints.commands.sending import show

    show(database_url=database)


@_command(sending, "stop")
def stop_sending(*, reason: Reason, by: By = "operator", database: Database = None) -> None:
    """Stop all sending to the Processor, also by a run under way.

    Once this returns no call to the Processor begins any more, in any process.

    Example:
      tallybook sending stop --reason "amounts look wrong" --by ann
    """
    from tallybook.entrypoints.commands.sending import change
    from tallybook.processor.model import SendingState

    change(SendingState.STOPPED, reason, by, database_url=database)


@_command(sending, "start")
def start_sending(*, reason: Reason, by: By = "operator", database: Database = None) -> None:
    """Let sending go on, after a stop or a reconciled restore.

    Example:
      tallybook sending start --reason "it was the report" --by ann
    """
    from tallybook.entrypoints.commands.sending import change
    from tallybook.processor.model import SendingState

    change(SendingState.OPEN, reason, by, database_url=database)


@_command(sending, "hold")
def hold_sending(*, reason: Reason, by: By = "operator", database: Database = None) -> None:
    """Say that this book is a restored copy, as by pg_restore.

    Nothing is sent until reports have accounted for what was sent after the copy was made.

    Example:
      tallybook sending hold --reason "restored last night's base backup" --by ann
    """
    from tallybook.entrypoints.commands.sending import hold

    hold(reason, by, database_url=database)


LoanId = Annotated[str, typer.Argument(metavar="LOAN", help="The loan's id: loan_...")]
SubjectId = Annotated[
    str, typer.Argument(metavar="ID", help="A loan's id, loan_..., or a customer's, cus_...")
]
AsOf = Annotated[
    date | None,
    typer.Option("--as-of", parser=_day, metavar="DATE", help="Which date. [default: today]"),
]


@_command(loans, "create")
def create_loan(
    *,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Who borrows: cus_...")],
    principal: Annotated[str, typer.Argument(help="What is lent, in major units.")],
    rate: Annotated[str, typer.Argument(help="Percent of it for the whole term.")],
    installments: Annotated[int, typer.Argument(help="How many rows the schedule has.")],
    interval: Annotated[
        str, typer.Option(metavar="WORD", help="weekly, biweekly or monthly.")
    ] = "weekly",
    start: Annotated[
        date | None, typer.Option(parser=_day, metavar="DATE", help="[default: today]")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="exact or flexible. [default: TALLYBOOK_PAYMENT_POLICY]"),
    ] = None,
    database: Database = None,
) -> None:
    """Make a loan and show its schedule.

    Example:
      tallybook loans create cus_0193... 5000000 10 50
    """
    from tallybook.entrypoints.commands.loans import create as run

    body = {
        "customer_id": customer,
        "principal": principal,
        "interest_rate": rate,
        "installments": installments,
        "interval": interval,
        "start_on": start,
        "payment_policy": policy,
    }
    raise typer.Exit(run(body, database_url=database))


@_command(loans, "list")
def list_loans(
    *,
    customer: Annotated[
        str | None, typer.Option(metavar="ID", help="One customer's. [default: all]")
    ] = None,
    as_of: AsOf = None,
    database: Database = None,
) -> None:
    """List loans with what is owed on them, the newest first.

    Example:
      tallybook loans list --customer cus_0193...
    """
    from tallybook.entrypoints.commands.loans import list_loans as run

    raise typer.Exit(run(customer, as_of, database_url=database))


@_command(loans)
def schedule(*, loan: LoanId, as_of: AsOf = None, database: Database = None) -> None:
    """Show what is to be paid when, and what was.

    Example:
      tallybook loans schedule loan_0193... --as-of 2026-06-30
    """
    from tallybook.entrypoints.commands.loans import show_schedule

    raise typer.Exit(show_schedule(loan, as_of, database_url=database))


@_command(loans)
def outstanding(*, subject: SubjectId, as_of: AsOf = None, database: Database = None) -> None:
    """Show what is owed on a loan, or by a customer on all.

    Example:
      tallybook loans outstanding loan_0193...
    """
    from tallybook.entrypoints.commands.loans import show_outstanding

    raise typer.Exit(show_outstanding(subject, as_of, database_url=database))


@_command(loans)
def delinquency(*, subject: SubjectId, as_of: AsOf = None, database: Database = None) -> None:
    """Show whether a loan is delinquent, or any of a customer's.

    Exits with 1 where it is.

    Example:
      tallybook loans delinquency cus_0193... --as-of 2026-06-30
    """
    from tallybook.entrypoints.commands.loans import show_delinquency

    raise typer.Exit(show_delinquency(subject, as_of, database_url=database))


@_command(loans)
def pay(
    *,
    loan: LoanId,
    amount: Annotated[str, typer.Argument(help="In major units.")],
    method: Annotated[str, typer.Option(help="How it was paid.")] = "cash",
    on: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="DATE", help="When it was paid. [default: today]"),
    ] = None,
    installment: Annotated[
        int | None,
        typer.Option(metavar="N", help="Refuse unless this is the oldest unpaid row."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="An idempotency key: asked again, it pays once.")
    ] = None,
    database: Database = None,
) -> None:
    """Take a payment for a loan's oldest unpaid row.

    Example:
      tallybook loans pay loan_0193... 110000 --installment 3
    """
    from tallybook.entrypoints.commands.loans import pay as run

    code = run(
        loan, amount, method=method, effective_on=on, installment_number=installment, key=key,
        database_url=database,
    )  # fmt: skip
    raise typer.Exit(code)


@_command(loans)
def portfolio(
    *,
    as_of: AsOf = None,
    style: Annotated[
        PortfolioStyle, typer.Option("--format", help="How it is written.")
    ] = PortfolioStyle.csv,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it. [default: the standard output]"),
    ] = None,
    database: Database = None,
) -> None:
    """Write every loan as it stands on a date, with buckets.

    Example:
      tallybook loans portfolio --as-of 2026-06-30 --output portfolio.csv
    """
    from tallybook.entrypoints.commands.loans import write_portfolio_file

    raise typer.Exit(write_portfolio_file(as_of, style.value, output, database_url=database))
