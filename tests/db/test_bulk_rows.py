"""Rows come back as they were written, one by one or in bulk, whatever is in their cells."""

import hashlib
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tallybook.db.dialect import Insert, Select, Update
from tallybook.db.engine import open_database
from tallybook.db.postgresql import COPY_FROM_ROWS
from tallybook.kernel.frozen import replace
from tallybook.processor.model import Fact, Report, ReportState, Result
from tallybook.processor.port import Direction
from tallybook.processor.store import FACTS, REPORTS

HOSTILE = "a\tb\nc\\d\\N \"quoted\" 'q' {x} é💥 \\."
NEW_YORK = timezone(timedelta(hours=-5))


def a_report(number: int) -> Report:
    return Report(
        id=f"{number:032x}",
        report_on=date(1, 1, 1) if number % 2 else date(9999, 12, 31),
        taken_at=datetime(2026, 3, 1, 12, 30, number % 60, number, tzinfo=UTC),
        sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        raw_sealed=bytes(range(256)) * (number % 3),
        state=list(ReportState)[number % 3],
        rows_count=number,
        new_count=2**31 - 1,
        missing_count=-1,
        is_rich=number % 2 == 0,
        problems=HOSTILE * (number % 4),
    )


def a_fact(number: int) -> Fact:
    is_told = number % 2 == 0
    return Fact(
        transaction_id=f"{HOSTILE}{number}",
        result=list(Result)[number % 2],
        first_on=date(2026, 3, 1),
        happened_on=date(2026, 2, 28),
        not_before=date(2024, 2, 29),
        applied=is_told,
        amount_minor=10**15 if is_told else None,
        account_hash="f" * 64 if is_told else None,
        direction=Direction.DEBIT if is_told else None,
        reason=HOSTILE if is_told else None,
    )


@pytest.mark.parametrize("count", [2, COPY_FROM_ROWS + 1])
def test_rows_come_back_as_they_were_written(book_url: str, count: int) -> None:
    reports = [a_report(number) for number in range(count)]
    facts = sorted((a_fact(number) for number in range(count)), key=lambda f: f.transaction_id)
    with closing(open_database(book_url)) as database:
        writer = database.open_writer()
        writer.begin().commit([Insert(REPORTS.rows, reports), Insert(FACTS.rows, facts)])
        tx = writer.begin()
        found, told = tx.run(
            [
                Select(REPORTS.rows, ("id",), [row.id for row in reports]),
                Select(FACTS.rows, ("transaction_id",), [row.transaction_id for row in facts]),
            ]
        )
        assert found == reports
        assert sorted(told, key=lambda fact: fact.transaction_id) == facts
        changed = [replace(row, state=ReportState.TAKEN, problems=HOSTILE) for row in reports]
        (again,) = tx.run(
            [
                Update(REPORTS.rows, changed),
                Select(REPORTS.rows, ("id",), [row.id for row in reports]),
            ]
        )
        tx.rollback()
        writer.close()
    assert again == changed


def test_a_time_of_another_zone_is_the_same_instant(book_url: str) -> None:
    there = datetime(2026, 3, 1, 7, 30, tzinfo=NEW_YORK)
    rows = [replace(a_report(number), taken_at=there) for number in range(COPY_FROM_ROWS)]
    with closing(open_database(book_url)) as database:
        writer = database.open_writer()
        tx = writer.begin()
        (found,) = tx.run([Insert(REPORTS.rows, rows), Select(REPORTS.rows, ("id",), [rows[0].id])])
        tx.rollback()
        writer.close()
    assert found[0].taken_at == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
