"""Worked examples: what nobody knows is never collected again on a guess.

Each of these collected a row twice, or counted as collected what was not. Source: P4-P7, A9-A11.
"""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from tallybook.collection import queries
from tallybook.collection.operations.runs import DAILY
from tallybook.collection.operations.transfers import RECORD_ANSWER, Answer, RecordAnswer
from tallybook.collection.queries import find_job
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.run import run_day
from tallybook.entrypoints.scheduler import Scheduler
from tallybook.kernel.progress import Progress
from tallybook.ledger.store import ENTRIES
from tallybook.processor.model import Action, ItemKind, TransferState
from tallybook.processor.port import ProcessorRejected
from tallybook.processor.rules import CONTESTED
from tallybook.writer.model import Command
from tests.making import day
from tests.played import (
    DatingProcessor,
    Played,
    accepted,
    debits_lost,
    lose_the_first_debit,
    lose_the_next_debit,
)

pytestmark = pytest.mark.played

S = TransferState
OTHER = "GB29NWBK60161331926819"


def look(book: Played, at: datetime, hour: int) -> None:
    """Let the scheduler look at the clock once, as a server does."""

    async def run(asked: date, progress: Progress) -> object:
        return await run_day(book, asked, progress=progress)

    async def last() -> date | None:
        with book.database.reader() as connection:
            job = find_job(connection, DAILY)
        return job and (job.last_finished_on or day(-1))

    book.clock.advance(seconds=(at - book.clock.now()).total_seconds())
    scheduler = Scheduler(clock=book.clock, zone="UTC", hour=hour, last_run=last, run_day=run)
    book.wait(scheduler.look())


def at(after: int, hour: int, minute: int = 0) -> datetime:
    return datetime.fromisoformat(f"{day(after)}T{hour:02d}:{minute:02d}:00+00:00")


# -- a date that is over: A11, T4, decision 0005


def test_a_date_that_is_over_takes_no_report_whoever_asks_for_it(book: Played) -> None:
    """After an outage the scheduler asks for yesterday, as its hour of today has not come."""
    book.is_live = True
    book.pay_out()
    book.run_until(8)
    book.rail.tell(book.debit_of(1).transaction_id, "success", on=day(9))
    look(book, at(14, 2), hour=6)
    assert len(book.debits()) == 1, "nothing is sent on a date that is over"
    assert book.debit_of(1).state is S.ACCEPTED, "no report covers the days it may have been on"
    look(book, at(14, 6), hour=6)
    assert [item.kind for item in book.items()] == [ItemKind.GAP]
    assert len(book.debits()) == 2
    for number in range(2, 13):
        book.collect(number)
    book.run_until(140)
    assert len(book.debits()) == 12, "row 1 was collected, and nothing goes out in its place"


def test_dates_that_are_over_asked_for_one_by_one_send_nothing(book: Played) -> None:
    book.is_live = True
    book.customer()
    for which in range(3):
        book.advance()
        book.rail.tell(book.credit_transfer(which).transaction_id, "success")
    book.run(1)
    book.clock.advance(days=12)
    before = len(book.rail.calls)
    for after in range(2, 14):
        book.wait(run_day(book, day(after)))
    assert len(book.rail.calls) - before == 1, "one a run, however many dates were missed (A11)"


def test_a_run_that_died_in_the_evening_is_finished_without_sending(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.is_live = True
    book.pay_out()
    book.run_until(6)

    async def die(rail: object) -> bytes:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(type(book.rail), "download_report", die)
        with pytest.raises(RuntimeError):
            look(book, at(7, 23, 50), hour=6)
    look(book, at(8, 0, 20), hour=6)
    assert book.debits() == [], "the day that is over sends nothing"
    look(book, at(8, 6), hour=6)
    assert [debit.sent_on for debit in book.debits()] == [day(8)]


def test_sending_stops_at_midnight(book: Played) -> None:
    """What is left goes out with the new day's run, and counts as sent on that day."""
    for number in range(3):
        account = f"DE00{number:08d}"
        book.customer(account)
        book.advance(account)
        book.rail.tell(book.credit_transfer(number).transaction_id, "success")
    book.run(1)
    book.run_until(6)
    book.clock.advance(days=1)
    report = book.rail.download_report

    async def slow(rail: object) -> bytes:
        raw = await report()
        book.clock.advance(days=1)
        return raw

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(book.rail), "download_report", slow)
        summary = book.run().view["summary"]
    assert summary["report"] == {"status": "unavailable", "reason": "date_over"}
    assert summary["sending_stopped"] == "missed"
    book.run()
    assert {debit.sent_on for which in range(3) for debit in book.debits(which)} == {day(8)}


