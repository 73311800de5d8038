"""Whatever is changed behind a loan is found: each figure that is kept follows from others."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.db.engine import open_database
from tallybook.entrypoints.library import open_book
from tallybook.reports.verify.loans import (
    check_loan_debits,
    check_loan_standings,
    check_loans,
)
from tests.played import DictatedProcessor


@pytest.fixture(scope="module")
def written(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book with a loan that is paid by hand, and one that is debited."""
    home = tmp_path_factory.mktemp("verify-loans")
    path = home / "book.db"
    shutil.copyfile(sqlite_template, path)
    clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    rail = DictatedProcessor(clock)
    with open_book(path, clock=clock, processor=rail, home=home) as book:
        who = book.create_customer("Asha", "asha@example.org", bank_accounts=["12345678"])["id"]
        paid = book.create_loan(who, "100.00", 10, 4, payment_policy="flexible")["id"]
        bounced = book.make_payment(paid, "30.00")["id"]
        book.make_payment(paid, "200.00")
        book.reverse_payment(paid, bounced, "bounced")
        book.create_loan(who, "100.00", 10, 4, collection="auto_debit")
        for _ in range(8):
            clock.advance(days=1)
            book.run_day()
            if rail.calls and not rail.told:
                rail.tell(rail.calls[0].executed_as, "success")
        assert book.verify() == []
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


DEBITED = "id = (SELECT id FROM loans WHERE collection = 'auto_debit')"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE loans SET received_minor = received_minor - 1 WHERE received_minor > 0",
         "loan_sum_wrong"),
        ("UPDATE loans SET credited_minor = credited_minor + 1 WHERE credited_minor > 0",
         "loan_sum_wrong"),
        (f"UPDATE loans SET earned_minor = earned_minor + 1 WHERE {DEBITED}", "loan_sum_wrong"),
        (f"UPDATE loans SET delinquent_on = '2030-01-01' WHERE {DEBITED}", "loan_sum_wrong"),
        ("UPDATE loans SET status = 'active' WHERE status = 'closed'", "loan_sum_wrong"),
        ("UPDATE loans SET payments_count = payments_count + 1", "loan_sum_wrong"),
        ("UPDATE loan_payments SET amount_minor = amount_minor + 1 WHERE status = 'paid'",
         "loan_sum_wrong"),
        ("DELETE FROM loan_payments WHERE method = 'auto_debit'", "loan_sum_wrong"),
        (f"UPDATE loans SET principal_minor = principal_minor + 1 WHERE {DEBITED}",
         "loan_books_wrong"),
        ("UPDATE postings SET amount_minor = 2 * amount_minor", "loan_books_wrong"),
        ("UPDATE loan_payments SET transfer_id = NULL WHERE transfer_id IS NOT NULL",
         "loan_debit_wrong"),
        ("UPDATE transfers SET state = 'accepted' WHERE kind = 'loan'", "loan_debit_wrong"),
        ("UPDATE plans SET total_minor = total_minor - 1 WHERE kind = 'loan'", "loan_plan_wrong"),
        ("UPDATE standings SET since_on = '2030-01-01'", "loan_standing_wrong"),
        ("UPDATE standings SET active = 0", "loan_standing_wrong"),
    ],
)  # fmt: skip
def test_what_is_changed_behind_a_loan_is_found(
    written: Path, tmp_path: Path, statement: str, code: str
) -> None:
    path = tmp_path / "book.db"
    shutil.copyfile(written, path)
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    database = open_database(f"sqlite:///{path}")
    try:
        with database.snapshot() as connection:
            found = [
                each.code
                for check in (check_loans, check_loan_debits, check_loan_standings)
                for each in check(connection)
            ]
    finally:
        database.close()
    assert code in found
