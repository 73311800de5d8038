"""The demo's course: customers come, advances go out on their days, and every day is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby

from pydantic_core import from_json
from sqlalchemy import func, select

from tallybook.advances.store import ADVANCES_TABLE
from tallybook.advances.tasks.import_lines import AdvanceLine
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock
from tallybook.collection.tasks.run import run_day
from tallybook.customers.tasks import register_accounts
from tallybook.entrypoints.demo.bank import Bank
from tallybook.entrypoints.demo.operator import COMES_ON, Operator
from tallybook.entrypoints.engine import Engine
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import parse_id
from tallybook.kernel.progress import Progress

DAYS_MOST = 1_000
"""After the last advance. A course that is not at its end by then never will be."""
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Course:
    """What happened, day by day."""

    engine: Engine
    clock: ManualClock
    bank: Bank
    operator: Operator
    progress: Progress
    lines: Sequence[AdvanceLine]
    days: int = 0
    performed_again: int = 0
    is_at_its_end: bool = False
    _lines: dict[str, AdvanceLine] = field(default_factory=dict)
    """Which line an advance came from, by its id."""

    @property
    def first_on(self) -> date:
        """Tell the date of the first advance."""
        return _day_of(self.lines[0])

    @property
    def last_on(self) -> date:
        """Tell the date of the last advance in the file."""
        return _day_of(self.lines[-1])

    async def run(self) -> None:
        """Let the days pass until nothing is owed, in flight or waiting for a person."""
        await self._register()
        by_day: Mapping[date, list[AdvanceLine]] = {
            day: list(lines) for day, lines in groupby(self.lines, _day_of)
        }
        self.progress.begin("business days", (self.last_on - self.first_on).days + 1)
        day = self.first_on
        while not self.is_at_its_end and (day - self.last_on).days < DAYS_MOST:
            self.clock.turn_to(day)
            self.bank.set_date(day)
            await run_day(self.engine, day)
            for line in by_day.get(day, ()):
                await self._perform(line)
            if day.weekday() == COMES_ON:
                for advance_id in await self.operator.come_in(day):
                    self.performed_again += 1
                    await self._perform(self._lines[advance_id], again=self.performed_again)
                self.is_at_its_end = day > self.last_on and self._is_over(day)
            self.days += 1
            self.progress.advance()
            if day == self.last_on:
                self.progress.begin("days until all is settled")
            day += _DAY

    async def _register(self) -> None:
        accounts = [line.account for line in self.lines if line.account is not None]
        self.progress.begin("customers", len(accounts))
        refused = await register_accounts(self.engine, accounts)
        assert not any(refused), "the demo's customers are in order"
        self.progress.advance(len(accounts))

    async def _perform(self, line: AdvanceLine, *, again: int = 0) -> None:
        """Perform an advance; one that was never executed is performed again, as a new one."""
        key = f"demo.{line.key}.{again}"
        asked = replace(line.asked, effective_on=self.clock.today(), is_import=False)
        outcome = await perform_advance(self.engine, asked, key=key)
        assert outcome.refusal is None, outcome.refusal
        ident = parse_id("adv", from_json(outcome.body)["id"])
        assert ident is not None
        self._lines[ident] = line

    def _is_over(self, day: date) -> bool:
        columns = ADVANCES_TABLE.c
        wanted = select(func.count()).where(columns.status.in_(("pending", "active", "in_default")))
        with self.engine.database.reader() as connection:
            unfinished = connection.execute(wanted).scalar_one()
        if unfinished or self.operator.list_open():
            return False
        return self.bank.last_news_on() <= day


def _day_of(line: AdvanceLine) -> date:
    day = line.asked.effective_on
    assert day is not None, "a file of advances names the day of each"
    return day
