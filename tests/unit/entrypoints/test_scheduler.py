"""The daily run is woken at its hour, whatever the clock does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.entrypoints.scheduler import Scheduler
from tallybook.kernel.progress import Progress, Stopped
from tallybook.kernel.refusal import Refusal, Refused

pytestmark = pytest.mark.anyio


class Book:
    """What the scheduler sees of a book: which date was run last."""

    def __init__(self, last: date | None = None) -> None:
        self.last = last
        self.runs: list[date] = []
        self.fails_with: list[Exception] = []
        self.ran = asyncio.Event()
        self.done = asyncio.Event()

    async def last_run(self) -> date | None:
        return self.last

    async def run_day(self, day: date, progress: Progress) -> None:
        del progress
        self.runs.append(day)
        self.ran.set()
        if self.fails_with:
            raise self.fails_with.pop(0)
        self.last = day
        self.done.set()


def make(
    book: Book,
    at: datetime,
    *,
    zone: str = "UTC",
    hour: int = 6,
    run_day: Callable[[date, Progress], Awaitable[None]] | None = None,
) -> tuple[Scheduler, ManualClock]:
    clock = ManualClock(at, zone)
    scheduler = Scheduler(
        clock=clock,
        zone=zone,
        hour=hour,
        last_run=book.last_run,
        run_day=run_day or book.run_day,
        look_seconds=0.01,
    )
    return scheduler, clock


def utc(*parts: int) -> datetime:
    year, month, day, hour, minute = (*parts, 0, 0)[:5]
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "hour", "due"),
    [
        (utc(2026, 3, 2, 5, 59), "UTC", 6, date(2026, 3, 1)),
        (utc(2026, 3, 2, 6, 0), "UTC", 6, date(2026, 3, 2)),
        (utc(2026, 3, 2, 0, 0), "UTC", 0, date(2026, 3, 2)),
        (utc(2026, 3, 1, 20, 0), "Asia/Kolkata", 1, date(2026, 3, 2)),
        (utc(2026, 3, 1, 19, 0), "Asia/Kolkata", 1, date(2026, 3, 1)),
        # 02:00 does not exist on that Sunday: the run starts at 03:00, which is the same instant.
        (utc(2026, 3, 29, 0, 59), "Europe/Berlin", 2, date(2026, 3, 28)),
        (utc(2026, 3, 29, 1, 0), "Europe/Berlin", 2, date(2026, 3, 29)),
        # 02:30 exists twice on that one: both belong to the same date.
        (utc(2026, 10, 25, 0, 30), "Europe/Berlin", 2, date(2026, 10, 25)),
        (utc(2026, 10, 25, 1, 30), "Europe/Berlin", 2, date(2026, 10, 25)),
    ],
)
async def test_a_date_is_due_once_its_hour_has_come(
    now: datetime, zone: str, hour: int, due: date
) -> None:
    scheduler, _ = make(Book(), now, zone=zone, hour=hour)
    assert scheduler.due() == due


async def test_each_date_is_run_once() -> None:
    book = Book(last=date(2026, 3, 1))
    scheduler, clock = make(book, utc(2026, 3, 2, 5, 0))
    for _ in range(30):
        await scheduler.look()
        clock.advance(hours=1)
    assert book.runs == [date(2026, 3, 2), date(2026, 3, 3)]


async def test_a_new_book_waits_for_the_first_hour_that_comes() -> None:
    book = Book()
    scheduler, clock = make(book, utc(2026, 3, 2, 15, 0))
    await scheduler.look()
    assert book.runs == []
    clock.advance(hours=15)
    await scheduler.look()
    assert book.runs == [date(2026, 3, 3)]


async def test_after_an_outage_the_latest_date_is_asked_for() -> None:
    """The run itself catches the missed ones up: it knows them, and in which order."""
    book = Book(last=date(2026, 3, 1))
    scheduler, _ = make(book, utc(2026, 3, 9, 3, 0))
    await scheduler.look()
    assert book.runs == [date(2026, 3, 8)]


async def test_a_clock_that_goes_back_runs_nothing_twice() -> None:
    book = Book(last=date(2026, 3, 1))
    scheduler, clock = make(book, utc(2026, 3, 2, 7, 0))
    await scheduler.look()
    clock.advance(days=-3)
    await scheduler.look()
    clock.advance(days=3)
    await scheduler.look()
    assert book.runs == [date(2026, 3, 2)]


@pytest.mark.parametrize("error", [RuntimeError("x"), Refused(Refusal("run_in_progress"))])
async def test_a_run_that_broke_is_tried_again(error: Exception) -> None:
    book = Book(last=date(2026, 3, 1))
    book.fails_with = [error]
    scheduler, _ = make(book, utc(2026, 3, 2, 7, 0))
    serving = asyncio.create_task(scheduler.serve())
    async with asyncio.timeout(5):
        await book.done.wait()
    scheduler.stop()
    await serving
    assert book.runs == [date(2026, 3, 2)] * 2


async def test_a_date_that_may_not_be_run_yet_is_asked_for_once_a_day(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A clock that was ahead left a run of a later date unfinished, and that goes first."""
    book, looks = Book(last=date(2026, 3, 1)), 0
    details = {"today": "2026-03-02", "business_date": "2026-03-03"}
    book.fails_with = [Refused(Refusal("run_in_future", details=details))]
    scheduler, clock = make(book, utc(2026, 3, 2, 7, 0))
    enough = asyncio.Event()

    async def last_run() -> date | None:
        nonlocal looks
        looks += 1
        if looks > 5:
            enough.set()
        return book.last

    scheduler._last_run = last_run
    serving = asyncio.create_task(scheduler.serve())
    async with asyncio.timeout(5):
        await enough.wait()
        assert book.runs == [date(2026, 3, 2)]
        clock.advance(days=1)
        await book.done.wait()
    scheduler.stop()
    await serving
    assert book.runs == [date(2026, 3, 2), date(2026, 3, 3)]
    (told,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert vars(told)["business_date"] == "2026-03-03"


async def test_stopping_ends_the_wait_at_once() -> None:
    book = Book(last=date(2026, 3, 1))
    scheduler, _ = make(book, utc(2026, 3, 2, 7, 0))
    scheduler._look_seconds = 3_600
    serving = asyncio.create_task(scheduler.serve())
    await book.ran.wait()
    scheduler.stop()
    async with asyncio.timeout(5):
        await serving


async def test_stopping_ends_a_run_between_two_items() -> None:
    book, told = Book(last=date(2026, 3, 1)), 0

    async def run_day(day: date, progress: Progress) -> None:
        nonlocal told
        progress.begin("send", 1_000)
        for _ in range(1_000):
            book.ran.set()
            await asyncio.sleep(0.001)
            told += 1
            progress.advance()
        book.runs.append(day)

    scheduler, _ = make(book, utc(2026, 3, 2, 7, 0), run_day=run_day)
    serving = asyncio.create_task(scheduler.serve())
    await book.ran.wait()
    scheduler.stop()
    async with asyncio.timeout(5):
        await serving
    assert 1 <= told < 1_000
    assert book.runs == []


async def test_a_run_is_not_begun_any_more_once_stopped() -> None:
    async def run_day(day: date, progress: Progress) -> None:
        del day
        progress.begin("report")

    scheduler, _ = make(Book(last=date(2026, 3, 1)), utc(2026, 3, 2, 7, 0), run_day=run_day)
    scheduler.stop()
    with pytest.raises(Stopped):
        await scheduler.look()
