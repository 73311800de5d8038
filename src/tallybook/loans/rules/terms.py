"""What a loan and a payment may be. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from tallybook.kernel.arithmetic import split_evenly
from tallybook.kernel.calendar import LAST_YEAR
from tallybook.kernel.money import MINOR_MAX, format_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.loans.model import (
    OWN_METHODS,
    Coverage,
    Loan,
    Payment,
    PaymentPolicy,
    Terms,
)
from tallybook.loans.rules.paying import is_row_paid, next_unpaid
from tallybook.loans.rules.schedule import PERIODS

INSTALLMENTS_MAX = 10_000
DELINQUENT_AFTER_MAX = 1_000
ROUNDING_UNIT_MAX = 10**9
REFERENCE_LONGEST = 64
METHOD_LONGEST = 40
RATE_MAX = Decimal(1_000)
"""Percent for the whole term. More is a typing error."""
RATE_DECIMALS = 6
BACKDATED_DAYS_MAX = 7
"""How far back a payment may be dated outside of imports. Source: T2."""


def read_rate(value: int | str | Decimal, *, param: str = "interest_rate") -> str:
    """Read an interest rate in percent, and write it the one way in which it is kept.

    Raises: Refused `interest_rate_invalid`: negative, above 1,000, or with more than 6 decimals.

    >>> read_rate("10.50"), read_rate(10), read_rate("0")
    ('10.5', '10', '0')
    """
    refused = Refused(Refusal("interest_rate_invalid", param=param))
    text = str(value)
    if len(text) > 40 or not text.isascii() or (isinstance(value, str) and "e" in text.lower()):
        raise refused
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise refused from None
    if not rate.is_finite() or rate.is_signed() or "_" in text or text != text.strip():
        raise refused
    if rate > RATE_MAX or rate != round(rate, RATE_DECIMALS):
        raise refused
    plain = format(rate, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def clean_reference(text: str) -> str:
    """Trim the lender's own number of a loan. Raises: Refused `field_invalid`."""
    reference = text.strip()
    if 1 <= len(reference) <= REFERENCE_LONGEST and reference.isprintable():
        return reference
    problem = f"1 to {REFERENCE_LONGEST} characters that can be printed belong here"
    details = {"field": "reference", "problem": problem}
    raise Refused(Refusal("field_invalid", param="reference", details=details))


def check_terms(terms: Terms) -> Refusal | None:
    """Tell whether a loan's amounts and dates can make a schedule. Source: L1, L2."""
    if terms.total_minor > MINOR_MAX:
        return Refusal("amount_invalid", param="principal")
    amounts = split_evenly(terms.total_minor, terms.installments, unit=terms.rounding_unit)
    interest = split_evenly(terms.interest_minor, terms.installments, unit=terms.rounding_unit)
    is_thin = any(part > amount for amount, part in zip(amounts, interest, strict=True))
    if min(amounts) < 1 or is_thin:
        return Refusal("loan_too_small", param="installments")
    period = PERIODS[terms.interval]
    # Asked so, because a last date may lie beyond what a calendar can hold.
    if period.count_before(terms.start_on, date(LAST_YEAR + 1, 1, 1)) < terms.installments:
        return Refusal("loan_too_long", param="installments")
    return None


def check_method(method: str) -> Refusal | None:
    """Tell whether somebody may ask for a payment by a method. Source: C3, L9, G.

    >>> check_method("cash")
    >>> [check_method(method).code for method in ("credit", "auto_debit", "")]
    ['payment_method_reserved', 'payment_method_reserved', 'field_invalid']
    """
    if method in OWN_METHODS:
        return Refusal("payment_method_reserved", param="method", details={"method": method})
    if 1 <= len(method) <= METHOD_LONGEST and method.isprintable():
        return None
    problem = f"1 to {METHOD_LONGEST} characters that can be printed belong here"
    return Refusal("field_invalid", param="method", details={"field": "method", "problem": problem})


def check_payment_date(
    loan_start_on: date, effective_on: date, today: date, *, is_import: bool
) -> Refusal | None:
    """Tell whether a payment may have been made on a date. Source: T2."""
    if effective_on > today:
        return Refusal("date_in_future", param="effective_on", details={"today": today.isoformat()})
    if effective_on < loan_start_on:
        return Refusal(
            "payment_before_loan",
            param="effective_on",
            details={"start_on": loan_start_on.isoformat()},
        )
    if not is_import and effective_on < today - timedelta(days=BACKDATED_DAYS_MAX):
        return Refusal("date_too_old", param="effective_on", details={"days": BACKDATED_DAYS_MAX})
    return None


def check_reversal_date(
    payment: Payment, reversed_on: date, today: date, *, is_import: bool
) -> Refusal | None:
    """Tell whether a payment may have been taken back on a date. Source: T2, L7."""
    about = "effective_on"
    if reversed_on > today:
        return Refusal("date_in_future", param=about, details={"today": today.isoformat()})
    if reversed_on < payment.effective_on:
        made_on = payment.effective_on.isoformat()
        return Refusal("reversal_before_payment", param=about, details={"made_on": made_on})
    if not is_import and reversed_on < today - timedelta(days=BACKDATED_DAYS_MAX):
        return Refusal("date_too_old", param=about, details={"days": BACKDATED_DAYS_MAX})
    return None


def check_payment(
    loan: Loan,
    coverage: Coverage,
    reserved: frozenset[int],
    amount_minor: int,
    installment_number: int | None,
) -> Refusal | int | None:
    """Tell which row a payment is for, or why it can't be taken; None: no row is left to pay.

    Source: L5, L8.
    """
    terms = loan.terms
    if installment_number is not None:
        refusal = _check_number(terms, coverage, reserved, installment_number)
        if refusal is not None:
            return refusal
    wanted = next_unpaid(terms, coverage, reserved)
    if terms.payment_policy is PaymentPolicy.FLEXIBLE:
        return wanted[0] if wanted is not None and wanted[0] <= terms.installments else None
    if wanted is None:
        if reserved:
            return Refusal("installment_reserved", details={"number": min(reserved)})
        return Refusal("loan_closed")
    number, missing = wanted
    if amount_minor != missing:
        return Refusal(
            "payment_amount_mismatch",
            param="amount",
            details={
                "expected": format_amount(missing, loan.currency),
                "installment_number": number,
            },
        )
    return number if number <= terms.installments else None


def _check_number(
    terms: Terms, coverage: Coverage, reserved: frozenset[int], number: int
) -> Refusal | None:
    """See that the row that is named is the oldest unpaid one: a double click pays no other."""
    about = "installment_number"
    if number > terms.installments:
        details = {"number": number, "installments": terms.installments}
        return Refusal("installment_not_found", param=about, details=details)
    if is_row_paid(terms, coverage, number):
        return Refusal("installment_already_paid", param=about, details={"number": number})
    if number in reserved:
        return Refusal("installment_reserved", param=about, details={"number": number})
    wanted = next_unpaid(terms, coverage, reserved)
    assert wanted is not None, "the row that is named is unpaid"
    if number != wanted[0]:
        return Refusal("installment_not_next", param=about, details={"next": wanted[0]})
    return None
