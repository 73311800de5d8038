"""Entries through the writer's bulk path: two postings, an event and an idempotency key each.

python -m bench.ledger_bulk [--entries 100000] [--database URL]
"""

import argparse
import time
from collections.abc import Iterator
from datetime import date

from bench.surroundings import Place, places, report
from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.db.engine import open_database
from tallybook.db.migrate import upgrade
from tallybook.entrypoints.engine import BULK_LANES
from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tallybook.writer.model import Command


def commands(count: int, run: str) -> Iterator[Command]:
    """Make distinct entries between a hundred accounts."""
    day = date(2026, 1, 1)
    for number in range(count):
        amount = number % 10_000 + 1
        entry = Entry(
            "bench.moved",
            day,
            (
                Posting(f"bench:{number % 100}", amount, "USD"),
                Posting(f"bench:{(number * 7 + 1) % 100 + 100}", -amount, "USD"),
            ),
        )
        yield Command(POST_ENTRY, PostEntry(entry), f"{run}-{number}")


def measure(place: Place, count: int) -> float:
    """Post the entries; gives entries per second, all of them on disk."""
    database = open_database(place.url)
    upgrade(database)
    lanes = 0 if database.is_sqlite else BULK_LANES
    door = Door(database.open_writer, LedgerJournal(), SystemClock(), FreshIds(), bulk_lanes=lanes)
    for _ in door.submit_many(commands(2_000, "warm")):
        pass
    started = time.perf_counter()
    done = sum(outcome.status == 201 for outcome in door.submit_many(commands(count, "run")))
    seconds = time.perf_counter() - started
    door.close()
    database.close()
    assert done == count, done
    return count / seconds


def main() -> None:
    """Run on SQLite and PostgreSQL and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--database", help="only this database")
    arguments = parser.parse_args()
    rows = [
        (place.name, f"{measure(place, arguments.entries):,.0f} entries/s")
        for place in places(arguments.database)
    ]
    report("ledger, bulk path", rows)


if __name__ == "__main__":
    main()
