"""`tallybook loans`: loans and their payments."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tallybook.entrypoints.cli.options import Database, command, parse_day, parse_target

group = typer.Typer(
    help="Make loans, take payments, see how a loan stands.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


class PortfolioStyle(StrEnum):
    """How a portfolio is written."""

    csv = "csv"
    json = "json"


LoanId = Annotated[str, typer.Argument(metavar="LOAN", help="The loan's id: loan_...")]


SubjectId = Annotated[
    str, typer.Argument(metavar="ID", help="A loan's id, loan_..., or a customer's, cus_...")
]


AsOf = Annotated[
    date | None,
    typer.Option("--as-of", parser=parse_day, metavar="DATE", help="Which date. [default: today]"),
]


@command(group, "create")
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
        date | None, typer.Option(parser=parse_day, metavar="DATE", help="[default: today]")
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


@command(group, "list")
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


@command(group)
def schedule(*, loan: LoanId, as_of: AsOf = None, database: Database = None) -> None:
    """Show what is to be paid when, and what was.

    Example:
      tallybook loans schedule loan_0193... --as-of 2026-06-30
    """
    from tallybook.entrypoints.commands.loans import show_schedule

    raise typer.Exit(show_schedule(loan, as_of, database_url=database))


@command(group)
def outstanding(*, subject: SubjectId, as_of: AsOf = None, database: Database = None) -> None:
    """Show what is owed on a loan, or by a customer on all.

    Example:
      tallybook loans outstanding loan_0193...
    """
    from tallybook.entrypoints.commands.loans import show_outstanding

    raise typer.Exit(show_outstanding(subject, as_of, database_url=database))


@command(group)
def delinquency(*, subject: SubjectId, as_of: AsOf = None, database: Database = None) -> None:
    """Show whether a loan is delinquent, or any of a customer's.

    Exits with 1 where it is.

    Example:
      tallybook loans delinquency cus_0193... --as-of 2026-06-30
    """
    from tallybook.entrypoints.commands.loans import show_delinquency

    raise typer.Exit(show_delinquency(subject, as_of, database_url=database))


@command(group)
def pay(
    *,
    loan: LoanId,
    amount: Annotated[str, typer.Argument(help="In major units.")],
    method: Annotated[str, typer.Option(help="How it was paid.")] = "cash",
    on: Annotated[
        date | None,
        typer.Option(parser=parse_day, metavar="DATE", help="When it was paid. [default: today]"),
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


@command(group)
def portfolio(
    *,
    as_of: AsOf = None,
    style: Annotated[
        PortfolioStyle, typer.Option("--format", help="How it is written.")
    ] = PortfolioStyle.csv,
    output: Annotated[
        Path | None,
        typer.Option(
            parser=parse_target,
            metavar="FILE",
            help="Where to write it. [default: the standard output]",
        ),
    ] = None,
    database: Database = None,
) -> None:
    """Write every loan as it stands on a date, with buckets.

    Example:
      tallybook loans portfolio --as-of 2026-06-30 --output portfolio.csv
    """
    from tallybook.entrypoints.commands.loans import write_portfolio_file

    raise typer.Exit(write_portfolio_file(as_of, style.value, output, database_url=database))
