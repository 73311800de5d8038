"""How fast an inbox is read and recorded: `python -m bench.bills [MESSAGES] [DATABASE_URL]`.

Our own messages with new amounts and times, as `tallybook bills import` takes them: all shipped
rules, one process that reads, one that records, then one fold of the household.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.bills.operations.taking import Intake
from tallybook.bills.reading.reader import shipped_reader
from tallybook.bills.tasks import ReadingPool, import_messages
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer
from tallybook.db import migrate
from tallybook.db.engine import Database, open_database
from tallybook.entrypoints.engine import BULK_LANES
from tallybook.kernel.progress import NoProgress
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tallybook.writer.model import Command

TEXTS = Path(__file__).parents[1] / "tests" / "unit" / "bills" / "messages.toml"
_AMOUNT = re.compile(r"((?:Rs|INR)\.? ?)[0-9,]+")


def inbox(count: int) -> list[bytes]:
    """Make an inbox: our own messages, each time with another amount and time."""
    messages = tomllib.loads(TEXTS.read_text(encoding="utf-8"))["message"]
    start = datetime(2026, 5, 1, tzinfo=UTC)
    lines: list[bytes] = []
    for number in range(count):
        message = messages[number % len(messages)]
        amount = 100 + number // len(messages)
        body = _AMOUNT.sub(rf"\g<1>{amount}", message["text"])
        sent_at = (start + timedelta(minutes=number)).isoformat()
        shape = {"body": body, "sender": message.get("sender"), "sent_at": sent_at}
        lines.append(json.dumps(shape).encode())
    return lines


def main() -> None:
    """Bring in one inbox and print the rate."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    folder = Path(tempfile.mkdtemp())
    url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder / 'book.db'}"
    migrate.upgrade(url)
    database, ids, clock = open_database(url), FreshIds(), SystemClock()
    lanes = 0 if database.is_sqlite else BULK_LANES
    door = Door(database.open_writer, LedgerJournal(), clock, ids, bulk_lanes=lanes)
    email = f"{ids.fresh()}@example.org"
    created = CreateCustomer("A Household", email, None, "INR")
    customer = door.ask_now(Command(CREATE_CUSTOMER, created)).value
    secrets = Secrets.load_or_create(folder / "master.key")
    intake = Intake(shipped_reader(), secrets, ids, clock.now(), "UTC")
    lines = inbox(count)
    with ReadingPool([], 1) as pool:
        started = time.perf_counter()
        summary = import_messages(
            Rooms(door, database), intake, lines, customer_id=customer.id, currency="INR",
            received_at=clock.now(), progress=NoProgress(), when_unreadable=print, pool=pool,
        )  # fmt: skip
        spent = time.perf_counter() - started
    door.close()
    database.close()
    assert summary.adds_up, summary
    print(f"{summary.lines:,} messages in {spent:.1f} s: {summary.lines / spent:,.0f}/s")
    print(f"(start of the reading process and the fold included) {dict(summary.became)}")


class Rooms:
    """As much of an engine as an import needs."""

    def __init__(self, door: Door, database: Database) -> None:
        self.door = door
        self.database = database


if __name__ == "__main__":
    main()
