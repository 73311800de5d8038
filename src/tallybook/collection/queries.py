"""What the daily run and people read about transfers, reports, items and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, tuple_

from tallybook.collection.model import Installment, InstallmentState, Job, PlanStatus, Run
from tallybook.collection.store import (
    INSTALLMENTS,
    INSTALLMENTS_TABLE,
    JOBS,
    JOBS_TABLE,
    PLANS_TABLE,
    RUNS,
    RUNS_TABLE,
)
from tallybook.customers.model import BankAccount
from tallybook.customers.store import BANK_ACCOUNTS, BANK_ACCOUNTS_TABLE
from tallybook.db.reading import STREAM_ROWS, fetch, select_rows, stream
from tallybook.processor.model import (
    Fact,
    ItemKind,
    OperatorItem,
    Report,
    ReportState,
    Transfer,
    TransferState,
)
from tallybook.processor.queries import UNAPPLIED, WITH_NEWS
from tallybook.processor.rules import IN_FLIGHT, disagrees
from tallybook.processor.store import (
    FACTS,
    FACTS_TABLE,
    ITEMS,
    ITEMS_TABLE,
    REPORTS,
    REPORTS_TABLE,
    TRANSFERS,
    TRANSFERS_TABLE,
)

_T = TRANSFERS_TABLE.c
_F = FACTS_TABLE.c
_P = PLANS_TABLE.c
_R = REPORTS_TABLE.c

# Word for word what the partial indexes say: neither database proves it of a parameter.
_OPEN = text("transfers.state IN ('intent', 'accepted', 'unknown')")
_HELD = text("transfers.held")


# -- for the daily run: made once, for to put one together takes longer than to run it ---------

_UNSETTLED = (
    select_rows(TRANSFERS.rows)
    .where(_T.transaction_id.in_(WITH_NEWS))
    .order_by(_T.subject_id, _T.installment_number, _T.id)
)
_UNAPPLIED_COUNT = select(func.count()).select_from(FACTS_TABLE).where(UNAPPLIED)
_ORPHANS = select_rows(FACTS.rows).where(
    UNAPPLIED, ~select(_T.id).where(_T.transaction_id == _F.transaction_id).exists()
)
# Every row that is not its transfer's own has made a person be asked; of those there are few.
_CONTRADICTED = select(ITEMS_TABLE.c.transfer_id).where(
    ITEMS_TABLE.c.kind == ItemKind.CONTRADICTION.value
)
_CONTRADICTED_FACTS = (
    select(
        *(_F[name] for name in FACTS.rows.columns),
        *(_T[name].label(f"t_{name}") for name in TRANSFERS.rows.columns),
        BANK_ACCOUNTS_TABLE.c.number_hash,
    )
    .join(TRANSFERS_TABLE, _T.transaction_id == _F.transaction_id)
    .join(BANK_ACCOUNTS_TABLE, BANK_ACCOUNTS_TABLE.c.id == _T.bank_account_id)
    .where(_T.id.in_(_CONTRADICTED))
)
_IN_FLIGHT = select_rows(TRANSFERS.rows).where(_T.state == bindparam("state"), _OPEN)
_OPEN_DAYS = select(_T.sent_on).where(_OPEN, _T.state == TransferState.ACCEPTED.value).distinct()
_HELD_DAYS = (
    select(_T.resolved_on, _P.hold_days)
    .join(PLANS_TABLE, _P.subject_id == _T.subject_id)
    .where(_HELD)
    .distinct()
)
_REPORT_DAYS = (
    select(_R.report_on)
    .where(_R.report_on >= bindparam("since"), _R.state == ReportState.COMPLETE.value)
    .distinct()
)
_RICH_DAYS = _REPORT_DAYS.where(_R.is_rich.is_(True))
_CONTENTS = (
    select(_R.report_on, _R.sha256)
    .where(
        _R.report_on.between(bindparam("first"), bindparam("last")),
        (_R.state == ReportState.COMPLETE.value) | (_R.sha256 == bindparam("content")),
    )
    .order_by(_R.report_on)
)
_LAST_REPORT = (
    select(_R.report_on)
    .where(_R.report_on <= bindparam("run_on"), _R.state == ReportState.COMPLETE.value)
    .order_by(_R.report_on.desc())
    .limit(1)
)
_TO_REPEAT = (
    select(func.count())
    .select_from(FACTS_TABLE)
    .where(_F.first_on < bindparam("report_on"), _F.not_before >= bindparam("window_start"))
)
_UNREAD = (
    select_rows(REPORTS.rows).where(_R.state == ReportState.TAKEN.value).order_by(_R.report_on)
)
_JOB = select_rows(JOBS.rows).where(JOBS_TABLE.c.name == bindparam("job"))


def stream_unsettled(connection: Connection) -> Iterator[list[Transfer]]:
    """List transfers that reports say something new of, each plan's in the order of its rows."""
    yield from stream(connection, TRANSFERS.rows, _UNSETTLED)


