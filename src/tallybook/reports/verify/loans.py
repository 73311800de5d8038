"""Loans against their payments, their debits and the ledger. Source: L4, L7, G."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection

from tallybook.db.reading import select_rows
from tallybook.kernel.frozen import replace
from tallybook.loans.model import Loan, Payment
from tallybook.loans.rules.books import fold, position
from tallybook.loans.store import LOANS, LOANS_TABLE, PAYMENTS, PAYMENTS_TABLE
from tallybook.reports.verify.discrepancy import FETCH_ROWS, Discrepancy, hex_of, rows_of
from tallybook.reports.verify.positions import POSTED, Posted, compare

_FOLDED = (
    "received_minor",
    "applied_minor",
    "credited_minor",
    "kept_minor",
    "earned_minor",
    "delinquent_on",
    "status",
    "payments_count",
)
"""What is kept of a loan and follows from its payments."""


def check_loans(connection: Connection) -> Iterator[Discrepancy]:
    """Find loans whose sums are not what their payments fold to, or what the ledger holds."""
    loans = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
        select_rows(LOANS.rows).order_by(LOANS_TABLE.c.id)
    )
    posted = Posted(connection, POSTED.format(owner="loans", where=""))
    paid = _Paid(connection)
    for row in loans:
        loan = LOANS.rows.row(row, sqlite=False)
        yield from _check_loan(loan, paid.of(loan.id))
        expected = {
            (chart.value, loan.currency): amount
            for chart, amount in position(loan).items()
            if amount
        }
        yield from compare("loan", loan.id, expected, posted.of(loan.id))


def _check_loan(loan: Loan, payments: list[Payment]) -> Iterator[Discrepancy]:
    kept = sum(each.kept_minor for each in payments)
    folded = fold(replace(loan, kept_minor=kept, payments_count=len(payments)), payments)
    for name in _FOLDED:
        expected, found = getattr(folded, name), getattr(loan, name)
        if expected != found:
            yield Discrepancy(
                "loan_sum_wrong",
                f"loan {loan.id}",
                str(expected),
                str(found),
                f"what is kept as {name} does not follow from its payments",
            )


class _Paid:
    """Payments by loan, read alongside a stream of loans in the same order."""

    def __init__(self, connection: Connection) -> None:
        wanted = select_rows(PAYMENTS.rows).order_by(
            PAYMENTS_TABLE.c.loan_id, PAYMENTS_TABLE.c.sequence
        )
        found = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
            wanted
        )
        payments = (PAYMENTS.rows.row(row, sqlite=False) for row in found)
        self._groups = groupby(payments, key=lambda payment: payment.loan_id)
        self._next = self._read()

    def _read(self) -> tuple[str, list[Payment]] | None:
        for loan_id, group in self._groups:
            return loan_id, list(group)
        return None

    def of(self, loan_id: str) -> list[Payment]:
        """Give the payments of a loan; loans are asked for in the order of their ids."""
        while self._next is not None and self._next[0] < loan_id:
            self._next = self._read()
        if self._next is None or self._next[0] != loan_id:
            return []
        return self._next[1]


def check_loan_debits(connection: Connection) -> Iterator[Discrepancy]:
    """Find debits and payments that do not go together, and plans that ask for another sum.

    Source: L9, A7.
    """
    for ident, state, amount, paid in rows_of(
        connection,
        "SELECT t.id, t.state, t.amount_minor, p.amount_minor FROM transfers t"
        " LEFT JOIN loan_payments p ON p.transfer_id = t.id AND p.status = 'paid'"
        " WHERE t.kind = 'loan' AND ((t.state = 'succeeded') <> (p.id IS NOT NULL)"
        " OR p.amount_minor <> t.amount_minor)",
    ):
        yield Discrepancy(
            "loan_debit_wrong",
            f"transfer {hex_of(ident)}",
            f"a payment of {amount} if it succeeded, and else none",
            f"{state}, {paid}",
            "what a debit collected is not the payment that it made",
        )
    for ident, total, succeeded, uncollected in rows_of(
        connection,
        "SELECT l.id, pl.total_minor, pl.succeeded_minor,"
        " CASE WHEN l.status = 'written_off' THEN 0 ELSE l.principal_minor + l.interest_minor"
        " - l.received_minor - l.applied_minor + l.credited_minor END"
        " - coalesce(pending.amount, 0) FROM loans l"
        " JOIN plans pl ON pl.subject_id = l.id"
        " LEFT JOIN (SELECT loan_id, sum(amount_minor) AS amount FROM loan_payments"
        " WHERE status = 'pending' GROUP BY loan_id) pending ON pending.loan_id = l.id"
        " WHERE pl.status <> 'closed'",
    ):
        # A flexible loan takes what it is paid, so more may be pending than is owed.
        wanted = succeeded + max(0, int(uncollected))
        if total != wanted:
            yield Discrepancy(
                "loan_plan_wrong",
                f"plan {hex_of(ident)}",
                str(wanted),
                str(total),
                "its debits do not collect what is owed",
            )


def check_loan_standings(connection: Connection) -> Iterator[Discrepancy]:
    """Find loans that tell of their customer's standing what does not follow from them.

    Source: A3.
    """
    for ident, *_ in rows_of(
        connection,
        "SELECT l.id FROM loans l LEFT JOIN standings s ON s.subject_id = l.id AND s.active"
        " WHERE (CASE WHEN l.status = 'written_off' THEN l.written_off_on ELSE l.delinquent_on END"
        "   IS NULL) <> (s.subject_id IS NULL)"
        " OR s.since_on <> CASE WHEN l.status = 'written_off' THEN l.written_off_on"
        "   ELSE l.delinquent_on END",
    ):
        yield Discrepancy(
            "loan_standing_wrong",
            f"loan {hex_of(ident)}",
            "bad from the day on which it is delinquent or written off",
            "another day, or none",
            "advances are told something else of its customer",
        )
