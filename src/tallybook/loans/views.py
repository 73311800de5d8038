"""Loans, schedules and payments as the wire shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from tallybook.customers.views import BANK_ACCOUNT_PREFIX, CUSTOMER_PREFIX
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.loans.model import (
    Allocation,
    Bucket,
    Collection,
    Coverage,
    Delinquency,
    Interval,
    Loan,
    LoanStatus,
    PaidRow,
    Payment,
    PaymentPolicy,
    PaymentStatus,
)
from tallybook.loans.rules.books import owed
from tallybook.loans.rules.paying import (
    LoanOn,
    allocate,
    allocation_of,
    bucket_of,
    cover,
    covered_minor,
    outstanding_on,
    owed_again_on,
    status_on,
    tally,
)
from tallybook.loans.rules.schedule import schedule
from tallybook.wire.fields import AmountText, Answer

LOAN_PREFIX = "loan"
PAYMENT_PREFIX = "pay"


class ScheduleRowView(Answer):
    """What is to be paid when, and what was."""

    number: int
    due_on: date
    amount: AmountText
    principal: AmountText
    interest: AmountText
    paid: AmountText
    status: str
    """`pending` or `paid`."""
    paid_on: date | None
    missed: bool
    """Past due and not paid in full."""
    reserved: bool
    """A payment for it is pending."""


class ScheduleView(Answer):
    """A loan's schedule as it stands on a date."""

    as_of: date
    data: list[ScheduleRowView]


class LoanSummaryView(Answer):
    """A loan without its schedule, as it stands on a date."""

    id: str
    customer_id: str
    reference: str | None
    status: LoanStatus
    principal: AmountText
    interest_rate: str
    """Percent for the whole term."""
    interest: AmountText
    total: AmountText
    outstanding: AmountText
    """What is owed: `total` less `paid`, and `owed_again`; nothing once it is written off."""
    paid: AmountText
    """What is paid of the schedule."""
    owed_again: AmountText
    """Owed on top of the schedule: credit that was spent before its payment was reversed."""
    currency: str
    installments: int
    interval: Interval
    start_on: date
    rounding_unit: int
    payment_policy: PaymentPolicy
    delinquent_after: int
    collection: Collection
    bank_account_id: str | None
    as_of: date


class LoanView(LoanSummaryView):
    """A loan with its schedule, as it stands on a date."""

    schedule: list[ScheduleRowView]


class OutstandingView(Answer):
    """What is owed on a loan on a date."""

    outstanding: AmountText
    currency: str
    as_of: date


class DelinquencyView(Answer):
    """How a loan stands on a date."""

    is_delinquent: bool
    missed_in_a_row: int
    """The longest run of consecutive rows that are past due and unpaid."""
    days_past_due: int
    """Of the oldest row that is past due and unpaid."""
    bucket: Bucket
    overdue: AmountText
    """What is past due and unpaid."""
    currency: str
    as_of: date


class CurrencyOutstandingView(Answer):
    """What is owed in one currency."""

    currency: str
    outstanding: AmountText


class CustomerOutstandingView(Answer):
    """What a customer owes on all their loans on a date."""

    outstanding: AmountText
    """In the currency that they have loans in; in several, that of the installation."""
    currency: str
    as_of: date
    currencies: list[CurrencyOutstandingView]


class LoanDelinquencyView(DelinquencyView):
    """How one of a customer's loans stands on a date."""

    loan_id: str


class CustomerDelinquencyView(Answer):
    """Whether a customer is delinquent on a date: whether any of their loans is."""

    is_delinquent: bool
    missed_in_a_row: int
    days_past_due: int
    bucket: Bucket
    """The worst of their loans'."""
    as_of: date
    loans: list[LoanDelinquencyView]


class PaymentView(Answer):
    """One payment on a loan."""

    id: str
    loan_id: str
    amount: AmountText
    currency: str
    method: str
    status: PaymentStatus
    effective_on: date
    installment_numbers: list[int]
    """The rows that it pays, in full or in part; while it is pending, the one that it reserves."""
    credit: AmountText
    """What was too much, and is customer credit."""
    credit_repaid: AmountText
    """What it paid of `owed_again`: that was for no row, and gives no credit a second time."""
    owed_again: AmountText
    """Of a reversed payment: credit that it had given and that was spent before. The customer keeps
    what they had for it, and owes it once more, on top of the schedule."""
    outstanding: AmountText
    """What is owed on the loan after it."""
    reference: str | None
    received_at: datetime
    settled_at: datetime | None
    reversed_on: date | None
    reason: str | None


def loan_view(loan: Loan, payments: Iterable[Payment], as_of: date) -> dict[str, Any]:
    """Show a loan with its schedule on a date; `payments` are all but the failed ones."""
    payments = list(payments)
    coverage = cover(loan.terms, tally(payments, as_of))
    return {
        **loan_summary(loan, coverage, as_of),
        "schedule": schedule_view(loan, payments, as_of),
    }


