"""What facts come to, what reports prove by silence, and who an orphan is. Source: P2-P6."""

from dataclasses import replace
from datetime import date, timedelta
from functools import reduce
from itertools import permutations, product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.processor.model import (
    SHOWN_OTHERWISE,
    Fact,
    ItemKind,
    ReportState,
    Result,
    Transfer,
    TransferState,
)
from tallybook.processor.port import Direction
from tallybook.processor.rules import (
    ALLOWED_ACTIONS,
    IN_FLIGHT,
    LIVE,
    MOVES,
    WINDOW_DAYS,
    are_reports_missing,
    covered_days,
    covered_days_since,
    disagrees,
    earliest_day,
    fold_facts,
    has_left,
    has_own_report,
    has_timed_out,
    is_in_gap,
    join_facts,
    judge_report,
    match_orphan,
    may_be_shown,
    must_repeat,
    unchanged_days,
)
from tests.making import NOON, a_fact, a_transfer, an_id, day

S = TransferState
GOOD, BAD = Result.SUCCESS, Result.FAIL


# -- moves


@pytest.mark.parametrize(("before", "after"), list(product(S, S)))
def test_the_moves_of_the_table(before: S, after: S) -> None:
    """The table of P2, and nothing else; `refold` is what an older report may still change."""
    table = {
        S.INTENT: {S.ACCEPTED, S.REJECTED, S.UNKNOWN},
        S.ACCEPTED: {S.SUCCEEDED, S.FAILED, S.TIMED_OUT},
        S.TIMED_OUT: {S.SUCCEEDED, S.FAILED},
        S.SUCCEEDED: {S.RETURNED},
        S.UNKNOWN: {S.ACCEPTED, S.NOT_EXECUTED},
    }
    by_a_person = {
        S.NOT_EXECUTED: {S.SUCCEEDED, S.ACCEPTED},
        S.FAILED: {S.SUCCEEDED, S.ACCEPTED},
        S.RETURNED: {S.SUCCEEDED, S.ACCEPTED},
        S.UNKNOWN: {S.SUCCEEDED},
        S.ACCEPTED: {S.NOT_EXECUTED},
        S.TIMED_OUT: {S.NOT_EXECUTED},
    }
    refold = {  # several steps of the table at once, or a fact that comes before the known ones
        S.ACCEPTED: {S.RETURNED},
        S.TIMED_OUT: {S.RETURNED},
        S.UNKNOWN: {S.FAILED, S.RETURNED},
        S.NOT_EXECUTED: {S.FAILED, S.RETURNED},
        S.SUCCEEDED: {S.FAILED},
        S.FAILED: {S.RETURNED},
        S.RETURNED: {S.FAILED},
    }
    allowed = {after for each in (table, by_a_person, refold) for after in each.get(before, ())}
    assert (after in MOVES[before]) == (after in allowed)


def test_what_may_have_been_executed_is_live_and_what_is_proved_not_to_be_is_not() -> None:
    assert set(S) - LIVE == {S.REJECTED, S.FAILED, S.RETURNED, S.NOT_EXECUTED}
    assert {S.TIMED_OUT, S.SUCCEEDED} == LIVE - IN_FLIGHT


# -- the fold


@pytest.mark.parametrize(
    ("facts", "state", "is_contradiction"),
    [
        ([], None, False),
        ([(GOOD, 1)], S.SUCCEEDED, False),
        ([(BAD, 1)], S.FAILED, False),
        ([(GOOD, 1), (BAD, 2)], S.RETURNED, False),
        ([(BAD, 1), (GOOD, 2)], S.FAILED, True),
        ([(GOOD, 1), (BAD, 1)], S.RETURNED, True),
        ([(GOOD, 3), (GOOD, 1), (BAD, 2)], S.RETURNED, False),
        ([(BAD, 3), (BAD, 1), (GOOD, 2)], S.FAILED, True),
    ],
)
def test_facts_fold_the_same_in_every_order(
    facts: list[tuple[Result, int]], state: S | None, is_contradiction: bool
) -> None:
    made = [a_fact(result, day(after), reason=result.value) for result, after in facts]
    for order in permutations(made):
        for repeated in (order, (*order, *order)):
            folded = fold_facts(repeated)
            assert (folded.state, folded.is_contradiction) == (state, is_contradiction)


_FACTS = st.lists(
    st.builds(
        lambda result, after: a_fact(result, day(after)), st.sampled_from(Result), st.integers(0, 9)
    ),
    max_size=6,
)