def test_nothing_is_ruled_absent_before_todays_report_is_read(book: Played) -> None:
    """The server is down on the day on which a report shows row 1 for the first time."""
    executed = lose_the_first_debit(book)
    book.run_until(12)
    book.rail.tell(executed, "success", on=day(13))
    book.clock.advance(days=2)
    book.run()
    assert book.debit_of(1).state is S.SUCCEEDED
    assert {debit.installment_number for debit in book.debits()} == {1, 2}


# -- collisions: P7


def collide(book: Played) -> str:
    """Answer row 2 with the id of row 1, which has been collected; gives that id."""
    book.rail.is_rich = True
    book.pay_out()
    book.collect(1)
    taken = book.debit_of(1).transaction_id
    assert taken is not None
    book.rail.says = lambda _order: taken
    book.run_until(14)
    book.rail.says = accepted
    return taken


def test_a_transfer_that_was_answered_with_anothers_id_is_never_ruled_absent(book: Played) -> None:
    """Executed under that id, it stands in the reports as a repetition of the other one's row."""
    taken = collide(book)
    book.rail.tell(taken, "success")
    book.run_until(60)
    assert book.debit_of(2).state is S.UNKNOWN
    assert len(book.items(ItemKind.COLLISION)) == 1
    book.rule(ItemKind.COLLISION, Action.CONFIRM_EXECUTED)
    assert all(row.replaces != 2 for row in book.rows().values()), "it went out once"


def test_an_answer_that_came_late_and_with_anothers_id_keeps_it_from_being_ruled_absent(
    book: Played,
) -> None:
    """Its lease ran out, so it was unknown when the answer came: it may have been executed."""
    book.rail.is_rich = True
    book.pay_out()
    book.run_until(7)
    first = book.debit_of(1)
    lose_the_next_debit(book, 14)
    late = RecordAnswer(book.debit_of(2), Answer.ACCEPTED, first.transaction_id)
    for _ in range(2):  # as where the commit of the first was lost
        book.wait(book.door.ask(Command(RECORD_ANSWER, late)))
    assert len(book.items(ItemKind.COLLISION)) == 1
    assert book.debit_of(1).reason == CONTESTED
    book.run_until(40)
    assert book.debit_of(2).state is S.UNKNOWN
    assert all(each.replaces != 2 for each in book.rows().values())


@pytest.mark.parametrize("state", [S.FAILED, S.SUCCEEDED])
def test_an_answer_that_is_recorded_again_moves_nothing_back(book: Played, state: S) -> None:
    """Its commit was lost, and a report came before it was recorded again."""
    book.pay_out()
    book.run_until(7)
    before = book.debit_of(1)
    book.rail.tell(before.transaction_id, "fail" if state is S.FAILED else "success")
    book.run(1)
    again = RecordAnswer(before, Answer.ACCEPTED, before.transaction_id)
    assert book.wait(book.door.ask(Command(RECORD_ANSWER, again))).refusal is None
    assert book.debit_of(1).state is state
    assert book.items() == []


