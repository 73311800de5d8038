"""The report of transfers: everything submitted or resolved in the last days. Source: A14.

Rows are fetched, turned into text and written a few hundred at a time, so a report of any length
takes the same memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO

from pydantic_core import to_json
from sqlalchemy import Connection

from tallybook.ambient.clock import Clock
from tallybook.collection.queries import stream_reported
from tallybook.collection.views import RESULTS, SUBJECT_PREFIXES, TRANSFER_PREFIX
from tallybook.customers.views import CUSTOMER_PREFIX
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.processor.model import Transfer, TransferKind

DAYS_DEFAULT = 5
DAYS_MAX = 3_660

COLUMNS = (
    "transaction_id",
    "transfer_id",
    "customer_id",
    "account_last4",
    "advance_id",
    "number",
    "direction",
    "amount",
    "currency",
    "result",
    "reason",
    "submitted_at",
    "resolved_at",
    "loan_id",
)
"""What a row tells, in this order, in every format."""

_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell starts with that a spreadsheet may run; the last four are the wide forms."""

_WIDTHS = {
    "transaction_id": 24,
    "transfer_id": 38,
    "customer_id": 38,
    "advance_id": 38,
    "loan_id": 38,
    "submitted_at": 22,
    "resolved_at": 22,
}
"""Of a sheet's columns. Units: characters."""
SHEET_ROWS = 1_048_575
"""How many rows a sheet takes below its header: what is more goes on the next one."""

Row = Mapping[str, Any]


class Format(StrEnum):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@frozen
class Span:
    """The calendar days of a report, both included."""

    first: date
    last: date
    begins: datetime
    ends: datetime
    """The first instant that is not in it any more."""

    @classmethod
    def of(cls, days: int, as_of: date, clock: Clock) -> Span:
        """Take the last days, `as_of` included."""
        first = as_of - timedelta(days=days - 1)
        return cls(first, as_of, clock.begin_of(first), clock.begin_of(as_of + timedelta(days=1)))

    @property
    def name(self) -> str:
        """Name a file after the days, without its ending."""
        return f"transfers-{self.first.isoformat()}-{self.last.isoformat()}"


def write_report(connection: Connection, span: Span, style: Format, target: BinaryIO) -> int:
    """Write the report of some days into a file, and tell how many rows it has."""
    return WRITERS[style](_rows(connection, span), span, target)


def _rows(connection: Connection, span: Span) -> Iterator[Row]:
    for part in stream_reported(connection, span.first, span.last, (span.begins, span.ends)):
        for transfer, last4 in part:
            yield report_row(transfer, last4)


def report_row(transfer: Transfer, last4: str) -> Row:
    """Show one transfer as a row."""
    subject = show_id(SUBJECT_PREFIXES[transfer.kind], transfer.subject_id)
    return {
        "transaction_id": transfer.transaction_id,
        "transfer_id": show_id(TRANSFER_PREFIX, transfer.id),
        "customer_id": show_id(CUSTOMER_PREFIX, transfer.customer_id),
        "account_last4": last4,
        "advance_id": subject if transfer.kind is TransferKind.ADVANCE else None,
        "number": transfer.installment_number,
        "direction": transfer.direction.value,
        "amount": format_amount(transfer.amount_minor, transfer.currency),
        "currency": transfer.currency,
        "result": RESULTS[transfer.state],
        "reason": transfer.reason,
        "submitted_at": transfer.intent_at,
        "resolved_at": transfer.resolved_at,
        "loan_id": subject if transfer.kind is TransferKind.LOAN else None,
    }


def defuse(text: str) -> str:
    """Make text a cell that no spreadsheet runs.

    >>> defuse("=HYPERLINK(1)"), defuse("  @x"), defuse("txn_1")
    ("'=HYPERLINK(1)", "'  @x", 'txn_1')
    """
    return f"'{text}" if text.lstrip(" ").startswith(_RUNS) else text


# -- the formats -------------------------------------------------------------------------------


def write_json(rows: Iterable[Row], span: Span, target: BinaryIO) -> int:
    """Write `{"first_on", "last_on", "data": [...], "has_more": false}`."""
    target.write(
        b'{"first_on":"%b","last_on":"%b","data":['
        % (span.first.isoformat().encode(), span.last.isoformat().encode())
    )
    count = 0
    for row in rows:
        target.write(b"," if count else b"")
        target.write(to_json(row))
        count += 1
    target.write(b'],"has_more":false}')
    return count


def write_csv(rows: Iterable[Row], span: Span, target: BinaryIO) -> int:
    """Write UTF-8 with a header, as RFC 4180 has it."""
    del span
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


def write_xlsx(rows: Iterable[Row], span: Span, target: BinaryIO) -> int:
    """Write sheets, row by row; amounts are numbers, digit for digit."""
    import xlsxwriter  # noqa: PLC0415 - few ask for it, and every start would pay for it

    del span
    book = xlsxwriter.Workbook(
        target,
        {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
    )
    bold = book.add_format({"bold": True})
    styles: dict[str, Any] = {}
    sheet = _sheet(book, bold)
    count = at = 0
    for row in rows:
        if at == SHEET_ROWS:
            sheet, at = _sheet(book, bold), 0
        count, at = count + 1, at + 1
        currency = row["currency"]
        if currency not in styles:
            shape = format_amount(0, currency)
            styles[currency] = book.add_format({"num_format": shape})
        for place, name in enumerate(COLUMNS):
            if name == "amount":
                amount: Any = Decimal(row[name])  # written digit for digit, though typed as float
                sheet.write_number(at, place, amount, styles[currency])
            elif text := _cell(row[name]):
                sheet.write_string(at, place, text)
    book.close()
    return count


def _sheet(book: Any, bold: Any) -> Any:  # noqa: ANN401 - xlsxwriter's workbook, format, worksheet
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    for place, name in enumerate(COLUMNS):
        sheet.set_column(place, place, _WIDTHS.get(name, 12))
        sheet.write_string(0, place, name, bold)
    return sheet


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return defuse(str(value))


WRITERS: Mapping[Format, Callable[[Iterable[Row], Span, BinaryIO], int]] = {
    Format.JSON: write_json,
    Format.CSV: write_csv,
    Format.XLSX: write_xlsx,
}