@given(facts=_FACTS, draw=st.randoms(use_true_random=False))
def test_the_fold_knows_no_order_of_arrival(facts: list[Fact], draw: Random) -> None:
    shuffled = list(facts)
    draw.shuffle(shuffled)
    assert fold_facts(shuffled) == fold_facts(facts)


def test_the_fold_tells_when_and_why() -> None:
    folded = fold_facts([a_fact(GOOD, day(1)), a_fact(BAD, day(3), reason="revoked")])
    assert (folded.reason, folded.resolved_on) == ("revoked", day(3))
    assert fold_facts([a_fact(GOOD, day(1))]).resolved_on == day(1)


# -- completeness


@pytest.mark.parametrize(("ended", "missing"), list(product((True, False), (0, 1))))
def test_a_report_is_complete_if_it_ends_and_misses_nothing(ended: bool, missing: int) -> None:
    complete = judge_report(ended=ended, missing_count=missing) is ReportState.COMPLETE
    assert complete == (ended and not missing)


@pytest.mark.parametrize(
    ("contents", "unchanged"),
    [
        ({10: "a"}, (10, 10)),
        ({8: "a", 9: "a", 10: "a", 11: "a"}, (8, 11)),
        ({7: "a", 8: "b", 9: "a", 10: "a", 12: "b", 13: "a"}, (9, 10)),
        ({5: "a", 10: "a"}, (5, 10)),
    ],
)
def test_since_when_a_file_came_unchanged(
    contents: dict[int, str], unchanged: tuple[int, int]
) -> None:
    listed = [(day(on), content) for on, content in contents.items()]
    since, until = unchanged
    assert unchanged_days(day(10), "a", listed) == (day(since), day(until))


@pytest.mark.parametrize(
    ("first_on", "happened_on", "since", "until", "left"),
    [
        # A report of the 12th shows the 7th where the Processor counts five days and today.
        (7, 7, 7, 12, False),
        (7, 7, 7, 13, True),
        (5, 5, 7, 10, False),
        (5, 5, 7, 11, True),
        # Its own date counts where it is earlier, by a calendar that may be a day behind.
        (7, 5, 7, 11, False),
        (7, 5, 7, 12, True),
        # An id that is used again long after its time.
        (1, 1, 7, 12, False),
        (1, 1, 7, 13, True),
    ],
)
def test_what_an_unchanged_file_can_not_show_any_more(
    first_on: int, happened_on: int, since: int, until: int, left: bool
) -> None:
    fact = a_fact(GOOD, day(happened_on), first_on=day(first_on))
    assert has_left(fact, day(since), day(until)) is left


@pytest.mark.parametrize(("later", "must"), [(0, False), (1, True), (4, True), (5, False)])
def test_a_fact_is_repeated_while_the_window_covers_it(later: int, must: bool) -> None:
    assert must_repeat(a_fact(GOOD, day(10)), day(10 + later)) is must


def test_an_older_report_need_not_show_what_came_after_it() -> None:
    assert not must_repeat(a_fact(GOOD, day(10)), day(9))


@pytest.mark.parametrize(
    ("others", "earliest"),
    [
        ([], 6),  # the window's start
        ([9], 9),  # it may have happened on the 9th, after that day's report was taken
        ([7, 8, 11], 8),
        ([1], 6),
    ],
)
def test_how_early_something_first_seen_can_have_happened(others: list[int], earliest: int) -> None:
    assert earliest_day(day(10), [day(other) for other in others]) == day(earliest)


# -- coverage


def test_a_report_covers_the_four_days_before_its_own() -> None:
    assert covered_days([day(10)]) == {day(6), day(7), day(8), day(9)}
    assert covered_days([]) == frozenset()


_REPORTS = st.sets(st.integers(-8, 16), max_size=16).map(lambda after: {day(n) for n in after})


@given(reports=_REPORTS, run=st.integers(0, 16))
def test_a_time_out_needs_six_covered_days_and_the_sixth_run_after(
    reports: set[date], run: int
) -> None:
    covered = covered_days(each for each in reports if each <= day(run))
    timed_out = has_timed_out(day(0), day(run), covered)
    every_day = all(
        any(
            0 < (report - day(after)).days < WINDOW_DAYS for report in reports if report <= day(run)
        )
        for after in range(6)
    )
    assert timed_out == (run >= 6 and every_day and day(run) in reports)


