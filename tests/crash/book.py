"""A book as a crashing process sees it: an engine with a fuse, and where things stand in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import CHAR, LargeBinary, select, text

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.ambient.settings import Settings
from tallybook.collection import queries
from tallybook.collection.tasks.requests import request_run
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.db.engine import Database, open_database
from tallybook.db.metadata import METADATA, HexId, Instant
from tallybook.entrypoints.engine import Engine
from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.processor.model import Action, ItemKind, Transfer
from tallybook.processor.simulator_log import LoggedCall
from tallybook.processor.store import TRANSFERS_TABLE
from tallybook.retail.model import CounterTerms
from tallybook.writer.model import Command, Outcome
from tests.crash.bank import open_bank
from tests.crash.fuse import Fuse, FusedDatabase, FusedProcessor

FIRST_DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY_FILE = "master.key"
TERMS = CounterTerms("USD", "none")


@frozen
class Place:
    """Where a book is: its database, its folder and its Processor's address."""

    url: str
    folder: Path
    bank: str


@frozen
class Parts:
    """What of an engine may be made before the fork: nothing here has a thread or a connection."""

    place: Place
    settings: Settings
    secrets: Secrets
    database: Database

    @classmethod
    def make(cls, place: Place) -> Self:
        """Make the parts for a place; its key file is made where there is none."""
        url, home = place.url, place.folder
        settings = Settings(database_url=url, home=home, _env_file=None)  # pyright: ignore[reportCallIssue] - pydantic-settings reads them
        secrets = Secrets.load_or_create(home / KEY_FILE)
        return cls(place, settings, secrets, open_database(url))


@dataclass
class CrashBook:
    """One engine in this process, on a book that may be killed at any step."""

    parts: Parts
    fuse: Fuse
    tell: Callable[[Any], None]
    ids: Ids = field(default_factory=FreshIds)
    engine: Engine = field(init=False)
    clock: ManualClock = field(init=False)

    def __post_init__(self) -> None:
        plain = self.parts.database
        self.clock = ManualClock(FIRST_DAY)
        self.engine = Engine(
            self.parts.settings,
            FusedDatabase(plain.url, plain.engine, self.fuse),
            self.parts.secrets,
            FusedProcessor(self.parts.place.bank, self.fuse),
            clock=self.clock,
            ids=self.ids,
        )

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.parts.place

    # -- what people and time do

    def acknowledge(self, key: str, outcome: Outcome) -> Outcome:
        """Say that somebody was given an answer: from now on it must be true."""
        self.tell({"ack": [key, outcome.status, outcome.body]})
        return outcome

    async def ask(self, operation: Any, asked: Any, key: str) -> Outcome:
        """Ask the door under a key, and hand the answer on."""
        outcome = await self.engine.door.ask(Command(operation, asked, key))
        return self.acknowledge(key, outcome)

    async def customer(self, number: int) -> str:
        """Register a customer with one account; gives the customer's id."""
        account = take_number(account_number(number), self.engine.secrets, self.engine.ids)
        asked = CreateCustomer(
            f"Customer {number}", f"c{number}@example.org", None, "USD", (account,)
        )
        outcome = await self.engine.door.ask(Command(CREATE_CUSTOMER, asked))
        assert outcome.status == 201, outcome
        ident: str = outcome.value.id
        return ident

    async def advance(self, number: int, key: str, *, amount: int = 20_000) -> Outcome:
        """Ask for an advance that is paid back in two daily debits."""
        hashed = self.engine.secrets.keyed_hash(account_number(number))
        asked = BeginAdvance(hashed, amount, "USD", 2, 1, 0, None)
        return self.acknowledge(key, await perform_advance(self.engine, asked, key=key))

    def on_day(self, after: int) -> None:
        """Turn the clock, and the Processor's, to a day."""
        day = FIRST_DAY.toordinal() + after
        self.clock.turn_to(FIRST_DAY.date().fromordinal(day))
        bank = open_bank(self.place.folder)
        bank.set_date(self.clock.today())
        bank.log.close()

    async def run(self, key: str) -> Outcome:
        """Run the day it is."""
        outcome = await request_run(self.engine, None, key=key)
        assert outcome.status in (200, 201), outcome
        return self.acknowledge(key, outcome)

    async def rule_by_truth(self) -> int:
        """Let a person look up what became of each unknown transfer, and say so."""
        executed = {call.reference: call for call in self.calls() if call.is_executed}
        ruled = 0
        for item in self.items():
            assert item.kind is ItemKind.UNKNOWN, item
            assert item.transfer_id is not None
            call = executed.get(item.transfer_id)
            action = Action.CONFIRM_EXECUTED if call else Action.CONFIRM_NOT_EXECUTED
            ident = call.transaction_id if call else None
            ruling = Ruling(item.id, action, "looked it up", "ann", None, ident)
            outcome = await resolve_item(self.engine, ruling, key=f"rule-{item.id}")
            assert outcome.refusal is None, outcome
            ruled += 1
        return ruled

    # -- where things stand

    def items(self) -> list[Any]:
        """List the open operator items."""
        with self.engine.database.reader() as connection:
            return queries.list_items(connection, is_open=True, limit=1000)

    def calls(self) -> list[LoggedCall]:
        """List what really happened at the Processor."""
        bank = open_bank(self.place.folder)
        with closing(bank.log.read_calls()) as calls:
            found = list(calls)
        bank.log.close()
        return found

    def transfers(self) -> list[Transfer]:
        """List every transfer in the book."""
        with self.engine.database.reader() as connection:
            ids = list(connection.execute(select(TRANSFERS_TABLE.c.id)).scalars())
            found = (queries.find_transfer(connection, ident) for ident in ids)
            return [transfer for transfer in found if transfer is not None]


