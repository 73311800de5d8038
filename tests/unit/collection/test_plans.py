"""A plan keeps its equation whatever happens to its debits. Source: A4, A7-A10, A12."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.collection.model import (
    NOT_ATTEMPTED,
    NOT_CONNECTED,
    Installment,
    InstallmentState,
    OnFailedDebit,
    Plan,
    PlanStatus,
)
from tallybook.collection.rules import (
    PlanChange,
    close_plan,
    may_send,
    plan_rows,
    replan,
    resume_plan,
    retotal,
    send_row,
    target_unsent,
)
from tallybook.processor.model import Transfer, TransferState
from tallybook.processor.rules import IN_FLIGHT, LIVE, MOVES
from tests.making import a_plan, a_transfer, an_id, day, ids

S = TransferState
PLANNED, WAITING = InstallmentState.PLANNED, InstallmentState.WAITING
SENT, CANCELLED = InstallmentState.SENT, InstallmentState.CANCELLED


class Collected:
    """A plan with its rows and transfers, driven as the operations drive it."""

    def __init__(self, total: int = 1200, count: int = 12, **told: Any) -> None:
        self.ids = ids()
        self.run_on: date = day(0)
        plan = a_plan(total_minor=total, **told)
        rows = plan_rows(plan, count, self.ids)
        self.rows = {row.id: row for row in rows}
        self.plan = replace(plan, unsent_minor=total, rows_count=count, last_due_on=rows[-1].due_on)
        self.transfers: dict[str, Transfer] = {}
        self.is_exhausted = False

    def numbered(self, number: int) -> Installment:
        return next(row for row in self.rows.values() if row.number == number)

    @property
    def unsent(self) -> list[Installment]:
        return [row for row in self.rows.values() if row.state in (PLANNED, WAITING)]

    def due(self) -> list[Installment]:
        rows = [row for row in self.rows.values() if row.state is PLANNED]
        return sorted(rows, key=lambda row: (row.due_on, row.number))

    def send(self, number: int, state: TransferState = S.ACCEPTED) -> Transfer:
        row = self.numbered(number)
        self.plan, sent = send_row(self.plan, row)
        self.rows[row.id] = sent
        transfer = a_transfer(
            len(self.transfers) + 1,
            installment_id=row.id,
            installment_number=number,
            amount_minor=row.amount_minor,
            state=state,
            sent_on=self.run_on,
        )
        self.transfers[transfer.id] = transfer
        return transfer

    def news(self, transfer: Transfer, state: TransferState, **told: Any) -> PlanChange:
        before = self.transfers[transfer.id]
        held = state is S.TIMED_OUT and before.state is not S.TIMED_OUT
        after = replace(before, state=state, **({"held": held} | told))
        row = self.rows[before.installment_id or ""]
        change = replan(
            self.plan, self.unsent, row, before, after, run_on=self.run_on, ids=self.ids
        )
        self.transfers[after.id] = after
        self.take(change)
        return change

    def release(self, transfer: Transfer) -> PlanChange:
        return self.news(transfer, S.TIMED_OUT, held=False)

    def take(self, change: PlanChange) -> None:
        self.plan = change.plan
        self.rows |= {row.id: row for row in (*change.changed, *change.added)}
        self.is_exhausted |= change.is_exhausted

    def check(self) -> None:
        """Hold the plan against its rows and transfers, counted afresh."""
        plan, transfers = self.plan, self.transfers.values()
        in_flight = sum(t.amount_minor for t in transfers if t.state in IN_FLIGHT)
        succeeded = sum(t.amount_minor for t in transfers if t.state is S.SUCCEEDED)
        held = sum(t.amount_minor for t in transfers if t.held)
        claimed = in_flight + succeeded + held
        assert (plan.in_flight_minor, plan.succeeded_minor) == (in_flight, succeeded)
        assert (plan.held_minor, plan.claimed_minor) == (held, claimed)
        assert plan.excess_minor == max(0, claimed - plan.total_minor)
        unsent = sum(row.amount_minor for row in self.rows.values() if row.state is PLANNED)
        owed = 0 if plan.status is PlanStatus.CLOSED else max(0, plan.total_minor - claimed)
        assert unsent == owed == plan.unsent_minor == target_unsent(plan)
        waiting = {r.replaces: r.amount_minor for r in self.rows.values() if r.state is WAITING}
        if plan.status is not PlanStatus.CLOSED:
            assert waiting == {t.installment_number: t.amount_minor for t in transfers if t.held}
        numbers = sorted(row.number for row in self.rows.values())
        assert numbers == list(range(1, plan.rows_count + 1))
        assert all(row.amount_minor > 0 for row in self.rows.values())
        assert max(row.due_on for row in self.rows.values()) == plan.last_due_on
        live = [t.installment_id for t in transfers if t.state in LIVE]
        assert len(live) == len(set(live)), "at most one live transfer a row"


# -- A4


@given(total=st.integers(1, 10**15), count=st.integers(1, 520))
def test_rows_differ_by_one_unit_larger_first_and_sum_exactly(total: int, count: int) -> None:
    total = max(total, count)
    rows = plan_rows(a_plan(total_minor=total), count, ids())
    amounts = [row.amount_minor for row in rows]
    assert sum(amounts) == total
    assert amounts[0] - amounts[-1] in (0, 1)
    assert all(before >= after for before, after in pairwise(amounts))
    assert [row.number for row in rows] == list(range(1, count + 1))
    assert [row.due_on for row in rows] == [day(7 * (k + 1)) for k in range(count)]


# -- A7, A10: whatever comes, in whatever order

_CHOICES = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 9)), max_size=60
)


@given(
    choices=_CHOICES,
    total=st.integers(5, 3000),
    count=st.integers(1, 5),
    policy=st.sampled_from(OnFailedDebit),
    max_attempts=st.integers(0, 3),
)
def test_the_plan_equation_holds_after_whatever_happens(
    choices: list[tuple[int, int, int]],
    total: int,
    count: int,
    policy: OnFailedDebit,
    max_attempts: int,
) -> None:
    book = Collected(total, count, on_failed_debit=policy, max_attempts=max_attempts)
    book.check()
    for which, what, days in choices:
        book.run_on += timedelta(days=days)
        known = set(book.rows)
        _do_something(book, which, what)
        book.check()
        for ident in set(book.rows) - known:
            row = book.rows[ident]
            replaced = [r for r in book.rows.values() if r.number == row.replaces]
            stays_due = replaced and replaced[0].due_on == row.due_on
            assert stays_due or row.due_on > book.run_on


def _do_something(book: Collected, which: int, what: int) -> None:
    sendable = [row for row in book.due() if may_send(book.plan, row)]
    moves: list[Callable[[], object]] = [
        lambda row=row: book.send(row.number, S.INTENT) for row in sendable[:2]
    ]
    for transfer in book.transfers.values():
        states = sorted(MOVES[transfer.state])
        moves += [lambda t=transfer, s=state: book.news(t, s) for state in states]
        if transfer.held:
            moves.append(lambda t=transfer: book.release(t))
    if what % 40 == 0:
        moves = [lambda: book.take(close_plan(book.plan, book.unsent))]
    elif what % 11 == 0 and book.plan.status is PlanStatus.ACTIVE:
        total = which % 3000
        moves = [
            lambda: book.take(
                retotal(book.plan, book.unsent, total, run_on=book.run_on, ids=book.ids)
            )
        ]
    if moves:
        moves[which % len(moves)]()


def test_a_surplus_is_taken_from_the_last_row_backwards_and_a_row_may_shrink() -> None:
    book = Collected()
    book.take(retotal(book.plan, book.unsent, 950, run_on=day(0), ids=book.ids))
    book.check()
    states = [book.numbered(n).state for n in range(9, 13)]
    assert states == [PLANNED, PLANNED, CANCELLED, CANCELLED]
    assert [book.numbered(n).amount_minor for n in (9, 10)] == [100, 50]


def test_a_shortfall_is_a_new_row_at_the_end() -> None:
    book = Collected()
    book.take(retotal(book.plan, book.unsent, 1250, run_on=day(0), ids=book.ids))
    added = book.numbered(13)
    assert (added.amount_minor, added.due_on, added.replaces) == (50, day(91), None)


# -- A8


@pytest.mark.parametrize("state", [S.FAILED, S.RETURNED, S.REJECTED])
def test_what_failed_comes_again_one_interval_after_the_last_row(state: TransferState) -> None:
    book = Collected()
    first = book.send(1, S.INTENT if state is S.REJECTED else S.ACCEPTED)
    if state is S.RETURNED:
        book.news(first, S.SUCCEEDED)
    book.news(first, state, reason="insufficient_funds")
    added = book.numbered(13)
    assert (added.due_on, added.amount_minor) == (day(91), 100)
    assert (added.replaces, added.attempt, added.state) == (1, 2, PLANNED)
    assert book.numbered(1).state is SENT
    book.check()


def test_several_of_one_run_stand_one_interval_apart_in_the_order_of_their_numbers() -> None:
    book = Collected()
    sent = [book.send(number) for number in (1, 2, 3)]
    for transfer in sent:
        book.news(transfer, S.FAILED)
    assert [(book.numbered(n).replaces, book.numbered(n).due_on) for n in (13, 14, 15)] == [
        (1, day(91)),
        (2, day(98)),
        (3, day(105)),
    ]


@pytest.mark.parametrize("late", [91, 92, 97, 98, 200])
@pytest.mark.parametrize("policy", OnFailedDebit)
def test_a_moved_row_is_never_due_on_or_before_the_runs_date(
    late: int, policy: OnFailedDebit
) -> None:
    book = Collected(on_failed_debit=policy)
    for number in range(1, 13):
        book.send(number)
    book.run_on = day(late)
    last = next(t for t in book.transfers.values() if t.installment_number == 12)
    book.news(last, S.FAILED)
    due_on = book.numbered(13).due_on
    assert day(late) < due_on <= day(late + 7)
    assert (due_on - day(84)).days % 7 == 0


def test_by_next_due_date_two_stand_on_a_date_and_the_rest_on_those_that_follow() -> None:
    book = Collected(500, 5, on_failed_debit=OnFailedDebit.NEXT_DUE_DATE)
    book.run_on = day(22)
    for number in (1, 2, 3):
        book.news(book.send(number), S.FAILED)
    # Left are the rows of days 28 and 35: one more on each, and then one after the last.
    assert [book.numbered(n).due_on for n in (6, 7, 8)] == [day(28), day(35), day(42)]
    assert [book.numbered(n).replaces for n in (6, 7, 8)] == [1, 2, 3]
    assert [book.numbered(n).amount_minor for n in (6, 7, 8)] == [100, 100, 100]


def test_by_next_due_date_a_waiting_row_takes_a_place_too() -> None:
    book = Collected(400, 4, on_failed_debit=OnFailedDebit.NEXT_DUE_DATE)
    book.run_on = day(15)
    first, second = book.send(1), book.send(2)
    book.news(first, S.TIMED_OUT)
    book.news(second, S.FAILED)
    book.release(first)
    book.check()
    dates = [row.due_on for row in book.due()]
    assert all(dates.count(each) <= 2 for each in dates)


@pytest.mark.parametrize("reason", sorted(NOT_ATTEMPTED))
def test_what_never_left_is_not_an_attempt_and_the_row_stays_due(reason: str) -> None:
    book = Collected()
    book.news(book.send(1, S.INTENT), S.REJECTED, reason=reason)
    assert book.numbered(1).state is PLANNED
    assert book.plan.rows_count == 12
    book.check()


def test_what_was_not_executed_is_due_again_on_its_own_date_and_is_no_attempt() -> None:
    book = Collected()
    book.news(book.send(3, S.UNKNOWN), S.NOT_EXECUTED)
    again = book.due()[2]
    assert (again.due_on, again.amount_minor, again.attempt) == (day(21), 100, 1)
    book.check()


def test_what_was_ruled_not_executed_may_turn_out_executed_after_it_was_sent_again() -> None:
    book = Collected()
    first = book.send(3, S.UNKNOWN)
    book.news(first, S.NOT_EXECUTED)
    again = book.send(book.due()[2].number)
    book.news(again, S.SUCCEEDED)
    book.news(first, S.SUCCEEDED)
    # Both are booked: the plan asks for one row less, taken from its end.
    book.check()
    assert book.plan.succeeded_minor == 200
    assert [row.due_on for row in book.due()][-1] == day(77)


# -- A9


def _with_a_time_out() -> tuple[Collected, Transfer]:
    """12 x 100, of which #3 times out."""
    book = Collected()
    book.run_on = day(27)
    sent = {number: book.send(number) for number in (1, 2, 3)}
    book.news(sent[1], S.SUCCEEDED)
    book.news(sent[2], S.SUCCEEDED)
    book.news(sent[3], S.TIMED_OUT)
    return book, sent[3]


