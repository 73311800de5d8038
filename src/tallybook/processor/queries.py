"""What is read of the rail itself: the switch, what was sent, what waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, func, select, text

from tallybook.db.reading import fetch, select_rows
from tallybook.processor.model import (
    Action,
    ItemKind,
    Report,
    ReportState,
    Sending,
    Transfer,
    TransferState,
)
from tallybook.processor.store import (
    FACTS_TABLE,
    ITEMS_TABLE,
    REPORTS,
    REPORTS_TABLE,
    SENDING,
    TRANSFERS,
    TRANSFERS_TABLE,
)

_T = TRANSFERS_TABLE.c
_F = FACTS_TABLE.c
_R = REPORTS_TABLE.c
_I = ITEMS_TABLE.c

# What each run asks, made once: to put one together takes longer than to run it.
_OVERRIDE_DAYS = select(_I.resolved_at).where(
    _I.kind == ItemKind.REPORTS_MISSING.value, _I.action == Action.OVERRIDE.value
)
_FIRST_SENT = select(func.min(_T.sent_on))
_COMPLETE = (
    select_rows(REPORTS.rows)
    .where(
        _R.report_on > bindparam("after"),
        _R.report_on <= bindparam("until"),
        _R.state == ReportState.COMPLETE.value,
    )
    .order_by(_R.report_on, _R.id)
)
UNAPPLIED = text("NOT report_facts.applied")
"""Word for word what the partial index says: neither database proves it of a parameter."""
WITH_NEWS = select(_F.transaction_id).where(UNAPPLIED)
"""The transactions of which a report says something that nothing was settled with."""
_TELLING_ACCOUNTS = (
    select(_F.transaction_id)
    .where(_F.transaction_id.in_(WITH_NEWS), _F.account_hash.is_not(None))
    .limit(1)
)


def find_sending(connection: Connection) -> Sending | None:
    """Read the switch of all sending; None where nobody ever touched it."""
    rows = fetch(connection, SENDING.rows, select_rows(SENDING.rows))
    return rows[0] if rows else None


def sum_debits_of(connection: Connection, sent_on: date) -> Mapping[str, int]:
    """Add up the debits of a date by bank account, all but those that never left."""
    wanted = (
        select(_T.bank_account_id, func.sum(_T.amount_minor))
        .where(
            _T.sent_on == sent_on,
            _T.direction == "debit",
            _T.state != TransferState.REJECTED.value,
        )
        .group_by(_T.bank_account_id)
    )
    return {account: int(total) for account, total in connection.execute(wanted)}


def list_overridden(connection: Connection) -> frozenset[str]:
    """List the plan rows that a person has let past the caps."""
    wanted = select(_I.about).where(
        _I.kind == ItemKind.DEBIT_CAPPED.value, _I.action == Action.OVERRIDE.value
    )
    return frozenset(connection.execute(wanted).scalars())


def list_dismissed(connection: Connection, kind: ItemKind) -> frozenset[str]:
    """List what items of a kind were about that a person has dismissed, now or before."""
    wanted = select(_I.about).where(_I.kind == kind.value, _I.action == Action.DISMISS.value)
    return frozenset(connection.execute(wanted).scalars())


def has_open_orphans(connection: Connection) -> bool:
    """Tell whether a report has told of something that nobody has explained yet."""
    wanted = select(_I.id).where(_I.is_open, _I.kind == ItemKind.ORPHAN.value)
    return connection.execute(wanted.limit(1)).first() is not None


def earliest_fact_on(connection: Connection, transaction_id: str) -> date | None:
    """Tell the earliest day on which a transaction can have been, by what reports say of it."""
    wanted = select(func.min(_F.not_before)).where(_F.transaction_id == transaction_id)
    return connection.execute(wanted).scalar()


def list_override_days(connection: Connection, date_of: Callable[[datetime], date]) -> list[date]:
    """List the business dates on which a person let debits go out without reports.

    Source: P5, T1.
    """
    return [date_of(at) for at in connection.execute(_OVERRIDE_DAYS).scalars() if at is not None]


def first_sent_on(connection: Connection) -> date | None:
    """Tell the date of the first transfer of all."""
    return connection.execute(_FIRST_SENT).scalar()


def find_report_day(connection: Connection, report_id: str) -> date | None:
    """Tell the date of a report."""
    return connection.execute(select(_R.report_on).where(_R.id == report_id)).scalar()


def list_complete(connection: Connection, *, after: date, until: date) -> list[Report]:
    """List the complete reports of the days after one, up to another."""
    return fetch(connection, REPORTS.rows, _COMPLETE, after=after, until=until)


def do_rows_tell_accounts(connection: Connection) -> bool:
    """Tell whether facts say of which account they are, of transactions with news."""
    return connection.execute(_TELLING_ACCOUNTS).first() is not None


def list_nameless(connection: Connection) -> list[Transfer]:
    """List transfers that may be behind an orphan: unknown, or ruled executed or not executed.

    No answer and no report has given them an id of the Processor's yet.
    """
    confirmed = (_T.state == TransferState.SUCCEEDED.value) & _T.is_ruled.is_(True)
    others = (TransferState.UNKNOWN.value, TransferState.NOT_EXECUTED.value)
    wanted = select_rows(TRANSFERS.rows).where(
        _T.transaction_id.is_(None), _T.state.in_(others) | confirmed
    )
    return fetch(connection, TRANSFERS.rows, wanted)
