"""One line of a file of loans, or of payments: what it asks. Source: L1, L5, T2."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.customers.tasks import Person, read_person
from tallybook.kernel.frozen import replace
from tallybook.kernel.money import currency_decimals, parse_positive_amount, plain_amount
from tallybook.loans.model import Interval, LoanTerms
from tallybook.loans.operations.creating import CreateLoan
from tallybook.loans.operations.paying import MakePayment
from tallybook.loans.rules.terms import (
    DELINQUENT_AFTER_MAX,
    INSTALLMENTS_MAX,
    METHOD_LONGEST,
    ROUNDING_UNIT_MAX,
    clean_reference,
    read_rate,
)
from tallybook.wire.csv_fields import (
    read_choice,
    read_count,
    read_day,
    read_text,
    require_columns,
)
from tallybook.wire.csv_reader import CsvColumns, CsvLine

LOAN_COLUMNS = CsvColumns(
    required=("customer_email", "principal", "interest_rate", "installments", "start_on"),
    optional=(
        "customer_name",
        "reference",
        "currency",
        "interval",
        "rounding_unit",
        "payment_policy",
        "delinquent_after",
    ),
)
"""`reference` is the lender's own number of the loan: it tells loans apart that are otherwise
equal, and payments are brought in under it."""

PAYMENT_COLUMNS = CsvColumns(
    required=("loan", "amount", "effective_on"),
    optional=("method", "installment_number", "reference"),
)
"""`loan` is a loan's id or its reference. The currency is the loan's."""

PAYMENT_REFERENCE_LONGEST = 255


@dataclass(slots=True)
class LoanLine:
    """A line of a file of loans that could be read, on its way."""

    number: int
    person: Person
    asked: CreateLoan
    """Without its customer, who may not be on record yet."""


def read_loan(line: CsvLine, currency: str, terms: LoanTerms) -> LoanLine:
    """Read one line; `currency` and `terms` are for what it does not say itself.

    Raises: Refused, with the column as its `param`.
    """
    values = line.values
    require_columns(values, LOAN_COLUMNS.required)
    person = read_person(values)
    assert person is not None, "the e-mail address is required"
    money = values.get("currency", currency).upper()
    currency_decimals(money)
    reference = values.get("reference")
    asked = CreateLoan(
        customer_id="",
        principal_minor=parse_positive_amount(values["principal"], money, param="principal"),
        interest_rate=read_rate(values["interest_rate"]),
        installments=read_count(values, "installments", 0, INSTALLMENTS_MAX),
        currency=money,
        interval=read_choice(values, "interval", Interval.WEEKLY),
        start_on=read_day(values, "start_on"),
        rounding_unit=read_count(values, "rounding_unit", 1, ROUNDING_UNIT_MAX),
        payment_policy=read_choice(values, "payment_policy", terms.payment_policy),
        delinquent_after=read_count(
            values, "delinquent_after", terms.delinquent_after, DELINQUENT_AFTER_MAX
        ),
        reference=None if reference is None else clean_reference(reference),
        is_import=True,
    )
    return LoanLine(line.number, person, asked)


@dataclass(slots=True)
class PaymentLine:
    """A line of a file of payments that could be read, on its way."""

    number: int
    loan: str
    """As the line names it."""
    asked: MakePayment
    """Without the loan's id."""


def read_payment(line: CsvLine) -> PaymentLine:
    """Read one line. Raises: Refused, with the column as its `param`."""
    values = line.values
    require_columns(values, PAYMENT_COLUMNS.required)
    number = None
    if "installment_number" in values:
        number = read_count(values, "installment_number", 0, INSTALLMENTS_MAX)
    method = read_text(values, "method", METHOD_LONGEST)
    asked = MakePayment(
        loan_id="",
        amount=plain_amount(values["amount"]),
        effective_on=read_day(values, "effective_on"),
        installment_number=number,
        reference=read_text(values, "reference", PAYMENT_REFERENCE_LONGEST) or None,
        is_import=True,
    )
    if method:
        asked = replace(asked, method=method)
    return PaymentLine(line.number, values["loan"], asked)