@pytest.mark.parametrize("said", ["success", "fail"])
def test_rows_of_an_id_that_two_transfers_were_given_wait_for_a_person(
    book: Played, said: str
) -> None:
    """Which of the two customers paid, nobody can tell by the id."""
    for number in ("DE89370400440532013000", OTHER):
        book.customer(number)
        book.advance(number)
    for which in (0, 1):
        book.rail.tell(book.credit_transfer(which).transaction_id, "success")
    book.run_until(6)
    book.rail.says = lambda _order: "txn_same"
    book.run(1)
    book.rail.says = accepted
    (holder,) = (w for w in (0, 1) if book.debit_of(1, w).transaction_id == "txn_same")
    assert book.debit_of(1, 1 - holder).state is S.UNKNOWN
    book.rail.tell("txn_same", said)
    book.run(1)
    assert book.debit_of(1, holder).state is S.ACCEPTED
    book.run_until(50)
    assert book.debit_of(1, holder).state is S.ACCEPTED, "nor does time say what became of it"
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert book.debit_of(1, holder).state is S.SUCCEEDED
    assert book.debit_of(1, 1 - holder).state is S.UNKNOWN


def test_an_id_that_two_transfers_were_given_and_no_report_shows_is_asked_about(
    book: Played,
) -> None:
    book.pay_out()
    book.run_until(7)
    taken = book.debit_of(1).transaction_id
    book.rail.says = lambda _order: taken
    book.run_until(8)
    book.customer(OTHER)
    book.advance(OTHER)
    book.rail.says = accepted
    book.run_until(30)
    assert book.debit_of(1).state is S.ACCEPTED
    asked = [item.kind for item in book.items() if item.transfer_id == book.debit_of(1).id]
    assert asked == [ItemKind.GAP]
    book.rail.tell(taken, "success")
    book.run(1)
    asked = [item.kind for item in book.items() if item.transfer_id == book.debit_of(1).id]
    assert ItemKind.CONTRADICTION in asked


# -- absence that reports do not prove: P6


@pytest.mark.parametrize(
    "row",
    [
        "success,1.00,****3000,debit",
        "success,1.00,XXXX3000,debit",
        "success,,,",
        "success,0.99,DE89370400440532013000,debit",
        "fail,0.99,DE89370400440532013000,debit",
    ],
)
def test_an_unexplained_row_keeps_every_unknown_of_its_time_open(book: Played, row: str) -> None:
    executed = lose_the_first_debit(book)
    book.rail.told.append((day(8), executed, row))
    book.run_until(40)
    assert book.debit_of(1).state is S.UNKNOWN
    assert all(each.replaces != 1 for each in book.rows().values())
    book.rule(ItemKind.ORPHAN, Action.CONFIRM_EXECUTED, transfer=book.debit_of(1))
    assert book.debit_of(1).state is (S.FAILED if row.startswith("fail") else S.SUCCEEDED)


def test_a_row_that_was_explained_keeps_nothing_open(book: Played) -> None:
    lose_the_first_debit(book)
    book.rail.told.append((day(8), "txn_stranger", f"success,7.00,{OTHER},debit"))
    book.run_until(9)
    book.rule(ItemKind.ORPHAN, Action.DISMISS)
    book.run_until(13)
    assert book.debit_of(1).state is S.NOT_EXECUTED


@pytest.mark.parametrize(
    "rows",
    [
        ["success,,DE89370400440532013000,debit"],
        ["success,1.00,DE89370400440532013000,"],
        ["success,1.005,DE89370400440532013000,debit"],
        # One id with two contents: one of the two transfers can't be known by it.
        ["success,1.00,DE89370400440532013000,debit", f"success,1.00,{OTHER},debit"],
    ],
)
def test_a_report_proves_no_absence_unless_each_of_its_rows_tells_all(
    book: Played, rows: list[str]
) -> None:
    """The row is one of our own: nothing is unexplained, but not each transfer can be told."""
    lose_the_first_debit(book)
    credit = book.credit_transfer().transaction_id
    assert credit is not None
    for row in rows:
        for shown in (day(8), day(13)):
            book.rail.told.append((shown, credit, row))
    book.run_until(40)
    assert book.debit_of(1).state is S.UNKNOWN


