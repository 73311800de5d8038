"""The bank test: clients of several processes move money among accounts while readers add it up.

An account is a row that every transfer out of or into it locks and never changes; what it holds is
kept in one share for each process, so that nothing but that lock keeps two of them from paying out
the same money. Each transfer goes through the real door and posts its entry in the ledger.

`python -m tests.races.bank URL SECONDS LEVEL` is a process without threads that forks the others.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, create_engine, text

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.collection.model import Job
from tallybook.collection.store import JOBS
from tallybook.db.dialect import Insert, Select, Step, Tx, Update, WriteConnection
from tallybook.db.engine import Database, open_database
from tallybook.db.postgresql import PostgresConnection
from tallybook.db.tables import RowMap
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tallybook.writer.model import (
    Command,
    Decision,
    Event,
    Index,
    Journal,
    Moment,
    Needs,
    Reply,
    Shelf,
    View,
)
from tallybook.writer.store import EVENT_ROWS, HEAD_ROWS, SEAL_ROWS, ChainHead
from tests.crash.children import Tell, fork_all

ACCOUNTS, PROCESSES, CLIENTS = 8, 4, 4
READERS, READ_PAUSE = 2, 0.005
EACH = 20
"""What each account has at first. Little, so that it is often paid out to the last cent."""
TOTAL = ACCOUNTS * EACH
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = "0" * 32

READ_COMMITTED, REPEATABLE_READ = "read committed", "repeatable read"


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has paid into an account, less what it has paid out of it."""

    account: int
    process: int
    minor: int


SHARES_TABLE = Table(
    "bank_shares",
    MetaData(),
    Column("account", Integer, primary_key=True),
    Column("process", Integer, primary_key=True),
    Column("minor", BigInteger, nullable=False),
)
SHARES = Shelf(RowMap(SHARES_TABLE, Share, key=("account", "process")), rank=6)
SHARES_OF = Index(SHARES, ("account",))


@dataclass(frozen=True, slots=True)
class Move:
    """Money from one account to another, moved by one process."""

    process: int
    source: int
    target: int
    minor: int


class MoveOperation:
    """Moves money, unless the account does not hold it."""

    name = "test.bank.move"

    def __init__(self, *, posts: bool) -> None:
        self._posts = posts

    def needs(self, command: Move, seen: View) -> Needs:
        del seen
        both = command.source, command.target
        return Needs(
            lock=tuple((JOBS, f"account {account}") for account in both),
            read=tuple((SHARES_OF, account) for account in both),
        )

    def decide(self, view: View, command: Move, moment: Moment, ids: Ids) -> Decision | Refusal:
        del ids
        shares = {
            account: {share.process: share for share in view.rows(SHARES_OF, account)}
            for account in (command.source, command.target)
        }
        if sum(share.minor for share in shares[command.source].values()) < command.minor:
            return Refusal("amount_invalid")
        out = shares[command.source][command.process]
        into = shares[command.target][command.process]
        postings = (
            Posting(f"bank:{command.source}", -command.minor, "USD"),
            Posting(f"bank:{command.target}", command.minor, "USD"),
        )
        return Decision(
            changed=(
                (SHARES, replace(out, minor=out.minor - command.minor)),
                (SHARES, replace(into, minor=into.minor + command.minor)),
            ),
            entries=(Entry("test.bank", moment.today, postings),) if self._posts else (),
            events=(Event("test.bank.moved", NOBODY, {}),),
            reply=Reply(200, {}),
        )


class OpenOperation:
    """Opens all accounts."""

    name = "test.bank.open"

    def needs(self, command: str, seen: View) -> Needs:
        del command, seen
        return Needs()

    def decide(self, view: View, command: str, moment: Moment, ids: Ids) -> Decision:
        del view, command, moment, ids
        jobs = [Job(f"account {n}", None, None, "nobody", LONG_AGO) for n in range(ACCOUNTS)]
        shares = [
            Share(account, process, 0 if process else EACH)
            for account in range(ACCOUNTS)
            for process in range(PROCESSES)
        ]
        return Decision(
            added=(*((JOBS, job) for job in jobs), *((SHARES, share) for share in shares)),
            events=(Event("test.bank.opened", NOBODY, {}),),
        )


# -- the canary: the same transfers at REPEATABLE READ, without the rows that all commits change


class _Chainless:
    """A transaction that leaves the chain and the seals be.

    Every commit locks and changes the chain's head, which at REPEATABLE READ makes PostgreSQL
    refuse whoever decided on an older state. Without it nothing does.
    """

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def run(
        self, steps: Sequence[Step], meanwhile: Callable[[], None] | None = None
    ) -> list[list[Any]]:
        found = self._tx.run([step for step in steps if not _is_chain(step)], meanwhile)
        answers = iter(found)
        head = ChainHead("book", 0, "", 0, "", 0)
        return [
            next(answers) if not _is_chain(step) else [head] if step.rows is HEAD_ROWS else []
            for step in steps
            if isinstance(step, Select)
        ]

    def commit(self, steps: Sequence[Step] = ()) -> None:
        self._tx.commit([step for step in steps if not _is_chain(step)])

    def rollback(self) -> None:
        self._tx.rollback()


