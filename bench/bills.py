"""How fast an inbox is read and recorded: `python -m bench.bills [MESSAGES] [DATABASE_URL]`.

Our own messages with new amounts and times, as `tallybook bills import` takes them: all shipped
rules, two processes that read, one that records, then one fold of the household. Then the cost of
reading with 25 and with 250 rules of a user's own in front, in turns, so that load falls on both.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.bills.operations.inbox import ReadingPool
from tallybook.bills.operations.taking import Intake
from tallybook.bills.reading.reader import Reader, shipped_reader
from tallybook.bills.reading.rulebook import SHIPPED, read_rule_files
from tallybook.bills.tasks import import_messages
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer
from tallybook.db import migrate
from tallybook.db.engine import Database, open_database
from tallybook.entrypoints.engine import BULK_LANES
from tallybook.kernel.progress import NoProgress
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tallybook.writer.model import Command

TEXTS = Path(__file__).parents[1] / "tests" / "unit" / "bills"
READERS = 2
"""As many processes that read as `tallybook bills import` has."""
_AMOUNT = re.compile(r"((?:Rs|INR)\.? ?)[0-9,]+")


def _messages() -> list[dict[str, Any]]:
    return [
        message
        for path in sorted(TEXTS.glob("*messages.toml"))
        for message in tomllib.loads(path.read_text(encoding="utf-8"))["message"]
    ]


def inbox(count: int) -> list[bytes]:
    """Make an inbox: our own messages, each time with another amount and time."""
    messages = _messages()
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
    steps = Steps()
    with ReadingPool([], READERS, folder / "master.key") as pool:
        pool.wait_until_up()  # before the clock runs
        started, used = time.perf_counter(), time.process_time()
        summary = import_messages(
            Rooms(door, database), intake, lines, customer_id=customer.id, currency="INR",
            received_at=clock.now(), progress=steps, when_unreadable=print, pool=pool,
        )  # fmt: skip
        ended, used = time.perf_counter(), time.process_time() - used
    door.close()
    database.close()
    assert summary.unreadable + summary.duplicates + summary.became.total() == summary.lines
    recorded, folded = steps.began["fold"] - started, ended - steps.began["fold"]
    count = summary.lines
    print(f"{count:,} messages read and recorded in {recorded:.1f} s: {count / recorded:,.0f}/s")
    print(f"folded in {folded:.1f} s: {count / (ended - started):,.0f}/s with the fold")
    print(f"processor time of the recording process: {used / count * 1e6:.0f} us a message")
    print(dict(summary.became))
    print(f"with 250 rules of a user's own instead of 25: {growth():.2f} times the time")


def growth() -> float:
    """Tell how much longer a message takes to read with ten times as many own rules."""
    few, many = _reader_with(25), _reader_with(250)
    texts = [(message["text"], message.get("sender")) for message in _messages()]
    spent = {id(few): 1e9, id(many): 1e9}
    for _ in range(15):
        for reader in (few, many):
            started = time.process_time()
            for text, sender in texts:
                reader.read(text, sender, date(2026, 6, 15))
            spent[id(reader)] = min(spent[id(reader)], time.process_time() - started)
    return spent[id(many)] / spent[id(few)]


def _reader_with(count: int) -> Reader:
    rules = "".join(
        f"[[rule]]\nname = 'own-{number}'\nkind = 'BILL_INFORMATION'\ntype = 'GAS_BILL'\n"
        f"pattern = 'company{number} .*? {{amount}} .*? by {{due_on}}'\n"
        for number in range(count)
    )
    path = Path(tempfile.mkdtemp()) / "own.toml"
    path.write_text(rules, encoding="utf-8")
    return Reader(read_rule_files([path, *sorted(SHIPPED.glob("*.toml"))]))


class Steps(NoProgress):
    """Notes when each step began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def begin(self, step: str, total: int | None = None) -> None:
        """Note when a step began."""
        del total
        self.began[step] = time.perf_counter()


class Rooms:
    """As much of an engine as an import needs."""

    def __init__(self, door: Door, database: Database) -> None:
        self.door = door
        self.database = database


if __name__ == "__main__":
    main()
