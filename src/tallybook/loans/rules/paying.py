"""What payments come to, on any date: rows, outstanding, delinquency. Pure.

A loan on a date is a fold over the payments that were made by then and not taken back by then:
first to sums (`tally`), then to how much of the schedule is covered (`cover`). Everything shown
follows from the coverage, the terms and the date. Source: T4, L4-L7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from tallybook.kernel.arithmetic import count_covered, sum_of_first
from tallybook.loans.model import (
    Allocation,
    Bucket,
    Coverage,
    Delinquency,
    Loan,
    LoanStatus,
    PaidRow,
    Payment,
    PaymentPolicy,
    PaymentStatus,
    ScheduleRow,
    Tally,
    Terms,
)
from tallybook.loans.rules.schedule import count_past_due, due_on

_WAS_PAID = (PaymentStatus.PAID, PaymentStatus.REVERSED)

_BUCKETS = (
    (0, Bucket.CURRENT),
    (30, Bucket.TO_30),
    (60, Bucket.TO_60),
    (90, Bucket.TO_90),
)


def counts_on(payment: Payment, as_of: date) -> bool:
    """Tell whether a payment had been made by a date and not been taken back by then.

    Source: L7.
    """
    if not _was_made_by(payment, as_of):
        return False
    return payment.reversed_on is None or payment.reversed_on > as_of


def tally(payments: Iterable[Payment], as_of: date) -> Tally:
    """Add up what payments come to on a date."""
    loose = kept = came = 0
    numbers: list[int] = []
    for payment in payments:
        if payment.installment_number is None and _was_made_by(payment, as_of):
            came += payment.amount_minor
        if payment.reversed_on is not None and payment.reversed_on <= as_of:
            kept += payment.kept_minor
        elif counts_on(payment, as_of):
            if payment.installment_number is None:
                loose += payment.amount_minor
            else:
                numbers.append(payment.installment_number)
    # Two payments may have been made for one row while the first was being taken back.
    return Tally(loose, tuple(sorted(set(numbers))), kept, came)


def _was_made_by(payment: Payment, as_of: date) -> bool:
    return payment.status in _WAS_PAID and payment.effective_on <= as_of


def owed_once_more(terms: Terms, sums: Tally) -> int:
    """Tell what is owed once more in all, whether it was paid since or not.

    No more than the credit that can have been given by then: where it is told late that a payment
    was taken back, the credit may be from a later one. Units: minor units. Source: L7, G.
    """
    if sums.came_minor is None:
        return sums.kept_minor
    is_flexible = terms.payment_policy is PaymentPolicy.FLEXIBLE
    beyond = sums.came_minor - (terms.total_minor if is_flexible else 0)
    return min(sums.kept_minor, max(0, beyond))


def cover(terms: Terms, sums: Tally) -> Coverage:
    """Tell how much of a schedule the payments cover.

    The first money without a row pays what is owed once more. Flexible payments fill rows from the
    first on; exact ones stay with theirs. Source: L5, L7.
    """
    net = sums.loose_minor - owed_once_more(terms, sums)
    if terms.payment_policy is PaymentPolicy.FLEXIBLE:
        assert not sums.numbers, "a flexible payment has no row of its own"
        return Coverage(
            filled_minor=min(max(net, 0), terms.total_minor),
            excess_minor=max(0, net - terms.total_minor),
            short_minor=max(0, -net),
        )
    first = 0
    for number in sums.numbers:
        if number != first + 1:
            break
        first = number
    return Coverage(
        filled_minor=sum_to(terms, first),
        scattered=tuple(sums.numbers[first:]),
        excess_minor=max(0, net),
        short_minor=max(0, -net),
    )


# -- amounts -----------------------------------------------------------------------------------


def sum_to(terms: Terms, number: int) -> int:
    """Add up the rows up to one. Units: minor units."""
    return sum_of_first(terms.total_minor, terms.installments, number, unit=terms.rounding_unit)


def amount_of(terms: Terms, number: int) -> int:
    """Tell the amount of one row. Units: minor units."""
    return sum_to(terms, number) - sum_to(terms, number - 1)


def _interest_to(terms: Terms, number: int) -> int:
    return sum_of_first(terms.interest_minor, terms.installments, number, unit=terms.rounding_unit)


def rows_filled(terms: Terms, coverage: Coverage) -> int:
    """Count the rows that are paid in full from the first on."""
    return count_covered(
        terms.total_minor, terms.installments, coverage.filled_minor, unit=terms.rounding_unit
    )


def covered_minor(terms: Terms, coverage: Coverage) -> int:
    """Tell how much of the schedule is paid. Units: minor units."""
    return coverage.filled_minor + sum(amount_of(terms, number) for number in coverage.scattered)


def outstanding(terms: Terms, coverage: Coverage) -> int:
    """Tell what is owed. Units: minor units. Source: L4."""
    return terms.total_minor - covered_minor(terms, coverage) + coverage.short_minor


def outstanding_on(loan: Loan, coverage: Coverage, as_of: date) -> int:
    """Tell what is owed on a loan on a date: nothing before it began or after it was written off.

    Units: minor units. Source: L4.
    """
    if as_of < loan.start_on or (loan.written_off_on is not None and loan.written_off_on <= as_of):
        return 0
    return outstanding(loan.terms, coverage)


def owed_again_on(loan: Loan, coverage: Coverage, as_of: date) -> int:
    """Tell what of that is on top of the schedule. Units: minor units. Source: G."""
    return min(coverage.short_minor, outstanding_on(loan, coverage, as_of))


def status_on(loan: Loan, coverage: Coverage, as_of: date) -> LoanStatus:
    """Tell where a loan stood on a date. Source: L10."""
    if loan.written_off_on is not None and loan.written_off_on <= as_of:
        return LoanStatus.WRITTEN_OFF
    if as_of < loan.start_on or outstanding(loan.terms, coverage) > 0:
        return LoanStatus.ACTIVE
    return LoanStatus.CLOSED


def earned_interest(terms: Terms, coverage: Coverage) -> int:
    """Tell how much of the interest is paid: in each row it comes before the principal.

    Units: minor units. Source: L5, G.
    """
    filled = rows_filled(terms, coverage)
    earned = _interest_to(terms, filled)
    started = coverage.filled_minor - sum_to(terms, filled)
    if started:
        earned += min(started, _interest_to(terms, filled + 1) - earned)
    for number in coverage.scattered:
        earned += _interest_to(terms, number) - _interest_to(terms, number - 1)
    return earned


def next_unpaid(
    terms: Terms, coverage: Coverage, reserved: Iterable[int] = ()
) -> tuple[int, int] | None:
    """Find the oldest row that is unpaid and not reserved, and what is missing of it.

    What is owed on top of the schedule comes last, under the number after the last row.

    Units: minor units. Source: L5.
    """
    filled, taken = rows_filled(terms, coverage), {*coverage.scattered, *reserved}
    number = filled + 1
    while number in taken:
        number += 1
    if number > terms.installments:
        return (number, coverage.short_minor) if coverage.short_minor else None
    missing = amount_of(terms, number)
    if number == filled + 1:
        missing -= coverage.filled_minor - sum_to(terms, filled)
    return number, missing


def is_row_paid(terms: Terms, coverage: Coverage, number: int) -> bool:
    """Tell whether one row is paid in full."""
    return number <= rows_filled(terms, coverage) or number in coverage.scattered


# -- delinquency -------------------------------------------------------------------------------


def delinquency(terms: Terms, coverage: Coverage, as_of: date) -> Delinquency:
    """Tell how a loan stands on a date. Source: L6."""
    past, filled = count_past_due(terms, as_of), rows_filled(terms, coverage)
    longest = max((last - first + 1 for first, last in _gaps(past, filled, coverage)), default=0)
    days = 0
    if filled < past:
        days = (as_of - due_on(terms, filled + 1)).days
    paid_early = sum(amount_of(terms, number) for number in coverage.scattered if number <= past)
    return Delinquency(
        is_delinquent=longest >= terms.delinquent_after,
        missed_in_a_row=longest,
        days_past_due=days,
        bucket=bucket_of(days),
        overdue_minor=max(0, sum_to(terms, past) - coverage.filled_minor - paid_early),
    )


def bucket_of(days_past_due: int) -> Bucket:
    """Tell the bucket of so many days past due. Source: L6.

    >>> [bucket_of(days).value for days in (0, 1, 30, 31, 90, 91)]
    ['current', '1-30', '1-30', '31-60', '61-90', '91+']
    """
    return next((bucket for most, bucket in _BUCKETS if days_past_due <= most), Bucket.OVER_90)


def delinquent_on(terms: Terms, coverage: Coverage) -> date | None:
    """Tell from which date a loan is delinquent if nothing more is paid; None: never.

    Source: L6.
    """
    filled = rows_filled(terms, coverage)
    for first, last in _gaps(terms.installments, filled, coverage):
        if last - first + 1 >= terms.delinquent_after:
            return due_on(terms, first + terms.delinquent_after - 1) + timedelta(days=1)
    return None


def _gaps(upto: int, filled: int, coverage: Coverage) -> Iterable[tuple[int, int]]:
    """List the runs of consecutive unpaid rows up to one, each as its first and last number."""
    first = filled + 1
    for number in (*coverage.scattered, upto + 1):
        last = min(number - 1, upto)
        if first <= last:
            yield first, last
        first = max(first, number + 1)


# -- a loan on a date -----------------------------------------------------------------------


@dataclass(frozen=True)
class LoanOn:
    """A loan as it stands on a date."""

    loan: Loan
    sums: Tally
    as_of: date

    @cached_property
    def coverage(self) -> Coverage:
        """Tell how much of its schedule was paid."""
        return cover(self.loan.terms, self.sums)

    @cached_property
    def delinquency(self) -> Delinquency:
        """Tell whether it was delinquent."""
        return delinquency(self.loan.terms, self.coverage, self.as_of)


# -- the schedule, row by row ------------------------------------------------------------------


def allocate(
    terms: Terms, rows: Sequence[ScheduleRow], payments: Iterable[Payment], as_of: date
) -> tuple[list[PaidRow], list[Allocation]]:
    """Tell how each row stands on a date, and what each payment was for.

    Flexible payments are taken in the order of (effective_on, sequence). What is owed once more is
    paid first, as `cover` reckons. Source: L3, L5, L7.
    """
    payments = list(payments)
    kept_minor = owed_once_more(terms, tally(payments, as_of))
    counted = sorted(
        (payment for payment in payments if counts_on(payment, as_of)),
        key=lambda payment: (payment.effective_on, payment.sequence),
    )
    if terms.payment_policy is PaymentPolicy.EXACT:
        # Where two count for a row, it was paid from the earlier one on.
        paid = {each.installment_number: each for each in counted[::-1] if each.installment_number}
        finished = {number: payment.effective_on for number, payment in paid.items()}
        filled = {number: rows[number - 1].amount_minor for number in paid}
        numbered = [each for each in counted if each.installment_number is not None]
        loose = [each for each in counted if each.installment_number is None]
        # What has no row pays what is owed once more, and the rest of it is credit.
        _, _, allocations = _pour((), loose, kept_minor)
        allocations += [_of_its_row(each) for each in numbered]
    else:
        finished, filled, allocations = _pour(rows, counted, kept_minor)
    shown = [
        PaidRow(
            row,
            paid_minor=filled.get(row.number, 0),
            paid_on=finished.get(row.number),
            missed=row.due_on < as_of and filled.get(row.number, 0) < row.amount_minor,
            reserved=False,
        )
        for row in rows
    ]
    return shown, allocations


def allocation_of(
    terms: Terms, payments: Sequence[Payment], payment: Payment, kept_minor: int
) -> Allocation:
    """Tell what one of a loan's payments was for, as `allocate` does, without laying out rows.

    `kept_minor` is what is owed once more in all. Units: minor units. Source: L5.
    """
    if payment.installment_number is not None:
        return _of_its_row(payment)
    place = payment.effective_on, payment.sequence
    before = sum(
        each.amount_minor
        for each in payments
        if each.status is PaymentStatus.PAID
        and each.installment_number is None
        and (each.effective_on, each.sequence) < place
    )
    start = cover(terms, Tally(before, (), kept_minor))
    end = cover(terms, Tally(before + payment.amount_minor, (), kept_minor))
    repaid = start.short_minor - end.short_minor
    first, last = rows_filled(terms, start), rows_filled(terms, end)
    if end.filled_minor > sum_to(terms, last):
        last += 1
    filled = end.filled_minor - start.filled_minor
    numbers = tuple(range(first + 1, last + 1)) if filled else ()
    return Allocation(payment.id, numbers, payment.amount_minor - filled - repaid, repaid)


def _of_its_row(payment: Payment) -> Allocation:
    number = payment.installment_number
    assert number is not None, "it has a row"
    return Allocation(payment.id, (number,), credit_minor=0, repaid_minor=0)


def _pour(
    rows: Sequence[ScheduleRow], counted: Sequence[Payment], kept_minor: int
) -> tuple[Mapping[int, date], Mapping[int, int], list[Allocation]]:
    """Fill rows with payments, one after another; the first money is for what is owed once more."""
    finished: dict[int, date] = {}
    filled: dict[int, int] = {}
    allocations: list[Allocation] = []
    at = 0
    for payment in counted:
        repaid = min(payment.amount_minor, kept_minor)
        left, numbers = payment.amount_minor - repaid, list[int]()
        kept_minor -= repaid
        while left and at < len(rows):
            row = rows[at]
            part = min(left, row.amount_minor - filled.get(row.number, 0))
            filled[row.number] = filled.get(row.number, 0) + part
            left -= part
            numbers.append(row.number)
            if filled[row.number] == row.amount_minor:
                finished[row.number] = payment.effective_on
                at += 1
        allocations.append(Allocation(payment.id, tuple(numbers), left, repaid))
    return finished, filled, allocations
