"""Worked examples: what a person ruled stays, also where a payout is disputed afterwards.

Source: A5, A9, A13, C3, P5, P8, T1, G. Amounts are minor units; an advance is 1200 in rows of 100.
"""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

import tallybook.collection.tasks.run as run_tasks
from tallybook.advances.model import AdvanceStatus, Payout
from tallybook.advances.operations.rulings import (
    APPLY_CREDIT,
    CANCEL_ADVANCE,
    WRITE_OFF_ADVANCE,
    ApplyCredit,
    RuleAdvance,
)
from tallybook.advances.rules import closed_by_a_person
from tallybook.collection.model import InstallmentState, PlanStatus
from tallybook.collection.operations.sending import LEASE
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.collection.queries import list_transfers_of
from tallybook.collection.rules import Caps, target_unsent
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.run import run_day
from tallybook.collection.tasks.settling import settle
from tallybook.kernel.frozen import replace
from tallybook.processor.model import Action, ItemKind, SendingState, Transfer, TransferState
from tallybook.processor.port import BalancesNotTold
from tallybook.processor.queries import find_sending
from tallybook.processor.sender import Sender
from tallybook.reports.verify import verify
from tallybook.writer.model import Command
from tests.making import day
from tests.played import DictatedProcessor, Played, accepted, lost

pytestmark = pytest.mark.played

S = TransferState


def payout_comes_back(book: Played) -> None:
    """Let an older report, which came late, say that the payout had failed before."""
    ident = book.credit_transfer().transaction_id
    raw = f"transaction_id,result\n{ident},fail\n#end,1\n".encode()
    book.wait(take_report(book, raw, day(0)))
    book.wait(settle(book))


def payout_is_taken_back(book: Played) -> None:
    """Let the Processor say that the payout came back after all."""
    book.rail.tell(book.credit_transfer().transaction_id, "fail")
    book.run(1)


# -- a person's word on an advance: A13


@pytest.mark.parametrize(
    ("how", "status"),
    [("forgive", "cancelled"), ("keep", "cancelled"), ("write_off", "written_off")],
)
def test_what_a_person_has_closed_is_not_collected_again_after_a_dispute(
    book: Played, how: str, status: str
) -> None:
    book.pay_out()
    book.collect(1)
    advance = book.advances()[0]
    asked = RuleAdvance(advance.id, "gone", forgive=how == "forgive", by="ann")
    operation = WRITE_OFF_ADVANCE if how == "write_off" else CANCEL_ADVANCE
    assert book.door.ask_now(Command(operation, asked)).status == 200
    balances, calls = book.balances(), len(book.rail.calls)
    payout_comes_back(book)
    assert book.credit_transfer().state is not S.SUCCEEDED
    assert book.advances()[0].status == status, "nothing is owed, and a person's word stands"
    assert book.balances() == {"cash:bank": 100, "customer-credit": -100}
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert (book.advances()[0].status, book.balances()) == (status, balances)
    book.run_until(45)
    assert len(book.rail.calls) == calls, "nothing more is collected"


def test_what_was_given_up_in_an_older_book_stays_closed(book: Played) -> None:
    """There the advance became failed when its payout was taken back: the ruling was forgotten."""
    book.pay_out()
    advance = book.advances()[0]
    asked = RuleAdvance(advance.id, "gone", by="ann")
    assert book.door.ask_now(Command(WRITE_OFF_ADVANCE, asked)).status == 200
    older = replace(book.advances()[0], status=AdvanceStatus.FAILED, payout=Payout.VOID)
    assert closed_by_a_person(older) is AdvanceStatus.WRITTEN_OFF
    assert closed_by_a_person(advance) is None


def test_a_write_off_gives_up_what_is_owed_when_it_is_owed(book: Played) -> None:
    """Cancelled and paid in full, nothing is left to give up; a return makes it owed again."""
    book.pay_out()
    book.collect(*range(1, 12))
    book.run_until(84)
    asked = RuleAdvance(book.advances()[0].id, "gone", by="ann")
    assert book.door.ask_now(Command(CANCEL_ADVANCE, asked)).status == 200
    book.rail.tell(book.debit_of(12).transaction_id, "success")
    book.run(1)
    refused = book.door.ask_now(Command(WRITE_OFF_ADVANCE, asked)).refusal
    assert refused is not None
    assert (refused.code, book.advances()[0].status) == ("advance_state_wrong", "cancelled")
    book.rail.tell(book.debit_of(12).transaction_id, "fail")
    book.run(1)
    assert book.balances() == {"receivable:advances": 100, "cash:bank": -100}
    assert book.door.ask_now(Command(WRITE_OFF_ADVANCE, asked)).status == 200
    assert book.balances() == {"expense:write-off": 100, "cash:bank": -100}


