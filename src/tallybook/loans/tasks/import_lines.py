"""One line of a file of loans, or of payments: what it asks. Source: L1, L5, T2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallybook.customers.tasks import Person, read_person
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.money import currency_decimals, parse_positive_amount, plain_amount
from tallybook.kernel.refusal import Refused
from tallybook.loans.model import Interval, PaymentPolicy
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

LOAN_KEYED = (
    "customer_id",
    "principal_minor",
    "interest_rate",
    "installments",
    "currency",
    "interval",
    "start_on",
    "rounding_unit",
    "payment_policy",
    "delinquent_after",
    "collection",
    "bank_account_id",
    "reference",
    "is_import",
    "hold_days",
)
PAYMENT_KEYED = (
    "loan_id",
    "amount",
    "method",
    "effective_on",
    "installment_number",
    "reference",
    "is_import",
)
"""What the keys of lines are made of, in this order."""


@dataclass(slots=True)
class LoanLine:
    """A line of a file of loans that could be read, on its way."""

    number: int
    person: Person
    asked: CreateLoan
    """Without its customer, who may not be on record yet."""
    under_others: Sequence[CreateLoan | None] = ()
    """What it asked under other settings; None where it could not be read."""


@frozen
class Unsaid:
    """What settings say of a loan whose line does not."""

    currency: str
    payment_policy: PaymentPolicy
    delinquent_after: int


def read_loan(line: CsvLine, unsaid: Unsaid, others: Sequence[Unsaid] = ()) -> LoanLine:
    """Read one line; `others` are what settings said at other times.

    Raises: Refused, with the column as its `param`.
    """
    read = _read_loan(line, unsaid)
    read.under_others = [_asked_under(line, other) for other in others]
    return read


def _asked_under(line: CsvLine, unsaid: Unsaid) -> CreateLoan | None:
    try:
        return _read_loan(line, unsaid).asked
    except Refused:
        return None


def _read_loan(line: CsvLine, unsaid: Unsaid) -> LoanLine:
    values = line.values
    require_columns(values, LOAN_COLUMNS.required)
    person = read_person(values)
    assert person is not None, "the e-mail address is required"
    money = values.get("currency", unsaid.currency).upper()
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
        payment_policy=read_choice(values, "payment_policy", unsaid.payment_policy),
        delinquent_after=read_count(
            values, "delinquent_after", unsaid.delinquent_after, DELINQUENT_AFTER_MAX
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
