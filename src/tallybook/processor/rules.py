"""What the Processor's answers and reports prove: moves, folds, coverage. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import (
    SHOWN_OTHERWISE,
    Action,
    Fact,
    ItemKind,
    ReportState,
    Result,
    Transfer,
    TransferState,
)

WINDOW_DAYS = 5
"""A report taken on D shows what came about on D till then, and on the four days before."""

CALENDARS_DIFFER = timedelta(days=1)
"""How far the Processor's own calendar, which dates its rows, may be from ours. Source: P4, T1."""

REPORTS_MISSING_DAYS = 3
"""So many days without a complete report stop new debits. Source: P5."""

_ONE_MORE = timedelta(days=1)
"""Allowed for a Processor that counts five days and today."""

_S = TransferState

MOVES: Mapping[TransferState, frozenset[TransferState]] = {
    # The first rows are P2's table. A move that a later fact makes goes straight to where the
    # fold ends, so that "unknown, then matched, then reported failed" is one move.
    _S.INTENT: frozenset({_S.ACCEPTED, _S.REJECTED, _S.UNKNOWN}),
    _S.ACCEPTED: frozenset({_S.SUCCEEDED, _S.FAILED, _S.RETURNED, _S.TIMED_OUT, _S.NOT_EXECUTED}),
    _S.TIMED_OUT: frozenset({_S.SUCCEEDED, _S.FAILED, _S.RETURNED, _S.NOT_EXECUTED}),
    _S.SUCCEEDED: frozenset({_S.RETURNED, _S.FAILED}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.NOT_EXECUTED, _S.SUCCEEDED, _S.FAILED, _S.RETURNED}),
    # A person only; an older report that came late may re-fold failed and returned (T4).
    _S.NOT_EXECUTED: frozenset({_S.ACCEPTED, _S.SUCCEEDED, _S.FAILED, _S.RETURNED}),
    _S.FAILED: frozenset({_S.ACCEPTED, _S.SUCCEEDED, _S.RETURNED}),
    _S.RETURNED: frozenset({_S.ACCEPTED, _S.SUCCEEDED, _S.FAILED}),
    _S.REJECTED: frozenset(),
}

LIVE = frozenset({_S.INTENT, _S.ACCEPTED, _S.UNKNOWN, _S.TIMED_OUT, _S.SUCCEEDED})
"""At most one such transfer per plan row. Source: A10."""

COLLIDED = "transaction_id_collision"
"""The reason of a transfer that was answered with another's id, and is unknown for that."""

CONTESTED = "transaction_id_contested"
"""The reason of a transfer whose id another was answered with too: its rows may be the other's."""

IN_FLIGHT = frozenset({_S.INTENT, _S.ACCEPTED, _S.UNKNOWN})


def check_currency(currency: str, served: str | None) -> Refusal | None:
    """Refuse to move money in a currency that the Processor, where one is asked, does not serve.

    Source: P1.
    """
    if served is None or currency == served:
        return None
    return Refusal("currency_not_served", param="currency", details={"served": served})


@frozen
class Folded:
    """What all facts of one transaction come to."""

    state: TransferState | None
    """None while nothing was reported."""
    is_contradiction: bool
    reason: str | None
    resolved_on: date | None


def fold_facts(facts: Iterable[Fact]) -> Folded:
    """Tell what a transaction's facts come to, whatever order they arrived in.

    Success, then fail: returned. Fail, then success: a contradiction; it stays failed until a
    person says otherwise. Both for the first time on one day: nobody can tell the order, so it
    counts as not collected (returned) and a person is asked.

    Source: P4, T4.
    """
    first: dict[Result, Fact] = {}
    for fact in facts:
        known = first.get(fact.result)
        if known is None or fact.happened_on < known.happened_on:
            first[fact.result] = fact
    success, fail = first.get(Result.SUCCESS), first.get(Result.FAIL)
    if success is None and fail is None:
        return Folded(None, is_contradiction=False, reason=None, resolved_on=None)
    if fail is None:
        assert success is not None
        return Folded(
            _S.SUCCEEDED, is_contradiction=False, reason=None, resolved_on=success.happened_on
        )
    if success is None:
        return Folded(
            _S.FAILED, is_contradiction=False, reason=fail.reason, resolved_on=fail.happened_on
        )
    if success.happened_on <= fail.happened_on:
        same_day = success.happened_on == fail.happened_on
        return Folded(_S.RETURNED, same_day, fail.reason, fail.happened_on)
    return Folded(
        _S.FAILED, is_contradiction=True, reason=fail.reason, resolved_on=fail.happened_on
    )