def test_the_replacement_of_a_time_out_waits_while_its_amount_is_held() -> None:
    book, lost = _with_a_time_out()
    waiting = book.numbered(13)
    assert (waiting.state, waiting.replaces, waiting.due_on) == (WAITING, 3, day(91))
    for number in range(4, 13):
        book.news(book.send(number), S.SUCCEEDED)
    book.check()
    assert (book.plan.succeeded_minor, book.plan.held_minor) == (1100, 100)
    assert not may_send(book.plan, waiting)
    assert not may_send(book.plan, replace(waiting, state=PLANNED)), "held + claimed: A9"
    book.release(lost)
    assert may_send(book.plan, book.numbered(13))
    book.news(book.send(13), S.SUCCEEDED)
    book.check()
    assert book.plan.succeeded_minor == 1200


def test_a_late_success_cancels_the_waiting_replacement() -> None:
    book, lost = _with_a_time_out()
    book.news(lost, S.SUCCEEDED)
    assert book.numbered(13).state is CANCELLED
    assert book.plan.unsent_minor == 900
    book.check()


def test_a_late_success_after_the_release_cancels_a_row_that_is_not_sent_yet() -> None:
    book, lost = _with_a_time_out()
    book.release(lost)
    book.check()
    book.news(lost, S.SUCCEEDED)
    assert book.plan.unsent_minor == 900
    book.check()


