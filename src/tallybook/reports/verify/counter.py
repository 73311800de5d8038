"""The counter: stock, drawer and receipts against their documents, and its cash on the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from tallybook.ledger.model import HOUSE, Chart
from tallybook.reports.verify.discrepancy import Discrepancy, rows_of
from tallybook.retail.queries.checks import drawer_cash, find_differences


def check_counter(connection: Connection) -> Iterator[Discrepancy]:
    """Find what the counter keeps that its purchases, refunds and movements do not support."""
    for each in find_differences(connection):
        yield Discrepancy("counter_differs", each.subject, each.documents, each.kept, each.sentence)


def check_orphaned_lines(connection: Connection) -> Iterator[Discrepancy]:
    """Find lines of purchases that are not there: no chain covers them."""
    for number, line in rows_of(
        connection,
        "SELECT i.purchase_number, i.line FROM purchase_items i"
        " LEFT JOIN purchases p ON p.number = i.purchase_number WHERE p.number IS NULL",
    ):
        yield Discrepancy(
            "purchase_line_orphaned",
            f"line {line} of purchase {number}",
            "a purchase",
            "none",
            "it belongs to nothing",
        )


def check_drawer_cash(connection: Connection) -> Iterator[Discrepancy]:
    """Find a drawer that does not hold what the ledger says. Source: G."""
    cash = drawer_cash(connection)
    if cash is None:
        return
    currency, held = cash
    booked = connection.execute(
        text(
            "SELECT coalesce(sum(p.amount_minor), 0) FROM postings p"
            " JOIN accounts a ON a.id = p.account_id"
            " WHERE a.book = :book AND a.name = :name AND a.currency = :currency"
        ),
        {"book": HOUSE, "name": Chart.CASH_DRAWER.value, "currency": currency},
    ).scalar_one()
    if int(booked) != held:
        yield Discrepancy(
            "drawer_cash_differs",
            "the drawer",
            f"{booked} minor units",
            f"{held}",
            "counted pieces and uncounted cash are not what cash:drawer holds",
        )
