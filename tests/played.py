"""A book that a test plays day by day, against a Processor that says what the test dictates.

The writes go through the real door into a real database. `Played` is to collection and advances
what the engine is to them in the program.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import select, text

from tallybook.advances import queries as advance_queries
from tallybook.advances.model import Advance, AdvanceTerms
from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.collection import queries
from tallybook.collection.model import Installment, Plan
from tallybook.collection.operations.sending import LEASE
from tallybook.collection.rules import Caps
from tallybook.collection.store import INSTALLMENTS_TABLE
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.tasks.run import RunDone, run_day
from tallybook.collection.tasks.switch import SendingGuard
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.customers.store import CREDITS_TABLE
from tallybook.db.engine import Database, open_database
from tallybook.ledger.model import Chart
from tallybook.ledger.store import ACCOUNTS, POSTINGS, LedgerJournal
from tallybook.processor.model import Action, ItemKind, OperatorItem, Transfer, TransferState
from tallybook.processor.port import (
    Direction,
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
    TransferOrder,
)
from tallybook.processor.sender import Sender
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome
from tests.making import DAY

T = TypeVar("T")

WINDOW = timedelta(days=4)


def accepted(order: TransferOrder) -> None:
    """Execute the order under an id of its own."""
    del order


@dataclass(slots=True)
class Call:
    """One order as it came in, and the id under which it was executed, if it was."""

    order: TransferOrder
    came_on: date
    executed_as: str | None


@dataclass(slots=True)
class DictatedProcessor:
    """Does what the test says, and accepts what it says nothing of.

    `says` decides a call: an id, an exception, or None for an id of its own. `told` are the rows
    of its reports: each shows on its day and the four after it.
    """

    clock: ManualClock
    says: Callable[[TransferOrder], str | Exception | None] = accepted
    calls: list[Call] = field(default_factory=list)
    told: list[tuple[date, str, str]] = field(default_factory=list)
    """Day, transaction id, and the rest of the row."""
    is_rich: bool = False
    report_is_missing: bool = False
    report_is_cut: bool = False

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        if not may_send():
            raise ProcessorRejected("lease_lost", refused_before_sending=True)
        said = self.says(order)
        ident = f"txn_{len(self.calls) + 1}"
        if isinstance(said, str):
            ident = said
        executed = None if isinstance(said, ProcessorRejected) else ident
        self.calls.append(Call(order, self.clock.today(), executed))
        if isinstance(said, Exception):
            raise said
        return ident

    async def download_report(self) -> bytes:
        if self.report_is_missing:
            raise ReportUnavailable("status_503")
        return self.report(self.clock.today())

    def report(self, day: date) -> bytes:
        """Write the report of a day."""
        lines = [
            f"{ident},{row}"
            for happened_on, ident, row in self.told
            if happened_on <= day <= happened_on + WINDOW
        ]
        header = "transaction_id,result"
        if self.is_rich:
            header += ",amount,account,direction"
        lines = [header, *lines]
        if not self.report_is_cut:
            lines.append(f"#end,{len(lines) - 1}")
        return "".join(f"{line}\n" for line in lines).encode()

    def tell(self, ident: str | None, result: str, *, on: date | None = None) -> None:
        """Let the reports say what became of a transaction."""
        assert ident is not None
        row = result
        if self.is_rich:
            order = next(call.order for call in self.calls if call.executed_as == ident)
            row += f",{order.amount},{order.dst_bank_account},{order.direction.value}"
        self.told.append((on or self.clock.today(), ident, row))

    async def available_balance(self, bank_account: str) -> str | None:
        del bank_account
        return None

    async def aclose(self) -> None:
        pass


def lost(order: TransferOrder) -> Exception:
    """Say nothing: whether it was executed nobody knows."""
    del order
    return ProcessorUnknown("reset")


def refused(order: TransferOrder) -> Exception:
    """Refuse the connection: nothing was sent."""
    del order
    return ProcessorRejected("connection_refused", refused_before_sending=True)


def rejected(order: TransferOrder) -> Exception:
    """Refuse the transfer, completely."""
    del order
    return ProcessorRejected("insufficient_funds", refused_before_sending=False)


class DatingProcessor(DictatedProcessor):
    """Says of each row when it happened, by a calendar of its own."""

    def report(self, day: date) -> bytes:
        rows = [f"{ident},{row}" for at, ident, row in self.told if at <= day <= at + WINDOW]
        header = "transaction_id,result,amount,account,direction,date"
        return "".join(f"{row}\n" for row in [header, *rows, f"#end,{len(rows)}"]).encode()


class Played:
    """One book, its clock and its Processor; `run()` plays one day."""

    def __init__(self, url: str, home: Path, *, caps: Caps | None = None, **terms: Any) -> None:
        self._url, self._home = url, home
        self.clock = ManualClock(datetime(DAY.year, DAY.month, DAY.day, 9, tzinfo=UTC))
        self.rail = DictatedProcessor(self.clock)
        self.secrets = Secrets.load_or_create(home / "key")
        self.ids = FreshIds()
        told: dict[str, Any] = {
            "currency": "USD",
            "min_minor": 1,
            "max_minor": 10**15,
            "on_failed_debit": "end_of_plan",
            "max_attempts": 0,
            "hold_days": 30,
        }
        self.advance_terms = AdvanceTerms(**(told | terms))
        self.is_live = False
        self.is_stopping = False
        self.database: Database = open_database(url)
        self.sending = SendingGuard(self.database, self.clock, caps=caps or Caps())
        self.door = self._open_door()
        self._runner = asyncio.Runner()

    # -- what tasks ask of an engine

    @property
    def processor(self) -> DictatedProcessor:
        return self.rail

    @property
    def sender(self) -> Sender:
        return Sender(
            self.rail,
            self.clock,
            house_account="HOUSE",
            currency=self.currency,
            lease=LEASE,
            is_open=self.sending.is_open,
        )

    @property
    def currency(self) -> str:
        return self.advance_terms.currency

    def go_on_from(self, day: date) -> None:
        """Turn the clock on, never back: a run may be ahead of it."""
        if day > self.clock.today():
            self.clock.turn_to(day)

    def _open_door(self) -> Door:
        return Door(self.database.open_writer, LedgerJournal(), self.clock, self.ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.close()
        if self.door.is_open:
            self.door.close()
        self.database.close()

    def reopen(self) -> None:
        """Do as a new process does: a new door on the same book."""
        self.door.close()
        self.door = self._open_door()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    # -- what people and time do

    def customer(self, number: str = "DE89370400440532013000") -> str:
        """Register a customer with one account; gives the customer's id."""
        asked = CreateCustomer(
            f"Customer {number}",
            f"{number}@example.org".lower(),
            None,
            "USD",
            (take_number(number, self.secrets, self.ids),),
        )
        outcome = self.door.ask_now(Command(CREATE_CUSTOMER, asked))
        assert outcome.status == 201, outcome
        customer_id: str = outcome.value.id
        return customer_id

    def advance(
        self,
        number: str = "DE89370400440532013000",
        *,
        amount: int = 1200,
        fee: int = 0,
        count: int = 12,
        key: str | None = None,
    ) -> Outcome:
        asked = BeginAdvance(self.secrets.keyed_hash(number), amount, "USD", count, 7, fee, None)
        return self.wait(perform_advance(self, asked, key=key))

    def run(self, days: int = 0) -> RunDone:
        """Turn the clock on by so many days, and run the day it then is."""
        self.clock.advance(days=days)
        return self.wait(run_day(self))

    def run_until(self, after: int) -> None:
        """Run every day up to so many days after the first."""
        while (self.clock.today() - DAY).days < after:
            self.run(1)

    def rule(
        self,
        kind: ItemKind,
        action: Action,
        *,
        transfer: Transfer | None = None,
        transaction_id: str | None = None,
    ) -> Outcome:
        """Let a person rule on the one open item of a kind."""
        (item,) = self.items(kind)
        named = transfer.id if transfer else None
        ruling = Ruling(item.id, action, "because", "ann", named, transaction_id)
        return self.wait(resolve_item(self, ruling))

    # -- what the book says

    def items(self, kind: ItemKind | None = None) -> list[OperatorItem]:
        """List the open items."""
        with self.database.reader() as connection:
            return queries.list_items(connection, is_open=True, kind=kind, limit=1000)

    def advances(self) -> list[Advance]:
        with self.database.reader() as connection:
            found = advance_queries.list_advances(connection, limit=1000)
        return [advance for advance, _ in reversed(found)]

    def whole(self, which: int = 0) -> advance_queries.WholeAdvance:
        with self.database.reader() as connection:
            found = advance_queries.find_advance(connection, self.advances()[which].id)
        assert found is not None
        return found

    def plan(self, which: int = 0) -> Plan:
        return self.whole(which).plan

    def rows(self, which: int = 0) -> dict[int, Installment]:
        return {row.number: row for row in self.whole(which).rows}

    def debits(self, which: int = 0) -> list[Transfer]:
        return [each for each in self.whole(which).transfers if each.is_debit]

    def credit_transfer(self, which: int = 0) -> Transfer:
        return next(each for each in self.whole(which).transfers if not each.is_debit)

    def debit_of(self, number: int, which: int = 0) -> Transfer:
        """Give the last debit of a row."""
        return [each for each in self.debits(which) if each.installment_number == number][-1]

    def customer_credit(self) -> int:
        """Add up what the house holds for customers."""
        with self.database.reader() as connection:
            found = connection.execute(select(CREDITS_TABLE.c.credit_minor)).scalars()
            return sum(found)

    def balances(self, subject_id: str | None = None) -> dict[str, int]:
        """Add up postings by account, of one subject or all; what is zero is left out."""
        wanted = select(ACCOUNTS.c.name, POSTINGS.c.amount_minor).join(
            ACCOUNTS, ACCOUNTS.c.id == POSTINGS.c.account_id
        )
        if subject_id is not None:
            wanted = wanted.where(POSTINGS.c.subject_id == subject_id)
        sums: dict[str, int] = {}
        with self.database.reader() as connection:
            for name, amount in connection.execute(wanted):
                sums[name] = sums.get(name, 0) + amount
        return {name: amount for name, amount in sums.items() if amount}

    def entry_kinds(self) -> list[str]:
        with self.database.reader() as connection:
            return list(connection.execute(text("SELECT kind FROM entries ORDER BY seq")).scalars())

    def is_settled(self, held: Mapping[Chart, int]) -> bool:
        """Tell whether the house's accounts hold exactly this, and nothing else."""
        return self.balances() == {chart.value: amount for chart, amount in held.items() if amount}

    # -- common beginnings

    def pay_out(self, **told: Any) -> None:
        """Make an advance whose credit succeeds on the next day, and run that day."""
        self.customer()
        self.advance(**told)
        self.rail.tell(self.credit_transfer().transaction_id, "success")
        self.run(1)

    def collect(self, *numbers: int, result: str = "success") -> None:
        """Run days until each of the rows has been sent and its result has been reported."""
        for number in numbers:
            while not self._is_sent(number):
                self.run(1)
            self.rail.tell(self.debit_of(number).transaction_id, result)
        self.run(1)

    def _is_sent(self, number: int) -> bool:
        """Look at a row of the first advance only, for this is asked after every day."""
        columns = INSTALLMENTS_TABLE.c
        first = select(columns.subject_id).order_by(columns.subject_id).limit(1)
        wanted = select(columns.state).where(
            columns.subject_id == first.scalar_subquery(), columns.number == number
        )
        with self.database.reader() as connection:
            return connection.execute(wanted).scalar() == "sent"


def directions(calls: Sequence[Call]) -> list[Direction]:
    return [call.order.direction for call in calls]


def debits_lost(order: TransferOrder) -> Exception | None:
    """Lose the answer of every debit, which is executed all the same."""
    return ProcessorUnknown("reset") if order.direction is Direction.DEBIT else None


def lose_the_first_debit(book: Played) -> str:
    """Pay out by rich reports and lose row 1's answer; gives the id it was executed under."""
    book.rail.is_rich = True
    book.pay_out()
    executed = lose_the_next_debit(book, 7)
    assert book.debit_of(1).state is TransferState.UNKNOWN
    return executed


def lose_the_next_debit(book: Played, due: int) -> str:
    """Lose the answer of the debit that is due on a day; gives the id it was executed under."""
    book.rail.says = debits_lost
    book.run_until(due)
    book.rail.says = accepted
    executed = book.rail.calls[-1].executed_as
    assert executed is not None
    return executed
