"""The report of transfers over real HTTP: every format says the same."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tallybook.reports.transfers import COLUMNS, Format, Span, write_report
from tests.billing import API, Billing, serve_billing

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
PATHS = ("/report", "/download_report")


@pytest.fixture
def billing(book_url: str, tmp_path: Path) -> Iterator[Billing]:
    with serve_billing(book_url, tmp_path) as served:
        yield served


def read_csv(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


def read_xlsx(body: bytes, sheet: int = 1) -> list[dict[str, str]]:
    """Read the sheet's cells as the text that the file has, digit for digit."""
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert packed.testzip() is None
        root = ET.fromstring(packed.read(f"xl/worksheets/sheet{sheet}.xml"))
    assert not list(root.iter(f"{SHEET}f")), "no formulas"
    rows: list[list[str]] = []
    for row in root.iter(f"{SHEET}row"):
        cells = dict.fromkeys(range(len(COLUMNS)), "")
        for cell in row.iter(f"{SHEET}c"):
            place = ord(cell.attrib["r"][0]) - ord("A")
            cells[place] = "".join(cell.itertext())
        rows.append(list(cells.values()))
    header, *data = rows
    assert header == list(COLUMNS)
    return [dict(zip(header, row, strict=True)) for row in data]


def played(billing: Billing) -> Any:
    """Collect one row, and have a second advance pending."""
    billing.customer()
    made = billing.activate()
    billing.run_days(8)
    billing.advance("1234567890123.45")
    return made


@pytest.mark.parametrize("path", PATHS)
def test_every_transfer_of_the_last_days_is_there(billing: Billing, path: str) -> None:
    made = played(billing)

    body = billing.read(path)

    assert (body["first_on"], body["last_on"], body["has_more"]) == (
        "2026-03-07",
        "2026-03-11",
        False,
    )
    debit, credit = body["data"]
    assert list(debit) == list(COLUMNS)
    assert (debit["advance_id"], debit["number"], debit["result"]) == (made["id"], 1, "success")
    assert (debit["direction"], debit["amount"], debit["currency"]) == ("debit", "10.00", "USD")
    assert (credit["direction"], credit["number"], credit["result"]) == ("credit", None, "pending")
    assert credit["resolved_at"] is None
    assert credit["submitted_at"] == "2026-03-11T09:00:00Z"


def test_the_days_are_counted_back(billing: Billing) -> None:
    played(billing)

    def count(query: str) -> int:
        return len(billing.read(f"/report{query}")["data"])

    assert count("?days=1") == 1  # asked for today; the debit was resolved yesterday
    assert count("?days=2") == 2
    assert count("?as_of=2026-03-02&days=1") == 1  # submitted
    assert count("?as_of=2026-03-03&days=1") == 1  # resolved
    assert count("?as_of=2026-03-04&days=1") == 0
    assert count("?days=10") == 3


def test_what_is_learned_late_is_there_on_the_day_on_which_it_is_learned(billing: Billing) -> None:
    billing.customer()
    ident = billing.advance()["transaction_id"]
    billing.clock.advance(days=9)
    assert billing.read("/report")["data"] == []

    late = billing.report(
        f"transaction_id,result\n{ident},fail\n#end,1\n",
        path="/processor-reports?report_on=2026-03-04",
    )
    assert late.status == 201

    (row,) = billing.read("/report?days=1")["data"]
    assert (row["transaction_id"], row["result"]) == (ident, "fail")
    assert row["resolved_at"].startswith("2026-03-11")
    (then,) = billing.read("/report?as_of=2026-03-04&days=1")["data"]
    assert then == row
    assert billing.read("/report?as_of=2026-03-10&days=5")["data"] == []


def test_every_format_says_the_same(billing: Billing) -> None:
    played(billing)
    rows = billing.read("/report?days=10")["data"]
    as_text = [{name: "" if row[name] is None else str(row[name]) for name in row} for row in rows]

    as_csv = billing.get(f"{API}/report?days=10&format=csv")
    as_xlsx = billing.get(f"{API}/report?days=10&format=xlsx")

    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert as_csv.headers["content-disposition"] == (
        'attachment; filename="transfers-2026-03-02-2026-03-11.csv"'
    )
    assert read_csv(as_csv.body) == as_text
    assert as_xlsx.headers["content-disposition"].endswith('.xlsx"')
    from_xlsx = read_xlsx(as_xlsx.body)
    assert from_xlsx == as_text
    assert from_xlsx[-1]["amount"] == "1234567890123.45", "digit for digit"


@pytest.mark.parametrize("reason", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)"])
def test_cells_that_a_spreadsheet_would_run_are_defused(billing: Billing, reason: str) -> None:
    billing.customer()
    ident = billing.advance()["transaction_id"]
    text = f'transaction_id,result,reason\n{ident},fail,"{reason}"\n#end,1\n'
    assert billing.report(text).status == 201
    (as_json,) = billing.read("/report")["data"]
    (as_csv,) = read_csv(billing.get(f"{API}/report?format=csv").body)
    (as_xlsx,) = read_xlsx(billing.get(f"{API}/report?format=xlsx").body)
    assert as_json["reason"] == reason
    assert as_csv["reason"] == as_xlsx["reason"] == f"'{reason}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?days=0", "field_invalid"),
        ("?days=1000000", "field_invalid"),
        ("?format=pdf", "field_invalid"),
        ("?as_of=yesterday", "date_invalid"),
        ("?as_of=1900-01-01", "date_invalid"),
        ("?from=2026-01-01", "field_invalid"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    billing: Billing, path: str, query: str, code: str
) -> None:
    refused = billing.get(API + path + query)
    assert (refused.status, refused.code) == (422, code)


def test_what_does_not_fit_on_one_sheet_goes_on_the_next(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(billing)
    whole = read_xlsx(billing.get(f"{API}/report?days=10&format=xlsx").body)
    monkeypatch.setattr("tallybook.reports.transfers.SHEET_ROWS", 2)
    body = billing.get(f"{API}/report?days=10&format=xlsx").body
    assert read_xlsx(body) == whole[:2]
    assert read_xlsx(body, sheet=2) == whole[2:]


def test_an_empty_report_is_whole(billing: Billing) -> None:
    assert billing.read("/report")["data"] == []
    assert read_csv(billing.get(f"{API}/report?format=csv").body) == []
    assert read_xlsx(billing.get(f"{API}/report?format=xlsx").body) == []


def test_a_report_is_written_into_any_file(billing: Billing) -> None:
    played(billing)
    for style in Format:
        target = io.BytesIO()
        with billing.engine.database.snapshot() as connection:
            span = Span.of(10, date(2026, 3, 11), billing.clock)
            assert write_report(connection, span, style, target) == 3
        assert not target.closed
        over_http = billing.get(f"{API}/report?days=10&format={style.value}").body
        if style is not Format.XLSX:  # which carries the time at which it was made
            assert target.getvalue() == over_http
