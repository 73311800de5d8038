"""Worked examples: rows of reports that are another's, or doubtful, undo and prove nothing.

Each of these booked what was not there, or sent a debit twice. Source: P2, P4-P7, A10.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.collection.model import InstallmentState
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.settling import settle
from tallybook.processor.model import Action, ItemKind, TransferState
from tallybook.processor.port import ProcessorUnknown
from tallybook.reports.verify import verify
from tests.making import day
from tests.played import DatingProcessor, Played, accepted, lose_the_next_debit

pytestmark = pytest.mark.played

S = TransferState
OWN = "DE89370400440532013000"
OTHER = "GB29NWBK60161331926819"


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[Played]:
    with Played(book_url, tmp_path) as played:
        played.rail.is_rich = True
        yield played
        assert verify(played.database) == []


def show(book: Played, ident: str | None, row: str) -> None:
    """Let the next day's report show a row, and run that day."""
    assert ident is not None
    day_after = (book.clock.today() - day(0)).days + 1
    book.rail.told.append((day(day_after), ident, row))
    book.run(1)


# -- what came back is not booked again by itself: P2, decision 0003


def test_a_return_is_not_undone_by_a_row_that_says_another_amount(book: Played) -> None:
    """The Processor takes a charge off the return, and shows that amount a day later."""
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    show(book, ident, f"success,1.00,{OWN},debit")
    show(book, ident, f"fail,1.00,{OWN},debit")
    balances = book.balances()
    show(book, ident, f"fail,0.90,{OWN},debit")
    assert (book.debit_of(1).state, book.balances()) == (S.RETURNED, balances)
    assert book.rows()[13].state is InstallmentState.PLANNED
    (item,) = book.items()
    assert item.kind is ItemKind.CONTRADICTION
    assert "it stays returned" in item.detail
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert book.debit_of(1).state is S.SUCCEEDED, "a person may say so"


def test_a_failure_that_became_doubtful_does_not_let_a_success_pass(book: Played) -> None:
    """Fail, then success is a contradiction, also where somebody else's fail came in between."""
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    show(book, ident, f"fail,1.00,{OWN},debit")
    show(book, ident, f"fail,7.00,{OTHER},debit")
    show(book, ident, f"success,1.00,{OWN},debit")
    assert book.debit_of(1).state is S.FAILED
    assert [item.kind for item in book.items()] == [ItemKind.CONTRADICTION]


def test_a_payout_that_came_back_does_not_begin_to_be_collected(book: Played) -> None:
    book.customer()
    book.advance()
    ident = book.credit_transfer().transaction_id
    show(book, ident, f"success,12.00,{OWN},credit")
    show(book, ident, f"fail,12.00,{OWN},credit")
    show(book, ident, f"fail,11.90,{OWN},credit")
    assert (book.credit_transfer().state, book.advances()[0].status) == (S.RETURNED, "failed")
    book.run_until(30)
    assert book.debits() == []


def test_a_failure_in_doubt_and_a_success_before_it_leave_the_transfer_failed(
    book: Played,
) -> None:
    """A late report tells of the success when the fail has two contents: nobody can fold that."""
    book.pay_out()
    book.run_until(7)
    ident = book.debit_of(1).transaction_id
    book.rail.report_is_missing = True
    book.run(1)
    book.rail.report_is_missing = False
    show(book, ident, f"fail,1.00,{OWN},debit")
    show(book, ident, f"fail,7.00,{OTHER},debit")
    head = "transaction_id,result,amount,account,direction"
    raw = f"{head}\n{ident},success,1.00,{OWN},debit\n#end,1\n".encode()
    book.wait(take_report(book, raw, day(8)))
    book.wait(settle(book))
    assert book.debit_of(1).state is S.FAILED
    assert verify(book.database) == []


# -- a row that is older than the transfer whose id it names: P4, P7, T4


@pytest.mark.parametrize("dated", ["", f",{day(8)}"])
@pytest.mark.parametrize("is_report_first", [True, False])
def test_a_row_older_than_its_transfer_settles_it_in_no_order(
    book: Played, is_report_first: bool, dated: str
) -> None:
    """Row 1 was executed, its answer lost; a week later row 2 is answered with the same id."""
    book.rail.is_rich = False
    book.pay_out()
    executed = lose_the_next_debit(book, 7)
    book.rail.report_is_missing = True
    book.run_until(9)
    book.rail.report_is_missing = False
    book.run_until(13)
    head = f"transaction_id,result{',date' if dated else ''}"
    late = f"{head}\n{executed},success{dated}\n#end,1\n".encode()

    def take_the_late_report() -> None:
        book.wait(take_report(book, late, day(9)))
        book.wait(settle(book))

    if is_report_first:
        take_the_late_report()
    book.rail.says = lambda _order: executed
    book.run(1)
    book.rail.says = accepted
    if not is_report_first:
        take_the_late_report()
    second = book.debit_of(2)
    assert second.state is (S.UNKNOWN if is_report_first else S.ACCEPTED), "not collected on paper"
    kind = ItemKind.COLLISION if is_report_first else ItemKind.CONTRADICTION
    (item,) = book.items(kind)
    assert item.transfer_id == second.id
    book.run_until(40)
    assert book.debit_of(2).state is second.state, "time does not settle it either"
    assert book.debit_of(1).state is S.UNKNOWN


