"""What the ledger must hold for each advance, each payout and each customer. Source: G."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from tallybook.advances.model import Advance, AdvanceStatus, Payout
from tallybook.advances.rules import outstanding, position, status_of
from tallybook.advances.store import ADVANCES, ADVANCES_TABLE
from tallybook.collection.model import Plan, PlanStatus
from tallybook.collection.operations.credits import payout_position
from tallybook.collection.store import PLANS, PLANS_TABLE
from tallybook.db.reading import select_rows
from tallybook.processor.model import Transfer, TransferKind, TransferState
from tallybook.processor.store import TRANSFERS, TRANSFERS_TABLE
from tallybook.reports.verify.discrepancy import FETCH_ROWS, Discrepancy, hex_of, rows_of

_S = TransferState

POSTED = (
    "SELECT p.subject_id, a.name, a.currency, sum(p.amount_minor) FROM postings p"
    " JOIN accounts a ON a.id = p.account_id JOIN {owner} o ON o.id = p.subject_id"
    " {where} GROUP BY p.subject_id, a.name, a.currency"
    " HAVING sum(p.amount_minor) <> 0 ORDER BY p.subject_id"
)

_PAYOUTS: Mapping[Payout, frozenset[TransferState]] = {
    Payout.NONE: frozenset({_S.INTENT, _S.UNKNOWN}),
    Payout.IN_TRANSIT: frozenset({_S.ACCEPTED, _S.TIMED_OUT}),
    Payout.PAID: frozenset({_S.SUCCEEDED}),
    Payout.VOID: frozenset({_S.REJECTED, _S.FAILED, _S.RETURNED, _S.NOT_EXECUTED}),
}

_PLANS: Mapping[AdvanceStatus, PlanStatus] = {
    AdvanceStatus.PENDING: PlanStatus.PENDING,
    AdvanceStatus.ACTIVE: PlanStatus.ACTIVE,
    AdvanceStatus.COMPLETED: PlanStatus.ACTIVE,
    AdvanceStatus.IN_DEFAULT: PlanStatus.PAUSED,
    AdvanceStatus.FAILED: PlanStatus.CLOSED,
    AdvanceStatus.CANCELLED: PlanStatus.CLOSED,
    AdvanceStatus.WRITTEN_OFF: PlanStatus.CLOSED,
}


def check_advances(connection: Connection) -> Iterator[Discrepancy]:
    """Find advances whose postings differ from what their state says the books must hold."""
    cut = len(ADVANCES.rows.columns)
    end = cut + len(PLANS.rows.columns)
    wholes = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
        select(
            *(ADVANCES_TABLE.c[name] for name in ADVANCES.rows.columns),
            *(PLANS_TABLE.c[name].label(f"p_{name}") for name in PLANS.rows.columns),
            TRANSFERS_TABLE.c.state,
        )
        .join(PLANS_TABLE, PLANS_TABLE.c.subject_id == ADVANCES_TABLE.c.id)
        .join(TRANSFERS_TABLE, TRANSFERS_TABLE.c.id == ADVANCES_TABLE.c.credit_transfer_id)
        .order_by(ADVANCES_TABLE.c.id)
    )
    posted = Posted(connection, POSTED.format(owner="advances", where=""))
    for row in wholes:
        advance = ADVANCES.rows.row(row[:cut], sqlite=False)
        plan = PLANS.rows.row(row[cut:end], sqlite=False)
        yield from _check_advance(advance, plan, TransferState(row[end]))
        expected = {
            (chart.value, advance.currency): amount
            for chart, amount in position(advance, plan.succeeded_minor).items()
            if amount
        }
        yield from compare("advance", advance.id, expected, posted.of(advance.id))
    for (ident,) in rows_of(
        connection,
        "SELECT a.id FROM advances a LEFT JOIN plans p ON p.subject_id = a.id"
        " LEFT JOIN transfers t ON t.id = a.credit_transfer_id"
        " WHERE p.subject_id IS NULL OR t.id IS NULL",
    ):
        yield Discrepancy(
            "advance_incomplete",
            f"advance {hex_of(ident)}",
            "a plan and a payout",
            "not both",
            "an advance has a plan and a payout from the start",
        )


def _check_advance(advance: Advance, plan: Plan, credit: TransferState) -> Iterator[Discrepancy]:
    if credit not in _PAYOUTS[advance.payout]:
        yield Discrepancy(
            "advance_payout_wrong",
            f"advance {advance.id}",
            f"what follows from a payout that is {credit.value}",
            advance.payout.value,
            "where its money stands does not fit its payout",
        )
    status = status_of(advance, plan)
    if status is not advance.status:
        yield Discrepancy(
            "advance_status_wrong",
            f"advance {advance.id}",
            status.value,
            advance.status.value,
            "its status is not what its payout and its plan make it",
        )
    owed = max(0, outstanding(advance, plan.succeeded_minor))
    if plan.unsent_minor > owed:
        yield Discrepancy(
            "plan_collects_too_much",
            f"plan {plan.subject_id}",
            f"{owed} at most",
            str(plan.unsent_minor),
            "its unsent rows are more than what is still owed",
        )
    if plan.status is not _PLANS[advance.status]:
        yield Discrepancy(
            "plan_status_wrong",
            f"plan {plan.subject_id}",
            _PLANS[advance.status].value,
            plan.status.value,
            f"the plan of an advance that is {advance.status.value}",
        )


def check_payouts(connection: Connection) -> Iterator[Discrepancy]:
    """Find credit payouts whose postings differ from where their money is."""
    payouts = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
        select_rows(TRANSFERS.rows)
        .where(TRANSFERS_TABLE.c.kind == TransferKind.CREDIT_PAYOUT.value)
        .order_by(TRANSFERS_TABLE.c.id)
    )
    posted = Posted(
        connection, POSTED.format(owner="transfers", where="WHERE o.kind = 'credit_payout'")
    )
    for row in payouts:
        transfer: Transfer = TRANSFERS.rows.row(row, sqlite=False)
        expected = {
            (chart.value, transfer.currency): amount
            for chart, amount in payout_position(transfer).items()
            if amount
        }
        yield from compare("payout", transfer.id, expected, posted.of(transfer.id))


def check_credits(connection: Connection) -> Iterator[Discrepancy]:
    """Find customers whose kept credit differs from the postings on customer-credit."""
    for customer, currency, off in rows_of(
        connection,
        "SELECT customer_id, currency, sum(amount) FROM ("
        " SELECT p.customer_id, a.currency, p.amount_minor AS amount FROM postings p"
        " JOIN accounts a ON a.id = p.account_id"
        " WHERE a.name = 'customer-credit' AND a.book = 'house'"
        " UNION ALL SELECT customer_id, currency, credit_minor FROM customer_credits"
        ") held GROUP BY customer_id, currency HAVING sum(amount) <> 0",
    ):
        yield Discrepancy(
            "customer_credit_wrong",
            f"customer {hex_of(customer)}",
            f"the sum of the postings in {currency}",
            f"off by {off}",
            "the kept credit differs from the ledger",
        )


class Posted:
    """Sums of postings by subject, read alongside a stream of subjects in the same order."""

    def __init__(self, connection: Connection, statement: str) -> None:
        self._groups = groupby(rows_of(connection, statement), key=lambda row: hex_of(row[0]))
        self._next: tuple[str, dict[tuple[str, str], int]] | None = None
        self._step()

    def of(self, subject_id: str) -> dict[tuple[str, str], int]:
        """Give the sums of a subject; subjects are asked for in ascending order."""
        while self._next is not None and self._next[0] < subject_id:
            self._step()
        if self._next is not None and self._next[0] == subject_id:
            return self._next[1]
        return {}

    def _step(self) -> None:
        group: Any = next(self._groups, None)
        self._next = (
            None
            if group is None
            else (group[0], {(row[1], row[2]): int(row[3]) for row in group[1]})
        )


def compare(
    what: str,
    ident: str,
    expected: Mapping[tuple[str, str], int],
    found: Mapping[tuple[str, str], int],
) -> Iterator[Discrepancy]:
    """Compare what a subject's state says of each account with what the ledger holds for it."""
    for account, currency in sorted({*expected, *found}):
        key = account, currency
        if expected.get(key, 0) != found.get(key, 0):
            yield Discrepancy(
                f"{what}_books_wrong",
                f"{what} {ident}",
                f"{expected.get(key, 0)} on {account}",
                str(found.get(key, 0)),
                f"the ledger does not hold in {currency} what its state says",
            )
