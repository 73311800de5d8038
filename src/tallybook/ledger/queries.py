"""The ledger's reads: balances as of any date, statements, the trial balance, movements, events.

Each takes a connection; what belongs together is read in one snapshot (`Database.snapshot`).
Balances come from the daily sums, so that an old date costs no more than today.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
)

from tallybook.ledger.model import (
    Account,
    AccountBalance,
    CurrencyTotal,
    CustomerSum,
    LoggedEvent,
    Movement,
    MovementLine,
    StatementLine,
)
from tallybook.ledger.store import ACCOUNTS, BALANCES, ENTRIES, POSTINGS
from tallybook.writer.store import EVENTS


def find_account(connection: Connection, account_id: int) -> Account | None:
    """Find an account by its number."""
    row: Any = connection.execute(_accounts().where(ACCOUNTS.c.id == account_id)).one_or_none()
    return None if row is None else Account(*row)


def list_balances(
    connection: Connection,
    *,
    as_of: date | None = None,
    book: str | None = None,
    before_id: int | None = None,
    limit: int | None = None,
) -> list[AccountBalance]:
    """List accounts, the newest first, with their balances at the end of a date."""
    wanted = _accounts().order_by(ACCOUNTS.c.id.desc())
    if book is not None:
        wanted = wanted.where(ACCOUNTS.c.book == book)
    if before_id is not None:
        wanted = wanted.where(ACCOUNTS.c.id < before_id)
    if limit is not None:
        wanted = wanted.limit(limit)
    page = wanted.subquery()
    counted = BALANCES.c.account_id == page.c.id
    if as_of is not None:
        counted = and_(counted, BALANCES.c.effective_on <= as_of)
    rows: Iterable[Any] = connection.execute(
        select(
            *page.c,
            func.coalesce(func.sum(BALANCES.c.debit_minor), 0),
            func.coalesce(func.sum(BALANCES.c.credit_minor), 0),
        )
        .select_from(page.outerjoin(BALANCES, counted))
        .group_by(*page.c)
        .order_by(page.c.id.desc())
    )
    return [AccountBalance(Account(*row[:4]), int(row[4]), int(row[5])) for row in rows]


def total_per_currency(connection: Connection, *, as_of: date | None = None) -> list[CurrencyTotal]:
    """Add up all debits and all credits of every book, per currency."""
    totals = (
        select(
            ACCOUNTS.c.currency,
            func.sum(BALANCES.c.debit_minor),
            func.sum(BALANCES.c.credit_minor),
        )
        .join(BALANCES, BALANCES.c.account_id == ACCOUNTS.c.id)
        .group_by(ACCOUNTS.c.currency)
        .order_by(ACCOUNTS.c.currency)
    )
    if as_of is not None:
        totals = totals.where(BALANCES.c.effective_on <= as_of)
    return [CurrencyTotal(row[0], int(row[1]), int(row[2])) for row in connection.execute(totals)]


def list_statement(
    connection: Connection,
    account_id: int,
    *,
    as_of: date | None = None,
    before: tuple[int, int] | None = None,
    limit: int,
) -> list[StatementLine]:
    """List an account's postings, the newest recorded first, each with the balance after it.

    `before` is the (entry, line) where the page before ended. The balances run backwards from the
    balance as of the date, less what the pages before have shown.
    """
    newest = (POSTINGS.c.entry_seq.desc(), POSTINGS.c.line.desc())
    of_account = [POSTINGS.c.account_id == account_id]
    if as_of is not None:
        of_account.append(ENTRIES.c.effective_on <= as_of)
    joined = POSTINGS.join(ENTRIES, ENTRIES.c.seq == POSTINGS.c.entry_seq)
    page = (
        select(
            POSTINGS.c.entry_seq,
            POSTINGS.c.line,
            ENTRIES.c.kind,
            ENTRIES.c.effective_on,
            ENTRIES.c.recorded_at,
            POSTINGS.c.amount_minor,
            POSTINGS.c.customer_id,
            POSTINGS.c.subject_id,
        )
        .select_from(joined)
        .where(*of_account)
        .order_by(*newest)
        .limit(limit)
    )
    balance = _balance(connection, account_id, as_of)
    if before is not None:
        seq, line = before
        page = page.where(_stands_before(seq, line))
        shown = select(func.coalesce(func.sum(POSTINGS.c.amount_minor), 0)).select_from(
            joined if as_of is not None else POSTINGS
        )
        balance -= int(
            connection.execute(shown.where(*of_account, ~_stands_before(seq, line))).scalar_one()
        )
    lines: list[StatementLine] = []
    rows: Iterable[Any] = connection.execute(page)
    for row in rows:
        lines.append(StatementLine(*row[:6], balance, *row[6:]))
        balance -= row.amount_minor
    return lines


def list_movements(
    connection: Connection, customer_id: str, *, before_seq: int | None = None, limit: int
) -> list[Movement]:
    """List the entries that concern a customer, the newest first, with their own lines only."""
    chosen = (
        select(POSTINGS.c.entry_seq)
        .where(*_names_first(POSTINGS, customer_id))
        .order_by(POSTINGS.c.entry_seq.desc())
        .limit(limit)
    )
    if before_seq is not None:
        chosen = chosen.where(POSTINGS.c.entry_seq < before_seq)
    page = chosen.subquery()
    rows: Iterable[Any] = connection.execute(
        select(
            ENTRIES.c.seq,
            ENTRIES.c.kind,
            ENTRIES.c.effective_on,
            ENTRIES.c.recorded_at,
            ENTRIES.c.reverses_seq,
            ACCOUNTS.c.name,
            ACCOUNTS.c.currency,
            POSTINGS.c.amount_minor,
            POSTINGS.c.subject_id,
        )
        .select_from(
            page.join(ENTRIES, ENTRIES.c.seq == page.c.entry_seq)
            .join(POSTINGS, POSTINGS.c.entry_seq == page.c.entry_seq)
            .join(ACCOUNTS, ACCOUNTS.c.id == POSTINGS.c.account_id)
        )
        .where(POSTINGS.c.customer_id == customer_id)
        .order_by(ENTRIES.c.seq.desc(), POSTINGS.c.line)
    )
    heads: dict[int, Any] = {}
    lines: dict[int, list[MovementLine]] = {}
    for row in rows:
        heads[row.seq] = row
        line = MovementLine(row.name, row.currency, row.amount_minor, row.subject_id)
        lines.setdefault(row.seq, []).append(line)
    return [
        Movement(
            seq, row.kind, row.effective_on, row.recorded_at, row.reverses_seq, tuple(lines[seq])
        )
        for seq, row in heads.items()
    ]


def sum_of_customer(connection: Connection, customer_id: str) -> list[CustomerSum]:
    """Add up a customer's postings per account, currency and kind of entry."""
    first = POSTINGS.alias()
    rows = connection.execute(
        select(
            ACCOUNTS.c.name,
            ACCOUNTS.c.currency,
            ENTRIES.c.kind,
            func.sum(POSTINGS.c.amount_minor),
        )
        .select_from(
            first.join(POSTINGS, POSTINGS.c.entry_seq == first.c.entry_seq)
            .join(ACCOUNTS, ACCOUNTS.c.id == POSTINGS.c.account_id)
            .join(ENTRIES, ENTRIES.c.seq == first.c.entry_seq)
        )
        .where(*_names_first(first, customer_id), POSTINGS.c.customer_id == customer_id)
        .group_by(ACCOUNTS.c.name, ACCOUNTS.c.currency, ENTRIES.c.kind)
    )
    return [CustomerSum(row[0], row[1], row[2], int(row[3])) for row in rows]


