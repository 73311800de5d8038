"""Loans that are really made, paid and reversed stand where the oracle says. Source: L4-L7, T4.

Each has a customer of its own, with a second loan on which the credit of the first is spent.
"""

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tallybook.customers.queries import list_customers
from tallybook.kernel.money import format_amount, parse_amount
from tallybook.loans.model import Interval, Loan, LoanStatus, Payment, PaymentPolicy
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.operations.crediting import APPLY_LOAN_CREDIT, ApplyLoanCredit
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.operations.reversing import REVERSE_PAYMENT, ReversePayment
from tallybook.loans.queries import (
    find_by_references,
    find_loan,
    find_loan_on,
    list_payments_of,
    stream_loans_on,
)
from tallybook.loans.rules.paying import outstanding_on
from tallybook.loans.views import loan_summary, schedule_view
from tallybook.reports.verify import verify
from tallybook.writer.model import Command
from tests import loan_oracle as oracle
from tests.importing import Importing, importing
from tests.loan_histories import History, draw_history

HISTORIES = 80
SINK_MINOR = 10**14
"""More than all credit that is spent."""
LOOKED_AT = date(2024, 6, 30)
"""When many loans are under way, some are over, and some have not begun."""

pytestmark = pytest.mark.anyio


async def make_customers(book: Importing, count: int) -> list[str]:
    """Register so many customers, each with a loan that credit is spent on; gives their ids."""
    for number in range(count):
        await book.register(number)
    with book.engine.database.reader() as connection:
        customers = [each.id for each in list_customers(connection, limit=count)]
    commands = [
        Command(
            CREATE_LOAN,
            CreateLoan(
                customer, SINK_MINOR, "0", 1, "USD",
                start_on=date(2026, 3, 2),
                payment_policy=PaymentPolicy.FLEXIBLE,
                reference=f"sink of {customer}",
            ),
        )
        for customer in customers
    ]  # fmt: skip
    assert {each.status for each in await book.engine.door.ask_chunk(commands)} == {201}
    return customers


async def lend(book: Importing, histories: list[History]) -> list[str]:
    """Make the loans of histories; gives their ids."""
    commands = [
        Command(
            CREATE_LOAN,
            CreateLoan(
                customer_id=customer,
                principal_minor=history.loan["principal"],
                interest_rate=history.loan["rate"],
                installments=history.loan["installments"],
                currency="USD",
                interval=Interval(history.loan["interval"]),
                start_on=history.loan["start_on"],
                rounding_unit=history.loan["unit"],
                payment_policy=PaymentPolicy(history.loan["policy"]),
                delinquent_after=history.loan["after"],
                is_import=True,
            ),
        )
        for history, customer in zip(
            histories, await make_customers(book, len(histories)), strict=True
        )
    ]
    outcomes = await book.engine.door.ask_chunk(commands)
    assert {outcome.status for outcome in outcomes} == {201}
    made: list[Loan] = [outcome.value for outcome in outcomes]
    return [loan.id for loan in made]


async def live(book: Importing, histories: list[History], loan_ids: list[str]) -> None:
    """Let happen what happened, step by step for all loans together, each step one group."""
    ids: dict[int, str] = {}
    for step in range(max(len(history.told) for history in histories)):
        happening = [
            (loan_id, *history.told[step])
            for loan_id, history in zip(loan_ids, histories, strict=True)
            if step < len(history.told)
        ]
        commands: list[Command] = []
        for loan_id, payment, became in happening:
            if became == "spent":
                commands.append(await spend(book, loan_id, payment["amount"]))
                continue
            if became == "reversed":
                asked = ReversePayment(
                    loan_id, ids[id(payment)], "bounced", payment["reversed_on"], is_import=True
                )
                commands.append(Command(REVERSE_PAYMENT, asked))
                continue
            amount = format_amount(payment["amount"], "USD")
            paid = MakePayment(
                loan_id, amount, effective_on=payment["effective_on"], is_import=True
            )
            commands.append(Command(MAKE_PAYMENT, paid))
        outcomes = await book.engine.door.ask_chunk(commands)
        for (_, payment, became), outcome in zip(happening, outcomes, strict=True):
            code = None if outcome.refusal is None else outcome.refusal.code
            assert code == (None if became in ("taken", "reversed", "spent") else became)
            if became == "taken":
                taken: Payment = outcome.value
                ids[id(payment)] = taken.id
                told = json.loads(outcome.body or b"")
                assert {name: told[name] for name in ANSWERED} == answer_of(payment["answer"])