def test_a_late_success_after_the_replacement_went_out_is_excess() -> None:
    book, lost = _with_a_time_out()
    for number in range(4, 13):
        book.news(book.send(number), S.SUCCEEDED)
    book.release(lost)
    book.news(book.send(13), S.SUCCEEDED)
    book.news(lost, S.SUCCEEDED)
    book.check()
    assert (book.plan.succeeded_minor, book.plan.excess_minor) == (1300, 100)
    assert book.unsent == []


def test_a_late_failure_lets_the_replacement_go() -> None:
    book, lost = _with_a_time_out()
    book.news(lost, S.FAILED)
    book.check()
    assert book.numbered(13).state is PLANNED
    assert book.plan.rows_count == 13, "it moves once, not twice"


def test_a_time_out_ruled_not_executed_is_due_again_and_its_replacement_is_withdrawn() -> None:
    book, lost = _with_a_time_out()
    book.news(lost, S.NOT_EXECUTED)
    book.check()
    assert book.numbered(13).state is CANCELLED
    assert book.due()[0].due_on == day(21)


# -- A10


def test_a_row_goes_out_only_if_no_more_than_is_owed_is_claimed() -> None:
    book = Collected(200, 2)
    book.send(1)
    assert may_send(book.plan, book.numbered(2))
    one_more = replace(book.plan, in_flight_minor=101, claimed_minor=101)
    assert not may_send(one_more, book.numbered(2))


