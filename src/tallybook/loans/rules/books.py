"""What the ledger must hold for a loan, and what its payments make of it. Pure.

As with advances, entries are differences of positions. Source: G, T4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from tallybook.kernel.frozen import replace
from tallybook.ledger.model import Chart, Entry, Posting
from tallybook.loans.model import (
    CREDIT_METHOD,
    Coverage,
    Loan,
    LoanStatus,
    Payment,
    PaymentStatus,
    Tally,
)
from tallybook.loans.rules.paying import cover, delinquent_on, earned_interest, outstanding


def fold(loan: Loan, payments: Iterable[Payment]) -> Loan:
    """Bring a loan's sums in line with its payments; what a person has said of it stays.

    `payments` are those that were paid, or paid and taken back; `loan.kept_minor` is taken as it
    stands. Source: T4, L7.
    """
    loose = received = applied = 0
    numbers: list[int] = []
    for payment in payments:
        if payment.status is not PaymentStatus.PAID:
            continue
        if payment.method == CREDIT_METHOD:
            applied += payment.amount_minor
        else:
            received += payment.amount_minor
        if payment.installment_number is None:
            loose += payment.amount_minor
        else:
            numbers.append(payment.installment_number)
    coverage = cover(loan.terms, Tally(loose, tuple(sorted(numbers)), loan.kept_minor))
    return _with_coverage(replace(loan, received_minor=received, applied_minor=applied), coverage)


def _with_coverage(loan: Loan, coverage: Coverage) -> Loan:
    terms = loan.terms
    given_up = loan.status is LoanStatus.WRITTEN_OFF
    is_owed = outstanding(terms, coverage) > 0
    status = LoanStatus.ACTIVE if is_owed else LoanStatus.CLOSED
    return replace(
        loan,
        credited_minor=loan.kept_minor + coverage.excess_minor,
        earned_minor=loan.earned_minor if given_up else earned_interest(terms, coverage),
        delinquent_on=delinquent_on(terms, coverage),
        status=loan.status if given_up else status,
    )


def owed(loan: Loan) -> int:
    """Tell what the ledger holds as owed. Units: minor units. Source: L4."""
    if loan.status is LoanStatus.WRITTEN_OFF:
        return 0
    return loan.total_minor - loan.paid_minor + loan.credited_minor


def position(loan: Loan) -> Mapping[Chart, int]:
    """Tell what each account of the house must hold for one loan.

    Units: minor units, debits positive. Always sums to zero. Source: G.
    """
    held = {
        Chart.CASH_BANK: loan.received_minor - loan.principal_minor,
        Chart.CUSTOMER_CREDIT: loan.applied_minor - loan.credited_minor,
        Chart.INCOME_INTEREST: -loan.earned_minor,
        Chart.UNEARNED_INTEREST: loan.earned_minor - loan.interest_minor,
    }
    if loan.status is not LoanStatus.WRITTEN_OFF:
        held[Chart.RECEIVABLE_LOANS] = -sum(held.values())
        return held
    # Given up: nothing is receivable. Money that comes all the same is a recovery; money that
    # was counted and is taken back makes the loss larger.
    unearned = -held.pop(Chart.UNEARNED_INTEREST)
    lost_later = max(0, loan.written_off_at_minor - loan.paid_minor)
    held[Chart.WRITE_OFF] = loan.written_off_minor - unearned + lost_later
    held[Chart.INCOME_RECOVERIES] = -sum(held.values())
    return held


def write_off(loan: Loan, day: date) -> Loan:
    """Give up what is owed. Units: minor units. Source: L10, G."""
    return replace(
        loan,
        written_off_minor=owed(loan),
        written_off_at_minor=loan.paid_minor,
        written_off_on=day,
        status=LoanStatus.WRITTEN_OFF,
    )


def take_back_credit(before: Loan, after: Loan, held_minor: int) -> int:
    """Tell how much credit that a payment had given stays spent when it is taken back.

    `held_minor` is what the customer holds. What can't be had back stays theirs, and they owe it
    once more: the loan's `kept_minor` grows to what it gives here.

    Units: minor units. Source: G.
    """
    undue = before.credited_minor - after.credited_minor
    held = held_minor + before.applied_minor - after.applied_minor
    if undue <= max(0, held):
        return after.kept_minor
    return before.credited_minor - max(0, held)


def book_difference(
    before: Loan | None, after: Loan, *, kind: str, effective_on: date
) -> Entry | None:
    """Make the entry that takes the books from one state of a loan to the next."""
    old = position(before) if before is not None else {}
    new = position(after)
    moved = [
        (account, new.get(account, 0) - old.get(account, 0))
        for account in Chart
        if new.get(account, 0) != old.get(account, 0)
    ]
    if not moved:
        return None
    postings = tuple(
        Posting(account.value, amount, after.currency, after.customer_id, after.id)
        for account, amount in sorted(moved, key=lambda item: (item[1] < 0, item[0]))
    )
    return Entry(kind, effective_on, postings)