def test_a_calendar_that_is_a_day_behind_still_finds_its_transfer(book: Played) -> None:
    book.rail = DatingProcessor(book.clock)
    book.customer()
    book.advance()
    credit = book.credit_transfer().transaction_id
    assert credit is not None
    number = "DE89370400440532013000"
    book.rail.told.append((day(1), credit, f"success,12.00,{number},credit,{day(0)}"))
    book.run(1)
    book.rail.says = debits_lost
    book.run_until(7)
    book.rail.says = accepted
    executed = book.rail.calls[1].executed_as
    assert executed is not None
    book.rail.told.append((day(8), executed, f"success,1.00,{number},debit,{day(6)}"))
    book.run(1)
    assert (book.debit_of(1).state, book.debit_of(1).transaction_id) == (S.SUCCEEDED, executed)


# -- a person's word: P2, P9, decision 0010


@pytest.mark.parametrize("shown", [None, "success", "fail"])
def test_what_a_person_confirmed_under_its_id_is_not_undone_by_time(
    book: Played, shown: str | None
) -> None:
    book.pay_out()
    book.rail.says = debits_lost
    book.run_until(7)
    book.rail.says = accepted
    book.run_until(20)
    executed = book.rail.calls[1].executed_as
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED, transaction_id=executed)
    book.run_until(60)
    assert (book.debit_of(1).state, book.debit_of(1).transaction_id) == (S.ACCEPTED, executed)
    assert all(row.replaces != 1 for row in book.rows().values())
    asked = [item for item in book.items() if item.transfer_id == book.debit_of(1).id]
    assert [item.kind for item in asked] == [ItemKind.GAP]
    if shown is None:
        book.rule(ItemKind.GAP, Action.CONFIRM_EXECUTED)
    else:
        book.rail.tell(executed, shown)
        book.run(1)
    assert book.debit_of(1).state is (S.FAILED if shown == "fail" else S.SUCCEEDED)
    assert book.items(ItemKind.GAP) == []


@pytest.mark.parametrize("said", ["success", "fail"])
def test_a_row_finds_the_transfer_that_a_person_confirmed(book: Played, said: str) -> None:
    executed = lose_the_first_debit(book)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED)
    book.rail.tell(executed, said)
    book.run(1)
    assert (book.debit_of(1).state, book.debit_of(1).transaction_id) == (S.SUCCEEDED, executed)
    assert len(book.items(ItemKind.CONTRADICTION)) == (said == "fail")


@pytest.mark.parametrize("whose", [1, 2])
def test_a_row_of_one_confirmed_or_of_an_equal_unknown_is_left_to_a_person(
    book: Played, whose: int
) -> None:
    """One is booked and one is not: a guess would collect row 2 twice, or never."""
    first = lose_the_first_debit(book)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED)
    second = lose_the_next_debit(book, 14)
    shown = (first, second)[whose - 1]
    book.rail.tell(shown, "success")
    book.run_until(23)
    assert [book.debit_of(number).transaction_id for number in (1, 2)] == [None, None]
    assert book.debit_of(2).state is S.UNKNOWN, "and not proved absent"
    assert len(book.items(ItemKind.ORPHAN)) == 1
    if whose == 1:
        book.rule(ItemKind.ORPHAN, Action.DISMISS)
    else:
        book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED, transaction_id=second)
    book.run(1)
    is_collected = book.debit_of(2).state is S.SUCCEEDED
    assert is_collected is (whose == 2)
    assert any(row.replaces == 2 for row in book.rows().values()) is not is_collected


def test_a_row_of_one_confirmed_or_of_an_equal_ruled_not_executed_is_left_to_a_person(
    book: Played,
) -> None:
    """What a person ruled wrongly must come up: its row was sent again."""
    lose_the_first_debit(book)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED)
    second = lose_the_next_debit(book, 14)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_NOT_EXECUTED)
    book.rail.tell(second, "success")
    book.run(1)
    assert book.debit_of(1).transaction_id is None
    assert len(book.items(ItemKind.ORPHAN)) == 1