def loan_summary(loan: Loan, coverage: Coverage, as_of: date) -> dict[str, Any]:
    """Show a loan on a date without its schedule, as lists do."""

    def shown(minor: int) -> str:
        return format_amount(minor, loan.currency)

    account = loan.bank_account_id
    return {
        "id": show_id(LOAN_PREFIX, loan.id),
        "customer_id": show_id(CUSTOMER_PREFIX, loan.customer_id),
        "reference": loan.reference,
        "status": status_on(loan, coverage, as_of).value,
        "principal": shown(loan.principal_minor),
        "interest_rate": loan.interest_rate,
        "interest": shown(loan.interest_minor),
        "total": shown(loan.total_minor),
        "outstanding": shown(outstanding_on(loan, coverage, as_of)),
        "paid": shown(covered_minor(loan.terms, coverage)),
        "owed_again": shown(owed_again_on(loan, coverage, as_of)),
        "currency": loan.currency,
        "installments": loan.installments,
        "interval": loan.interval.value,
        "start_on": loan.start_on,
        "rounding_unit": loan.rounding_unit,
        "payment_policy": loan.payment_policy.value,
        "delinquent_after": loan.delinquent_after,
        "collection": loan.collection.value,
        "bank_account_id": None if account is None else show_id(BANK_ACCOUNT_PREFIX, account),
        "as_of": as_of,
    }


def schedule_view(loan: Loan, payments: Sequence[Payment], as_of: date) -> list[dict[str, Any]]:
    """Show a loan's rows on a date."""
    rows, _ = allocate(loan.terms, schedule(loan.terms), payments, as_of)
    reserved = {
        each.installment_number
        for each in payments
        if each.status is PaymentStatus.PENDING and each.effective_on <= as_of
    }
    return [
        _row_view(replace(row, reserved=row.row.number in reserved), loan.currency) for row in rows
    ]


def _row_view(paid: PaidRow, currency: str) -> dict[str, Any]:
    row = paid.row
    return {
        "number": row.number,
        "due_on": row.due_on,
        "amount": format_amount(row.amount_minor, currency),
        "principal": format_amount(row.principal_minor, currency),
        "interest": format_amount(row.interest_minor, currency),
        "paid": format_amount(paid.paid_minor, currency),
        "status": "paid" if paid.is_paid else "pending",
        "paid_on": paid.paid_on if paid.is_paid else None,
        "missed": paid.missed,
        "reserved": paid.reserved,
    }


def outstanding_view(loan: Loan, coverage: Coverage, as_of: date) -> dict[str, Any]:
    """Show what is owed on a loan on a date."""
    return {
        "outstanding": format_amount(outstanding_on(loan, coverage, as_of), loan.currency),
        "currency": loan.currency,
        "as_of": as_of,
    }


def delinquency_view(loan: Loan, found: Delinquency, as_of: date) -> dict[str, Any]:
    """Show how a loan stands on a date."""
    return {
        "is_delinquent": found.is_delinquent,
        "missed_in_a_row": found.missed_in_a_row,
        "days_past_due": found.days_past_due,
        "bucket": found.bucket.value,
        "overdue": format_amount(found.overdue_minor, loan.currency),
        "currency": loan.currency,
        "as_of": as_of,
    }


def payment_view(
    loan: Loan,
    payment: Payment,
    payments: Sequence[Payment],
    allocation: Allocation | None = None,
) -> dict[str, Any]:
    """Show one payment of a loan, with what is owed now; `payments` are those that count."""
    if allocation is None and payment.status is PaymentStatus.PAID:
        allocation = allocation_of(loan.terms, payments, payment, loan.kept_minor)
    numbers = list(allocation.numbers) if allocation is not None else []
    if payment.status is PaymentStatus.PENDING and payment.installment_number is not None:
        numbers = [payment.installment_number]
    credit = allocation.credit_minor if allocation is not None else 0
    repaid = allocation.repaid_minor if allocation is not None else 0
    return {
        "id": show_id(PAYMENT_PREFIX, payment.id),
        "loan_id": show_id(LOAN_PREFIX, payment.loan_id),
        "amount": format_amount(payment.amount_minor, loan.currency),
        "currency": loan.currency,
        "method": payment.method,
        "status": payment.status.value,
        "effective_on": payment.effective_on,
        "installment_numbers": numbers,
        "credit": format_amount(credit, loan.currency),
        "credit_repaid": format_amount(repaid, loan.currency),
        "owed_again": format_amount(payment.kept_minor, loan.currency),
        "outstanding": format_amount(owed(loan), loan.currency),
        "reference": payment.reference,
        "received_at": payment.received_at,
        "settled_at": payment.settled_at,
        "reversed_on": payment.reversed_on,
        "reason": payment.reason,
    }


def customer_outstanding_view(found: Sequence[LoanOn], default: str, as_of: date) -> dict[str, Any]:
    """Show what a customer owes on their loans, currency by currency."""
    sums: dict[str, int] = {}
    for each in found:
        currency = each.loan.currency
        sums[currency] = sums.get(currency, 0) + outstanding_on(each.loan, each.coverage, as_of)
    shown = next(iter(sums)) if len(sums) == 1 else default
    return {
        "outstanding": format_amount(sums.get(shown, 0), shown),
        "currency": shown,
        "as_of": as_of,
        "currencies": [
            {"currency": currency, "outstanding": format_amount(owed_minor, currency)}
            for currency, owed_minor in sorted(sums.items())
        ],
    }


def customer_delinquency_view(found: Sequence[LoanOn], as_of: date) -> dict[str, Any]:
    """Show whether a customer is delinquent, and how each of their loans stands."""
    days = max((each.delinquency.days_past_due for each in found), default=0)
    return {
        "is_delinquent": any(each.delinquency.is_delinquent for each in found),
        "missed_in_a_row": max((each.delinquency.missed_in_a_row for each in found), default=0),
        "days_past_due": days,
        "bucket": bucket_of(days).value,
        "as_of": as_of,
        "loans": [
            {
                "loan_id": show_id(LOAN_PREFIX, each.loan.id),
                **delinquency_view(each.loan, each.delinquency, as_of),
            }
            for each in found
        ],
    }
