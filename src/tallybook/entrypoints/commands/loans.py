"""`tallybook loans`: loans made, paid, and looked at on any date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import ExitCode
from tallybook.entrypoints.library import Tallybook
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.refusal import Refused
from tallybook.reports.portfolio import PortfolioFormat, write_portfolio

LISTED_MOST = 500


def _with_book(show: Callable[[Tallybook], Iterable[str]], database_url: str | None) -> ExitCode:
    """Open the book, print what is shown of it, and tell a refusal in a sentence."""
    settings = load_settings(database_url=database_url)
    log_to(level="WARNING", style=settings.log_format)
    with Tallybook(Engine.open(settings, may_create=False, sends_nothing=True)) as book:
        try:
            lines = list(show(book))
        except Refused as refused:
            print(refused.refusal.sentence)
            return ExitCode.REFUSED
    print("\n".join(lines))
    return ExitCode.DONE


def show_schedule(loan_id: str, as_of: date | None, *, database_url: str | None) -> ExitCode:
    """Show a loan's schedule as a table."""
    return _with_book(
        lambda book: schedule_lines(book.get_loan(loan_id, as_of=as_of)), database_url
    )


def schedule_lines(loan: Mapping[str, Any]) -> list[str]:
    """Write a loan and its schedule for a person to read.

    >>> row = {
    ...     "number": 1,
    ...     "due_on": "2026-01-08",
    ...     "amount": "55.00",
    ...     "principal": "50.00",
    ...     "interest": "5.00",
    ...     "paid": "0.00",
    ...     "status": "pending",
    ...     "paid_on": None,
    ...     "missed": True,
    ...     "reserved": False,
    ... }
    >>> loan = {
    ...     "id": "loan_1",
    ...     "principal": "50.00",
    ...     "interest": "5.00",
    ...     "interest_rate": "10",
    ...     "currency": "USD",
    ...     "outstanding": "55.00",
    ...     "status": "active",
    ...     "as_of": "2026-02-01",
    ...     "interval": "weekly",
    ...     "start_on": "2026-01-01",
    ...     "schedule": [row],
    ... }
    >>> for line in schedule_lines(loan):
    ...     print(line)
    loan_1: 50.00 USD at 10 % for the term, weekly from 2026-01-01
    on 2026-02-01: active, 55.00 USD outstanding
    <BLANKLINE>
    no.  due on      amount  principal  interest  paid  paid on  status
      1  2026-01-08   55.00      50.00      5.00  0.00  -        missed
    """
    heads = ("no.", "due on", "amount", "principal", "interest", "paid", "paid on", "status")
    rows = [
        (
            row["number"],
            row["due_on"],
            row["amount"],
            row["principal"],
            row["interest"],
            row["paid"],
            row["paid_on"] or "-",
            _status_of(row),
        )
        for row in loan["schedule"]
    ]
    currency, status = loan["currency"], loan["status"].replace("_", " ")
    terms = f"at {loan['interest_rate']} % for the term, {loan['interval']} from {loan['start_on']}"
    return [
        f"{loan['id']}: {loan['principal']} {currency} {terms}",
        f"on {loan['as_of']}: {status}, {loan['outstanding']} {currency} outstanding",
        "",
        *format_table(heads, rows, right=("no.", "amount", "principal", "interest", "paid")),
    ]


def _status_of(row: Mapping[str, Any]) -> str:
    if row["status"] == "paid":
        return "paid"
    if row["reserved"]:
        return "payment pending"
    if row["missed"]:
        return "missed"
    return "partly paid" if row["paid"].strip("0.") else "to come"


def show_outstanding(subject_id: str, as_of: date | None, *, database_url: str | None) -> ExitCode:
    """Show what is owed on a loan, or by a customer."""

    def lines(book: Tallybook) -> Iterable[str]:
        kind = "customers" if subject_id.startswith("cus_") else "loans"
        found = book.call("GET", f"/{kind}/{subject_id}/outstanding", query={"as_of": as_of})
        for each in found.get("currencies") or [found]:
            yield f"{each['outstanding']} {each['currency']}"

    return _with_book(lines, database_url)


def show_delinquency(subject_id: str, as_of: date | None, *, database_url: str | None) -> ExitCode:
    """Show whether a loan is delinquent, or any of a customer's."""
    is_bad = False

    def lines(book: Tallybook) -> Iterable[str]:
        nonlocal is_bad
        found = book.get_delinquency(subject_id, as_of=as_of)
        is_bad = found["is_delinquent"]
        yield "delinquent" if is_bad else "not delinquent"
        yield (
            f"on {found['as_of']}: {found['missed_in_a_row']} missed in a row,"
            f" {found['days_past_due']} days past due, bucket {found['bucket']}"
        )

    code = _with_book(lines, database_url)
    return ExitCode.FOUND if is_bad else code


def list_loans(
    customer_id: str | None, as_of: date | None, *, database_url: str | None
) -> ExitCode:
    """List loans with what is owed on them, the newest first."""
    heads = ("loan", "status", "principal", "outstanding", "currency", "start", "installments")

    def lines(book: Tallybook) -> Iterable[str]:
        rows = [
            (
                each["id"],
                each["status"].replace("_", " "),
                each["principal"],
                each["outstanding"],
                each["currency"],
                each["start_on"],
                f"{each['installments']} {each['interval']}",
            )
            for _, each in zip(
                range(LISTED_MOST),
                book.list_loans(customer_id=customer_id, as_of=as_of),
                strict=False,
            )
        ]
        yield from format_table(heads, rows, right=("principal", "outstanding"))
        if len(rows) == LISTED_MOST:
            yield f"... the newest {LISTED_MOST}; `GET /api/v1/loan-portfolio` has all"

    return _with_book(lines, database_url)


def create(body: Mapping[str, Any], *, database_url: str | None) -> ExitCode:
    """Make a loan and show its schedule."""
    return _with_book(lambda book: schedule_lines(book.create_loan(**body)), database_url)


def pay(
    loan_id: str,
    amount: str,
    *,
    method: str,
    effective_on: date | None,
    installment_number: int | None,
    key: str | None,
    database_url: str | None,
) -> ExitCode:
    """Take a payment and say what is left."""

    def lines(book: Tallybook) -> Iterable[str]:
        paid = book.make_payment(
            loan_id,
            amount,
            method=method,
            effective_on=effective_on,
            installment_number=installment_number,
            idempotency_key=key,
        )
        numbers = ", ".join(str(number) for number in paid["installment_numbers"]) or "none"
        yield f"{paid['id']}: {paid['status']}, {paid['amount']} {paid['currency']}"
        yield f"installments: {numbers}; credit: {paid['credit']}; left: {paid['outstanding']}"

    return _with_book(lines, database_url)


def write_portfolio_file(
    as_of: date | None, style: str, output: Path | None, *, database_url: str | None
) -> ExitCode:
    """Write every loan as it stands on a date, to a file or to the standard output."""
    settings = load_settings(database_url=database_url)
    log_to(level="WARNING", style=settings.log_format)
    engine = Engine.open(settings, may_create=False, sends_nothing=True)
    try:
        day = as_of or engine.clock.today()
        with ExitStack() as opened:
            target = (
                sys.stdout.buffer if output is None else opened.enter_context(output.open("wb"))
            )
            connection = opened.enter_context(engine.database.snapshot())
            count = write_portfolio(connection, day, PortfolioFormat(style), target)
    finally:
        engine.close()
    if output is not None:
        print(f"{count:,} loans as of {day.isoformat()}: {output}")
    return ExitCode.DONE
