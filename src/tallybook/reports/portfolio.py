"""The portfolio: every loan as it stands on a date, with what each bucket comes to.

Source: L6, L10.

Buckets are of what is still to be had. A loan that was written off by the date is no part of them:
nothing is outstanding on it, though its rows go on being past due; such loans have sums of their
own.

Loans are fetched, reckoned and written a few hundred at a time, so that a portfolio of any size
takes the same memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, BinaryIO

from pydantic_core import to_json
from sqlalchemy import Connection

from tallybook.customers.views import CUSTOMER_PREFIX
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.loans.model import Bucket, LoanStatus
from tallybook.loans.queries import stream_loans_on
from tallybook.loans.rules.paying import LoanOn, outstanding_on, status_on
from tallybook.loans.views import LOAN_PREFIX
from tallybook.reports.transfers import defuse

COLUMNS = (
    "loan_id",
    "customer_id",
    "status",
    "currency",
    "start_on",
    "principal",
    "total",
    "outstanding",
    "overdue",
    "missed_in_a_row",
    "is_delinquent",
    "days_past_due",
    "bucket",
)
"""What a row tells, in this order, in every format."""

Row = Mapping[str, Any]


class PortfolioFormat(StrEnum):
    """How a portfolio is written."""

    JSON = "json"
    CSV = "csv"


MEDIA: Mapping[PortfolioFormat, str] = {
    PortfolioFormat.JSON: "application/json",
    PortfolioFormat.CSV: "text/csv; charset=utf-8",
}


@dataclass(slots=True)
class BucketSum:
    """What the loans of one bucket and currency come to. Units: minor units."""

    loans: int = 0
    delinquent: int = 0
    outstanding_minor: int = 0
    overdue_minor: int = 0


@dataclass(slots=True)
class WrittenOffSum:
    """What the loans of one currency come to that were given up. Units: minor units."""

    loans: int = 0
    delinquent: int = 0
    written_off_minor: int = 0
    overdue_minor: int = 0


@dataclass(slots=True)
class Sums:
    """What the loans of a portfolio come to."""

    buckets: dict[tuple[str, Bucket], BucketSum] = field(default_factory=dict)
    """By currency and bucket, without those that were written off."""
    written_off: dict[str, WrittenOffSum] = field(default_factory=dict)
    """By currency."""


def write_portfolio(
    connection: Connection, as_of: date, style: PortfolioFormat, target: BinaryIO
) -> int:
    """Write the portfolio of a date into a file, and tell how many loans it has."""
    sums = Sums()
    return _WRITERS[style](_rows(connection, as_of, sums), as_of, sums, target)


def _rows(connection: Connection, as_of: date, sums: Sums) -> Iterator[Row]:
    for part in stream_loans_on(connection, as_of):
        for each in part:
            yield portfolio_row(each, sums)


def portfolio_row(each: LoanOn, sums: Sums) -> Row:
    """Show one loan as a row, and count it in its bucket, or among those that were given up."""
    loan, found, currency = each.loan, each.delinquency, each.loan.currency
    outstanding_minor = outstanding_on(loan, each.coverage, each.as_of)
    status = status_on(loan, each.coverage, each.as_of)
    counted: BucketSum | WrittenOffSum
    if status is LoanStatus.WRITTEN_OFF:
        counted = sums.written_off.setdefault(currency, WrittenOffSum())
        counted.written_off_minor += loan.written_off_minor
    else:
        counted = sums.buckets.setdefault((currency, found.bucket), BucketSum())
        counted.outstanding_minor += outstanding_minor
    counted.loans += 1
    counted.delinquent += found.is_delinquent
    counted.overdue_minor += found.overdue_minor
    return {
        "loan_id": show_id(LOAN_PREFIX, loan.id),
        "customer_id": show_id(CUSTOMER_PREFIX, loan.customer_id),
        "status": status.value,
        "currency": currency,
        "start_on": loan.start_on,
        "principal": format_amount(loan.principal_minor, currency),
        "total": format_amount(loan.total_minor, currency),
        "outstanding": format_amount(outstanding_minor, currency),
        "overdue": format_amount(found.overdue_minor, currency),
        "missed_in_a_row": found.missed_in_a_row,
        "is_delinquent": found.is_delinquent,
        "days_past_due": found.days_past_due,
        "bucket": found.bucket.value,
    }


def bucket_rows(sums: Sums) -> list[Row]:
    """Show what each bucket comes to, the mildest first, currency by currency."""
    places = {bucket: place for place, bucket in enumerate(Bucket)}
    return [
        {
            "bucket": bucket.value,
            "currency": currency,
            "loans": counted.loans,
            "delinquent": counted.delinquent,
            "outstanding": format_amount(counted.outstanding_minor, currency),
            "overdue": format_amount(counted.overdue_minor, currency),
        }
        for (currency, bucket), counted in sorted(
            sums.buckets.items(), key=lambda item: (item[0][0], places[item[0][1]])
        )
    ]


def written_off_rows(sums: Sums) -> list[Row]:
    """Show what the loans come to that were given up, currency by currency."""
    return [
        {
            "currency": currency,
            "loans": counted.loans,
            "delinquent": counted.delinquent,
            "written_off": format_amount(counted.written_off_minor, currency),
            "overdue": format_amount(counted.overdue_minor, currency),
        }
        for currency, counted in sorted(sums.written_off.items())
    ]


def _write_json(rows: Iterable[Row], as_of: date, sums: Sums, target: BinaryIO) -> int:
    target.write(b'{"as_of":"%b","data":[' % as_of.isoformat().encode())
    count = 0
    for row in rows:
        target.write(b"," if count else b"")
        target.write(to_json(row))
        count += 1
    # The sums stand behind the rows: only then are they known.
    buckets, written_off = to_json(bucket_rows(sums)), to_json(written_off_rows(sums))
    target.write(b'],"buckets":%b,"written_off":%b,"has_more":false}' % (buckets, written_off))
    return count


def _write_csv(rows: Iterable[Row], as_of: date, sums: Sums, target: BinaryIO) -> int:
    del as_of, sums
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    try:
        sheet = csv.writer(text)
        sheet.writerow(COLUMNS)
        count = 0
        for row in rows:
            sheet.writerow([_cell(row[name]) for name in COLUMNS])
            count += 1
    finally:
        text.detach()
    return count


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return defuse(str(value))


_WRITERS: Mapping[PortfolioFormat, Callable[[Iterable[Row], date, Sums, BinaryIO], int]] = {
    PortfolioFormat.JSON: _write_json,
    PortfolioFormat.CSV: _write_csv,
}