def account_number(number: int) -> str:
    """Make the n-th account number."""
    return f"CZ9999{number:012d}"


# -- the shape of a book: what must be the same at the end, whatever happened on the way

MOVED_ON = frozenset({
    "chain_heads", "commands", "entries", "events", "jobs", "runs", "mail_cursors",
    "processor_reports", "report_facts", "postings", "balances", "transfers", "installments",
    "operator_items", "row_seals",
})  # fmt: skip
"""Tables that keep how a book came to where it is, with a rail in between. Source: T4."""
_HEX = re.compile(r"[0-9a-f]{32,}")
NAMES_ITS_PROCESS = frozenset({"holder", "sender", "request_key", "transaction_id", "anchor"})


def shape_of(database: Database, calls: Sequence[LoggedCall], *, has_rail: bool) -> dict[str, Any]:
    """Say where a book stands, without ids, instants and hashes.

    Without a rail everything must be the same, row by row, but for when and under which ids it was
    written. With one it is balances, plans, advances, and the money that the Processor moved.
    """
    shape: dict[str, Any] = {}
    with database.reader() as connection:
        for table in METADATA.sorted_tables:
            if has_rail and table.name in MOVED_ON:
                continue
            if table.name in {"events", "commands", "chain_heads"}:
                continue
            columns = [
                column.name
                for column in table.columns
                if not isinstance(column.type, CHAR | HexId | Instant | LargeBinary)
                and column.name not in NAMES_ITS_PROCESS
                and not (has_rail and column.name in {"last_due_on", "rows_count"})
            ]
            wanted = f"SELECT {', '.join(columns) or 1} FROM {table.name}"
            if table.name == "advances":
                # One that never went out leaves nothing but its own row: it was asked for again.
                wanted += " WHERE status <> 'failed'"
            if table.name == "plans":
                wanted += " WHERE subject_id IN (SELECT id FROM advances WHERE status <> 'failed')"
            rows = connection.execute(text(wanted)).all()
            shape[table.name] = sorted(repr(tuple(map(_plain, row))) for row in rows)
        sums = connection.execute(
            text(
                "SELECT accounts.book, accounts.name, sum(postings.amount_minor) FROM postings"
                " JOIN accounts ON accounts.id = postings.account_id"
                " GROUP BY accounts.book, accounts.name"
            )
        ).all()
        shape["ledger"] = sorted(
            _plain(f"{'house' if name == 'house' else 'other'} {account} {int(amount)}")
            for name, account, amount in sums
            if amount
        )
    if has_rail:
        shape.pop("accounts")
        moved = Counter(
            f"{call.direction} {call.dst_bank_account} {call.amount_minor} {call.final_result}"
            for call in calls
            if call.is_executed
        )
        shape["moved"] = sorted(f"{count} x {what}" for what, count in moved.items())
    return shape


def _plain(value: Any) -> str:
    """Show a value; ids and hashes in a text are not what must be the same."""
    return _HEX.sub("#", str(value))