def list_events(connection: Connection, *, after: int, limit: int) -> list[LoggedEvent]:
    """List events in the order of the log, after a number that was read before.

    Numbers follow the commits without gaps, so that whoever asks on from the last one misses none.
    """
    rows: Iterable[Any] = connection.execute(
        select(
            EVENTS.c.seq,
            EVENTS.c.type,
            EVENTS.c.subject_id,
            EVENTS.c.customer_id,
            EVENTS.c.occurred_at,
            EVENTS.c.body,
        )
        .where(EVENTS.c.seq > after)
        .order_by(EVENTS.c.seq)
        .limit(limit)
    )
    return [LoggedEvent(*row) for row in rows]


def _names_first(postings: FromClause, customer_id: str) -> tuple[ColumnElement[bool], ...]:
    """Choose the first postings of the entries that concern a customer."""
    # Said as the index says it: PostgreSQL, once it plans for any parameter, would not use it.
    return postings.c.line == literal_column("1"), postings.c.customer_id == customer_id


def _accounts() -> Select[*tuple[Any, ...]]:
    return select(ACCOUNTS.c.id, ACCOUNTS.c.book, ACCOUNTS.c.name, ACCOUNTS.c.currency)


def _balance(connection: Connection, account_id: int, as_of: date | None) -> int:
    balance = select(
        func.coalesce(func.sum(BALANCES.c.debit_minor - BALANCES.c.credit_minor), 0)
    ).where(BALANCES.c.account_id == account_id)
    if as_of is not None:
        balance = balance.where(BALANCES.c.effective_on <= as_of)
    return int(connection.execute(balance).scalar_one())


def _stands_before(seq: int, line: int) -> Any:  # noqa: ANN401 - SQLAlchemy's own type has no plain name
    return or_(
        POSTINGS.c.entry_seq < seq,
        and_(POSTINGS.c.entry_seq == seq, POSTINGS.c.line < line),
    )
