"""Reports over HTTP."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Annotated, Any, BinaryIO

from fastapi import Query
from sqlalchemy import Connection
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from tallybook.kernel.calendar import FIRST_YEAR
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.loans.model import Bucket, LoanStatus
from tallybook.processor.port import Direction
from tallybook.reports.portfolio import MEDIA, PortfolioFormat, write_portfolio
from tallybook.reports.transfers import (
    DAYS_DEFAULT,
    DAYS_MAX,
    MEDIA_TYPES,
    Format,
    Span,
    write_report,
)
from tallybook.wire.context import Context, InContext
from tallybook.wire.fields import AmountText, Answer, Day
from tallybook.wire.routes import Router

ROUTER = Router("reports")

_PIECE = 256 * 1024
"""How much of a report is in memory at a time. Units: bytes."""


class ReportRowView(Answer):
    """One transfer, as the report has it."""

    transaction_id: str | None
    transfer_id: str
    customer_id: str
    account_last4: str
    advance_id: str | None
    number: int | None
    """The row of the plan; null for what was paid out."""
    direction: Direction
    amount: AmountText
    currency: str
    result: str
    """`success`, `fail`, `pending` or `unknown`."""
    reason: str | None
    submitted_at: datetime
    resolved_at: datetime | None
    loan_id: str | None


class TransfersView(Answer):
    """Every transfer submitted or resolved in a span of days, the oldest first."""

    first_on: date
    last_on: date
    data: list[ReportRowView]
    has_more: bool


_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": TransfersView,
        "description": "The report as JSON, or as the file that was asked for.",
        "content": {
            MEDIA_TYPES[style]: {"schema": {"type": "string", "format": "binary"}}
            for style in (Format.CSV, Format.XLSX)
        },
    }
}
_Days = Annotated[
    int, Query(ge=1, le=DAYS_MAX, description="How many calendar days, `as_of` included.")
]
_AsOf = Annotated[Day | None, Query(description="The last day; today if left out.")]


@ROUTER.get("/report", response_class=Response, responses=_FILES)
def read_report(
    context: InContext,
    days: _Days = DAYS_DEFAULT,
    as_of: _AsOf = None,
    format: Format = Format.JSON,  # noqa: A002 - the call's own name for it
) -> Response:
    """Read every transfer submitted or resolved in the last days, as JSON, CSV or XLSX."""
    return _answer(context, days, as_of, format)


@ROUTER.get("/download_report", response_class=Response, responses=_FILES)
def download_report(
    context: InContext,
    days: _Days = DAYS_DEFAULT,
    as_of: _AsOf = None,
    format: Format = Format.JSON,  # noqa: A002 - the call's own name for it
) -> Response:
    """Do the same under its other name."""
    return _answer(context, days, as_of, format)


def _answer(context: Context, days: int, as_of: date | None, style: Format) -> Response:
    """Write the report to the disk, then send it from there.

    Whoever reads slowly then holds no database connection, and a report that breaks half-way is an
    error rather than a file that ends early.
    """
    last = as_of or context.clock.today()
    if last.toordinal() - days < date(FIRST_YEAR, 1, 1).toordinal():
        raise Refused(Refusal("date_invalid", param="as_of"))
    span = Span.of(days, last, context.clock)
    return _spool(
        context,
        lambda connection, file: write_report(connection, span, style, file),
        media_type=MEDIA_TYPES[style],
        file_name=None if style is Format.JSON else f"{span.name}.{style.value}",
    )


def _spool(
    context: Context,
    write: Callable[[Connection, BinaryIO], object],
    *,
    media_type: str,
    file_name: str | None,
) -> Response:
    """Write an answer to the disk from one snapshot, then send it from there, piece by piece."""
    file = tempfile.TemporaryFile(prefix="tallybook-report-")  # noqa: SIM115 - closed when it is sent
    try:
        with context.database.snapshot() as connection:
            write(connection, file)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    headers = {"Content-Length": str(size)}
    if file_name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return StreamingResponse(
        _pieces(file), 200, headers, media_type, background=BackgroundTask(file.close)
    )


class PortfolioRowView(Answer):
    """One loan, as it stands on the date."""

    loan_id: str
    customer_id: str
    status: LoanStatus
    currency: str
    start_on: date
    principal: AmountText
    total: AmountText
    outstanding: AmountText
    overdue: AmountText
    missed_in_a_row: int
    is_delinquent: bool
    days_past_due: int
    bucket: Bucket


class BucketView(Answer):
    """What the loans of one bucket and currency come to, without those that were written off."""

    bucket: Bucket
    currency: str
    loans: int
    delinquent: int
    outstanding: AmountText
    overdue: AmountText


class WrittenOffView(Answer):
    """What the loans of one currency come to that were written off by the date."""

    currency: str
    loans: int
    delinquent: int
    written_off: AmountText
    """What was given up."""
    overdue: AmountText
    """What is past due and unpaid all the same: what comes of it is recovered."""


class PortfolioView(Answer):
    """Every loan that had begun by a date, the oldest first, and what each bucket comes to.

    Each loan is in one bucket, or is written off.
    """

    as_of: date
    data: list[PortfolioRowView]
    buckets: list[BucketView]
    written_off: list[WrittenOffView]
    has_more: bool


_PORTFOLIO: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PortfolioView,
        "description": "The portfolio as JSON, or its rows as CSV.",
        "content": {MEDIA[PortfolioFormat.CSV]: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@ROUTER.get("/loan-portfolio", response_class=Response, responses=_PORTFOLIO)
def read_loan_portfolio(
    context: InContext,
    as_of: _AsOf = None,
    format: PortfolioFormat = PortfolioFormat.JSON,  # noqa: A002 - the call's own name for it
) -> Response:
    """Read every loan as it stands on a date: outstanding, days past due, bucket."""
    day = as_of or context.clock.today()
    is_file = format is not PortfolioFormat.JSON
    return _spool(
        context,
        lambda connection, file: write_portfolio(connection, day, format, file),
        media_type=MEDIA[format],
        file_name=f"loans-{day.isoformat()}.csv" if is_file else None,
    )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
