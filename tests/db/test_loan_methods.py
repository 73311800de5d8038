"""Payments that only Tallybook makes: no way in lets anybody else make one. Source: C3, L5, G."""

import io
from datetime import date
from pathlib import Path

import pytest

from tallybook.customers.queries import list_customers
from tallybook.loans.model import CREDIT_METHOD, DEBIT_METHOD, Loan, PaymentPolicy
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.operations.pending import BEGIN_PAYMENT, BeginPayment
from tallybook.loans.queries import list_payments_of
from tallybook.loans.tasks.importing import import_payments
from tallybook.reports.verify import verify
from tallybook.writer.model import Command
from tests.importing import Importing, importing

pytestmark = pytest.mark.anyio

OURS = (CREDIT_METHOD, DEBIT_METHOD)
NO_WORD = ("a\nb", "cash\u202e", "", "x" * 41)


async def lend(book: Importing, reference: str) -> str:
    """Lend 300.00 without interest over three weeks, flexible; gives the loan's id."""
    with book.engine.database.reader() as connection:
        (customer,) = list_customers(connection, limit=9)
    asked = CreateLoan(
        customer_id=customer.id,
        principal_minor=300_00,
        interest_rate="0",
        installments=3,
        currency="USD",
        start_on=date(2026, 2, 2),
        payment_policy=PaymentPolicy.FLEXIBLE,
        reference=reference,
        is_import=True,
    )
    made: Loan = (await book.engine.door.ask(Command(CREATE_LOAN, asked))).value
    return made.id


async def codes_of(book: Importing, loan_id: str, method: str) -> list[tuple[str, str | None]]:
    """Ask for a payment by a method in both ways that there are; gives what was refused."""
    asked = MakePayment(loan_id, "50.00", method=method)
    found: list[tuple[str, str | None]] = []
    for command in (Command(MAKE_PAYMENT, asked), Command(BEGIN_PAYMENT, BeginPayment(asked))):
        refusal = (await book.engine.door.ask(command)).refusal
        assert refusal is not None, (method, command.operation.name)
        found.append((refusal.code, refusal.param))
    return found


async def bring(book: Importing, content: str) -> dict[int, str]:
    """Import payments; gives the code of each line that is refused."""
    codes: dict[int, str] = {}
    await import_payments(
        book.engine,
        io.BytesIO(content.encode()),
        when_refused=lambda number, refusal: codes.update({number: refusal.code}),
    )
    return codes


async def test_whoever_asks_is_refused_a_method_of_our_own(book_url: str, tmp_path: Path) -> None:
    async with importing(book_url, tmp_path) as book:
        await book.register(1)
        loan_id = await lend(book, "L-1")
        for method in OURS:
            assert (
                await codes_of(book, loan_id, method) == [("payment_method_reserved", "method")] * 2
            )
        for method in NO_WORD:
            assert await codes_of(book, loan_id, method) == [("field_invalid", "method")] * 2
        with book.engine.database.reader() as connection:
            assert list_payments_of(connection, loan_id) == []


async def test_no_file_brings_in_a_payment_by_a_method_of_our_own(
    book_url: str, tmp_path: Path
) -> None:
    """With credit held and without: none is spent that is not there, no money goes unbooked."""
    file = "".join(
        [
            "loan,amount,effective_on,method\n",
            *(f"L-1,50.00,2026-02-03,{method}\n" for method in (*OURS, "cash\u202e")),
        ]
    )
    wanted = {2: "payment_method_reserved", 3: "payment_method_reserved", 4: "field_invalid"}
    async with importing(book_url, tmp_path) as book:
        await book.register(1)
        loan_id, _ = await lend(book, "L-1"), await lend(book, "L-2")
        assert await bring(book, file) == wanted
        assert await bring(book, "loan,amount,effective_on\nL-2,1300.00,2026-02-03\n") == {}
        assert await bring(book, file) == wanted
        with book.engine.database.reader() as connection:
            assert list_payments_of(connection, loan_id) == []
        assert verify(book.engine.database, book.engine.secrets) == []