# -- rows that do not fit the transfer whose id they name: P4


@pytest.mark.parametrize(
    "row",
    [
        "success,0.40,DE89370400440532013000,debit",
        f"success,1.00,{OTHER},debit",
        "success,1.00,DE89370400440532013000,credit",
        "fail,0.40,DE89370400440532013000,debit",
    ],
)
def test_a_row_that_says_another_amount_account_or_direction_moves_nothing(
    book: Played, row: str
) -> None:
    book.rail.is_rich = True
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    assert ident is not None
    book.rail.told.append((day(8), ident, row))
    book.run_until(60)
    assert book.debit_of(1).state is S.ACCEPTED
    assert len(book.items(ItemKind.CONTRADICTION)) >= 1
    assert all(each.replaces != 1 for each in book.rows().values())
    for item in book.items(ItemKind.CONTRADICTION):
        assert item.transfer_id == book.debit_of(1).id
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert book.debit_of(1).state is S.SUCCEEDED


@pytest.mark.parametrize("fitting_first", [True, False])
def test_rows_that_fit_settle_it_in_whatever_order_they_come(
    book: Played, fitting_first: bool
) -> None:
    book.rail.is_rich = True
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    assert ident is not None
    rows = ["success,1.00,DE89370400440532013000,debit", f"fail,7.00,{OTHER},debit"]
    for row in rows if fitting_first else reversed(rows):
        book.rail.told.append((book.clock.today() + timedelta(days=1), ident, row))
        book.run(1)
    assert book.debit_of(1).state is S.SUCCEEDED
    assert len(book.items(ItemKind.CONTRADICTION)) == 1


def show(book: Played, rows: list[str], *, is_one_report: bool) -> None:
    """Let reports show rows of row 1's debit, each on a day of its own or all on one."""
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    assert ident is not None
    day_after = book.clock.today() + timedelta(days=1)
    for place, row in enumerate(rows):
        on = day_after if is_one_report else day_after + timedelta(days=place)
        book.rail.told.append((on, ident, row))
    book.run_until(7 + len(rows))


@pytest.mark.parametrize("plain_first", [True, False])
def test_a_row_that_tells_nothing_more_is_folded_alike_before_and_after_anothers(
    book: Played, plain_first: bool
) -> None:
    """The row of another account has been settled with when the plain one comes."""
    book.rail.is_rich = True
    rows = [f"fail,1.00,{OTHER},debit", "success,,,"]
    show(book, rows[::-1] if plain_first else rows, is_one_report=False)
    assert book.debit_of(1).state is S.SUCCEEDED
    assert len(book.items(ItemKind.CONTRADICTION)) == 1
    assert all(each.replaces != 1 for each in book.rows().values())


@pytest.mark.parametrize("is_one_report", [True, False])
@pytest.mark.parametrize("right_first", [True, False])
def test_a_row_that_is_shown_with_two_amounts_is_looked_at_by_a_person(
    book: Played, right_first: bool, is_one_report: bool
) -> None:
    book.rail.is_rich = True
    own = "DE89370400440532013000,debit"
    rows = [f"success,1.00,{own}", f"success,0.90,{own}"]
    show(book, rows if right_first else rows[::-1], is_one_report=is_one_report)
    assert len(book.items(ItemKind.CONTRADICTION)) == 1
    # What was booked before anybody could know stays booked until the person says.
    was_booked = right_first and not is_one_report
    assert book.debit_of(1).state is (S.SUCCEEDED if was_booked else S.ACCEPTED)


def test_a_row_that_comes_to_tell_more_agrees_with_itself(book: Played) -> None:
    book.rail.is_rich = True
    own = "DE89370400440532013000"
    rows = ["success,,,", f"success,,{own},", f"success,1.00,{own},debit", "success,1,,debit"]
    show(book, rows, is_one_report=False)
    assert book.debit_of(1).state is S.SUCCEEDED
    assert book.items() == []