def test_an_advance_that_nobody_closed_is_collected_again_after_a_dispute(book: Played) -> None:
    book.pay_out()
    book.collect(1)
    payout_comes_back(book)
    assert book.advances()[0].status == "failed"
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert book.advances()[0].status == "active"
    assert (book.plan().unsent_minor, book.customer_credit()) == (1100, 0)


# -- held amounts when a plan is opened again: A9


def test_what_is_held_waits_again_when_a_plan_is_opened_again(book: Played) -> None:
    book.pay_out()
    book.run_until(13)
    assert book.debit_of(1).held
    payout_comes_back(book)
    book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    (waiting,) = (row for row in book.rows().values() if row.state is InstallmentState.WAITING)
    assert (waiting.replaces, waiting.amount_minor, waiting.attempt) == (1, 100, 2)
    assert waiting.number == book.plan().rows_count
    assert waiting.due_on == book.plan().last_due_on
    assert verify(book.database) == []
    book.rule(ItemKind.DEBIT_TIMED_OUT, Action.RELEASE)
    assert book.rows()[waiting.number].state is InstallmentState.PLANNED
    assert book.plan().held_minor == 0


def test_a_plan_that_has_not_begun_again_needs_no_rows(book: Played) -> None:
    book.pay_out()
    plan = book.plan()
    assert target_unsent(plan) == 1200
    assert target_unsent(replace(plan, status=PlanStatus.PENDING)) == 0


# -- credit that was paid out: C3, A10


def spent_payout(book: Played) -> Transfer:
    """Give credit back whose payout was ruled not executed, and let the customer use it."""
    book.pay_out()
    book.collect(1)
    payout_is_taken_back(book)
    book.rail.says = lost
    book.rule(ItemKind.EXCESS, Action.REFUND)
    book.rail.says = accepted
    book.rule(ItemKind.UNKNOWN, Action.CONFIRM_NOT_EXECUTED)
    book.advance()
    second = book.advances()[1]
    book.rail.tell(book.credit_transfer(1).transaction_id, "success")
    book.run(1)
    use = ApplyCredit(second.id, second.customer_id, 100, "USD", "asked for it")
    assert book.door.ask_now(Command(APPLY_CREDIT, use)).status == 201
    return payouts(book)[-1]


def payouts(book: Played) -> list[Transfer]:
    with book.database.reader() as connection:
        return list_transfers_of(connection, [book.advances()[0].customer_id])


def test_a_payout_that_was_executed_after_its_credit_was_used_waits_for_the_money(
    book: Played,
) -> None:
    sent = spent_payout(book)
    call = next(each for each in book.rail.calls if each.order.reference == sent.id)
    book.rail.tell(call.executed_as, "success")
    book.run(1)
    outcome = book.rule(ItemKind.ORPHAN, Action.CONFIRM_EXECUTED, transfer=sent)
    assert outcome.refusal is not None
    assert (outcome.status, outcome.refusal.code) == (409, "credit_insufficient")
    assert book.items(ItemKind.ORPHAN), "it stays open"


def test_a_payout_that_failed_and_was_refunded_again_is_refused_in_the_same_way(
    book: Played,
) -> None:
    book.pay_out()
    book.collect(1)
    payout_is_taken_back(book)
    book.rule(ItemKind.EXCESS, Action.REFUND)
    first = payouts(book)[-1]
    book.rail.tell(first.transaction_id, "fail")
    book.run(1)
    book.rail.tell(first.transaction_id, "success")
    book.run(1)
    book.rule(ItemKind.EXCESS, Action.REFUND)
    outcome = book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED)
    assert outcome.refusal is not None
    assert (outcome.status, outcome.refusal.code) == (409, "credit_insufficient")
    # The second one came back: now there is credit to take, and the first one is the true one.
    book.rail.tell(payouts(book)[-1].transaction_id, "fail")
    book.run(1)
    assert book.customer_credit() == 100
    assert book.rule(ItemKind.CONTRADICTION, Action.CONFIRM_EXECUTED).status == 200
    assert (book.balances(), book.customer_credit()) == ({}, 0)


# -- the switch: decision 0023


