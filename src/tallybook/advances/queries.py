"""Reading advances: one with its plan and attempts, lists, what a report shows of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, select

from tallybook.advances.model import Advance, AdvanceStatus
from tallybook.advances.store import ADVANCES, ADVANCES_TABLE
from tallybook.collection.model import Installment, Plan
from tallybook.collection.queries import list_transfers_of
from tallybook.collection.store import (
    INSTALLMENTS,
    INSTALLMENTS_TABLE,
    PLANS,
    PLANS_TABLE,
)
from tallybook.db.reading import select_rows
from tallybook.kernel.frozen import frozen
from tallybook.processor.model import Transfer


@frozen
class WholeAdvance:
    """An advance with everything that is shown of it."""

    advance: Advance
    plan: Plan
    rows: Sequence[Installment]
    transfers: Sequence[Transfer]


def find_advance(connection: Connection, advance_id: str) -> WholeAdvance | None:
    """Find an advance with its plan and transfers."""
    found = _whole(connection, _pairs(connection, ADVANCES_TABLE.c.id == advance_id, limit=1))
    return found[0] if found else None


def list_currencies(connection: Connection) -> list[str]:
    """List the currencies of all advances."""
    return sorted(connection.execute(select(ADVANCES_TABLE.c.currency).distinct()).scalars())


def list_whole_advances(
    connection: Connection,
    *,
    customer_id: str | None = None,
    status: AdvanceStatus | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[WholeAdvance]:
    """List advances with their plans and transfers, the newest first."""
    pairs = list_advances(
        connection, customer_id=customer_id, status=status, before_id=before_id, limit=limit
    )
    return _whole(connection, pairs)


def _whole(connection: Connection, pairs: Sequence[tuple[Advance, Plan]]) -> list[WholeAdvance]:
    """Give advances their rows and transfers, in two queries for all of them."""
    idents = [advance.id for advance, _ in pairs]
    columns = INSTALLMENTS_TABLE.c
    found = connection.execute(
        select_rows(INSTALLMENTS.rows)
        .where(columns.subject_id.in_(idents))
        .order_by(columns.subject_id, columns.number)
    )
    rows: dict[str, list[Installment]] = {ident: [] for ident in idents}
    for each in found:
        row = INSTALLMENTS.rows.row(each, sqlite=False)
        rows[row.subject_id].append(row)
    transfers: dict[str, list[Transfer]] = {ident: [] for ident in idents}
    for transfer in list_transfers_of(connection, idents):
        transfers[transfer.subject_id].append(transfer)
    return [
        WholeAdvance(advance, plan, rows[advance.id], transfers[advance.id])
        for advance, plan in pairs
    ]


def list_advances(
    connection: Connection,
    *,
    customer_id: str | None = None,
    status: AdvanceStatus | None = None,
    before_id: str | None = None,
    limit: int,
) -> list[tuple[Advance, Plan]]:
    """List advances with their plans' sums, the newest first."""
    columns = ADVANCES_TABLE.c
    conditions: list[ColumnElement[bool]] = []
    if customer_id is not None:
        conditions.append(columns.customer_id == customer_id)
    if status is not None:
        conditions.append(columns.status == status.value)
    if before_id is not None:
        conditions.append(columns.id < before_id)
    return _pairs(connection, *conditions, limit=limit)


def _pairs(
    connection: Connection,
    *conditions: ColumnElement[bool],
    limit: int,
) -> list[tuple[Advance, Plan]]:
    width = len(ADVANCES.rows.columns)
    wanted = (
        select(
            *(ADVANCES_TABLE.c[name] for name in ADVANCES.rows.columns),
            *(PLANS_TABLE.c[name].label(f"plan_{name}") for name in PLANS.rows.columns),
        )
        .join(PLANS_TABLE, PLANS_TABLE.c.subject_id == ADVANCES_TABLE.c.id)
        .where(*conditions)
        .order_by(ADVANCES_TABLE.c.id.desc())
        .limit(limit)
    )
    return [
        (
            ADVANCES.rows.row(row[:width], sqlite=False),
            PLANS.rows.row(row[width:], sqlite=False),
        )
        for row in connection.execute(wanted)
    ]