def disagrees(fact: Fact, transfer: Transfer, account_hash: str | None) -> bool:
    """Tell whether a row of a transfer's own id is another's: by what it says, or when.

    Another amount, account or direction, or a day before the transfer was sent: the id was given
    twice. What the row leaves out, or what nobody looked up, agrees; what was also shown otherwise
    does not. Source: P4, P6, P7.
    """
    return (
        fact.account_hash == SHOWN_OTHERWISE
        or fact.first_on < transfer.sent_on
        or fact.happened_on < transfer.sent_on - CALENDARS_DIFFER
        or fact.amount_minor not in (None, transfer.amount_minor)
        or fact.direction not in (None, transfer.direction)
        or (account_hash is not None and fact.account_hash not in (None, account_hash))
    )


def join_facts(known: Fact, fact: Fact) -> Fact:
    """Make one fact of two that give a transaction the same result, in whatever order they came.

    What one leaves out the other says; where they say two things, both are doubtful. A fact that
    says more than when it was applied, or is older, is to be applied again. Source: P4, T4.
    """
    if (
        fact.happened_on >= known.happened_on
        and fact.first_on >= known.first_on
        and fact.not_before >= known.not_before
        and fact.amount_minor in (None, known.amount_minor)
        and fact.account_hash in (None, known.account_hash)
        and fact.direction in (None, known.direction)
    ):
        return known  # as nearly every row of a report, which repeats four days
    said = [
        (known.amount_minor, fact.amount_minor),
        (known.account_hash, fact.account_hash),
        (known.direction, fact.direction),
    ]
    amount, account, direction = (one if one is not None else other for one, other in said)
    if any(None not in each and each[0] != each[1] for each in said):
        account = SHOWN_OTHERWISE
    is_same = (amount, account, direction) == tuple(before for before, _ in said)
    return replace(
        known,
        first_on=min(fact.first_on, known.first_on),
        happened_on=min(fact.happened_on, known.happened_on),
        not_before=min(fact.not_before, known.not_before),
        # Only what it says and when it happened is folded; a day on which it was shown before may
        # prove something about the reports in between.
        applied=known.applied and is_same and fact.happened_on >= known.happened_on,
        amount_minor=amount,
        account_hash=account,
        direction=direction,
    )


def judge_report(*, ended: bool, missing_count: int) -> ReportState:
    """Tell whether a report proves anything by what it leaves out. Source: P4."""
    return ReportState.COMPLETE if ended and missing_count == 0 else ReportState.INCOMPLETE


def must_repeat(fact: Fact, report_on: date) -> bool:
    """Tell whether a report has to show a fact that an earlier one showed.

    Only where its day certainly lies in the window: `not_before` is the earliest it can be.
    """
    return fact.first_on < report_on and fact.not_before >= _window_start(report_on)


def unchanged_days(
    report_on: date, content: str, contents: Sequence[tuple[date, str]]
) -> tuple[date, date]:
    """Tell from when to when a file came day after day, with no other report between.

    `contents` are the days and contents of reports around it, its own among them.
    """
    others = [day for day, other in contents if other != content]
    before = max((day for day in others if day < report_on), default=date.min)
    after = min((day for day in others if day > report_on), default=date.max)
    same = [day for day, each in contents if each == content and before < day < after]
    return min(same), max(same)


