"""Advances as the wire shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from tallybook.advances.model import Advance, AdvanceStatus
from tallybook.advances.rules import outstanding
from tallybook.collection.model import Installment, InstallmentState, Plan
from tallybook.collection.views import RESULTS, TRANSFER_PREFIX
from tallybook.customers.views import CUSTOMER_PREFIX
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.processor.model import Transfer
from tallybook.wire.fields import AmountText, Answer

ADVANCE_PREFIX = "adv"


class AttemptView(Answer):
    """One debit that was sent for a row."""

    transfer_id: str
    transaction_id: str | None
    result: str
    """`success`, `fail`, `pending` or `unknown`."""
    reason: str | None


class PlanRowView(Answer):
    """One row of an advance's plan."""

    number: int
    due_on: date
    amount: AmountText
    status: str
    """`planned`, `waiting` (for what became of the row it replaces) or `cancelled`; once it is
    sent, the state of its last attempt."""
    replaces: int | None
    """The row whose debit this one makes up for."""
    attempts: list[AttemptView]


class AdvanceView(Answer):
    """An advance with its plan."""

    id: str
    transaction_id: str | None
    """The Processor's id of the payout; None while nobody knows whether it was executed."""
    status: AdvanceStatus
    amount: AmountText
    fee: AmountText
    currency: str
    customer_id: str
    effective_on: date
    outstanding: AmountText
    held: AmountText
    """Timed out: it may have been collected."""
    collected: AmountText
    in_flight: AmountText
    plan: list[PlanRowView]


def advance_view(
    advance: Advance,
    plan: Plan,
    rows: Sequence[Installment],
    transfers: Sequence[Transfer] = (),
) -> dict[str, Any]:
    """Show an advance with its plan and what became of each attempt."""
    by_row: dict[str | None, list[Transfer]] = {}
    for transfer in transfers:
        by_row.setdefault(transfer.installment_id, []).append(transfer)
    credit = next(iter(by_row.get(None, [])), None)
    return {
        **advance_summary(advance, plan),
        "transaction_id": credit.transaction_id if credit else None,
        "plan": [
            _row_view(row, advance.currency, by_row.get(row.id, []))
            for row in sorted(rows, key=lambda row: row.number)
        ],
    }


def advance_summary(advance: Advance, plan: Plan) -> dict[str, Any]:
    """Show an advance without its rows, as lists do."""
    currency = advance.currency
    return {
        "id": show_id(ADVANCE_PREFIX, advance.id),
        "status": advance.status.value,
        "amount": format_amount(advance.amount_minor, currency),
        "fee": format_amount(advance.fee_minor, currency),
        "currency": currency,
        "customer_id": show_id(CUSTOMER_PREFIX, advance.customer_id),
        "effective_on": advance.effective_on,
        "outstanding": format_amount(outstanding(advance, plan.succeeded_minor), currency),
        "held": format_amount(plan.held_minor, currency),
        "collected": format_amount(plan.succeeded_minor, currency),
        "in_flight": format_amount(plan.in_flight_minor, currency),
    }


def _row_view(row: Installment, currency: str, attempts: Sequence[Transfer]) -> dict[str, Any]:
    if attempts:
        attempts = sorted(attempts, key=lambda transfer: (transfer.intent_at, transfer.id))
    status = row.state.value
    if row.state is InstallmentState.SENT and attempts:
        status = attempts[-1].state.value
    return {
        "number": row.number,
        "due_on": row.due_on,
        "amount": format_amount(row.amount_minor, currency),
        "status": status,
        "replaces": row.replaces,
        "attempts": [
            {
                "transfer_id": show_id(TRANSFER_PREFIX, transfer.id),
                "transaction_id": transfer.transaction_id,
                "result": RESULTS[transfer.state],
                "reason": transfer.reason,
            }
            for transfer in attempts
        ],
    }
