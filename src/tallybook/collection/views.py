"""Transfers, operator items, runs and reports as the wire shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic_core import to_jsonable_python

from tallybook.collection.model import Run, RunState
from tallybook.customers.views import CUSTOMER_PREFIX
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.processor.model import (
    Action,
    ItemKind,
    OperatorItem,
    Report,
    ReportState,
    Sending,
    SendingState,
    TransferKind,
    TransferState,
)
from tallybook.processor.rules import ALLOWED_ACTIONS
from tallybook.wire.fields import AmountText, Answer

ITEM_PREFIX = "itm"
REPORT_PREFIX = "rep"
TRANSFER_PREFIX = "trf"

SUBJECT_PREFIXES: Mapping[TransferKind, str] = {
    TransferKind.ADVANCE: "adv",
    TransferKind.LOAN: "loan",
    TransferKind.CREDIT_PAYOUT: CUSTOMER_PREFIX,
}
"""What kind of thing a transfer is for, as its id shows it."""

RESULTS: Mapping[TransferState, str] = {
    TransferState.INTENT: "pending",
    TransferState.ACCEPTED: "pending",
    TransferState.UNKNOWN: "unknown",
    TransferState.TIMED_OUT: "unknown",
    TransferState.SUCCEEDED: "success",
    TransferState.FAILED: "fail",
    TransferState.RETURNED: "fail",
    TransferState.REJECTED: "fail",
    TransferState.NOT_EXECUTED: "fail",
}
"""What a transfer's state comes to in one of four words. Source: A14."""


class ItemView(Answer):
    """Something that waits for a person, or was ruled by one."""

    id: str
    kind: ItemKind
    status: str
    """`open` or `resolved`."""
    detail: str
    """One sentence for the person who decides."""
    transfer_id: str | None
    transaction_id: str | None
    """For an orphan, the Processor's id that no transfer of ours has."""
    subject_id: str | None
    """The advance it is about."""
    customer_id: str | None
    amount: AmountText | None
    """For an excess, how much of it can be refunded."""
    currency: str | None
    actions: list[Action]
    """What may be done about it; nothing once it is resolved."""
    opened_on: date
    action: str | None
    """What was done: an action, or `answered_by_news`, or `hold_ended` by time alone."""
    reason: str | None
    resolved_by: str | None
    resolved_at: datetime | None


class RunView(Answer):
    """A run of one business date."""

    id: date
    """Its business date once more: where the next page starts after."""
    business_date: date
    status: RunState
    started_at: datetime
    finished_at: datetime | None
    summary: dict[str, Any]
    """Counts and sums per step: `report`, `settled`, `replanned`, `told`, `sent`,
    `sending_stopped`."""


class ReportView(Answer):
    """A report of the Processor's, as it was taken in."""

    id: str
    report_on: date
    taken_at: datetime
    sha256: str
    status: ReportState
    """`incomplete` ones are used, and prove nothing by what they leave out."""
    rows: int
    new: int
    """Facts that no report told before."""
    missing: int
    """Facts of earlier reports that it should repeat and doesn't."""
    problems: list[tuple[int, str]]
    """Line number and code of what could not be read, at most 100; of the whole file, line 1."""


class ReportTakenView(ReportView):
    """A report with what it changed."""

    settled: dict[str, Any]
    """Transfers by what they came to, and orphans: counts and sums."""
    replanned: dict[str, Any]


class PayoutView(Answer):
    """A payout of customer credit."""

    id: str
    customer_id: str
    amount: AmountText
    currency: str
    transaction_id: str | None
    """None while nobody knows what became of it."""
    status: TransferState


class CreditUseView(Answer):
    """Credit that was used for something owed."""

    amount: AmountText
    currency: str
    subject_id: str
    credit_left: AmountText


def item_view(item: OperatorItem) -> dict[str, Any]:
    """Show an operator item, with what may be done about it while it is open."""
    is_orphan = item.kind is ItemKind.ORPHAN
    amount, currency = item.amount_minor, item.currency
    return {
        "id": show_id(ITEM_PREFIX, item.id),
        "kind": item.kind.value,
        "status": "open" if item.is_open else "resolved",
        "detail": item.detail,
        "transfer_id": show_id(TRANSFER_PREFIX, item.transfer_id) if item.transfer_id else None,
        "transaction_id": item.about if is_orphan else None,
        "subject_id": _subject(item),
        "customer_id": show_id(CUSTOMER_PREFIX, item.customer_id) if item.customer_id else None,
        "amount": None if amount is None else format_amount(amount, currency or ""),
        "currency": currency,
        "actions": [action.value for action in ALLOWED_ACTIONS[item.kind]] if item.is_open else [],
        "opened_on": item.opened_on,
        "action": item.action,
        "reason": item.reason,
        "resolved_by": item.resolved_by,
        "resolved_at": item.resolved_at,
    }


def _subject(item: OperatorItem) -> str | None:
    if item.subject_id is None or item.transfer_kind is None:
        return None
    return show_id(SUBJECT_PREFIXES[item.transfer_kind], item.subject_id)


def run_view(run: Run) -> dict[str, Any]:
    """Show a run with its counts and sums per step."""
    shown: dict[str, Any] = to_jsonable_python(
        {
            "id": run.business_date,
            "business_date": run.business_date,
            "status": run.state.value,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "summary": json.loads(run.summary),
        }
    )
    return shown


def report_view(report: Report) -> dict[str, Any]:
    """Show a report without its raw text."""
    return {
        "id": show_id(REPORT_PREFIX, report.id),
        "report_on": report.report_on,
        "taken_at": report.taken_at,
        "sha256": report.sha256,
        "status": str(report.state),
        "rows": report.rows_count,
        "new": report.new_count,
        "missing": report.missing_count,
        "problems": json.loads(report.problems),
    }


class SendingView(Answer):
    """Whether anything may be sent to the Processor, and who said so."""

    state: SendingState
    reason: str
    changed_by: str | None
    changed_at: datetime | None
    lost_from: date | None
    """While a restored copy is reconciled: the first date of which it may not know all."""
    lost_until: date | None


def sending_view(sending: Sending | None) -> dict[str, Any]:
    """Show the switch; without a row it is open, and nobody has touched it."""
    if sending is None:
        return {
            "state": SendingState.OPEN,
            "reason": "",
            "changed_by": None,
            "changed_at": None,
            "lost_from": None,
            "lost_until": None,
        }
    return {
        "state": sending.state,
        "reason": sending.reason,
        "changed_by": sending.changed_by,
        "changed_at": sending.changed_at,
        "lost_from": sending.lost_from,
        "lost_until": sending.lost_until,
    }