def count_unapplied(connection: Connection) -> int:
    """Count the facts that have not been applied, orphans included."""
    return int(connection.execute(_UNAPPLIED_COUNT).scalar_one())


def list_orphans(connection: Connection) -> list[Fact]:
    """List the facts of transactions that no transfer has."""
    # Sorted here: asked for an order, SQLite walks all facts in it to find the few.
    found: list[Fact] = fetch(connection, FACTS.rows, _ORPHANS)
    return sorted(found, key=lambda fact: (fact.transaction_id, fact.result))


def list_disputed(connection: Connection) -> list[Fact]:
    """List the facts that are not of the transfer which has their id. Source: P4, P7."""
    width = len(FACTS.rows.columns)
    return [
        fact
        for row in connection.execute(_CONTRADICTED_FACTS)
        if disagrees(
            fact := FACTS.rows.row(row[:width], sqlite=False),
            TRANSFERS.rows.row(row[width:-1], sqlite=False),
            row[-1],
        )
    ]


def list_in_flight(connection: Connection, state: TransferState) -> list[Transfer]:
    """List transfers in one of the states that no report has told of, the oldest first."""
    assert state in IN_FLIGHT, "the others are of years"
    found: list[Transfer] = fetch(connection, TRANSFERS.rows, _IN_FLIGHT, state=state.value)
    return sorted(found, key=lambda transfer: (transfer.sent_on, transfer.id))


TransferStream = Callable[[Connection], Iterator[list[Transfer]]]


def list_open_days(connection: Connection) -> list[date]:
    """List the dates of transfers that no report has told of."""
    return sorted(connection.execute(_OPEN_DAYS).scalars())


def stream_accepted_of(sent_on: date) -> TransferStream:
    """List the transfers of one date that no report has told of."""
    wanted = select_rows(TRANSFERS.rows).where(
        _OPEN, _T.state == TransferState.ACCEPTED.value, _T.sent_on == sent_on
    )
    ordered = wanted.order_by(_T.subject_id, _T.installment_number, _T.id)
    return lambda connection: stream(connection, TRANSFERS.rows, ordered)


def list_held_days(connection: Connection) -> list[tuple[date, int]]:
    """List the dates on which held transfers timed out, and for how long their plans hold them."""
    return sorted((row[0], row[1]) for row in connection.execute(_HELD_DAYS) if row[0])


def stream_held_of(resolved_on: date, hold_days: int) -> TransferStream:
    """List the held transfers that timed out on one date, of the plans that hold for so long."""
    wanted = (
        select_rows(TRANSFERS.rows)
        .join(PLANS_TABLE, _P.subject_id == _T.subject_id)
        .where(_HELD, _T.resolved_on == resolved_on, _P.hold_days == hold_days)
    )
    ordered = wanted.order_by(_T.subject_id, _T.installment_number, _T.id)
    return lambda connection: stream(connection, TRANSFERS.rows, ordered)


def list_report_days(connection: Connection, *, since: date) -> list[date]:
    """List the dates of complete reports, from one on: years of them would be read each day."""
    return sorted(connection.execute(_REPORT_DAYS, {"since": since}).scalars())