def has_left(fact: Fact, first_on: date, last_on: date) -> bool:
    """Tell whether a fact can't stand any more in a file that came unchanged since another day.

    Then it may be a file of before, on all these days but the first. The fact came about by the
    first report that showed it, or by its own date, a day's difference between the calendars
    allowed for; where an id is used anew after its time, by the first of these days. Source: P6.
    """
    came_by = min(fact.first_on, fact.happened_on + CALENDARS_DIFFER)
    if came_by < _window_start(first_on) - _ONE_MORE:
        came_by = first_on
    return came_by < _window_start(last_on) - _ONE_MORE


def _window_start(report_on: date) -> date:
    return report_on - timedelta(days=WINDOW_DAYS - 1)


def earliest_day(report_on: date, other_reports: Iterable[date]) -> date:
    """Tell the earliest day on which something first seen in a report can have happened.

    On the day of the complete report before it at the earliest: after that one was taken.
    """
    return max([_window_start(report_on), *(day for day in other_reports if day < report_on)])


def row_days(own: date | None, report_on: date, earliest: date) -> tuple[date, date]:
    """Tell when a row's result came about, and on which day at the earliest.

    The row's own date counts, which is by the Processor's calendar: a day ahead of ours or behind
    it. A date that the report's window can't hold is none; then it is the report's, and `earliest`
    what other reports tell. Source: P4, T2.

    >>> row_days(date(2026, 3, 5), date(2026, 3, 4), date(2026, 3, 1))
    (datetime.date(2026, 3, 4), datetime.date(2026, 3, 4))
    """
    start = _window_start(report_on)
    if own is None or not start - CALENDARS_DIFFER <= own <= report_on + CALENDARS_DIFFER:
        return report_on, earliest
    return min(own, report_on), own - CALENDARS_DIFFER


def covered_days(complete_reports: Iterable[date]) -> frozenset[date]:
    """Tell which days complete reports cover: each the four days before its own.

    Of its own day it shows only what came before it was taken: not what the run of that day sends,
    nor what becomes of it by the evening. Source: P5.
    """
    return frozenset(
        day - timedelta(days=back) for day in complete_reports for back in range(1, WINDOW_DAYS)
    )


def has_own_report(run_on: date, covered: frozenset[date]) -> bool:
    """Tell whether there is a complete report of a run's own day: only that covers the day before.

    Without it time proves nothing, for it may show what no report before it could. Source: P5, T4.
    """
    return run_on - timedelta(days=1) in covered


def has_timed_out(sent_on: date, run_on: date, covered: frozenset[date]) -> bool:
    """Tell whether a transfer that no report showed has timed out by a run.

    Every day from S to S+5 must be covered by complete reports, and the run is S+6's or later and
    has one of its own day.

    Source: P5.
    """
    last = sent_on + timedelta(days=WINDOW_DAYS)
    is_over = run_on > last and has_own_report(run_on, covered)
    return is_over and _days(sent_on, last) <= covered


def is_in_gap(sent_on: date, run_on: date, covered: frozenset[date]) -> bool:
    """Tell whether a day that could have shown a transfer has left the window uncovered.

    Source: P5.
    """
    last = min(sent_on + timedelta(days=WINDOW_DAYS), _window_start(run_on) - timedelta(days=1))
    return not _days(sent_on, last) <= covered


def _days(first: date, last: date) -> frozenset[date]:
    return frozenset(first + timedelta(days=n) for n in range((last - first).days + 1))


def are_reports_missing(
    complete_reports: Sequence[date], first_sent_on: date | None, run_on: date
) -> bool:
    """Tell whether new debits must wait because no complete report has come for three days.

    Source: P5.
    """
    if first_sent_on is None:
        return False
    last = max([day for day in complete_reports if day <= run_on], default=first_sent_on)
    return (run_on - last).days >= REPORTS_MISSING_DAYS


def covered_days_since(day: date, covered: frozenset[date]) -> int:
    """Count the covered days from a day on: what `hold_days` are counted in. Source: A9."""
    return sum(1 for each in covered if each >= day)


