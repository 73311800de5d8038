"""A book with a rail to import files into, and what really happened at its Processor."""

import io
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from tallybook.advances.tasks.importing import ImportSummary, import_advances
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.collection.queries import list_items
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer, take_number
from tallybook.db.metadata import METADATA
from tallybook.entrypoints.engine import Engine
from tallybook.kernel.progress import NO_PROGRESS, Progress, Stopped
from tallybook.kernel.refusal import Refusal
from tallybook.processor.faults import Faults
from tallybook.processor.model import OperatorItem
from tallybook.processor.port import Processor
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.writer.model import Command

TODAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
HEAD = "bank_account,customer_name,customer_email,amount,effective_on"


def account(number: int) -> str:
    return f"CZ9999{number:012d}"


def line(number: int, *, amount: str = "1200.00", day: str = "2020-05-04") -> str:
    """Write a line for the n-th customer, who is registered with it."""
    return f"{account(number)},Customer {number},c{number}@example.org,{amount},{day}"


def a_file(numbers: Iterable[int]) -> str:
    return "\n".join([HEAD, *(line(number) for number in numbers), ""])


@dataclass
class Importing:
    """An engine to import into."""

    engine: Engine
    simulator: SimulatedProcessor
    refusals: dict[int, Refusal] = field(default_factory=dict)
    """Of the last import, by line."""

    async def bring(
        self, content: str | bytes, *, progress: Progress = NO_PROGRESS
    ) -> ImportSummary:
        """Import a file."""
        self.refusals = {}
        raw = content.encode() if isinstance(content, str) else content
        return await import_advances(
            self.engine, io.BytesIO(raw), progress=progress, when_refused=self.refusals.__setitem__
        )

    @property
    def codes(self) -> dict[int, str]:
        """Give the code of each refusal of the last import, by line."""
        return {number: refusal.code for number, refusal in self.refusals.items()}

    async def register(self, number: int) -> None:
        """Register a customer by another way than an import."""
        taken = take_number(account(number), self.engine.secrets, self.engine.ids)
        asked = CreateCustomer(f"C {number}", f"c{number}@example.org", None, "USD", (taken,))
        assert (await self.engine.door.ask(Command(CREATE_CUSTOMER, asked))).status == 201

    def executed(self) -> Counter[str]:
        """Count the transfers that were executed, by account."""
        return Counter(call.dst_bank_account for call in self.simulator.truth().transfers)

    def items(self, *, is_open: bool | None = True) -> list[OperatorItem]:
        with self.engine.database.reader() as connection:
            return list_items(connection, is_open=is_open, limit=10_000)

    def rows(self) -> dict[str, int]:
        """Count the rows of every table."""
        with self.engine.database.reader() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in METADATA.sorted_tables
            }


@asynccontextmanager
async def importing(
    url: str, home: Path, *, faults: str = "", processor: Processor | None = None, **told: Any
) -> AsyncGenerator[Importing]:
    """Open a migrated book with a simulated Processor, or one of the test's own.

    `told` are settings. A book that collects in another currency is opened all the same.
    """
    clock = ManualClock(TODAY)
    simulator = SimulatedProcessor(
        home / "truth.db", seed=5, clock=clock, faults=Faults.parse(faults)
    )
    settings = Settings(database_url=url, home=home, _env_file=None, **told)  # pyright: ignore[reportCallIssue] - pydantic-settings reads them
    engine = Engine.open(
        settings, clock=clock, processor=processor or simulator, sends_nothing="currency" in told
    )
    try:
        yield Importing(engine, simulator)
    finally:
        await engine.aclose()
        simulator.log.close()


class StopAfter:
    """Somebody who watches, and has seen enough after so many lines."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def begin(self, step: str, total: int | None = None) -> None:
        del step, total

    def advance(self, count: int = 1) -> None:
        self.left -= count
        if self.left <= 0:
            raise Stopped
