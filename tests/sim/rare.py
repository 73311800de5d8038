"""States that are rarely met, and that a whole run must meet: else it proves less than it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

RARE = (
    "advance active to completed",
    "advance completed to active",
    "advance pending to failed",
    "call unknown",
    "connection refused",
    "contradiction",
    "credit returned",
    "credit timed_out",
    "debit not sent for lack of funds",
    "debit not_executed",
    "debit returned",
    "debit timed_out",
    "drawer over or short",
    "excess paid out",
    "hold released",
    "id collision",
    "intent of a dead process",
    "late news: succeeded",
    "late success after release",
    "loan closed to active",
    "loan payment begun, then failed",
    "loan payment begun, then paid",
    "loan payment begun, then pending",
    "loan payment bounced",
    "loan payment refused: installment_reserved",
    "message again",
    "more collected than owed",
    "orphan confirm_executed: done",
    "payment bound to a bill that came after it",
    "process died",
    "process slept past its lease",
    "refund out of uncounted cash",
    "refund to the last cent",
    "report incomplete",
    "sale refused: change_impossible",
    "sending stopped: reports_missing",
    "success and fail seen at once",
    "unknown absent from identifying reports",
    "unknown matched by a report",
)


OFTEN = (
    "advance active to completed",
    "advance pending to failed",
    "debit not_executed",
    "intent of a dead process",
    "loan payment begun, then failed",
    "loan payment begun, then paid",
    "loan payment bounced",
    "message again",
    "payment bound to a bill that came after it",
    "process died",
    "refund out of uncounted cash",
    "refund to the last cent",
    "sale refused: change_impossible",
)
"""Those that two dozen seeds meet for certain."""


def missed(reached: Counter[str], names: Sequence[str] = RARE) -> list[str]:
    """List the rare states that a run never met."""
    return [name for name in names if not reached[name]]