def list_rich_days(connection: Connection, *, since: date) -> list[date]:
    """List the dates of complete reports whose rows identify transfers. Source: P6."""
    return sorted(connection.execute(_RICH_DAYS, {"since": since}).scalars())


def list_contents(
    connection: Connection, first: date, last: date, content: str
) -> list[tuple[date, str]]:
    """List the days and contents of complete reports in a span, and of all with one content."""
    asked = {"first": first, "last": last, "content": content}
    return [(row.report_on, row.sha256) for row in connection.execute(_CONTENTS, asked)]


def last_report_on(connection: Connection, run_on: date) -> date | None:
    """Tell the date of the last complete report up to a date."""
    return connection.execute(_LAST_REPORT, {"run_on": run_on}).scalar()


def count_to_repeat(connection: Connection, report_on: date, window_start: date) -> int:
    """Count the facts that a complete report of a date must show again. Source: P4."""
    asked = {"report_on": report_on, "window_start": window_start}
    return int(connection.execute(_TO_REPEAT, asked).scalar_one())


def list_unread_reports(connection: Connection) -> list[Report]:
    """List reports that were stored and not read to their end: their reader died."""
    return fetch(connection, REPORTS.rows, _UNREAD)


def account_hashes(connection: Connection, account_ids: Sequence[str]) -> Mapping[str, str]:
    """Tell the keyed hash of each bank account."""
    columns = BANK_ACCOUNTS_TABLE.c
    wanted = select(columns.id, columns.number_hash).where(columns.id.in_(account_ids))
    return {row.id: row.number_hash for row in connection.execute(wanted)}


def find_account_of(
    connection: Connection, customer_id: str, account_id: str | None
) -> BankAccount | None:
    """Find one of a customer's bank accounts; their oldest one where none is named."""
    columns = BANK_ACCOUNTS_TABLE.c
    wanted = select_rows(BANK_ACCOUNTS.rows).where(columns.customer_id == customer_id)
    if account_id is not None:
        wanted = wanted.where(columns.id == account_id)
    rows = fetch(connection, BANK_ACCOUNTS.rows, wanted.order_by(columns.id).limit(1))
    return rows[0] if rows else None


def find_row(connection: Connection, subject_id: str, number: int) -> Installment | None:
    """Find a plan's row by its number."""
    columns = INSTALLMENTS_TABLE.c
    wanted = select_rows(INSTALLMENTS.rows).where(
        columns.subject_id == subject_id, columns.number == number
    )
    rows = fetch(connection, INSTALLMENTS.rows, wanted)
    return rows[0] if rows else None


def list_answered_caps(connection: Connection) -> list[str]:
    """List the open items about capped rows that have been sent or withdrawn since."""
    items = ITEMS_TABLE.c
    capped = select(items.about, items.id).where(
        items.is_open, items.kind == ItemKind.DEBIT_CAPPED.value
    )
    by_row = {row.about: row.id for row in connection.execute(capped)}
    rows = INSTALLMENTS_TABLE.c
    over = select(rows.id).where(
        rows.id.in_(by_row),
        rows.state.in_((InstallmentState.SENT.value, InstallmentState.CANCELLED.value)),
    )
    return [by_row[row] for row in connection.execute(over).scalars()] if by_row else []


# -- for people --------------------------------------------------------------------------------


def find_job(connection: Connection, name: str) -> Job | None:
    """Find a job's row."""
    rows = fetch(connection, JOBS.rows, _JOB, job=name)
    return rows[0] if rows else None


def find_other_currency(connection: Connection, currency: str) -> str | None:
    """Find a currency, other than the Processor's, in which something is to be collected yet."""
    wanted = select(_P.currency).where(
        _P.currency != currency,
        _P.status != PlanStatus.CLOSED.value,
        _P.succeeded_minor < _P.total_minor,
    )
    return connection.execute(wanted.limit(1)).scalar()


