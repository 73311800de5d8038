"""What is read of the rail itself: the switch, what was sent, what waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime

from sqlalchemy import Connection, func, select, text

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
    columns = ITEMS_TABLE.c
    wanted = select(columns.about).where(
        columns.kind == ItemKind.DEBIT_CAPPED.value, columns.action == Action.OVERRIDE.value
    )
    return frozenset(connection.execute(wanted).scalars())


def has_open_orphans(connection: Connection) -> bool:
    """Tell whether a report has told of something that nobody has explained yet."""
    columns = ITEMS_TABLE.c
    wanted = select(columns.id).where(columns.is_open, columns.kind == ItemKind.ORPHAN.value)
    return connection.execute(wanted.limit(1)).first() is not None


def first_fact_on(connection: Connection, transaction_id: str) -> date | None:
    """Tell the earliest date that reports give a transaction."""
    wanted = select(func.min(_F.happened_on)).where(_F.transaction_id == transaction_id)
    return connection.execute(wanted).scalar()


def list_override_days(connection: Connection, date_of: Callable[[datetime], date]) -> list[date]:
    """List the business dates on which a person let debits go out without reports.

    Source: P5, T1.
    """
    columns = ITEMS_TABLE.c
    wanted = select(columns.resolved_at).where(
        columns.kind == ItemKind.REPORTS_MISSING.value, columns.action == Action.OVERRIDE.value
    )
    return [date_of(at) for at in connection.execute(wanted).scalars() if at is not None]


def first_sent_on(connection: Connection) -> date | None:
    """Tell the date of the first transfer of all."""
    return connection.execute(select(func.min(_T.sent_on))).scalar()


def find_report_day(connection: Connection, report_id: str) -> date | None:
    """Tell the date of a report."""
    columns = REPORTS_TABLE.c
    return connection.execute(select(columns.report_on).where(columns.id == report_id)).scalar()


def list_complete(connection: Connection, *, after: date, until: date) -> list[Report]:
    """List the complete reports of the days after one, up to another."""
    columns = REPORTS_TABLE.c
    wanted = select_rows(REPORTS.rows).where(
        columns.report_on > after,
        columns.report_on <= until,
        columns.state == ReportState.COMPLETE.value,
    )
    return fetch(connection, REPORTS.rows, wanted.order_by(columns.report_on, columns.id))


def do_rows_tell_accounts(connection: Connection) -> bool:
    """Tell whether a fact that is not applied yet says of which account it is."""
    unapplied = text("NOT report_facts.applied")  # as the partial index has it
    wanted = select(_F.transaction_id).where(unapplied, _F.account_hash.is_not(None))
    return connection.execute(wanted.limit(1)).first() is not None


def list_nameless(connection: Connection) -> list[Transfer]:
    """List transfers that may be behind an orphan: unknown, or executed as a person said.

    No answer and no report has given them an id of the Processor's yet.
    """
    confirmed = (_T.state == TransferState.SUCCEEDED.value) & _T.is_ruled.is_(True)
    wanted = select_rows(TRANSFERS.rows).where(
        _T.transaction_id.is_(None), (_T.state == TransferState.UNKNOWN.value) | confirmed
    )
    return fetch(connection, TRANSFERS.rows, wanted)