ANSWERED = ("installment_numbers", "credit", "credit_repaid", "outstanding")


def answer_of(found: oracle.Found) -> dict[str, Any]:
    """Say as an answer does what the oracle makes of a payment."""
    return {
        "installment_numbers": found["rows"],
        "credit": format_amount(found["credit"], "USD"),
        "credit_repaid": format_amount(found["again"], "USD"),
        "outstanding": format_amount(found["outstanding"], "USD"),
    }


async def spend(book: Importing, loan_id: str, amount_minor: int) -> Command:
    """Ask to spend credit on the other loan of whoever has this one."""
    with book.engine.database.reader() as connection:
        loan = find_loan(connection, loan_id)
        assert loan is not None
        sink = f"sink of {loan.customer_id}"
        (sink_id,) = find_by_references(connection, [sink]).values()
    asked = ApplyLoanCredit(sink_id, loan.customer_id, amount_minor, "USD", "spent")
    return Command(APPLY_LOAN_CREDIT, asked)


def compare(book: Importing, history: History, loan_id: str, as_of: date) -> None:
    """Hold one loan on one date against the oracle, by the sums in SQL and row by row."""
    told = oracle.look(history.loan, history.payments, as_of)
    began = as_of >= history.loan["start_on"]
    with book.engine.database.snapshot() as connection:
        loan = find_loan(connection, loan_id)
        found = find_loan_on(connection, loan_id, as_of)
        payments = list_payments_of(connection, loan_id)
    assert loan is not None
    assert found is not None
    shown = loan_summary(loan, found.coverage, as_of)
    assert shown["owed_again"] == format_amount(told["owed_again"], "USD")
    stands = found.delinquency
    assert {
        "outstanding": outstanding_on(loan, found.coverage, as_of),
        "missed_in_a_row": stands.missed_in_a_row,
        "is_delinquent": stands.is_delinquent,
        "days_past_due": stands.days_past_due,
        "bucket": stands.bucket.value,
        "credit": found.coverage.excess_minor,
    } == {
        "outstanding": told["outstanding"] if began else 0,
        **{
            name: told[name]
            for name in ("missed_in_a_row", "is_delinquent", "days_past_due", "bucket", "credit")
        },
    }
    assert [
        (row["number"], parse_amount(row["paid"], "USD"), row["status"], row["paid_on"],
         row["missed"])
        for row in schedule_view(loan, payments, as_of)
    ] == [
        (row["number"], row["paid"], row["status"], row["paid_on"], row["missed"])
        for row in told["rows"]
    ]  # fmt: skip


async def test_what_was_recorded_stands_where_the_oracle_says(
    book_url: str, tmp_path: Path
) -> None:
    seen: Counter[str] = Counter()
    histories = [draw_history(number, seen, ("paid",)) for number in range(HISTORIES)]
    assert min(seen["reversed"], seen["backdated"], seen["payment_amount_mismatch"]) > 10
    assert seen["owed again"] > 5
    async with importing(book_url, tmp_path) as book:
        loan_ids = await lend(book, histories)
        await live(book, histories, loan_ids)
        for history, loan_id in zip(histories, loan_ids, strict=True):
            for as_of in history.days(4):
                compare(book, history, loan_id, as_of)
        with book.engine.database.snapshot() as connection:
            portfolio = {
                each.loan.id: outstanding_on(each.loan, each.coverage, LOOKED_AT)
                for part in stream_loans_on(connection, LOOKED_AT)
                for each in part
            }
            ended = [find_loan(connection, loan_id) for loan_id in loan_ids]
        told = [oracle.look(each.loan, each.payments, LOOKED_AT) for each in histories]
        assert portfolio == {
            loan_id: each["outstanding"]
            for loan_id, each, history in zip(loan_ids, told, histories, strict=True)
            if history.loan["start_on"] <= LOOKED_AT
        }
        last = [oracle.look(each.loan, each.payments, date(2026, 3, 2)) for each in histories]
        assert [loan and loan.status for loan in ended] == [
            LoanStatus(each["status"]) for each in last
        ]
        assert verify(book.engine.database, book.engine.secrets) == []