def list_runs(connection: Connection, *, before: date | None, limit: int) -> list[Run]:
    """List runs, the newest first."""
    wanted = select_rows(RUNS.rows).order_by(RUNS_TABLE.c.business_date.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(RUNS_TABLE.c.business_date < before)
    return fetch(connection, RUNS.rows, wanted)


def list_items(
    connection: Connection,
    *,
    is_open: bool | None,
    kind: ItemKind | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[OperatorItem]:
    """List operator items, the newest first."""
    columns = ITEMS_TABLE.c
    wanted = select_rows(ITEMS.rows).order_by(columns.id.desc()).limit(limit)
    if is_open is not None:
        wanted = wanted.where(columns.is_open.is_(is_open))
    if kind is not None:
        wanted = wanted.where(columns.kind == kind.value)
    if before_id is not None:
        wanted = wanted.where(columns.id < before_id)
    return fetch(connection, ITEMS.rows, wanted)


def find_item(connection: Connection, item_id: str) -> OperatorItem | None:
    """Find an operator item."""
    rows = fetch(connection, ITEMS.rows, select_rows(ITEMS.rows).where(ITEMS_TABLE.c.id == item_id))
    return rows[0] if rows else None


def find_transfer(connection: Connection, transfer_id: str) -> Transfer | None:
    """Find a transfer."""
    rows = fetch(
        connection, TRANSFERS.rows, select_rows(TRANSFERS.rows).where(_T.id == transfer_id)
    )
    return rows[0] if rows else None


def list_transfers_of(connection: Connection, subject_ids: Sequence[str]) -> list[Transfer]:
    """List the transfers of subjects, the oldest first."""
    wanted = select_rows(TRANSFERS.rows).where(_T.subject_id.in_(subject_ids))
    return fetch(connection, TRANSFERS.rows, wanted.order_by(_T.id))


def stream_reported(
    connection: Connection,
    first: date,
    last: date,
    learned: tuple[datetime, datetime] | None = None,
) -> Iterator[list[tuple[Transfer, str]]]:
    """List every transfer submitted or resolved in a span of days, with its account's last four.

    Resolved is one on the day on which it happened, and where it was `learned` from one instant
    until before another: so news that came late is shown. Source: A14.
    """
    submitted = _T.sent_on.between(first, last)
    resolved = _T.resolved_on.between(first, last)
    if learned is not None:
        resolved |= (_T.resolved_at >= learned[0]) & (_T.resolved_at < learned[1])
    wanted = (
        select(*(_T[name] for name in TRANSFERS.rows.columns), BANK_ACCOUNTS_TABLE.c.last4)
        .join(BANK_ACCOUNTS_TABLE, BANK_ACCOUNTS_TABLE.c.id == _T.bank_account_id)
        .where(submitted | resolved)
        .order_by(_T.id)
    )
    with connection.execution_options(stream_results=True).execute(wanted) as found:
        for part in found.partitions(STREAM_ROWS):
            yield [(TRANSFERS.rows.row(row[:-1], sqlite=False), row[-1]) for row in part]


def sum_in_flight(connection: Connection, customer_id: str) -> Mapping[tuple[str, str], int]:
    """Add up a customer's debits that no report has told of, per product and currency."""
    wanted = (
        select(_T.kind, _T.currency, func.sum(_T.amount_minor))
        .where(
            _T.customer_id == customer_id,
            _T.direction == "debit",
            _T.state.in_(("intent", "accepted", "unknown", "timed_out")),
        )
        .group_by(_T.kind, _T.currency)
    )
    return {
        (f"{kind}s", currency): int(total) for kind, currency, total in connection.execute(wanted)
    }


def list_reports(
    connection: Connection, *, before: tuple[date, str] | None, limit: int
) -> list[Any]:
    """List taken reports without their raw text, the newest first."""
    columns = REPORTS_TABLE.c
    wanted = (
        select(
            columns.id,
            columns.report_on,
            columns.taken_at,
            columns.sha256,
            columns.state,
            columns.rows_count,
            columns.new_count,
            columns.missing_count,
            columns.problems,
        )
        .order_by(columns.report_on.desc(), columns.id.desc())
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(tuple_(columns.report_on, columns.id) < before)
    return list(connection.execute(wanted))
