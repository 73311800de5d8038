"""`verify` finds what transfers no longer rest on: events, rows, reports, items, replies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tallybook.processor.model import Action, ItemKind
from tallybook.reports.verify import verify
from tests.making import day
from tests.played import Played, lost

pytestmark = pytest.mark.played

Corrupt = Callable[[str], None]


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[Played]:
    """Two advances: one whose debits failed, succeeded and timed out, one in default."""
    with Played(book_url, tmp_path, max_attempts=1) as played:
        played.customer()
        played.customer("GB29NWBK60161331926819")
        played.advance(amount=300, count=3, key="one")
        played.advance("GB29NWBK60161331926819", amount=100, count=1, key="two")
        played.rail.tell("txn_1", "success", on=day(1))
        played.rail.tell("txn_2", "success", on=day(1))
        played.run_until(7)
        for which, result in ((0, "success"), (1, "fail")):
            played.rail.tell(played.debits(which)[0].transaction_id, result)
        played.rail.tell("txn_stranger", "success")
        played.run(1)
        played.rule(ItemKind.ORPHAN, Action.DISMISS)
        played.rail.says = lost
        played.run_until(14)
        yield played


def corrupt(book: Played, statement: str) -> None:
    """Change the book behind every trigger and check."""
    url = book.database.url
    if book.database.is_sqlite:
        engine = create_engine(url)
        with engine.begin() as connection:
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in names.all():
                connection.execute(text(f"DROP TRIGGER {name}"))
            changed = connection.execute(text(statement)).rowcount
        engine.dispose()
    else:
        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(conninfo) as connection:
            connection.execute("SET session_replication_role = replica")
            changed = connection.execute(statement.encode()).rowcount
    assert changed > 0, "the corruption changed something"


def test_the_book_is_clean_with_its_reports_open(book: Played) -> None:
    assert {item.kind for item in book.items()} == {ItemKind.DEFAULT, ItemKind.UNKNOWN}
    assert verify(book.database, book.secrets) == []


_SUCCEEDED = (
    "(SELECT min(transaction_id) FROM transfers WHERE state = 'succeeded' AND direction = 'debit')"
)
CORRUPTIONS = {
    "a state came from nowhere": (
        "UPDATE transfers SET state = 'accepted' WHERE state = 'unknown'",
        "transfer_state_unlogged",
    ),
    "a sent row was made larger": (
        (
            "UPDATE installments SET amount_minor = amount_minor + 1 WHERE id ="
            f" (SELECT installment_id FROM transfers WHERE transaction_id = {_SUCCEEDED})"
        ),
        "transfer_against_row",
    ),
    "a transfer was given to another row": (
        (
            "UPDATE transfers SET installment_number = 2 WHERE installment_number = 1"
            f" AND transaction_id = {_SUCCEEDED}"
        ),
        "transfer_against_row",
    ),
    "the row of a report was dropped": (
        f"DELETE FROM report_facts WHERE transaction_id = {_SUCCEEDED}",
        "transfer_unreported",
    ),
    "the item of a stranger was dropped": (
        "DELETE FROM operator_items WHERE kind = 'orphan'",
        "report_row_dropped",
    ),
    "a fact was lowered to a day without a report": (
        (
            "UPDATE report_facts SET first_on = '2025-12-24', happened_on = '2025-12-24',"
            f" not_before = '2025-12-24' WHERE transaction_id = {_SUCCEEDED}"
        ),
        "report_row_out_of_time",
    ),
    "a fact was dated after its report": (
        f"UPDATE report_facts SET happened_on = '2026-02-24' WHERE transaction_id = {_SUCCEEDED}",
        "report_row_out_of_time",
    ),
    "a fact was lowered to the report before": (
        (
            "UPDATE report_facts SET first_on = '2026-01-07', happened_on = '2026-01-07',"
            f" not_before = '2026-01-06' WHERE transaction_id = {_SUCCEEDED}"
        ),
        "report_row_invented",
    ),
    "a raw report was changed": (
        (
            "UPDATE processor_reports SET raw_sealed = (SELECT raw_sealed FROM processor_reports"
            " WHERE report_on = '2026-01-02') WHERE report_on = '2026-01-09'"
        ),
        "report_changed",
    ),
    "a default was forgotten": (
        "DELETE FROM operator_items WHERE kind = 'default'",
        "default_out_of_step",
    ),
    "a standing was dropped": ("DELETE FROM standings", "default_out_of_step"),
    "a standing was invented": (
        (
            "INSERT INTO standings (subject_id, customer_id, reason, active)"
            " SELECT id, customer_id, 'advance_in_default', {true} FROM advances"
            " WHERE status = 'active'"
        ),
        "default_out_of_step",
    ),
    "a request was forgotten": ("DELETE FROM commands WHERE key = 'two'", "request_lost"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_corruption_is_found_and_named(book: Played, name: str) -> None:
    statement, code = CORRUPTIONS[name]
    corrupt(book, statement.replace("{true}", "1" if book.database.is_sqlite else "true"))
    found = verify(book.database, book.secrets)
    assert code in {each.code for each in found}
    assert all(each.subject and each.sentence for each in found)
