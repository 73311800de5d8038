"""Taking over loans and their payments from files, each line once. Source: L1, L5, T2."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from tallybook.customers.tasks import RegisterContext, register_people
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import parse_id
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.kernel.refusal import Refusal
from tallybook.loans.model import LoanTerms
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.queries import find_by_references, find_existing, list_terms
from tallybook.loans.tasks.import_lines import (
    LOAN_COLUMNS,
    LOAN_KEYED,
    PAYMENT_COLUMNS,
    PAYMENT_KEYED,
    LoanLine,
    PaymentLine,
    Unsaid,
    read_loan,
    read_payment,
)
from tallybook.loans.views import LOAN_PREFIX
from tallybook.wire.csv_reader import CsvLine, CsvReader
from tallybook.wire.line_import import (
    AddedCounts,
    ImportContext,
    WhenRefused,
    fields_of,
    import_lines,
)
from tallybook.writer.model import Operation


class TakeOverContext(RegisterContext, Protocol):
    """One running engine, as loans that are taken over see it."""

    @property
    def loan_terms(self) -> LoanTerms:
        """What the settings say of loans that do not say it themselves."""
        ...


async def import_loans(
    context: TakeOverContext,
    stream: BinaryIO,
    *,
    progress: Progress = NO_PROGRESS,
    when_refused: WhenRefused | None = None,
) -> AddedCounts:
    """Take over the loans of a CSV file, with their customers where nobody knows them.

    Raises: Refused `file_malformed`, `shutting_down`; Stopped.
    """
    reader = CsvReader(stream, LOAN_COLUMNS)
    loans = _Loans(context, await asyncio.to_thread(_find_terms, context))
    return await import_lines(context, loans, reader, progress=progress, when_refused=when_refused)


def _find_terms(context: TakeOverContext) -> list[Unsaid]:
    """Find what the settings of earlier imports can have been: a loan of each line has them."""
    with context.database.reader() as connection:
        return [Unsaid(*each) for each in list_terms(connection)]


async def import_payments(
    context: ImportContext,
    stream: BinaryIO,
    *,
    progress: Progress = NO_PROGRESS,
    when_refused: WhenRefused | None = None,
) -> AddedCounts:
    """Record the loan payments of a CSV file, in the order in which they stand there.

    Raises: Refused `file_malformed`, `shutting_down`; Stopped.
    """
    reader = CsvReader(stream, PAYMENT_COLUMNS)
    return await import_lines(
        context, _Payments(context), reader, progress=progress, when_refused=when_refused
    )


class _Loans:
    """Lines that are loans."""

    key_prefix = "import.loans"
    operation: Operation[Any] = CREATE_LOAN

    def __init__(self, context: TakeOverContext, known: Sequence[Unsaid]) -> None:
        terms = context.loan_terms
        self._context = context
        self._unsaid = Unsaid(context.currency, terms.payment_policy, terms.delinquent_after)
        self._others = [each for each in known if each != self._unsaid]

    def read(self, line: CsvLine) -> LoanLine:
        """Read one line. Raises: Refused."""
        return read_loan(line, self._unsaid, self._others)

    async def find(self, lines: Sequence[LoanLine]) -> Sequence[None]:
        """Find nothing: a loan names only its customer, who may be new."""
        return [None] * len(lines)

    def contents(self, line: LoanLine) -> Sequence[Sequence[object] | None]:
        """Give what a line asks. A borrower is known by the address; names are no part of it."""
        return [
            None if asked is None else [line.person.email_folded, fields_of(asked, LOAN_KEYED)]
            for asked in (line.asked, *line.under_others)
        ]

    async def register(self, lines: Sequence[LoanLine]) -> Sequence[Refusal | None]:
        """Register the customers that are new."""
        found = await register_people(self._context, [line.person for line in lines])
        refusals: list[Refusal | None] = []
        for line, customer in zip(lines, found, strict=True):
            if isinstance(customer, Refusal):
                refusals.append(customer)
                continue
            line.asked = replace(line.asked, customer_id=customer)
            refusals.append(None)
        return refusals

    def asked(self, line: LoanLine) -> CreateLoan:
        """Give the command's input."""
        return line.asked


class _Payments:
    """Lines that are payments."""

    key_prefix = "import.payments"
    operation: Operation[Any] = MAKE_PAYMENT

    def __init__(self, context: ImportContext) -> None:
        self._context = context

    def read(self, line: CsvLine) -> PaymentLine:
        """Read one line. Raises: Refused."""
        return read_payment(line)

    async def find(self, lines: Sequence[PaymentLine]) -> Sequence[Refusal | None]:
        """Find the loans, by id or reference."""
        named = {line.loan: parse_id(LOAN_PREFIX, line.loan) for line in lines}
        known = await asyncio.to_thread(self._find, named)
        refusals: list[Refusal | None] = []
        for line in lines:
            loan_id = known.get(line.loan)
            refusals.append(None if loan_id else Refusal("loan_not_found", param="loan"))
            line.asked = replace(line.asked, loan_id=loan_id or "")
        return refusals

    def _find(self, named: Mapping[str, str | None]) -> dict[str, str]:
        """Find the id of each loan, by what lines call it."""
        ids = {name: ident for name, ident in named.items() if ident is not None}
        with self._context.database.reader() as connection:
            there = find_existing(connection, [*ids.values()])
            found = find_by_references(connection, [name for name in named if name not in ids])
        return found | {name: ident for name, ident in ids.items() if ident in there}

    def contents(self, line: PaymentLine) -> Sequence[Sequence[object]]:
        """Give what a line asks. The loan has its currency; no setting says anything of it."""
        return [[fields_of(line.asked, PAYMENT_KEYED)]]

    async def register(self, lines: Sequence[PaymentLine]) -> Sequence[None]:
        """Register nothing."""
        return [None] * len(lines)

    def asked(self, line: PaymentLine) -> MakePayment:
        """Give the command's input."""
        return line.asked
