"""Which kinds go with which types of message, and where a bill stands on a day."""

from __future__ import annotations

from datetime import date

from tallybook.bills.model import Bill, BillState, Kind, MessageType
from tallybook.kernel.refusal import Refusal, Refused

GOES_WITH = {
    Kind.GENERATION: MessageType.STATEMENT,
    Kind.IMMEDIATE: MessageType.STATEMENT,
    Kind.DUE_TODAY: MessageType.STATEMENT,
    Kind.CONFIRMATION: MessageType.PAYMENT,
    Kind.TXN_CONFIRMATION: MessageType.PAYMENT,
    Kind.INFORMATION: MessageType.INFORMATION,
}
"""Source: B2."""


def see_that_types_agree(kind: Kind, message_type: MessageType) -> None:
    """Refuse a pair of types that means nothing. Source: B2. Raises: Refused `types_disagree`."""
    if GOES_WITH[kind] is not message_type:
        raise Refused(
            Refusal("types_disagree", param="message_type", details={"expected": GOES_WITH[kind]})
        )


def see_minimum_fits(amount: int | None, minimum: int | None, *, param: str) -> None:
    """Refuse a minimum due above the total. Units: minor units. Raises: Refused `field_invalid`."""
    if amount is not None and minimum is not None and minimum > amount:
        problem = "it is more than the amount"
        raise Refused(
            Refusal("field_invalid", param=param, details={"field": param, "problem": problem})
        )


def state_on(bill: Bill, today: date) -> BillState:
    """Tell where a bill stands, from its dates and payments. Source: B5.

    A part that was paid shows only while the bill is not due: overdue stays overdue.
    """
    if bill.is_rolled_over:
        return BillState.ROLLED_OVER
    if bill.amount_minor is None:
        if bill.paid_minor > 0:
            return BillState.PAID
    elif bill.paid_minor >= bill.amount_minor:
        return BillState.PAID
    if bill.due_on is not None and bill.due_on < today:
        return BillState.OVERDUE
    if bill.due_on == today:
        return BillState.DUE_TODAY
    return BillState.PARTLY_PAID if bill.paid_minor > 0 else BillState.UNPAID


def open_minor(bill: Bill) -> int:
    """Tell what is left to pay. Units: minor units; 0 where the amount is not known."""
    return 0 if bill.amount_minor is None else max(0, bill.amount_minor - bill.paid_minor)