@pytest.mark.parametrize("status", sorted(set(PlanStatus) - {PlanStatus.ACTIVE}))
def test_only_an_active_plan_sends(status: PlanStatus) -> None:
    book = Collected()
    assert may_send(book.plan, book.numbered(1))
    assert not may_send(replace(book.plan, status=status), book.numbered(1))


@pytest.mark.parametrize("state", sorted(set(InstallmentState) - {PLANNED}))
def test_only_a_planned_row_is_sent(state: InstallmentState) -> None:
    book = Collected()
    assert not may_send(book.plan, replace(book.numbered(1), state=state))


# -- A12


def _miss(book: Collected, number: int, misses: Sequence[TransferState]) -> list[bool]:
    """Miss a row again and again; tells each time whether its chain is at its end."""
    told: list[bool] = []
    for state in misses:
        row = next(r for r in book.due() if r.number == number or r.replaces is not None)
        transfer = book.send(row.number, S.INTENT if state is S.REJECTED else S.ACCEPTED)
        change = book.news(transfer, state, reason="insufficient_funds")
        if state is S.TIMED_OUT:
            change = replace(change, is_exhausted=change.is_exhausted)
            book.release(transfer)
        told.append(change.is_exhausted)
    return told


@pytest.mark.parametrize("state", [S.FAILED, S.TIMED_OUT, S.REJECTED])
def test_a_chain_ends_at_its_nth_miss_time_outs_included(state: TransferState) -> None:
    book = Collected(100, 1, max_attempts=3)
    assert _miss(book, 1, [state] * 3) == [False, False, True]
    assert book.plan.unsent_minor == 100, "the row is there still, for when a person resumes"
    book.check()


