"""Worked examples: every end of customer credit that is paid out. Source: C3, P2, P5, G."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallybook.collection.queries import list_transfers_of
from tallybook.processor.model import Action, ItemKind, Transfer, TransferState
from tallybook.processor.port import TransferOrder
from tallybook.reports.verify import verify
from tests.making import day
from tests.played import Played, accepted, lost, refused, rejected

pytestmark = pytest.mark.played

S = TransferState


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[Played]:
    """A customer who holds 100 of credit: a row was collected, then the payout was taken back."""
    with Played(book_url, tmp_path) as played:
        played.pay_out()
        played.collect(1)
        played.rail.tell("txn_1", "fail")
        played.run(1)
        assert played.balances() == {"cash:bank": 100, "customer-credit": -100}
        yield played
        assert verify(played.database) == []


def refund(book: Played) -> Transfer:
    """Let a person give the credit back; gives the transfer that pays it out."""
    book.rule(ItemKind.EXCESS, Action.REFUND)
    return payout(book)


def payout(book: Played) -> Transfer:
    with book.database.reader() as connection:
        return list_transfers_of(connection, [book.advances()[0].customer_id])[-1]


def holds_credit_again(book: Played) -> None:
    assert book.balances() == {"cash:bank": 100, "customer-credit": -100}
    assert book.customer_credit() == 100
    assert [item.kind for item in book.items()] == ["excess"], "a person is asked again"


def test_a_payout_that_succeeds(book: Played) -> None:
    sent = refund(book)
    assert book.balances() == {"cash:bank": 100, "in-transit": -100}
    book.rail.tell(sent.transaction_id, "success")
    book.run(1)
    assert payout(book).state is S.SUCCEEDED
    assert (book.balances(), book.customer_credit(), book.items()) == ({}, 0, [])


def test_a_payout_that_fails_is_credit_again(book: Played) -> None:
    book.rail.tell(refund(book).transaction_id, "fail")
    book.run(1)
    assert payout(book).state is S.FAILED
    holds_credit_again(book)


def test_a_payout_that_is_returned_is_credit_again_and_may_go_out_once_more(book: Played) -> None:
    sent = refund(book)
    book.rail.tell(sent.transaction_id, "success")
    book.run(1)
    book.rail.tell(sent.transaction_id, "fail")
    book.run(1)
    assert payout(book).state is S.RETURNED
    holds_credit_again(book)
    book.rail.tell(refund(book).transaction_id, "success")
    book.run(1)
    assert (book.balances(), book.customer_credit(), book.items()) == ({}, 0, [])


@pytest.mark.parametrize("answer", [rejected, refused])
def test_a_payout_that_the_processor_refuses_is_credit_again(
    book: Played, answer: Callable[[TransferOrder], Exception]
) -> None:
    book.rail.says = answer
    book.rule(ItemKind.EXCESS, Action.REFUND)
    assert payout(book).state is S.REJECTED
    holds_credit_again(book)


def test_an_unknown_payout_waits_for_a_person_and_is_not_sent_again(book: Played) -> None:
    book.rail.says = lost
    refund(book)
    book.rail.says = accepted
    calls = len(book.rail.calls)
    book.run_until(30)
    assert len(book.rail.calls) == calls
    assert book.balances() == {"cash:bank": 100, "in-transit": -100}
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED)
    assert (book.balances(), book.customer_credit(), book.items()) == ({}, 0, [])


def test_an_unknown_payout_ruled_not_executed_is_credit_again(book: Played) -> None:
    book.rail.says = lost
    refund(book)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_NOT_EXECUTED)
    assert payout(book).state is S.NOT_EXECUTED
    holds_credit_again(book)


def _timed_out(book: Played) -> str | None:
    sent = refund(book)
    book.run_until(20)
    assert payout(book).state is S.TIMED_OUT
    assert [item.kind for item in book.items()] == ["credit_timed_out"]
    assert book.balances() == {"cash:bank": 100, "in-transit": -100}
    return sent.transaction_id


def test_a_payout_that_timed_out_and_succeeds_late(book: Played) -> None:
    book.rail.tell(_timed_out(book), "success", on=day(20))
    book.run(1)
    assert (book.balances(), book.customer_credit(), book.items()) == ({}, 0, [])


def test_a_payout_that_timed_out_and_fails_late_is_credit_again(book: Played) -> None:
    book.rail.tell(_timed_out(book), "fail", on=day(20))
    book.run(1)
    holds_credit_again(book)


def test_a_payout_that_timed_out_and_was_not_executed_is_credit_again(book: Played) -> None:
    _timed_out(book)
    book.rule(ItemKind.CREDIT_TIMED_OUT, Action.CONFIRM_NOT_EXECUTED)
    holds_credit_again(book)


def test_a_payout_that_was_executed_after_all_asks_nobody_what_to_do_with_its_credit(
    book: Played,
) -> None:
    sent = refund(book)
    book.rail.tell(sent.transaction_id, "fail")
    book.run(1)
    holds_credit_again(book)
    book.rail.tell(sent.transaction_id, "success")
    book.run(1)
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert payout(book).state is S.SUCCEEDED
    assert (book.balances(), book.customer_credit(), book.items()) == ({}, 0, [])
