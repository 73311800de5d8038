"""`tallybook import`: records from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tallybook.entrypoints.cli.options import Database, Processor, Refused, command

group = typer.Typer(
    help="Bring records in from files, straight into the database.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

FileOrInput = Annotated[Path, typer.Argument(help="The CSV file; - reads the standard input.")]


@command(group, "advances")
def import_advances(
    *,
    file: FileOrInput,
    refused: Refused = None,
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


@command(group, "loans")
def import_loans(
    *,
    file: FileOrInput,
    refused: Refused = None,
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


@command(group, "payments")
def import_payments(
    *,
    file: FileOrInput,
    refused: Refused = None,
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


@command(group, "products")
def import_products(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file.")],
    refused: Refused = None,
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


@command(group, "sales")
def import_sales(
    *,
    file: Annotated[Path, typer.Argument(help="The CSV file.")],
    refused: Refused = None,
    stock: Annotated[
        bool,
        typer.Option(
            "--stock", help="Note the stock that each sale brought in and took; add what came back."
        ),
    ] = False,
    database: Database = None,
) -> None:
    """Bring in past sales from a CSV file.

    Each invoice comes in once, however often it is tried.

    Columns: reference, sku, quantity, unit_price, sold_on, and where wanted name, tax_percent,
    tax_inclusive, customer, customer_email. Lines of one invoice stand together; a negative
    quantity takes back what the same customer bought before at that price. No past sale takes
    today's stock. Exits with 1 where a line was refused.

    Example:
      tallybook import sales examples/counter/invoices.csv --stock
    """
    from tallybook.entrypoints.commands.counter import import_sales_file

    raise typer.Exit(import_sales_file(file, refused, stock=stock, database_url=database))
