"""Worked examples: rows of reports that are another's, or doubtful, undo and prove nothing.

Each of these booked what was not there, or sent a debit twice. Source: P2, P4-P7, A10.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.collection.model import InstallmentState
from tallybook.processor.model import Action, ItemKind, TransferState
from tallybook.reports.verify import verify
from tests.making import day
from tests.played import Played

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