@given(reports=_REPORTS, run=st.integers(0, 16), came_on=st.integers(0, 16), is_early=st.booleans())
def test_what_has_timed_out_would_have_been_shown(
    reports: set[date], run: int, came_on: int, is_early: bool
) -> None:
    """Whenever it came about after it was sent: before the report of a day, or after it."""
    taken = [each for each in reports if each <= day(run)]
    shown = [each for each in taken if 0 <= (each - day(came_on)).days < WINDOW_DAYS]
    if not is_early or came_on == 0:
        shown = [each for each in shown if each > day(came_on)]
    if came_on <= WINDOW_DAYS and not shown:
        assert not has_timed_out(day(0), day(run), covered_days(taken))


def test_a_time_out_comes_in_the_run_of_s_plus_6_at_the_earliest() -> None:
    for run in (4, 5, 6, 7):
        covered = covered_days([day(4), day(run)])
        assert has_timed_out(day(0), day(run), covered) is (run >= 6)


def test_time_proves_nothing_in_a_run_without_a_report_of_its_own() -> None:
    covered = covered_days([day(4), day(6)])
    assert [has_timed_out(day(0), day(run), covered) for run in (6, 7)] == [True, False]
    assert [has_own_report(day(run), covered) for run in (6, 7)] == [True, False]


@given(reports=_REPORTS, run=st.integers(0, 16))
def test_a_gap_is_a_day_that_no_report_can_show_any_more(reports: set[date], run: int) -> None:
    covered = covered_days(reports)
    lost = [
        after
        for after in range(6)
        if day(after) not in covered and day(after) <= day(run) - timedelta(days=WINDOW_DAYS)
    ]
    assert is_in_gap(day(0), day(run), covered) == bool(lost)
    if lost:
        assert not has_timed_out(day(0), day(run), covered), "one or the other"


def test_three_missing_days_are_no_gap_and_four_are() -> None:
    """After four, nothing shows what came on the evening of the last day before them."""
    three = covered_days([day(0), day(4), *(day(run) for run in range(5, 30))])
    four = covered_days([day(0), *(day(run) for run in range(5, 30))])
    assert not any(is_in_gap(day(0), day(run), three) for run in range(30))
    assert [is_in_gap(day(0), day(run), four) for run in (4, 5, 6)] == [False, True, True]


@pytest.mark.parametrize(("silent_days", "missing"), [(0, False), (2, False), (3, True), (9, True)])
def test_three_days_without_a_complete_report_stop_debits(silent_days: int, missing: bool) -> None:
    run_on = day(20 + silent_days)
    assert are_reports_missing([day(18), day(20)], day(0), run_on) is missing
    assert are_reports_missing([], day(20), run_on) is missing, "counted from the first transfer"


def test_nothing_is_missing_before_anything_was_sent_and_later_reports_do_not_count() -> None:
    assert not are_reports_missing([], None, day(50))
    assert are_reports_missing([day(0), day(90)], day(0), day(50))


def test_hold_days_are_covered_days_from_the_time_out_on() -> None:
    covered = covered_days([day(5), day(20)])
    assert covered_days_since(day(0), covered) == 8
    assert covered_days_since(day(4), covered) == 5
    assert covered_days_since(day(20), covered) == 0


# -- orphans

HASHES = {an_id(3): "hash-3", an_id(4): "hash-4"}


def _unknown(number: int, **told: Any) -> Transfer:
    return a_transfer(number, state=S.UNKNOWN, transaction_id=None, **told)


def _orphan(**told: Any) -> Fact:
    rich: dict[str, Any] = {
        "amount_minor": 100,
        "account_hash": "hash-3",
        "direction": Direction.DEBIT,
    }
    return replace(a_fact(GOOD, day(1)), **(rich | told))


def test_an_orphan_that_names_amount_account_and_direction_finds_its_transfer() -> None:
    assert match_orphan(_orphan(), [_unknown(7)], HASHES) == _unknown(7).id


@pytest.mark.parametrize(
    "orphan",
    [
        _orphan(amount_minor=None),
        _orphan(account_hash=None),
        _orphan(direction=None),
        _orphan(amount_minor=101),
        _orphan(account_hash="hash-4"),
        _orphan(direction=Direction.CREDIT),
        _orphan(happened_on=day(-2)),
    ],
)
def test_an_orphan_that_differs_or_tells_too_little_waits_for_a_person(orphan: Fact) -> None:
    assert match_orphan(orphan, [_unknown(7)], HASHES) is None


