"""`verify` is clean on a book with everything in it, and finds whatever is changed behind it."""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.secrets import Secrets
from tallybook.ambient.settings import Settings
from tallybook.collection.tasks.run import run_day
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.db.engine import open_database
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.reports.verify import Discrepancy, evidence, format_discrepancies, running, verify
from tallybook.reports.verify.anchors import Anchor
from tallybook.reports.verify.discrepancy import Check
from tallybook.writer.model import Command
from tests.postgres import Databases

FAULTS = "fail=0.2,late=0.1,very_late=0.05,returned=0.1,lost_after=0.1,lost_before=0.05"
DAYS = 60


def write_book(url: str, home: Path) -> None:
    """Pay out advances and collect them for two months through an unreliable Processor."""
    clock = ManualClock(datetime(2026, 1, 1, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(
        home / "simulator.db", seed=5, clock=clock, faults=Faults.parse(FAULTS)
    )

    async def write() -> None:
        settings = Settings(database_url=SecretStr(url), home=home)
        engine = Engine.open(settings, clock=clock, processor=simulator)
        for number in range(8):
            account = f"DE1234567{number:04d}"
            taken = take_number(account, engine.secrets, engine.ids)
            customer = CreateCustomer(
                f"Customer {number}", f"c{number}@example.org", None, "USD", (taken,)
            )
            await engine.door.ask(Command(CREATE_CUSTOMER, customer))
            asked = BeginAdvance(
                engine.secrets.keyed_hash(account), 100_00, "USD", 12, 7, 5_00, None
            )
            await perform_advance(engine, asked, key=f"advance-{number}")
        for _ in range(DAYS):
            await run_day(engine)
            clock.advance(days=1)
        await engine.aclose()

    asyncio.run(write())


@pytest.fixture(scope="module")
def sqlite_book(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("verify")
    shutil.copyfile(sqlite_template, home / "book.db")
    write_book(f"sqlite:///{home / 'book.db'}", home)
    with closing(sqlite3.connect(home / "book.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home / "book.db"


@pytest.fixture(scope="module")
def postgres_book(
    databases: Databases, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    url = databases.create(template=postgres_template)
    write_book(url, tmp_path_factory.mktemp("verify"))
    databases.close_to_all(url)
    yield url
    databases.drop(url)


Corrupt = Callable[[str], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Corrupt]]:
    """A copy of the book, and a way to change it behind every trigger and constraint."""
    if request.param == "sqlite":
        path = tmp_path / "book.db"
        shutil.copyfile(request.getfixturevalue("sqlite_book"), path)

        def corrupt(statement: str) -> None:
            with closing(sqlite3.connect(path)) as connection:
                names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                for (name,) in names.fetchall():
                    connection.execute(f"DROP TRIGGER {name}")
                connection.execute("PRAGMA ignore_check_constraints = ON")
                for index in ("transfers_transaction_id_unique",):
                    connection.execute(f"DROP INDEX {index}")
                changed = connection.execute(statement).rowcount
                connection.commit()
                assert changed > 0, "the corruption changed something"

        yield f"sqlite:///{path}", corrupt
        return
    databases: Databases = request.getfixturevalue("databases")
    url = databases.create(template=request.getfixturevalue("postgres_book"))

    def corrupt_postgres(statement: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("ALTER TABLE transfers DROP CONSTRAINT transfers_held_timed_out")
            connection.execute("ALTER TABLE plans DROP CONSTRAINT plans_claimed_minor_sum")
            connection.execute("ALTER TABLE plans DROP CONSTRAINT plans_claimed_minor_owed")
            connection.execute("DROP INDEX transfers_transaction_id_unique")
            changed = connection.execute(statement.encode()).rowcount
            assert changed > 0, "the corruption changed something"

    yield url, corrupt_postgres
    databases.drop(url)


def found_in(url: str) -> list[Discrepancy]:
    database = open_database(url)
    try:
        return verify(database)
    finally:
        database.close()


def test_a_book_with_everything_in_it_is_clean(book: tuple[str, Corrupt]) -> None:
    url, _ = book
    assert found_in(url) == []


def many(count: int, *, breaks: bool = False) -> Check:
    def check(connection: Connection) -> Iterator[Discrepancy]:
        del connection
        for number in range(count):
            yield Discrepancy("wrong", str(number), "1", "2", "it is wrong")
        if breaks:
            raise ValueError

    return check


def test_a_check_that_stops_early_says_so(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {"just enough": many(running.FOUND_MAX), "too many": many(running.FOUND_MAX + 1)}
    monkeypatch.setattr(running, "CHECKS", checks)
    found = found_in(f"sqlite:///{sqlite_template}")
    assert Counter(each.code for each in found) == {"wrong": 2 * running.FOUND_MAX, "and_more": 1}
    last = format_discrepancies(found).splitlines()[-1]
    assert (found[-1].subject, "... and more" in last) == ("too many", True)


def test_a_check_that_breaks_is_told_by_its_name(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CHECKS", {"plans": many(1, breaks=True)})
    database = open_database(f"sqlite:///{sqlite_template}")
    broken = many(0, breaks=True)
    monkeypatch.setattr(evidence, "check_raw_reports", lambda connection, _: broken(connection))
    monkeypatch.setattr(running, "check_anchors", lambda connection, _: broken(connection))
    anchor = Anchor("b0", 1, "e1", 1, "f1", "2026-01-01T00:00:00Z")
    try:
        found = verify(database, Secrets(bytes(32)), anchors=[anchor])
    finally:
        database.close()
    told = [(each.code, each.subject) for each in found]
    assert told == [
        ("wrong", "0"),
        ("rows_unreadable", "plans"),
        ("rows_unreadable", "raw reports"),
        ("rows_unreadable", "anchors"),
    ]


ONE_ACTIVE = "(SELECT min(subject_id{text}) FROM plans WHERE status = 'active')"

CORRUPTIONS = {
    "an amount was changed": (
        "UPDATE postings SET amount_minor = amount_minor + 1 WHERE entry_seq = 3 AND line = 1",
        {"entry_unbalanced", "balance_wrong", "entry_chain_broken", "advance_books_wrong"},
    ),
    "both amounts were changed": (
        "UPDATE postings SET amount_minor = amount_minor * 2 WHERE entry_seq = 4",
        {"balance_wrong", "entry_chain_broken", "advance_books_wrong"},
    ),
    "a posting was dropped": (
        "DELETE FROM postings WHERE entry_seq = 5 AND line = 2",
        {"entry_unbalanced", "entry_postings_missing", "entry_chain_broken"},
    ),
    "an entry was dropped": (
        "DELETE FROM entries WHERE seq = 6",
        {"entries_numbers_gap", "posting_orphaned", "entry_chain_broken"},
    ),
    "the last entry was cut off": (
        "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)",
        {"entries_tail_cut", "entry_head_wrong", "posting_orphaned"},
    ),
    "postings were moved to another account": (
        (
            "UPDATE postings SET account_id = CASE account_id WHEN 1 THEN 2 ELSE 1 END"
            " WHERE entry_seq = 2"
        ),
        {"entry_chain_broken", "balance_wrong"},
    ),
    "an entry was dated back": (
        "UPDATE entries SET effective_on = '2025-12-01' WHERE seq = 7",
        {"entry_chain_broken", "balance_wrong"},
    ),
    "an entry's kind was changed": (
        "UPDATE entries SET kind = 'advances.debit.returned' WHERE seq = 8",
        {"entry_chain_broken"},
    ),
    "a posting was given to another customer": (
        (
            "UPDATE postings SET customer_id = (SELECT max(id{text}){uuid} FROM customers)"
            " WHERE entry_seq = 1"
        ),
        {"entry_chain_broken"},
    ),
    "a day balance was changed": (
        (
            "UPDATE balances SET debit_minor = debit_minor + 100"
            " WHERE account_id = 1 AND effective_on = (SELECT min(effective_on) FROM balances"
            " WHERE account_id = 1)"
        ),
        {"balance_wrong"},
    ),
    "an event's body was changed": (
        "UPDATE events SET body = '{}' WHERE seq = 5",
        {"event_chain_broken"},
    ),
    "an event was dropped": (
        "DELETE FROM events WHERE seq = 10",
        {"events_numbers_gap", "event_chain_broken"},
    ),
    "the last event was cut off": (
        "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
        {"events_tail_cut", "event_head_wrong"},
    ),
    "the chain's head was moved": (
        "UPDATE chain_heads SET entry_hash = event_hash",
        {"entry_head_wrong"},
    ),
    "a plan's collected sum was raised": (
        (
            "UPDATE plans SET succeeded_minor = succeeded_minor + 100,"
            " claimed_minor = claimed_minor + 100 WHERE subject_id{text} = " + ONE_ACTIVE
        ),
        {"plan_sum_wrong", "plan_equation_broken", "advance_books_wrong"},
    ),
    "a plan's claims were lowered": (
        "UPDATE plans SET claimed_minor = claimed_minor - 1 WHERE subject_id{text} = " + ONE_ACTIVE,
        {"plan_claims_wrong"},
    ),
    "an advance was paid with credit by hand": (
        "UPDATE advances SET applied_minor = applied_minor + 100 WHERE status = 'active'",
        {"advance_books_wrong", "plan_collects_too_much"},
    ),
    "a plan row was made smaller": (
        (
            "UPDATE installments SET amount_minor = amount_minor - 1"
            " WHERE id = (SELECT id FROM installments WHERE state = 'planned' LIMIT 1)"
        ),
        {"plan_sum_wrong", "plan_equation_broken"},
    ),
    "a plan row was withdrawn": (
        (
            "UPDATE installments SET state = 'cancelled'"
            " WHERE id = (SELECT id FROM installments WHERE state = 'planned' LIMIT 1)"
        ),
        {"plan_sum_wrong", "plan_equation_broken"},
    ),
    "a plan row was dropped": (
        (
            "DELETE FROM installments"
            " WHERE id = (SELECT id FROM installments WHERE state = 'planned' LIMIT 1)"
        ),
        {"plan_sum_wrong", "plan_equation_broken", "plan_rows_missing"},
    ),
    "a row that was sent was planned again": (
        (
            "UPDATE installments SET state = 'planned' WHERE id = (SELECT installment_id"
            " FROM transfers WHERE state = 'succeeded' AND direction = 'debit' LIMIT 1)"
        ),
        {"row_state_wrong", "plan_sum_wrong", "plan_equation_broken"},
    ),
    "a failed debit was made a success": (
        (
            "UPDATE transfers SET state = 'succeeded' WHERE id = (SELECT id FROM transfers"
            " WHERE state = 'failed' AND direction = 'debit' LIMIT 1)"
        ),
        {"plan_sum_wrong", "transfer_against_reports"},
    ),
    "a succeeded debit was lost": (
        (
            "DELETE FROM transfers WHERE id = (SELECT id FROM transfers"
            " WHERE state = 'succeeded' AND direction = 'debit' LIMIT 1)"
        ),
        {"plan_sum_wrong", "row_state_wrong"},
    ),
    "a payout was made to fail": (
        (
            "UPDATE transfers SET state = 'failed' WHERE id = (SELECT id FROM transfers"
            " WHERE state = 'succeeded' AND direction = 'credit' LIMIT 1)"
        ),
        {"advance_payout_wrong", "transfer_against_reports"},
    ),
    "a transfer was slipped in": (
        (
            "INSERT INTO transfers SELECT {fresh}, kind, direction, customer_id, bank_account_id,"
            " subject_id, NULL, NULL, amount_minor, currency, 'failed', held,"
            " 'txn_slipped', sent_on,"
            " intent_at, lease_until, sender, resolved_at, resolved_on, reason, is_ruled, NULL"
            " FROM transfers WHERE state = 'failed' LIMIT 1"
        ),
        {"transfer_without_intent"},
    ),
    "two transfers have one transaction id": (
        (
            "UPDATE transfers SET transaction_id = (SELECT max(transaction_id) FROM transfers)"
            " WHERE id = (SELECT id FROM transfers WHERE state = 'succeeded'"
            " AND direction = 'debit' ORDER BY transaction_id LIMIT 1)"
        ),
        {"transaction_id_repeated"},
    ),
    "a report's row was turned round": (
        (
            "UPDATE report_facts SET result = 'fail' WHERE transaction_id ="
            " (SELECT f.transaction_id"
            " FROM report_facts f JOIN transfers t ON t.transaction_id = f.transaction_id"
            " WHERE t.state = 'succeeded' LIMIT 1)"
        ),
        {"transfer_against_reports"},
    ),
    "an advance was marked as paid back": (
        "UPDATE advances SET status = 'completed' WHERE id{text} = " + ONE_ACTIVE,
        {"advance_status_wrong"},
    ),
    "an advance was given credit": (
        "UPDATE advances SET credited_minor = credited_minor + 50 WHERE id{text} = " + ONE_ACTIVE,
        {"advance_books_wrong"},
    ),
    "a customer was given credit": (
        (
            "INSERT INTO customer_credits (customer_id, currency, credit_minor)"
            " SELECT id, 'EUR', 500 FROM customers LIMIT 1"
        ),
        {"customer_credit_wrong"},
    ),
    "an operator item was dropped": (
        (
            "UPDATE operator_items SET is_open = {false}, action = 'dismiss' WHERE"
            " id = (SELECT i.id"
            " FROM operator_items i JOIN transfers t ON t.id = i.transfer_id"
            " WHERE i.is_open AND t.state = 'unknown' LIMIT 1)"
        ),
        {"item_missing"},
    ),
    "a stored reply was emptied": (
        "UPDATE commands SET status = NULL, body = NULL WHERE key = 'advance-1'",
        {"reply_missing"},
    ),
    "a finished run was reopened": (
        "UPDATE runs SET state = 'running' WHERE business_date = '2026-01-05'",
        {"run_abandoned"},
    ),
    "the job's last date was put back": (
        "UPDATE jobs SET last_finished_on = '2026-01-05'",
        {"job_out_of_step"},
    ),
}


@pytest.mark.played
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_corruption_is_found_and_named(book: tuple[str, Corrupt], name: str) -> None:
    url, corrupt = book
    statement, codes = CORRUPTIONS[name]
    is_sqlite = url.startswith("sqlite")
    corrupt(
        statement.replace("{text}", "" if is_sqlite else "::text")
        .replace("{uuid}", "" if is_sqlite else "::uuid")
        .replace("{false}", "0" if is_sqlite else "false")
        .replace("{fresh}", f"'{'f' * 32}'" if is_sqlite else f"'{'f' * 32}'::uuid")
    )
    found = {each.code for each in found_in(url)}
    assert codes <= found, f"expected {codes - found} too"
