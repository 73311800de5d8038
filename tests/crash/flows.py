"""What is killed at every step: each flow as somebody asks for it, and how it is finished after.

A flow is asked for under fixed keys, so that after a crash it is asked for again in the same words
and must come to the same. What it needs is prepared once, without a fuse.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

from sqlalchemy import select

from tallybook.advances.tasks.importing import import_advances
from tallybook.bills.operations.recording import RECORD_MESSAGES, RecordMessages
from tallybook.bills.operations.taking import Intake, RawText, take_text
from tallybook.bills.reading.reader import Reader, load_reader
from tallybook.bills.tasks import import_messages
from tallybook.collection.tasks.requests import request_report
from tallybook.customers.store import CUSTOMERS_TABLE
from tallybook.kernel.progress import NO_PROGRESS
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.store import LOANS_TABLE
from tallybook.loans.tasks.importing import import_loans, import_payments
from tallybook.retail.operations.drawer import (
    CloseSession,
    CloseSessionOperation,
    MoveCash,
    MoveCashOperation,
    OpenSession,
    OpenSessionOperation,
    SetDenomination,
    SetDenominationOperation,
)
from tallybook.retail.operations.products import AddProduct, AddProductOperation
from tallybook.retail.operations.purchases import RecordPurchase, RecordPurchaseOperation
from tallybook.retail.operations.refunds import GiveRefund, GiveRefundOperation
from tallybook.retail.rules.basket import merge_lines
from tallybook.retail.tasks.past_sales import import_sales
from tests.crash.book import FIRST_DAY, TERMS, CrashBook, account_number

Step = Callable[[CrashBook], Awaitable[None]]


async def nothing(book: CrashBook) -> None:
    """Leave the book as it is."""
    del book


@dataclass(frozen=True, slots=True)
class Flow:
    """One thing that somebody asks for."""

    name: str
    prepare: Step
    act: Step
    rest: Step = nothing
    """After it was asked again: what people and the next days do until all is quiet."""
    has_rail: bool = False
    calls: bool = False
    """Whether it speaks to the Processor itself."""


# -- the rail


async def _two_customers(book: CrashBook) -> None:
    book.on_day(0)
    for number in (1, 2):
        await book.customer(number)


async def _pay_out(book: CrashBook) -> None:
    book.on_day(0)
    await book.advance(1, "advance")


async def _pay_out_rest(book: CrashBook) -> None:
    book.on_day(0)
    if await book.rule_by_truth() and not any(call.is_executed for call in book.calls()):
        # Known not to have gone out, it is never sent again by itself: the customer asks anew.
        await book.advance(1, "advance again")


async def _advances_with_a_due_debit(book: CrashBook) -> None:
    await _two_customers(book)
    for number in (1, 2):
        await book.advance(number, f"advance {number}")
    book.on_day(1)
    await book.run("run 1")


async def _run_the_day(book: CrashBook) -> None:
    book.on_day(2)
    await book.run("run 2")


async def _run_on(book: CrashBook) -> None:
    """Rule on what is unknown, and run the days until nothing is left to collect."""
    for after in range(2, 5):
        book.on_day(after)
        await book.rule_by_truth()
        await book.run(f"run {after}")


async def _debits_in_the_air(book: CrashBook) -> None:
    await _advances_with_a_due_debit(book)
    await _run_the_day(book)
    book.on_day(3)


async def _take_the_report(book: CrashBook) -> None:
    book.on_day(3)
    outcome = await request_report(book.engine, None, None, key="report")
    assert outcome.status in (200, 201), outcome
    book.acknowledge("report", outcome)


async def _an_unknown_debit(book: CrashBook) -> None:
    """Have the process die in the middle of a run, with one debit sent and not recorded."""
    await _advances_with_a_due_debit(book)
    book.on_day(2)
    context = book.engine
    original = context.sender.send

    async def lost(*asked: object, **more: object) -> object:
        sent = await original(*asked, **more)  # pyright: ignore[reportArgumentType] - handed through
        return type(sent)(unknown="reset")

    context.sender.send = lost  # pyright: ignore[reportAttributeAccessIssue] - this engine's own
    await book.run("run 2")
    assert len(book.items()) == 2


async def _rule(book: CrashBook) -> None:
    book.on_day(2)
    await book.rule_by_truth()


def _a_file() -> bytes:
    head = (
        "bank_account,customer_name,customer_email,amount,installments,interval_days,effective_on"
    )
    lines = [
        f"{account_number(number)},Customer {number},c{number}@example.org,150.00,2,1,2026-03-02"
        for number in (1, 2, 3)
    ]
    return "\n".join([head, *lines, ""]).encode()


async def _import_advances(book: CrashBook) -> None:
    book.on_day(0)
    await import_advances(book.engine, io.BytesIO(_a_file()))


async def _import_rest(book: CrashBook) -> None:
    book.on_day(0)
    await book.rule_by_truth()
    paid = {call.dst_bank_account for call in book.calls() if call.is_executed}
    for number in (1, 2, 3):
        if account_number(number) not in paid:
            await book.advance(number, f"again {number}", amount=15_000)


# -- the counter


async def _a_shop(book: CrashBook) -> None:
    add, count = AddProductOperation(TERMS), SetDenominationOperation(TERMS)
    for name, price, tax in (("Tea", 250, 50_000), ("Cup", 1_299, 200_000)):
        asked = AddProduct(
            name=name, sku=None, stock=10, price_minor=price, tax_ppm=tax, tax_inclusive=False,
            oversell_limit=0, currency="USD",
        )  # fmt: skip
        await book.ask(add, asked, f"add {name}")
    for value in (1, 10, 100, 1_000):
        await book.ask(count, SetDenomination(value, 20, is_new=True), f"set {value}")


async def _sell(book: CrashBook) -> None:
    asked = RecordPurchase(
        "ann@example.org", "ann@example.org", merge_lines([(1, 2), (2, 1)]), 3_000, ((1_000, 3),)
    )
    await book.ask(RecordPurchaseOperation(TERMS), asked, "sale")


async def _a_sale(book: CrashBook) -> None:
    await _a_shop(book)
    await _sell(book)


async def _refund(book: CrashBook) -> None:
    asked = GiveRefund(1, merge_lines([(1, 1)]), True, "broken")
    await book.ask(GiveRefundOperation(TERMS), asked, "refund")


async def _an_open_session(book: CrashBook) -> None:
    await _a_shop(book)
    pieces = ((1, 20), (10, 20), (100, 20), (1_000, 20))
    await book.ask(OpenSessionOperation(TERMS), OpenSession(pieces), "open")
    paid_in = MoveCash(1, 500, is_in=True, pieces=None, reason="float")
    await book.ask(MoveCashOperation(TERMS), paid_in, "pay in")
    await _sell(book)


async def _close(book: CrashBook) -> None:
    asked = CloseSession(1, ((1, 19), (10, 21), (100, 25), (1_000, 22)))
    await book.ask(CloseSessionOperation(TERMS), asked, "close")


SALES = b"""reference,sku,name,quantity,unit_price,sold_on,customer
A1,TEA,Tea,2,2.50,2026-02-01,7
A1,CUP,Cup,1,12.99,2026-02-01,7
A2,TEA,Tea,3,2.50,2026-02-02,8
C1,TEA,Tea,-1,2.50,2026-02-03,7
"""


async def _import_sales(book: CrashBook) -> None:
    def work() -> None:
        import_sales(
            book.engine, TERMS, io.BytesIO(SALES),
            when_refused=lambda number, why: book.tell({"refused": [number, why.code]}),
            notes_stock=True,
        )  # fmt: skip

    await asyncio.to_thread(work)


# -- household bills

TEXTS = (
    ("JX-BESCOM", "Your BESCOM bill for A/C 1234567890 is Rs.1,240.00 due on 20-03-2026."),
    ("AX-AIRTEL", "Airtel bill of Rs.499.00 for 9876543210 is generated. Due date 15-03-2026."),
    ("AX-AIRTEL", "Payment of Rs.499.00 for Airtel Mobile 9876543210 received. Ref 77881."),
)


async def _a_household(book: CrashBook) -> None:
    await book.customer(1)


@cache
def _reader() -> Reader:
    return load_reader(prove_samples=False)


def _intake(book: CrashBook) -> Intake:
    engine = book.engine
    return Intake(_reader(), engine.secrets, engine.ids, FIRST_DAY, "UTC")


def _customer_id(book: CrashBook) -> str:
    with book.engine.database.reader() as connection:
        return connection.execute(select(CUSTOMERS_TABLE.c.id)).scalar_one()


async def _take_messages(book: CrashBook) -> None:
    customer, intake = _customer_id(book), _intake(book)
    taken = tuple(
        take_text(RawText(customer, body, sender, FIRST_DAY, source_id=f"s{at}"), intake)
        for at, (sender, body) in enumerate(TEXTS)
    )
    await book.ask(RECORD_MESSAGES, RecordMessages(taken, "USD", is_list=True), "messages")


async def _import_inbox(book: CrashBook) -> None:
    lines = [
        f'{{"body": "{body}", "sender": "{sender}", "source_id": "s{at}"}}\n'.encode()
        for at, (sender, body) in enumerate(TEXTS)
    ]

    def work() -> None:
        import_messages(
            book.engine, _intake(book), lines, customer_id=_customer_id(book), currency="USD",
            received_at=FIRST_DAY, progress=NO_PROGRESS,
            when_unreadable=lambda number, why: book.tell({"unreadable": [number, why]}),
        )  # fmt: skip

    await asyncio.to_thread(work)


# -- loans


async def _lend(book: CrashBook) -> None:
    asked = CreateLoan(_customer_id(book), 500_000, "10", 5, "USD", start_on=FIRST_DAY.date())
    await book.ask(CREATE_LOAN, asked, "loan")


async def _a_loan(book: CrashBook) -> None:
    await _a_household(book)
    await _lend(book)


async def _pay_a_loan(book: CrashBook) -> None:
    with book.engine.database.reader() as connection:
        loan = connection.execute(select(LOANS_TABLE.c.id)).scalar_one()
    await book.ask(MAKE_PAYMENT, MakePayment(loan, "1100.00"), "payment")


LOANS = b"""\
reference,customer_name,customer_email,principal,interest_rate,installments,interval,start_on
L-1,Ann,ann@example.org,1000.00,10,10,weekly,2026-02-02
L-2,Ben,ben@example.org,500.00,8,5,monthly,2026-02-09
L-3,Ann,ann@example.org,300.00,0,3,weekly,2026-02-23
"""
PAYMENTS = b"""loan,amount,effective_on
L-1,110.00,2026-02-09
L-2,108.00,2026-02-20
L-1,110.00,2026-02-16
"""


async def _import_loans(book: CrashBook) -> None:
    await import_loans(book.engine, io.BytesIO(LOANS))


async def _import_payments(book: CrashBook) -> None:
    await import_payments(book.engine, io.BytesIO(PAYMENTS))


FLOWS = {
    flow.name: flow
    for flow in (
        Flow("perform_advance", _two_customers, _pay_out, _pay_out_rest, has_rail=True, calls=True),
        Flow(
            "daily run",
            _advances_with_a_due_debit,
            _run_the_day,
            _run_on,
            has_rail=True,
            calls=True,
        ),
        Flow(
            "taking a report",
            _debits_in_the_air,
            _take_the_report,
            _run_on,
            has_rail=True,
            calls=True,
        ),
        Flow("operator resolution", _an_unknown_debit, _rule, _run_on, has_rail=True),
        Flow(
            "CSV import of advances",
            nothing,
            _import_advances,
            _import_rest,
            has_rail=True,
            calls=True,
        ),
        Flow("sale", _a_shop, _sell),
        Flow("refund", _a_sale, _refund),
        Flow("drawer close", _an_open_session, _close),
        Flow("CSV import of sales", nothing, _import_sales),
        Flow("loan", _a_household, _lend),
        Flow("loan payment", _a_loan, _pay_a_loan),
        Flow("CSV import of loans", nothing, _import_loans),
        Flow("CSV import of payments", _import_loans, _import_payments),
        Flow("messages", _a_household, _take_messages),
        Flow("message import", _a_household, _import_inbox),
    )
}
