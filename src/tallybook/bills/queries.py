"""The reads of household bills, for people and reports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from tallybook.bills.model import (
    Bill,
    BillAccount,
    BillState,
    Fact,
    Message,
    Transaction,
)
from tallybook.bills.store import (
    ACCOUNT_ROWS,
    ACCOUNTS_TABLE,
    BILL_ROWS,
    BILLS_TABLE,
    FACT_ROWS,
    FACTS_TABLE,
    MESSAGE_ROWS,
    MESSAGES_TABLE,
    TRANSACTION_ROWS,
    TRANSACTIONS_TABLE,
)
from tallybook.db.reading import fetch, fetch_pairs, select_pairs, select_rows


def list_messages(
    connection: Connection,
    *,
    customer_id: str | None = None,
    status: str | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[tuple[Message, Fact]]:
    """List messages with what became of each, the newest first."""
    query = (
        select_pairs(MESSAGE_ROWS, FACT_ROWS)
        .join(FACTS_TABLE, FACTS_TABLE.c.message_id == MESSAGES_TABLE.c.id)
        .order_by(MESSAGES_TABLE.c.id.desc())
        .limit(limit)
    )
    if customer_id is not None:
        query = query.where(MESSAGES_TABLE.c.customer_id == customer_id)
    if status is not None:
        query = query.where(FACTS_TABLE.c.status == status)
    if before_id is not None:
        query = query.where(MESSAGES_TABLE.c.id < before_id)
    return fetch_pairs(connection, MESSAGE_ROWS, FACT_ROWS, query)


def list_accounts(
    connection: Connection,
    *,
    customer_id: str | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[BillAccount]:
    """List accounts, the newest first, without those that turned out to be others."""
    query = select_rows(ACCOUNT_ROWS).where(ACCOUNTS_TABLE.c.merged_into.is_(None))
    if customer_id is not None:
        query = query.where(ACCOUNTS_TABLE.c.customer_id == customer_id)
    if before_id is not None:
        query = query.where(ACCOUNTS_TABLE.c.id < before_id)
    return fetch(connection, ACCOUNT_ROWS, query.order_by(ACCOUNTS_TABLE.c.id.desc()).limit(limit))


def _bills_with_accounts() -> Select[Any]:
    return select_pairs(BILL_ROWS, ACCOUNT_ROWS).join(
        ACCOUNTS_TABLE, ACCOUNTS_TABLE.c.id == BILLS_TABLE.c.account_id
    )


def list_bills(
    connection: Connection,
    today: date,
    *,
    customer_id: str | None = None,
    status: BillState | None = None,
    due_before: date | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[tuple[Bill, BillAccount]]:
    """List the bills that stand, the newest first; `status` as it is on `today`. Source: B5."""
    query = _bills_with_accounts().where(BILLS_TABLE.c.merged_into.is_(None))
    if customer_id is not None:
        query = query.where(BILLS_TABLE.c.customer_id == customer_id)
    if status is not None:
        query = query.where(_state_is(status, today))
    if due_before is not None:
        query = query.where(BILLS_TABLE.c.due_on < due_before)
    if before_id is not None:
        query = query.where(BILLS_TABLE.c.id < before_id)
    query = query.order_by(BILLS_TABLE.c.id.desc()).limit(limit)
    return fetch_pairs(connection, BILL_ROWS, ACCOUNT_ROWS, query)


def list_due(
    connection: Connection, *, customer_id: str | None = None, limit: int
) -> list[tuple[Bill, BillAccount]]:
    """List what is open, the earliest due first; bills without a due date come last."""
    query = _bills_with_accounts().where(BILLS_TABLE.c.merged_into.is_(None), _is_open())
    if customer_id is not None:
        query = query.where(BILLS_TABLE.c.customer_id == customer_id)
    query = query.order_by(
        BILLS_TABLE.c.due_on.is_(None), BILLS_TABLE.c.due_on, BILLS_TABLE.c.id
    ).limit(limit)
    return fetch_pairs(connection, BILL_ROWS, ACCOUNT_ROWS, query)


def _is_open() -> Any:  # noqa: ANN401 - an SQL condition
    bills = BILLS_TABLE.c
    unpaid = or_(
        and_(bills.amount_minor.is_(None), bills.paid_minor == 0),
        bills.paid_minor < bills.amount_minor,
    )
    return and_(bills.is_rolled_over.is_(False), unpaid)


def _state_is(status: BillState, today: date) -> Any:  # noqa: ANN401 - an SQL condition
    """Say in SQL what `rules.states.state_on` says; a test holds the two together."""
    bills = BILLS_TABLE.c
    is_coming = or_(bills.due_on.is_(None), bills.due_on > today)
    match status:
        case BillState.ROLLED_OVER:
            return bills.is_rolled_over
        case BillState.PAID:
            paid = or_(
                and_(bills.amount_minor.is_(None), bills.paid_minor > 0),
                bills.paid_minor >= bills.amount_minor,
            )
            return and_(bills.is_rolled_over.is_(False), paid)
        case BillState.OVERDUE:
            return and_(_is_open(), bills.due_on < today)
        case BillState.DUE_TODAY:
            return and_(_is_open(), bills.due_on == today)
        case BillState.PARTLY_PAID:
            return and_(_is_open(), is_coming, bills.paid_minor > 0)
        case BillState.UNPAID:
            return and_(_is_open(), is_coming, bills.paid_minor == 0)


def find_bill(connection: Connection, bill_id: str) -> tuple[Bill, BillAccount] | None:
    """Find a bill by its id, also one that turned out to be part of another."""
    wanted = _bills_with_accounts().where(BILLS_TABLE.c.id == bill_id)
    found = fetch_pairs(connection, BILL_ROWS, ACCOUNT_ROWS, wanted)
    return found[0] if found else None


def list_transactions(
    connection: Connection,
    *,
    customer_id: str | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[Transaction]:
    """List transactions, the newest first, other wordings of the same payment left out."""
    query = select_rows(TRANSACTION_ROWS).where(TRANSACTIONS_TABLE.c.duplicate_of.is_(None))
    if customer_id is not None:
        query = query.where(TRANSACTIONS_TABLE.c.customer_id == customer_id)
    if before_id is not None:
        query = query.where(TRANSACTIONS_TABLE.c.id < before_id)
    query = query.order_by(TRANSACTIONS_TABLE.c.id.desc()).limit(limit)
    return fetch(connection, TRANSACTION_ROWS, query)


def list_unfolded(connection: Connection) -> list[str]:
    """List the customers with messages that an import wrote down and nobody has folded yet."""
    query = (
        select(FACTS_TABLE.c.customer_id)
        .where(FACTS_TABLE.c.status == "recorded")
        .distinct()
        .order_by(FACTS_TABLE.c.customer_id)
    )
    return list(connection.execute(query).scalars())


def count_folded(connection: Connection, customer_id: str, since: datetime) -> dict[str, int]:
    """Count by status a customer's messages that take part in the fold.

    Only those that were recorded from `since` on.
    """
    query = (
        select(FACTS_TABLE.c.status, func.count())
        .join(MESSAGES_TABLE, MESSAGES_TABLE.c.id == FACTS_TABLE.c.message_id)
        .where(
            FACTS_TABLE.c.customer_id == customer_id,
            FACTS_TABLE.c.folds,
            MESSAGES_TABLE.c.recorded_at >= since,
        )
        .group_by(FACTS_TABLE.c.status)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