def match_orphan(fact: Fact, nameless: Sequence[Transfer], hashes: Mapping[str, str]) -> str | None:
    """Find the transfer without an id that an orphan row is of; None leaves it to a person.

    Only rows that carry amount, account and direction identify a transfer. Of several equal
    unknowns the oldest is taken: money of one account and amount is all the same. Not so of one
    that a person confirmed, for its money is booked already: a row that was another's would vanish
    behind it. So it is only taken where no other fits, be that unknown or ruled not executed.

    Where the Processor's calendar is behind ours, a row may be dated a day before its transfer was
    sent; only a success is taken so, for a failure that is another's would send the transfer again.

    `hashes` gives the account hash of each bank account id. Source: P6.
    """
    if fact.amount_minor is None or fact.account_hash is None or fact.direction is None:
        return None
    sent_until = fact.happened_on
    if fact.result is Result.SUCCESS:
        # Whatever its date, a report shows nothing that was sent after it was taken.
        sent_until = min(sent_until + CALENDARS_DIFFER, fact.first_on)
    equal = [
        transfer
        for transfer in nameless
        if transfer.amount_minor == fact.amount_minor
        and transfer.direction == fact.direction
        and hashes.get(transfer.bank_account_id) == fact.account_hash
        and transfer.sent_on <= sent_until
    ]
    states = {transfer.state for transfer in equal}
    if TransferState.SUCCEEDED in states and len(states) > 1:
        return None
    may_be_it = [each for each in equal if each.state is not TransferState.NOT_EXECUTED]
    if not may_be_it:
        return None
    return min(may_be_it, key=lambda transfer: (transfer.intent_at, transfer.id)).id


def may_be_shown(sent_on: date, unexplained: Iterable[Fact]) -> bool:
    """Tell whether a row that nobody has explained may be a transfer sent on a date.

    Then reports do not prove that it was not executed, whatever else the row says: an account may
    be masked, and an amount less a charge. Source: P6.
    """
    return any(fact.happened_on >= sent_on - CALENDARS_DIFFER for fact in unexplained)


ALLOWED_ACTIONS: Mapping[ItemKind, tuple[Action, ...]] = {
    ItemKind.UNKNOWN: (Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED),
    ItemKind.ORPHAN: (Action.CONFIRM_EXECUTED, Action.ADOPT, Action.DISMISS),
    ItemKind.CONTRADICTION: (Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED),
    ItemKind.COLLISION: (Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED),
    ItemKind.GAP: (Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED),
    ItemKind.EXCESS: (Action.REFUND, Action.DISMISS),
    ItemKind.CREDIT_TIMED_OUT: (Action.CONFIRM_EXECUTED, Action.CONFIRM_NOT_EXECUTED),
    ItemKind.DEBIT_TIMED_OUT: (
        Action.CONFIRM_EXECUTED,
        Action.CONFIRM_NOT_EXECUTED,
        Action.RELEASE,
    ),
    ItemKind.DEFAULT: (Action.RESUME, Action.CANCEL, Action.WRITE_OFF),
    ItemKind.REPORTS_MISSING: (Action.OVERRIDE, Action.DISMISS),
    # Dismissed, each run would ask again, for the row stays due; it closes when that goes out.
    ItemKind.DEBIT_CAPPED: (Action.OVERRIDE,),
    ItemKind.RUN_CAPPED: (Action.DISMISS,),
    ItemKind.RESTORED: (),
}
"""What a person may do about each kind. Source: P9."""


def is_interval_accounted_for(
    lost_from: date, lost_until: date, run_on: date, covered: frozenset[date]
) -> bool:
    """Tell whether complete reports would have shown everything that was sent in some days.

    A transfer shows within the window after the day it was sent on, as in P5; so every day from
    the first to five after the last must be covered, and over. The copy's own reports are of
    no later day than anything it lost, so they cover none of it.
    """
    last = lost_until + timedelta(days=WINDOW_DAYS)
    return run_on > last and _days(lost_from, last) <= covered
