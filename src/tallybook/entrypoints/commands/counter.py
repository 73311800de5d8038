"""`tallybook import products` and `tallybook import sales`: a shop that moves in."""

from __future__ import annotations

from pathlib import Path

from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.commands.importing import Refusals
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import ExitCode
from tallybook.entrypoints.progress import StopWhen, show_progress, stop_at_signals
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.money import format_amount
from tallybook.retail.model import CounterTerms
from tallybook.retail.tasks.catalogue import import_products
from tallybook.retail.tasks.past_sales import SalesSummary, import_sales


def import_products_file(path: Path, refused_path: Path | None, **given: object) -> ExitCode:
    """Add the products of a file, and say what became of its lines."""
    engine, terms = _open(given)
    try:
        with path.open("rb") as stream, Refusals(refused_path) as refusals:
            with stop_at_signals() as stop, show_progress() as shown:
                shown.begin("products")
                summary = import_products(
                    engine,
                    terms,
                    stream,
                    when_refused=refusals.add,
                    progress=StopWhen(stop.is_set, shown),
                )
            rows = [("added", f"{summary.added:,}"), ("refused", f"{summary.refused:,}")]
            told = [*refusals.shown, *format_table(("products", "count"), rows, right=("count",))]
    finally:
        engine.close()
    print("\n".join(told))
    return ExitCode.FOUND if summary.refused else ExitCode.DONE


def import_sales_file(
    path: Path, refused_path: Path | None, *, stock: bool, **given: object
) -> ExitCode:
    """Bring in the past sales of a file, and say what became of its lines."""
    engine, terms = _open(given)
    try:
        with path.open("rb") as stream, Refusals(refused_path) as refusals:
            with stop_at_signals() as stop, show_progress() as shown:
                shown.begin("sales")
                summary = import_sales(
                    engine,
                    terms,
                    stream,
                    when_refused=refusals.add,
                    notes_stock=stock,
                    progress=StopWhen(stop.is_set, shown),
                )
            told = [*refusals.shown, *sales_lines(summary, terms.currency)]
    finally:
        engine.close()
    print("\n".join(told))
    return ExitCode.FOUND if summary.lines_refused else ExitCode.DONE


def sales_lines(summary: SalesSummary, currency: str) -> list[str]:
    r"""Write what became of a file of sales.

    >>> print("\n".join(sales_lines(SalesSummary(lines=3, lines_sold=3, sold_minor=450), "GBP")))
    what                 figure
    lines in the file         3
      sold                    3
      taken back              0
      refused                 0
    products added            0
    sales                     0
    refunds                   0
    sold               4.50 GBP
    refunded           0.00 GBP
    """
    count = summary.lines_already_there
    already = [("  were in the book already", f"{count:,}")] if count else []
    rows = [
        ("lines in the file", f"{summary.lines:,}"),
        ("  sold", f"{summary.lines_sold:,}"),
        ("  taken back", f"{summary.lines_returned:,}"),
        ("  refused", f"{summary.lines_refused:,}"),
        *already,
        ("products added", f"{summary.products:,}"),
        ("sales", f"{summary.sales:,}"),
        ("refunds", f"{summary.refunds:,}"),
        ("sold", f"{format_amount(summary.sold_minor, currency)} {currency}"),
        ("refunded", f"{format_amount(summary.refunded_minor, currency)} {currency}"),
    ]
    return format_table(("what", "figure"), rows, right=("figure",))


def _open(given: dict[str, object]) -> tuple[Engine, CounterTerms]:
    settings = load_settings(**given)
    log_to(level="WARNING", style=settings.log_format)
    return Engine.open(settings), CounterTerms(settings.currency, settings.cash_rounding)