@pytest.mark.parametrize("account", ["****3000", "XXXX3000", "de89 3704-0044 0532 0130 00", ""])
def test_an_account_that_is_masked_or_written_otherwise_is_no_other_account(
    book: Played, account: str
) -> None:
    book.rail.is_rich = True
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    assert ident is not None
    book.rail.told.append((day(8), ident, f"success,1.00,{account},debit"))
    book.run(1)
    assert (book.debit_of(1).state, book.items()) == (S.SUCCEEDED, [])


# -- dates of rows, and their order: P4, T2, T4


def test_a_calendar_that_is_a_day_ahead_leaves_reports_complete(book: Played) -> None:
    """A business in California, its Processor by UTC, the run in the evening."""

    class Ahead(DatingProcessor):
        def report(self, day: date) -> bytes:
            return super().report(day + timedelta(days=1))

    book.rail = Ahead(book.clock)
    book.customer()
    for number in range(12):
        book.advance(amount=100, count=1)
        ident = book.credit_transfer(number).transaction_id
        assert ident is not None
        on = book.clock.today() + timedelta(days=1)
        row = f"success,1.00,DE89370400440532013000,credit,{on}"
        book.rail.told.append((on, ident, row))
        assert book.run(1).view["summary"]["report"]["status"] == "complete"


@pytest.mark.parametrize("dated", ["1900-01-01", "2099-12-31"])
def test_a_date_that_the_window_can_not_hold_is_the_reports_own(book: Played, dated: str) -> None:
    book.rail = DatingProcessor(book.clock)
    book.customer()
    book.advance()
    ident = book.credit_transfer().transaction_id
    assert ident is not None
    row = f"success,12.00,DE89370400440532013000,credit,{dated}"
    book.rail.told.append((day(1), ident, row))
    book.run(1)
    assert book.credit_transfer().resolved_on == day(1)
    with book.database.reader() as connection:
        dates = connection.execute(select(ENTRIES.c.effective_on)).scalars().all()
    assert {day(0), day(1)} >= set(dates)


@pytest.mark.parametrize("late_first", [True, False])
def test_the_order_of_rows_in_a_file_means_nothing(book: Played, late_first: bool) -> None:
    """The same result with two dates counts from the earlier one: success, then fail."""
    book.rail = DatingProcessor(book.clock)
    book.customer()
    book.advance()
    number = "DE89370400440532013000"
    credit = book.credit_transfer().transaction_id
    assert credit is not None
    book.rail.told.append((day(1), credit, f"success,12.00,{number},credit,{day(1)}"))
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    assert ident is not None
    days = [day(10), day(8)] if late_first else [day(8), day(10)]
    rows = [("success", on) for on in days]
    for result, on in [*rows, ("fail", day(9))]:
        book.rail.told.append((day(10), ident, f"{result},1.00,{number},debit,{on}"))
    book.run_until(10)
    assert (book.debit_of(1).state, book.items()) == (S.RETURNED, [])


def test_a_late_report_shows_what_a_later_one_has_hidden(book: Played) -> None:
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    book.rail.report_is_missing = True
    book.run(1)
    book.rail.report_is_missing = False
    book.run(1)
    raw = f"transaction_id,result\n{ident},success\n#end,1\n".encode()
    book.wait(take_report(book, raw, day(8)))
    with book.database.reader() as connection:
        found = queries.list_reports(connection, before=None, limit=2)
    assert [(r.report_on, r.state, r.missing_count) for r in found] == [
        (day(9), "incomplete", 1),
        (day(8), "complete", 0),
    ]


def test_what_the_processor_says_is_never_taken_for_proof_that_it_was_not_asked(
    book: Played,
) -> None:
    """Else it is no attempt, never moves, and is tried again each day (A8, A12)."""
    book.pay_out()
    book.rail.says = lambda _order: ProcessorRejected("not_connected", refused_before_sending=False)
    book.run_until(8)
    book.rail.says = accepted
    assert [(debit.state, debit.sent_on) for debit in book.debits()] == [(S.REJECTED, day(7))]
    assert book.rows()[13].replaces == 1