def test_without_a_limit_no_chain_ends() -> None:
    book = Collected(100, 1, max_attempts=0)
    assert _miss(book, 1, [S.FAILED] * 50) == [False] * 50


def test_no_connection_and_not_executed_are_no_misses() -> None:
    book = Collected(100, 1, max_attempts=1)
    book.news(book.send(1, S.INTENT), S.REJECTED, reason=NOT_CONNECTED)
    book.news(book.send(1, S.UNKNOWN), S.NOT_EXECUTED)
    assert not book.is_exhausted
    book.news(book.send(book.due()[0].number), S.FAILED)
    assert book.is_exhausted


def test_a_time_out_that_then_fails_is_one_miss() -> None:
    book = Collected(100, 1, max_attempts=2)
    transfer = book.send(1)
    book.news(transfer, S.TIMED_OUT)
    book.news(transfer, S.FAILED)
    assert not book.is_exhausted


def test_a_resumed_plan_counts_its_attempts_from_one() -> None:
    book = Collected(100, 1, max_attempts=2)
    _miss(book, 1, [S.FAILED, S.FAILED])
    book.plan = replace(book.plan, status=PlanStatus.PAUSED)
    book.take(resume_plan(book.plan, book.unsent))
    assert book.plan.status is PlanStatus.ACTIVE
    assert [row.attempt for row in book.unsent] == [1]
    book.is_exhausted = False
    assert _miss(book, 1, [S.FAILED, S.FAILED]) == [False, True]


# -- closed plans


def test_a_closed_plan_withdraws_everything_and_takes_nothing_up_again() -> None:
    book, lost = _with_a_time_out()
    book.take(close_plan(book.plan, book.unsent))
    assert book.unsent == []
    book.news(lost, S.FAILED)
    assert book.unsent == []
    book.check()


def test_an_unneeded_row_is_not_put_back() -> None:
    book = Collected(100, 1)
    first = book.send(1, S.UNKNOWN)
    book.take(retotal(book.plan, book.unsent, 0, run_on=day(0), ids=book.ids))
    book.news(first, S.NOT_EXECUTED)
    assert book.unsent == []
    book.check()


def test_a_plan_of_an_id_that_is_somebody_elses_has_rows_of_its_own() -> None:
    rows = plan_rows(a_plan(subject_id=an_id(77)), 2, ids())
    assert {row.subject_id for row in rows} == {an_id(77)}


def test_send_row_moves_the_amount_from_unsent_to_claimed() -> None:
    book = Collected()
    plan: Plan = book.plan
    sent, row = send_row(plan, book.numbered(1))
    assert (sent.unsent_minor, sent.in_flight_minor, sent.claimed_minor) == (1100, 100, 100)
    assert row.state is SENT