def test_a_stop_between_the_look_and_the_runs_own_start_stands(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.pay_out()
    held = SetSending(SendingState.RECONCILING, "restored", "restore", day(0), day(1))
    assert book.door.ask_now(Command(SET_SENDING, held)).status == 200
    book.run_until(6)
    look = run_tasks.has_open_orphans

    def racing(connection: Connection) -> bool:
        found = look(connection)
        stop = SetSending(SendingState.STOPPED, "emergency", "ann")
        assert book.door.ask_now(Command(SET_SENDING, stop)).status == 200
        return found

    monkeypatch.setattr(run_tasks, "has_open_orphans", racing)
    book.run(1)
    with book.database.reader() as connection:
        sending = find_sending(connection)
    assert sending is not None
    assert (sending.state, sending.reason) == (SendingState.STOPPED, "emergency")
    assert book.debits() == []


# -- which day it is, and for how long: T1, A9


def test_an_override_counts_from_the_business_date_on_which_it_was_given(book: Played) -> None:
    book.clock.zone = "America/Los_Angeles"
    book.pay_out(count=1)
    book.run_until(3)
    book.rail.report_is_missing = True
    book.run_until(7)
    assert book.items(ItemKind.REPORTS_MISSING)
    # Eight in the evening there is the next day's morning in UTC.
    at = datetime(2026, 1, 10, 4, tzinfo=UTC)
    book.clock.advance(seconds=(at - book.clock.now()).total_seconds())
    assert book.clock.today() == date(2026, 1, 9)
    book.rule(ItemKind.REPORTS_MISSING, Action.OVERRIDE)
    assert book.wait(run_day(book)).view["summary"]["sending_stopped"] is None
    assert len(book.debits()) == 1


def test_a_hold_is_as_long_as_its_plan_says(book_url: str, tmp_path: Path) -> None:
    """A setting that is changed later is for the plans to come."""
    with Played(book_url, tmp_path, hold_days=3) as book:
        book.pay_out()
        book.run_until(13)
        assert book.debit_of(1).held
    with Played(book_url, tmp_path, hold_days=80) as book:
        book.clock.turn_to(day(13))
        book.run_until(18)
        assert not book.debit_of(1).held
        assert verify(book.database) == []


# -- caps and balances: P8


def test_a_capped_row_takes_no_other_rows_place(book_url: str, tmp_path: Path) -> None:
    with Played(book_url, tmp_path, caps=Caps(debit_minor=150)) as book:
        book.customer()
        book.advance(amount=2400)
        book.advance(amount=1200)
        for which in (0, 1):
            book.rail.tell(book.credit_transfer(which).transaction_id, "success")
        book.run_until(21)
        assert (len(book.debits(0)), len(book.debits(1))) == (0, 3)
        (item,) = book.items(ItemKind.DEBIT_CAPPED)
        assert item.about == book.rows(0)[1].id
        book.rule(ItemKind.DEBIT_CAPPED, Action.OVERRIDE)
        book.run(1)
        assert [debit.installment_number for debit in book.debits(0)] == [1]
        assert verify(book.database) == []


class Telling(DictatedProcessor):
    """Tells balances as dictated, one after another; None is unclear."""

    def __init__(self, played: Played, *balances: str | Exception | None) -> None:
        super().__init__(played.clock)
        self.balances, self.asked = list(balances), 0

    async def available_balance(self, bank_account: str) -> str | None:
        del bank_account
        self.asked += 1
        said = self.balances.pop(0) if len(self.balances) > 1 else self.balances[0]
        if isinstance(said, Exception):
            raise said
        return said


def ask_for_balances(
    book: Played, monkeypatch: pytest.MonkeyPatch, *balances: str | Exception | None
) -> Telling:
    """Let the Processor tell balances, and keep one sender for all runs as an engine does."""
    book.pay_out(count=3)
    book.run_until(6)
    rail = Telling(book, *balances)
    rail.calls, rail.told, book.rail = book.rail.calls, book.rail.told, rail
    sender = Sender(
        rail,
        book.clock,
        house_account="HOUSE",
        currency="USD",
        lease=LEASE,
        is_open=book.sending.is_open,
    )
    monkeypatch.setattr(Played, "sender", sender)
    return rail


def test_an_unclear_balance_says_nothing_of_the_next_one(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    rail = ask_for_balances(book, monkeypatch, None, "0.00")
    book.run_until(14)
    assert rail.asked == 2
    assert [debit.reason for debit in book.debits()] == ["timed_out", "insufficient_funds"]


def test_a_processor_that_tells_no_balances_is_asked_again_the_next_day(
    book: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    rail = ask_for_balances(book, monkeypatch, BalancesNotTold(), "0.00")
    book.run_until(14)
    assert rail.asked == 2
    assert [debit.reason for debit in book.debits()] == ["timed_out", "insufficient_funds"]
