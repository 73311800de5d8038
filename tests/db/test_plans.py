"""How PostgreSQL finds what the writer asks for: by an index, however small the tables were."""

import time
from contextlib import closing
from datetime import date

import psycopg

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db.engine import open_database
from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.ledger.store import LedgerJournal
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
