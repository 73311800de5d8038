"""Worked examples: what reports can't show, and which files prove nothing by their silence.

Each of these collected a row twice, or wrote a payout off that went out. Source: P4, P5, P6.
"""

from datetime import date, timedelta

import pytest

from tallybook.collection import queries
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.settling import settle
from tallybook.processor.model import Action, ItemKind, TransferState
from tests.making import DAY, day
from tests.played import (
    DictatedProcessor,
    Played,
    accepted,
    debits_lost,
    lose_the_first_debit,
    lost,
)

pytestmark = pytest.mark.played

S = TransferState
OTHER = "GB29NWBK60161331926819"


# -- what a report can't show: P5, decision 0044


def lose_reports(book: Played, days: int) -> None:
    """Let days pass of which no report can be had."""
    book.rail.report_is_missing = True
    book.run_until((book.clock.today() - day(0)).days + days)
    book.rail.report_is_missing = False


def hand_in_todays_report(book: Played) -> None:
    """Bring the report of a day that its run could not have."""
    today = book.clock.today()
    book.wait(take_report(book, book.rail.report(today), today))
    book.wait(settle(book))


@pytest.mark.parametrize("later", [0, 2, 5])
def test_what_came_after_a_report_is_not_shown_by_that_report(book: Played, later: int) -> None:
    """Executed on the evening of a day, of which the next four have no report."""
    executed = lose_the_first_debit(book)
    book.run_until(7 + later)
    book.rail.tell(executed, "success")
    lose_reports(book, 4)
    book.run_until(60)
    assert book.debit_of(1).state is S.UNKNOWN
    about = [item.kind for item in book.items() if item.transfer_id == book.debit_of(1).id]
    assert about == [ItemKind.UNKNOWN]
    assert all(row.replaces != 1 for row in book.rows().values())


@pytest.mark.parametrize("later", [0, 2, 5])
def test_a_debit_that_no_report_could_show_is_not_timed_out(book: Played, later: int) -> None:
    book.pay_out()
    book.run_until(7 + later)
    book.rail.tell(book.debit_of(1).transaction_id, "success")
    lose_reports(book, 4)
    book.run_until(20)
    assert book.debit_of(1).state is S.ACCEPTED
    about = [item.kind for item in book.items() if item.transfer_id == book.debit_of(1).id]
    assert about == [ItemKind.GAP]


def test_a_payout_of_the_evening_is_not_ruled_absent_by_the_mornings_report(book: Played) -> None:
    book.rail.is_rich = True
    book.customer()
    book.run()
    book.rail.says = lost
    book.advance()
    book.rail.says = accepted
    book.rail.tell(book.rail.calls[-1].executed_as, "success")
    lose_reports(book, 4)
    book.run_until(20)
    assert book.credit_transfer().state is S.UNKNOWN
    assert [item.kind for item in book.items()] == [ItemKind.UNKNOWN]


def test_three_days_without_a_report_hide_nothing(book: Played) -> None:
    lose_the_first_debit(book)
    lose_reports(book, 3)
    book.run_until(12)
    assert book.debit_of(1).state is S.UNKNOWN
    book.run(1)
    assert book.debit_of(1).state is S.NOT_EXECUTED


@pytest.mark.parametrize("is_cut", [True, False])
def test_nothing_is_ruled_absent_in_a_run_without_a_report_of_its_own(
    book: Played, is_cut: bool
) -> None:
    executed = lose_the_first_debit(book)
    book.run_until(12)
    book.rail.tell(executed, "success", on=day(14))
    book.rail.report_is_missing, book.rail.report_is_cut = not is_cut, is_cut
    book.run(1)
    assert (book.debit_of(1).state, len(book.debits())) == (S.UNKNOWN, 1)
    book.rail.report_is_missing = book.rail.report_is_cut = False
    book.run(1)
    assert book.debit_of(1).state is S.SUCCEEDED


@pytest.mark.parametrize("is_known", [True, False])
def test_time_proves_nothing_in_a_run_without_a_report_of_its_own(
    book: Played, is_known: bool
) -> None:
    """The report of the day before covers all that it must, and today's would show the debit."""
    if is_known:
        book.rail.is_rich = True
        book.pay_out()
    else:
        lose_the_first_debit(book)
    book.run_until(12)
    lose_reports(book, 1)
    hand_in_todays_report(book)
    executed = book.rail.calls[1].executed_as
    book.rail.tell(executed, "success", on=day(14))
    lose_reports(book, 1)
    assert book.debit_of(1).state is (S.ACCEPTED if is_known else S.UNKNOWN)
    hand_in_todays_report(book)
    book.run(1)
    assert book.debit_of(1).state is S.SUCCEEDED


# -- a file that is stuck: P6, decision 0045


class StuckProcessor(DictatedProcessor):
    """Gives the file of day 7 till day 13."""

    def report(self, day: date) -> bytes:
        since, until = (DAY + timedelta(days=days) for days in (7, 13))
        return super().report(since if since <= day <= until else day)


@pytest.mark.parametrize("paid_on", [3, 7])
def test_a_file_that_is_stuck_proves_no_absence(book: Played, paid_on: int) -> None:
    """It came again as it was for days, and its row can't stand in it any more.

    On which of these days it was of that day nobody can tell, but for the first.
    """
    book.rail = StuckProcessor(book.clock)
    book.rail.is_rich = True
    book.customer()
    book.advance()
    book.rail.tell(book.credit_transfer().transaction_id, "success", on=day(3))
    book.run_until(6)
    if paid_on == 7:
        book.rail.told.append((day(7), "txn_stranger", f"success,7.00,{OTHER},debit"))
    book.rail.says = debits_lost
    book.run_until(7)
    if paid_on == 7:
        book.rule(ItemKind.ORPHAN, Action.DISMISS)
    book.rail.says = accepted
    book.rail.tell(book.rail.calls[-1].executed_as, "success", on=day(8))
    book.run_until(13)
    with book.database.reader() as connection:
        found = queries.list_reports(connection, before=None, limit=20)
        identifying = queries.list_rich_days(connection, since=day(0))
    assert identifying == [day(on) for on in range(1, paid_on + 1)]
    assert {report.state for report in found} == {"complete"}, "debits go on"
    assert "file_of_a_day_before" in found[0].problems
    book.run_until(40)
    assert book.debit_of(1).state is S.UNKNOWN
    assert all(row.replaces != 1 for row in book.rows().values())


def test_an_id_that_is_used_again_does_not_make_a_file_old(book: Played) -> None:
    """The file is one that came before, but not on the day before."""
    book.rail.is_rich = True
    book.pay_out()
    book.rail.tell(book.credit_transfer().transaction_id, "success", on=day(15))
    book.run_until(21)
    with book.database.reader() as connection:
        identifying = queries.list_rich_days(connection, since=day(0))
    assert identifying == [day(on) for on in range(1, 22)]
