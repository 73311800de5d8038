"""How rows are found: by an index, however small the tables were."""

import time
from contextlib import closing
from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db.engine import open_database
from tallybook.ledger import queries
from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.ledger.store import LedgerJournal
from tallybook.reports.verify import evidence, plans
from tallybook.writer.lane import Lane
from tallybook.writer.model import Command

BATCHES = 20
SCANS = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN ('entries', 'commands')"
RECORDED = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'entries'"


def test_no_batch_on_a_new_book_reads_a_growing_table_whole(postgres_book_url: str) -> None:
    with psycopg.connect(postgres_book_url, autocommit=True) as watching:
        before = dict(watching.execute(SCANS).fetchall())
        with closing(open_database(postgres_book_url)) as database:
            lane = Lane(database.open_writer(), LedgerJournal(), SystemClock(), FreshIds())
            for number in range(BATCHES):
                postings = Posting("cash", number + 1, "USD"), Posting("sales", -number - 1, "USD")
                entry = Entry("test.moved", date(2026, 1, 1), postings)
                lane.run([Command(POST_ENTRY, PostEntry(entry), f"key-{number}")])
            lane.close()
        # A connection tells what it counted when it ends, at the latest.
        until = time.monotonic() + 10
        while watching.execute(RECORDED).fetchone() != (BATCHES,):
            assert time.monotonic() < until, "PostgreSQL has not counted the entries"
            time.sleep(0.05)
        assert dict(watching.execute(SCANS).fetchall()) == before


def test_a_customers_entries_are_found_by_the_first_posting_of_each(book_url: str) -> None:
    run: list[tuple[str, Any]] = []
    with closing(open_database(book_url)) as database, database.reader() as connection:
        if not database.is_sqlite:
            # Of two ways to read a table that is empty still, the one that it takes when it is not.
            for way in ("seqscan", "hashjoin", "mergejoin"):
                connection.execute(text(f"SET enable_{way} = off"))

        def note(*args: Any) -> None:
            run.append((args[2], args[3]))

        event.listen(connection, "before_cursor_execute", note)
        queries.list_movements(connection, "a" * 32, limit=5)
        queries.sum_of_customer(connection, "a" * 32)
        event.remove(connection, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        for statement, parameters in run:
            plan = connection.exec_driver_sql(f"{explain} {statement}", parameters).fetchall()
            assert "postings_customer_id_index" in str(plan)
    assert len(run) == 2


@pytest.mark.parametrize("statement", [evidence.UNLOGGED, plans.UNINTENDED])
def test_verify_finds_the_events_of_a_transfer_by_its_id(book_url: str, statement: str) -> None:
    with closing(open_database(book_url)) as database, database.reader() as connection:
        if database.is_sqlite:
            explained = f"EXPLAIN QUERY PLAN {statement}"
        else:
            # Of two ways to read a table that is empty still, the one that it takes when it is not.
            connection.execute(text("SET enable_seqscan = off"))
            connection.execute(text("SET enable_hashjoin = off"))
            explained = f"EXPLAIN {statement}"
        plan = "\n".join(str(row) for row in connection.execute(text(explained)))
    assert "events_subject_id_index" in plan
