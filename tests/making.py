"""Values for tests of pure rules: each is whole and plausible, and a test says what matters."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tallybook.advances.model import Advance, AdvanceStatus, Payout
from tallybook.ambient.fresh import CountedIds
from tallybook.collection.model import (
    Installment,
    InstallmentState,
    OnFailedDebit,
    Plan,
    PlanStatus,
)
from tallybook.processor.model import Fact, Result, Transfer, TransferKind, TransferState
from tallybook.processor.port import Direction

DAY = date(2026, 1, 1)
"""The day of the advance: a Thursday."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_id(number: int) -> str:
    return f"{number:032x}"


def day(after: int) -> date:
    """So many days after the advance."""
    return DAY + timedelta(days=after)


def a_plan(**told: Any) -> Plan:
    """An active plan of 12 x 1.00, of which nothing is laid out yet."""
    plan = Plan(
        subject_id=an_id(1),
        kind=TransferKind.ADVANCE,
        customer_id=an_id(2),
        bank_account_id=an_id(3),
        currency="USD",
        status=PlanStatus.ACTIVE,
        total_minor=1200,
        succeeded_minor=0,
        in_flight_minor=0,
        held_minor=0,
        unsent_minor=0,
        claimed_minor=0,
        excess_minor=0,
        rows_count=0,
        last_due_on=day(84),
        first_due_on=day(7),
        interval_days=7,
        on_failed_debit=OnFailedDebit.END_OF_PLAN,
        max_attempts=0,
        hold_days=30,
    )
    return replace(plan, **told)


def a_row(number: int, **told: Any) -> Installment:
    """A planned row of 1.00, due so many weeks after the advance."""
    row = Installment(
        id=an_id(1000 + number),
        subject_id=an_id(1),
        number=number,
        due_on=day(7 * number),
        amount_minor=100,
        state=InstallmentState.PLANNED,
        replaces=None,
        attempt=1,
    )
    return replace(row, **told)


def a_transfer(number: int = 1, **told: Any) -> Transfer:
    """An accepted debit of 1.00."""
    transfer = Transfer(
        id=an_id(2000 + number),
        kind=TransferKind.ADVANCE,
        direction=Direction.DEBIT,
        customer_id=an_id(2),
        bank_account_id=an_id(3),
        subject_id=an_id(1),
        installment_id=an_id(1000 + number),
        installment_number=number,
        amount_minor=100,
        currency="USD",
        state=TransferState.ACCEPTED,
        held=False,
        transaction_id=f"txn_{number}",
        sent_on=DAY,
        intent_at=NOON,
        lease_until=NOON + timedelta(seconds=60),
        sender="somewhere/1/1",
        resolved_at=None,
        resolved_on=None,
        reason=None,
        is_ruled=False,
        request_key=None,
    )
    return replace(transfer, **told)


def a_fact(result: Result, happened_on: date, **told: Any) -> Fact:
    fact = Fact(
        transaction_id="txn_1",
        result=result,
        first_on=happened_on,
        happened_on=happened_on,
        not_before=happened_on,
        applied=False,
        amount_minor=None,
        account_hash=None,
        direction=None,
        reason=None,
    )
    return replace(fact, **told)


def an_advance(**told: Any) -> Advance:
    """An advance of 12.00 that is paid out and has no fee."""
    advance = Advance(
        id=an_id(1),
        customer_id=an_id(2),
        bank_account_id=an_id(3),
        amount_minor=1200,
        fee_minor=0,
        currency="USD",
        installments_count=12,
        interval_days=7,
        effective_on=DAY,
        status=AdvanceStatus.ACTIVE,
        payout=Payout.PAID,
        is_fee_booked=True,
        credited_minor=0,
        applied_minor=0,
        written_off_minor=0,
        written_off_at_minor=0,
        credit_transfer_id=an_id(2000),
        created_at=NOON,
    )
    return replace(advance, **told)


def ids() -> CountedIds:
    """Ids of rows that rules make, apart from those that tests give."""
    return CountedIds(start=50_000)
