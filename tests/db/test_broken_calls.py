"""One call of a chunk that breaks takes nothing from the others. Source: P2, P3."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tallybook.ambient.logs import JsonLines
from tallybook.ambient.secrets import Secrets, SecretsError
from tallybook.customers.model import account_context
from tallybook.processor.model import Action, ItemKind, Transfer, TransferState
from tallybook.processor.port import Direction, ProcessorRejected, TransferOrder
from tallybook.reports.verify import verify
from tests.making import day
from tests.played import DictatedProcessor, Played, accepted

pytestmark = pytest.mark.played

S = TransferState
NUMBERS = [f"DE8937040044053201{number:04d}" for number in range(25)]


def prepare(book: Played, count: int) -> None:
    """Pay out so many advances, each to an account of its own, until their first debits are due."""
    for which, number in enumerate(NUMBERS[:count]):
        book.customer(number)
        book.advance(number)
        book.rail.tell(book.credit_transfer(which).transaction_id, "success")
    book.run_until(6)


def first_debits(book: Played, count: int) -> list[Transfer]:
    return [book.debits(which)[0] for which in range(count)]


class Breaking(DictatedProcessor):
    """Raises what no Processor should, for one account; the others' calls take a moment."""

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        if order.dst_bank_account == NUMBERS[2]:
            raise ValueError(f"odd reply about {order.dst_bank_account}")
        await asyncio.sleep(0.01)
        return await super().perform_transaction(order, may_send=may_send)


def test_a_call_that_breaks_is_unknown_and_the_others_are_recorded(
    book: Played, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(book, 5)
    rail = Breaking(book.clock)
    rail.calls, rail.told, book.rail = book.rail.calls, book.rail.told, rail
    summary = book.run(1).view["summary"]
    assert {name: each["count"] for name, each in summary["sent"].items()} == {
        "accepted": 4,
        "unknown": 1,
    }
    states = [debit.state for debit in first_debits(book, 5)]
    assert states == [S.ACCEPTED, S.ACCEPTED, S.UNKNOWN, S.ACCEPTED, S.ACCEPTED]
    assert first_debits(book, 5)[2].reason == "processor_error"
    (record,) = [each for each in caplog.records if each.name == "tallybook.sending"]
    line = JsonLines().format(record)
    assert "ValueError at tests.db.test_broken_calls:" in line
    assert NUMBERS[2] not in line + caplog.text, "nor where an application writes its own log"
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_NOT_EXECUTED)


def close_accounts(
    book: Played, monkeypatch: pytest.MonkeyPatch, is_closed: Callable[[int], bool]
) -> None:
    """Let some of the account numbers be sealed with a key that is not here."""
    unseal = Secrets.unseal
    closed = {
        account_context(book.credit_transfer(which).bank_account_id)
        for which in range(len(book.advances()))
        if is_closed(which)
    }

    def refuse(secrets: Secrets, sealed: bytes, *, context: str) -> str:
        if context in closed:
            raise SecretsError("a sealed value was made with another key")
        return unseal(secrets, sealed, context=context)

    monkeypatch.setattr(Secrets, "unseal", refuse)


def test_an_account_that_cannot_be_unsealed_stays_due_and_the_others_go_out(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(book, 3)
    with monkeypatch.context() as patch:
        close_accounts(book, patch, lambda which: which == 1)
        book.run(1)
        book.run(1)
    told = [(debit.state, debit.reason) for debit in book.debits(1)]
    assert told == [(S.REJECTED, "account_unreadable")] * 2
    assert [len(book.debits(which)) for which in (0, 2)] == [1, 1]
    assert len(book.rows(1)) == 12, "no attempt was made, so nothing moves"
    book.run(1)
    assert (book.debit_of(1, 1).state, book.debit_of(1, 1).sent_on) == (S.ACCEPTED, day(9))


def test_accounts_that_cannot_be_unsealed_do_not_end_a_run(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(book, 25)
    close_accounts(book, monkeypatch, lambda which: which < 22)
    summary = book.run(1).view["summary"]
    assert summary["sending_stopped"] is None
    sent = [call.order for call in book.rail.calls if call.order.direction is Direction.DEBIT]
    assert len(sent) == 3


def test_a_payout_to_an_account_that_cannot_be_unsealed_is_refused(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.customer()
    with monkeypatch.context() as patch:
        patch.setattr(Secrets, "unseal", lambda *_, **__: str(b"\xff", "utf-8"))
        refused = book.advance().refusal
    assert refused is not None
    assert (refused.code, dict(refused.details)["reason"]) == (
        "processor_rejected",
        "account_unreadable",
    )
    assert book.rail.calls == []
    assert book.advance().status == 201


# -- a token that has expired: nobody is let in


def shut_out(order: TransferOrder) -> Exception:
    del order
    return ProcessorRejected("token expired", refused_before_sending=False, was_let_in=False)


def test_where_nobody_is_let_in_no_debit_was_tried(book_url: str, tmp_path: Path) -> None:
    with Played(book_url, tmp_path, max_attempts=1) as book:
        prepare(book, 25)
        book.rail.says = shut_out
        summary = book.run(1).view["summary"]
        assert summary["sending_stopped"] == "not_let_in"
        assert list(summary["sent"]) == ["not_let_in"]
        tried = [debit for which in range(25) for debit in book.debits(which)]
        assert {(each.state, each.reason) for each in tried} == {(S.REJECTED, "not_let_in")}
        assert len(book.rows(0)) == 12, "nothing moves"
        assert {each.status.value for each in book.advances()} == {"active"}
        book.rail.says = accepted
        assert list(book.run(1).view["summary"]["sent"]) == ["accepted"]
        assert {book.debit_of(1, which).state for which in range(25)} == {S.ACCEPTED}
        assert verify(book.database) == []


def test_a_payout_that_is_not_let_in_is_refused(book: Played) -> None:
    book.customer()
    book.rail.says = shut_out
    refused = book.advance().refusal
    assert refused is not None
    assert (refused.code, dict(refused.details)["reason"]) == ("processor_rejected", "not_let_in")
    book.rail.says = accepted
    assert book.advance().status == 201


def test_what_the_processor_says_is_not_taken_for_a_closed_door(book: Played) -> None:
    """Else it is no attempt, and is tried again each day."""
    prepare(book, 1)
    book.rail.says = lambda _: ProcessorRejected("not_let_in", refused_before_sending=False)
    book.run(1)
    assert book.debit_of(1).reason == "said: not_let_in"
    assert book.rows()[13].replaces == 1
