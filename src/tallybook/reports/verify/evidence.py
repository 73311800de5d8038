"""Transfers against what they rest on: the event log, plan rows, report rows, the raw reports."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from datetime import date

from sqlalchemy import Connection, select

from tallybook.ambient.secrets import Secrets, SecretsError
from tallybook.collection.tasks.reports import report_context
from tallybook.processor.report_reader import ReportStream
from tallybook.processor.store import FACTS_TABLE, REPORTS_TABLE
from tallybook.reports.verify.discrepancy import Discrepancy, hex_of, rows_of

UNLOGGED = """
SELECT t.id, t.state FROM transfers t WHERE NOT EXISTS (
  SELECT 1 FROM events e WHERE e.subject_id = t.id AND substr(e.type, 1, 7) <> 'retail.' AND (
    e.type = 'processor.' || t.direction || '.' || t.state
    OR (t.state = 'accepted' AND e.type = 'processor.' || t.direction || '.matched')
  )
) ORDER BY t.id
"""
_AGAINST_ROWS = """
SELECT t.id, t.amount_minor, t.installment_number, i.amount_minor, i.number
FROM transfers t
LEFT JOIN installments i ON i.id = t.installment_id AND i.subject_id = t.subject_id
WHERE t.kind = 'advance' AND t.direction = 'debit' AND (
  i.id IS NULL OR i.number <> t.installment_number
  OR (t.state <> 'rejected' AND i.amount_minor <> t.amount_minor)
) ORDER BY t.id
"""
"""A row that never went out may have shrunk since."""
_UNREPORTED = """
SELECT t.id, t.state FROM transfers t
LEFT JOIN report_facts f ON f.transaction_id = t.transaction_id
WHERE t.state IN ('succeeded', 'failed', 'returned') AND NOT t.is_ruled
  AND f.transaction_id IS NULL ORDER BY t.id
"""
_DROPPED = """
SELECT f.transaction_id, f.result FROM report_facts f
LEFT JOIN transfers t ON t.transaction_id = f.transaction_id
LEFT JOIN operator_items i ON i.about = f.transaction_id AND i.kind = 'orphan'
WHERE f.applied AND t.id IS NULL AND i.id IS NULL ORDER BY f.transaction_id
"""
_OUT_OF_TIME = """
SELECT f.transaction_id, f.result, f.first_on, f.happened_on, f.not_before, r.report_on
FROM report_facts f
LEFT JOIN (SELECT DISTINCT report_on FROM processor_reports) r ON r.report_on = f.first_on
WHERE r.report_on IS NULL OR f.happened_on > f.first_on OR f.not_before > f.first_on
ORDER BY f.transaction_id
"""


def check_logged(connection: Connection) -> Iterator[Discrepancy]:
    """Find transfers whose state the event log does not know, or that fit no plan row."""
    for ident, state in rows_of(connection, UNLOGGED):
        yield Discrepancy(
            "transfer_state_unlogged",
            f"transfer {hex_of(ident)}",
            f"an event that it is {state}",
            "none",
            "nothing on record made it what it is",
        )
    for ident, amount, number, row_amount, row_number in rows_of(connection, _AGAINST_ROWS):
        yield Discrepancy(
            "transfer_against_row",
            f"transfer {hex_of(ident)}",
            "no row" if row_number is None else f"{row_amount} for row {row_number}",
            f"{amount} for row {number}",
            "it does not collect the plan row that it names",
        )


def check_evidence(connection: Connection) -> Iterator[Discrepancy]:
    """Find results that no report told, and rows of reports that came to nothing. Source: P4."""
    for ident, state in rows_of(connection, _UNREPORTED):
        yield Discrepancy(
            "transfer_unreported",
            f"transfer {hex_of(ident)}",
            "a report's row, or a person's word",
            "neither",
            f"nobody said that it is {state}",
        )
    for ident, result in rows_of(connection, _DROPPED):
        yield Discrepancy(
            "report_row_dropped",
            f"{ident} ({result})",
            "a transfer or an operator item",
            "neither",
            "a report told it, and nothing was made of it",
        )
    for ident, result, first_on, happened_on, not_before, report_on in rows_of(
        connection, _OUT_OF_TIME
    ):
        yield Discrepancy(
            "report_row_out_of_time",
            f"{ident} ({result})",
            f"a report of {first_on}" if report_on is None else f"dates up to {first_on}",
            "none" if report_on is None else f"happened {happened_on}, not before {not_before}",
            "its dates are not those of a report",
        )


def check_raw_reports(connection: Connection, secrets: Secrets) -> Iterator[Discrepancy]:
    """Open every report as it was taken, and find rows that are kept and that none of them has.

    One report's rows are in memory at a time: those that were new with it.
    """
    columns = REPORTS_TABLE.c
    days = connection.execute(select(columns.report_on).distinct().order_by(columns.report_on))
    for day in days.scalars().all():
        yield from _check_day(connection, secrets, day)


def _check_day(connection: Connection, secrets: Secrets, day: date) -> Iterator[Discrepancy]:
    kept = select(FACTS_TABLE.c.transaction_id, FACTS_TABLE.c.result)
    left = {
        (ident, result)
        for ident, result in connection.execute(kept.where(FACTS_TABLE.c.first_on == day))
    }
    columns = REPORTS_TABLE.c
    taken = select(columns.id, columns.sha256, columns.raw_sealed).where(columns.report_on == day)
    for ident, digest, sealed in connection.execute(taken):
        raw = _open(secrets, sealed, day, digest)
        if raw is None:
            yield Discrepancy(
                "report_changed",
                f"report {hex_of(ident)} of {day}",
                digest[:12],
                "another text",
                "it is not the report that was taken",
            )
            continue
        for rows in ReportStream(raw):
            left.difference_update((row.transaction_id, row.result.value) for row in rows)
    for ident, result in sorted(left):
        yield Discrepancy(
            "report_row_invented",
            f"{ident} ({result})",
            f"a row of a report of {day}",
            "none",
            "no report of the day that it was first seen on has it",
        )


def _open(secrets: Secrets, sealed: bytes, day: date, digest: str) -> bytes | None:
    try:
        raw = zlib.decompress(secrets.unseal_bytes(sealed, context=report_context(day, digest)))
    except (SecretsError, zlib.error):
        return None
    return raw if hashlib.sha256(raw).hexdigest() == digest else None
