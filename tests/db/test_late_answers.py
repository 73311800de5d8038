"""Worked examples: answers of the Processor that come when it has been said what became of a call.

A process stood still in its call; its lease ran out, and a person ruled. Source: P2, P7, P9.
"""

import pytest

from tallybook.collection.operations.sending import SEND_INSTALLMENT, SendInstallment
from tallybook.collection.operations.transfers import (
    EXPIRE_INTENT,
    RECORD_ANSWER,
    Answer,
    MarkTransfer,
    RecordAnswer,
)
from tallybook.processor.model import Action, ItemKind, Transfer, TransferState
from tallybook.processor.rules import CONTESTED
from tallybook.writer.model import Command
from tests.making import day
from tests.played import Played

pytestmark = pytest.mark.played

S = TransferState


def stall(book: Played) -> Transfer:
    """Let row 2's intent outlive its lease, as where its process stood still in the call."""
    book.pay_out()
    book.run_until(13)
    row = book.rows()[2]
    asked = SendInstallment(row.id, row.subject_id, day(14), "elsewhere/1/1")
    intent: Transfer = book.door.ask_now(Command(SEND_INSTALLMENT, asked)).value
    book.clock.advance(days=1)
    book.door.ask_now(Command(EXPIRE_INTENT, MarkTransfer(intent)))
    assert book.debit_of(2).state is S.UNKNOWN
    return intent


def answer(book: Played, intent: Transfer, ident: str | None) -> None:
    """Record the answer, twice: as where the first commit's own answer was lost."""
    for _ in range(2):
        late = RecordAnswer(intent, Answer.ACCEPTED, transaction_id=ident)
        assert book.door.ask_now(Command(RECORD_ANSWER, late)).refusal is None


@pytest.mark.parametrize("action", [Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED])
def test_an_answer_with_anothers_id_after_a_ruling_is_looked_at_by_a_person(
    book: Played, action: Action
) -> None:
    intent = stall(book)
    book.rule(ItemKind.UNKNOWN, action)
    before, taken = book.debit_of(2), book.debit_of(1).transaction_id
    answer(book, intent, taken)
    after = book.debit_of(2)
    assert (after.state, after.transaction_id) == (before.state, None), "a person's word stands"
    (item,) = book.items(ItemKind.CONTRADICTION)
    assert item.transfer_id == intent.id
    assert f"as {taken}" in item.detail
    assert book.debit_of(1).reason == CONTESTED, "its rows may be the other's"
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert book.debit_of(2).state is S.SUCCEEDED


@pytest.mark.parametrize("said", ["fail", "success"])
def test_the_id_of_what_a_person_confirmed_is_kept_when_it_comes(book: Played, said: str) -> None:
    intent = stall(book)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED)
    answer(book, intent, "txn_late")
    assert (book.debit_of(2).state, book.debit_of(2).transaction_id) == (S.SUCCEEDED, "txn_late")
    assert [item.transfer_id for item in book.items()] == [book.debit_of(1).id]
    book.rail.told.append((day(15), "txn_late", said))
    book.run(1)
    asked = [item.kind for item in book.items() if item.transfer_id == intent.id]
    assert asked == [ItemKind.CONTRADICTION] * (said == "fail")
    assert book.items(ItemKind.ORPHAN) == []


def test_an_answer_with_another_id_than_a_person_named_is_looked_at_by_a_person(
    book: Played,
) -> None:
    intent = stall(book)
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_EXECUTED, transaction_id="txn_named")
    book.rail.told.append((day(15), "txn_named", "fail"))
    book.run(1)
    answer(book, intent, "txn_late")
    assert (book.debit_of(2).state, book.debit_of(2).transaction_id) == (S.FAILED, "txn_named")
    (item,) = book.items(ItemKind.CONTRADICTION)
    assert "as txn_late" in item.detail