@pytest.mark.parametrize(
    ("told", "sent_after", "matched"),
    [
        ({"happened_on": day(6), "first_on": day(8)}, 7, True),
        ({"happened_on": day(6), "first_on": day(8)}, 8, False),
        # It was sent after the report that shows the row was taken.
        ({"happened_on": day(6), "first_on": day(6)}, 7, False),
        # A failure that was another's would send it again.
        ({"happened_on": day(6), "first_on": day(8), "result": Result.FAIL}, 7, False),
    ],
)
def test_a_row_dated_the_day_before_may_be_it_if_it_tells_of_a_success(
    told: dict[str, Any], sent_after: int, matched: bool
) -> None:
    found = match_orphan(_orphan(**told), [_unknown(7, sent_on=day(sent_after))], HASHES)
    assert (found is not None) is matched


def test_a_row_may_be_a_transfer_that_was_sent_up_to_a_day_after_its_date() -> None:
    row = _orphan(happened_on=day(6))
    assert [may_be_shown(day(sent), [row]) for sent in (5, 6, 7, 8)] == [True, True, True, False]
    assert not may_be_shown(day(6), [])


def test_of_several_equal_unknowns_the_oldest_is_matched() -> None:
    newer = _unknown(1)
    older = _unknown(2, intent_at=NOON - timedelta(hours=1))
    elsewhere = _unknown(3, bank_account_id=an_id(4), intent_at=NOON - timedelta(hours=2))
    for order in permutations([newer, older, elsewhere]):
        assert match_orphan(_orphan(), order, HASHES) == older.id


def test_facts_are_joined_alike_in_any_order() -> None:
    """Dates go back, gaps are filled, and what is said twice is doubtful for good."""
    said: list[dict[str, Any]] = [
        {},
        {"amount_minor": 100, "direction": Direction.DEBIT},
        {"account_hash": "hash-3", "happened_on": day(1), "first_on": day(2)},
        {"amount_minor": 100, "account_hash": "hash-3", "not_before": day(0)},
    ]
    facts = [replace(a_fact(GOOD, day(3)), **told) for told in said]
    for contradicting in ([], [a_fact(GOOD, day(3), amount_minor=90)]):
        ends = {reduce(join_facts, order) for order in permutations([*facts, *contradicting])}
        assert len({replace(end, amount_minor=None) for end in ends}) == 1
        joined = ends.pop()
        assert (joined.happened_on, joined.direction) == (day(1), Direction.DEBIT)
        assert joined.account_hash == (SHOWN_OTHERWISE if contradicting else "hash-3")
        transfer = a_transfer(7, bank_account_id=an_id(3), amount_minor=joined.amount_minor)
        assert disagrees(joined, transfer, "hash-3") is bool(contradicting)
        assert disagrees(joined, transfer, None) is bool(contradicting)


@pytest.mark.parametrize(
    ("happened", "shown", "is_anothers"),
    [(10, 10, False), (12, 13, False), (9, 10, False), (8, 10, True), (9, 9, True), (9, 13, False)],
)
def test_a_row_older_than_the_transfer_that_it_names_is_anothers(
    happened: int, shown: int, is_anothers: bool
) -> None:
    """Its own date may be a day off; no report shows what was not sent yet."""
    transfer = a_transfer(sent_on=day(10))
    fact = a_fact(GOOD, day(happened), first_on=day(shown))
    assert disagrees(fact, transfer, None) is is_anothers


def test_a_fact_that_says_nothing_new_is_not_applied_again() -> None:
    known = replace(a_fact(GOOD, day(3), amount_minor=100), applied=True)
    same = a_fact(GOOD, day(3))
    assert join_facts(known, same) == known
    shown_before = replace(same, first_on=day(2), happened_on=day(3))
    assert join_facts(known, shown_before).applied
    for told in ({"happened_on": day(2)}, {"amount_minor": 90}, {"direction": Direction.DEBIT}):
        assert not join_facts(known, replace(same, **told)).applied


def test_every_kind_of_item_says_what_a_person_may_do() -> None:
    assert set(ALLOWED_ACTIONS) == set(ItemKind)
    # That a copy was restored is answered by letting debits go out again.
    assert {kind for kind, actions in ALLOWED_ACTIONS.items() if not actions} == {ItemKind.RESTORED}