@pytest.mark.parametrize(("dated", "is_its_own"), [(4, False), (5, False), (6, True), (7, True)])
def test_a_row_dated_before_its_transfer_was_sent_is_anothers(
    book: Played, dated: int, is_its_own: bool
) -> None:
    """A day's difference between the calendars is allowed for."""
    book.rail = DatingProcessor(book.clock)
    book.customer()
    book.advance()
    show(book, book.credit_transfer().transaction_id, f"success,12.00,{OWN},credit,{day(1)}")
    book.run_until(7)
    show(book, book.debit_of(1).transaction_id, f"fail,1.00,{OWN},debit,{day(dated)}")
    assert book.debit_of(1).state is (S.FAILED if is_its_own else S.ACCEPTED)
    assert any(row.replaces == 1 for row in book.rows().values()) is is_its_own
    assert [item.kind for item in book.items()] == [ItemKind.CONTRADICTION] * (not is_its_own)


# -- absence that reports do not prove: P6, decision 0042


def two_customers(book: Played) -> str:
    """Pay out to both and lose the answer of the second's first debit; gives the first's id."""
    for number in (OWN, OTHER):
        book.customer(number)
        book.advance(number)
    for which in (0, 1):
        book.rail.tell(book.credit_transfer(which).transaction_id, "success")
    book.run_until(6)
    book.rail.says = lambda order: (
        ProcessorUnknown("reset") if order.dst_bank_account == OTHER else None
    )
    book.run(1)
    book.rail.says = accepted
    ident = book.debit_of(1).transaction_id
    assert ident is not None
    assert book.debit_of(1, 1).state is S.UNKNOWN
    return ident


@pytest.mark.parametrize("is_ruled", [True, False])
@pytest.mark.parametrize("amount", ["1.00", "0.98"])
def test_a_row_under_anothers_id_keeps_an_unknown_of_its_time_open(
    book: Played, amount: str, is_ruled: bool
) -> None:
    """The second was executed, and stands in the reports under the id of the first."""
    ident = two_customers(book)
    show(book, ident, f"success,{amount},{OTHER},debit")
    if is_ruled:  # what a person says of the first says nothing of the second
        book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    book.run_until(20)
    assert book.debit_of(1, 1).state is S.UNKNOWN
    assert all(row.replaces != 1 for row in book.rows(1).values()), "it went out once"
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED)
    assert book.debit_of(1, 1).state is S.SUCCEEDED


def test_a_row_under_anothers_id_from_before_its_time_keeps_nothing_open(book: Played) -> None:
    book.customer()
    book.advance()
    show(book, book.credit_transfer().transaction_id, f"success,11.90,{OWN},credit")
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    lose_the_next_debit(book, 7)
    book.run_until(13)
    assert book.debit_of(1).state is S.NOT_EXECUTED


def test_a_row_older_than_the_transfer_it_names_keeps_an_unknown_of_its_time_open(
    book: Played,
) -> None:
    """It is most likely that one's: the id was given to both."""
    book.rail = DatingProcessor(book.clock)
    book.customer()
    for which in (0, 1):
        book.advance(amount=100, count=1)
        ident = book.credit_transfer(which).transaction_id
        on = book.clock.today()
        book.rail.told.append((on, ident or "", f"success,1.00,{OWN},credit,{on}"))
    book.run(1)
    executed = lose_the_next_debit(book, 7)
    book.rail.says = lambda _order: executed
    book.run(1)
    book.rail.says = accepted
    assert (book.debit_of(1, 1).sent_on, book.debit_of(1, 1).transaction_id) == (day(8), executed)
    show(book, executed, f"success,1.00,{OWN},debit,{day(6)}")
    assert book.debit_of(1, 1).state is S.ACCEPTED
    book.run_until(20)
    assert book.debit_of(1).state is S.UNKNOWN


# -- what a person has dismissed is nobody's: P6, P9


@pytest.mark.parametrize("said", ["fail", "success"])
def test_news_of_what_a_person_dismissed_is_given_to_no_transfer(book: Played, said: str) -> None:
    """It was collected by hand at the Processor, and is returned, or told of more exactly."""
    book.pay_out()
    executed = lose_the_next_debit(book, 7)
    show(book, "txn_hand", "success,,,")
    book.rule(ItemKind.ORPHAN, Action.DISMISS)
    show(book, "txn_hand", f"{said},1.00,{OWN},debit")
    assert book.debit_of(1).state is S.UNKNOWN
    (orphan,) = book.items(ItemKind.ORPHAN)
    assert orphan.about == "txn_hand", "a person is asked again"
    show(book, executed, f"success,1.00,{OWN},debit")
    assert (book.debit_of(1).state, book.debit_of(1).transaction_id) == (S.SUCCEEDED, executed)
    assert all(row.replaces != 1 for row in book.rows().values())
