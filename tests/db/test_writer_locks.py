"""A row that a command changes is locked, also where the command forgot to ask for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tallybook.collection.model import Job
from tallybook.collection.store import JOBS
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Decision, Event, Index, Moment, Needs, Reply, View
from tests.db.test_writer import LONG_AGO, NOBODY, Book, count

JOB_BY_NAME = Index(JOBS, ("name",))


class CarelessOperation:
    """Counts on a row that it has only looked up, and never locks."""

    name = "test.careless"

    def needs(self, command: str, seen: View) -> Needs:
        del seen
        return Needs(look_up=((JOB_BY_NAME, command),))

    def decide(self, view: View, command: str, moment: Moment, ids: Ids) -> Decision | Refusal:
        del ids, moment
        row = view.one(JOB_BY_NAME, command)
        assert row is not None
        after = Job(command, None, None, str(int(row.holder) + 1), LONG_AGO)
        event = Event("test.counted", NOBODY, {"name": command})
        return Decision(changed=((JOBS, after),), events=(event,), reply=Reply(200, {}))


@pytest.fixture
def postgres_book(postgres_book_url: str) -> Iterator[Book]:
    yield from Book.checked(postgres_book_url)


def test_what_was_only_looked_at_is_locked_before_it_is_changed(postgres_book: Book) -> None:
    doors = [postgres_book.door() for _ in range(3)]
    assert doors[0].ask_now(count("careless", key="first")).status == 200

    def storm(door: Door) -> list[int]:
        return [door.ask_now(Command(CarelessOperation(), "careless")).status for _ in range(60)]

    with ThreadPoolExecutor(3) as pool:
        statuses = [status for result in pool.map(storm, doors) for status in result]
    assert statuses == [200] * 180
    assert postgres_book.counted("careless") == 181, "none was decided on what another changed"