_CHAIN = (HEAD_ROWS, EVENT_ROWS, SEAL_ROWS)


def _is_chain(step: Step) -> bool:
    return isinstance(step, Select | Insert | Update) and step.rows in _CHAIN


class _StaleConnection(PostgresConnection):
    def begin(self) -> Tx:
        return _Chainless(super().begin())

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        connection = super()._connect()
        connection.execute("SET default_transaction_isolation = 'repeatable read'")
        return connection


def _writer(database: Database, level: str) -> Callable[[], WriteConnection]:
    if level != REPEATABLE_READ:
        return database.open_writer
    conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return lambda: _StaleConnection(conninfo)


# -- the run


def open_bank(url: str) -> None:
    """Make the accounts in a migrated book."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    SHARES_TABLE.create(engine)
    engine.dispose()
    database = open_database(url)
    door = _door(database, database.open_writer)
    assert door.ask_now(Command(OpenOperation(), "all")).refusal is None
    door.close()
    database.close()


def _door(database: Database, connect: Callable[[], WriteConnection]) -> Door:
    journal: Journal = LedgerJournal()
    return Door(connect, journal, SystemClock(), FreshIds())


def client_process(url: str, number: int, seconds: float, level: str, tell: Tell) -> None:
    """Move money with a few clients and add it up with a reader, for some time."""
    database = open_database(url)
    door = _door(database, _writer(database, level))
    operation = MoveOperation(posts=level != REPEATABLE_READ)
    until = time.monotonic() + seconds
    done = threading.Event()

    def move(client: int) -> tuple[int, int]:
        dice = random.Random(number * 100 + client)
        moved = refused = 0
        while time.monotonic() < until:
            source, target = dice.sample(range(ACCOUNTS), 2)
            asked = Move(number, source, target, dice.randrange(1, EACH))
            outcome = door.ask_now(Command(operation, asked))
            moved += outcome.refusal is None
            refused += outcome.refusal is not None
        return moved, refused

    def watch() -> tuple[int, list[str]]:
        reads, wrong = 0, []
        while number < READERS and not done.wait(READ_PAUSE):
            wrong += look(database, has_ledger=level != REPEATABLE_READ)
            reads += 1
        return reads, wrong

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        watching = pool.submit(watch)
        counts = list(pool.map(move, range(CLIENTS)))
        done.set()
        reads, wrong = watching.result()
    door.close()
    database.close()
    moved, refused = (sum(column) for column in zip(*counts, strict=True))
    tell({"moved": moved, "refused": refused, "reads": reads, "wrong": wrong[:20],
          "wrong_count": len(wrong)})  # fmt: skip


def look(database: Database, *, has_ledger: bool) -> list[str]:
    """Add all accounts up; says what can't be."""
    wrong: list[str] = []
    with database.reader() as connection:
        held = dict(
            connection.execute(
                text("SELECT account, sum(minor) FROM bank_shares GROUP BY account")
            ).all()
        )
    if sum(held.values()) != TOTAL:
        wrong.append(f"the accounts hold {sum(held.values())} instead of {TOTAL}")
    wrong += [f"account {account} holds {sum_}" for account, sum_ in held.items() if sum_ < 0]
    if not has_ledger:
        return wrong
    with database.snapshot() as connection:
        both = connection.execute(_BOTH).all()
    wrong += [f"account {row[0]} holds {row[1]}, booked {row[2]}" for row in both
              if row[1] != EACH + row[2]]  # fmt: skip
    return wrong


_BOTH = text(
    "SELECT held.account, held.minor, coalesce(booked.minor, 0) FROM"
    " (SELECT account, sum(minor) AS minor FROM bank_shares GROUP BY account) AS held LEFT JOIN"
    " (SELECT accounts.name AS name, sum(debit_minor) - sum(credit_minor) AS minor"
    "  FROM accounts JOIN balances ON balances.account_id = accounts.id GROUP BY accounts.name)"
    " AS booked ON booked.name = concat('bank:', held.account)"
)


def main() -> None:
    """Run the bank for so many seconds, and print what was seen as JSON."""
    url, seconds, level = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    ended = fork_all(
        [
            lambda tell, number=number: client_process(url, number, seconds, level, tell)
            for number in range(PROCESSES)
        ]
    )
    print(json.dumps([each.said[-1] if each.said else {"signal": each.signal} for each in ended]))


if __name__ == "__main__":
    main()
