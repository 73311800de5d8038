"""Reading loans as they stand on a date: from sums of their payments, in one query. Source: L4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    distinct,
    func,
    or_,
    select,
    text,
)

from tallybook.db.reading import STREAM_ROWS, fetch, select_rows
from tallybook.loans.model import (
    Loan,
    LoanStatus,
    Payment,
    PaymentPolicy,
    PaymentStatus,
    Tally,
)
from tallybook.loans.rules.paying import LoanOn
from tallybook.loans.store import LOANS, LOANS_TABLE, PAYMENTS, PAYMENTS_TABLE

_L = LOANS_TABLE.c
_P = PAYMENTS_TABLE.c


def find_loan(connection: Connection, loan_id: str) -> Loan | None:
    """Find a loan."""
    found = fetch(connection, LOANS.rows, select_rows(LOANS.rows).where(_L.id == loan_id))
    return found[0] if found else None


def find_loan_on(connection: Connection, loan_id: str, as_of: date) -> LoanOn | None:
    """Find a loan as it stands on a date."""
    rows = connection.execute(_one_on(), {"as_of": as_of, "one": loan_id}).all()
    found = _loans_on(connection, rows, as_of)
    return found[0] if found else None


def find_by_references(connection: Connection, references: Sequence[str]) -> dict[str, str]:
    """Find loans by the lender's own numbers: the id of each that there is."""
    wanted = select(_L.reference, _L.id).where(_L.reference.in_(references))
    return {row.reference: row.id for row in connection.execute(wanted)}


def list_terms(connection: Connection) -> list[tuple[str, PaymentPolicy, int]]:
    """List what settings can have said of loans: currency, payment policy, `delinquent_after`."""
    wanted = select(_L.currency, _L.payment_policy, _L.delinquent_after).distinct()
    return sorted((row[0], PaymentPolicy(row[1]), row[2]) for row in connection.execute(wanted))


def find_existing(connection: Connection, loan_ids: Sequence[str]) -> set[str]:
    """Tell which of some ids are loans'."""
    return {*connection.execute(select(_L.id).where(_L.id.in_(loan_ids))).scalars()}


def list_loans_of(connection: Connection, customer_id: str, as_of: date) -> list[LoanOn]:
    """List the loans of a customer as they stand on a date, the newest first."""
    theirs = select(_L.id).where(_L.customer_id == customer_id)
    return list_loans_on(
        connection, as_of, _L.customer_id == customer_id, about=_P.loan_id.in_(theirs)
    )


def list_loans_page(
    connection: Connection,
    as_of: date,
    *,
    customer_id: str | None,
    status: LoanStatus | None,
    before_id: str | None,
    limit: int,
) -> list[LoanOn]:
    """List loans as they stand on a date, the newest first. `status` is today's."""
    wanted = select(_L.id).order_by(_L.id.desc()).limit(limit)
    if customer_id is not None:
        wanted = wanted.where(_L.customer_id == customer_id)
    if status is not None:
        wanted = wanted.where(_L.status == status.value)
    if before_id is not None:
        wanted = wanted.where(_L.id < before_id)
    ids = list(connection.execute(wanted).scalars())
    return list_loans_on(connection, as_of, _L.id.in_(ids), about=_P.loan_id.in_(ids))


def list_loans_on(
    connection: Connection,
    as_of: date,
    *conditions: ColumnElement[bool],
    about: ColumnElement[bool],
) -> list[LoanOn]:
    """List loans as they stand on a date; `about` says the same of payments as of loans."""
    wanted = _on(_sums(about)).where(*conditions).order_by(_L.id.desc())
    rows = connection.execute(wanted, {"as_of": as_of}).all()
    return _loans_on(connection, rows, as_of)


def stream_loans_on(connection: Connection, as_of: date) -> Iterator[list[LoanOn]]:
    """List all loans that had begun by a date as they stood on it, a bounded number at a time."""
    wanted = _on(_sums(None)).where(_L.start_on <= as_of).order_by(_L.id)
    with connection.execution_options(stream_results=True).execute(
        wanted, {"as_of": as_of}
    ) as found:
        for part in found.partitions(STREAM_ROWS):
            yield _loans_on(connection, part, as_of)


@cache
def _one_on() -> Select[Any]:
    """Build the query of one loan once: building it costs more than running it."""
    one = bindparam("one", type_=_L.id.type)
    return _on(_sums(_P.loan_id == one)).where(_L.id == one)


def _sums(about: ColumnElement[bool] | None) -> Subquery:
    """Add up what payments come to on a date, loan by loan: `rules.paying.tally` in SQL."""
    as_of = bindparam("as_of", type_=_P.effective_on.type)
    counts, was_made = _counts_on(as_of), _was_made_by(as_of)
    has_row = _P.installment_number.is_not(None)
    wanted = select(
        _P.loan_id,
        func.sum(case((and_(counts, ~has_row), _P.amount_minor), else_=0)).label("loose"),
        func.count(
            distinct(case((and_(counts, has_row), _P.installment_number), else_=None))
        ).label("rows_paid"),
        func.max(case((and_(counts, has_row), _P.installment_number), else_=0)).label("last_row"),
        func.sum(case((_P.reversed_on <= as_of, _P.kept_minor), else_=0)).label("kept"),
        func.sum(case((and_(was_made, ~has_row), _P.amount_minor), else_=0)).label("came"),
    ).group_by(_P.loan_id)
    if about is not None:
        wanted = wanted.where(about)
    return wanted.subquery("sums")


def _counts_on(as_of: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say in SQL what `rules.paying.counts_on` says."""
    return and_(_was_made_by(as_of), or_(_P.reversed_on.is_(None), _P.reversed_on > as_of))


def _was_made_by(as_of: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(
        _P.status.in_((PaymentStatus.PAID.value, PaymentStatus.REVERSED.value)),
        _P.effective_on <= as_of,
    )


def _on(sums: Subquery) -> Select[Any]:
    columns = (sums.c.loose, sums.c.rows_paid, sums.c.last_row, sums.c.kept, sums.c.came)
    return select(
        *(_L[name] for name in LOANS.rows.columns),
        *(func.coalesce(column, 0) for column in columns),
    ).join_from(LOANS_TABLE, sums, sums.c.loan_id == _L.id, isouter=True)


def _loans_on(connection: Connection, rows: Sequence[Any], as_of: date) -> list[LoanOn]:
    width = len(LOANS.rows.columns)
    # Rows paid from the first on are told by their count; only gaps have to be looked at.
    torn = [row[0] for row in rows if row[width + 1] != row[width + 2]]
    numbers = _numbers_of(connection, torn, as_of) if torn else {}
    found: list[LoanOn] = []
    for row in rows:
        loan = LOANS.rows.row(row[:width], sqlite=False)
        loose, rows_paid, _, kept, came = row[width:]
        paid: Sequence[int] = numbers.get(loan.id) or range(1, int(rows_paid) + 1)
        found.append(LoanOn(loan, Tally(int(loose), paid, int(kept), int(came)), as_of))
    return found


def _numbers_of(
    connection: Connection, loan_ids: Sequence[str], as_of: date
) -> dict[str, list[int]]:
    """List the rows that exact payments had paid, of loans where there are gaps among them."""
    numbers: dict[str, list[int]] = {}
    for start in range(0, len(loan_ids), STREAM_ROWS):
        wanted = (
            select(_P.loan_id, _P.installment_number)
            .distinct()
            .where(
                _P.loan_id.in_(loan_ids[start : start + STREAM_ROWS]),
                _P.installment_number.is_not(None),
                _counts_on(bindparam("as_of", type_=_P.effective_on.type)),
            )
            .order_by(_P.loan_id, _P.installment_number)
            .distinct()
        )
        for loan_id, number in connection.execute(wanted, {"as_of": as_of}):
            numbers.setdefault(loan_id, []).append(number)
    return numbers


def stream_untold(connection: Connection, as_of: date) -> Iterator[list[str]]:
    """List the loans that have become delinquent by a date, and of which nobody was told."""
    # Word for word what the partial index says: neither database proves it of a parameter.
    untold = text("loans.delinquent_on IS NOT NULL AND NOT loans.is_delinquent")
    wanted = select(_L.id).where(untold, _L.delinquent_on <= as_of).order_by(_L.id)
    with connection.execution_options(stream_results=True).execute(wanted) as found:
        for part in found.partitions(STREAM_ROWS):
            yield [row[0] for row in part]


# -- payments ----------------------------------------------------------------------------------


def list_payments_of(connection: Connection, loan_id: str) -> list[Payment]:
    """List all payments of a loan, in the order of their arrival."""
    wanted = select_rows(PAYMENTS.rows).where(_P.loan_id == loan_id).order_by(_P.sequence)
    return fetch(connection, PAYMENTS.rows, wanted)


def list_payments_page(
    connection: Connection, loan_id: str, *, before_id: str | None, limit: int
) -> list[Payment]:
    """List payments of a loan, the newest first."""
    wanted = (
        select_rows(PAYMENTS.rows)
        .where(_P.loan_id == loan_id)
        .order_by(_P.sequence.desc())
        .limit(limit)
    )
    if before_id is not None:
        last = select(_P.sequence).where(_P.id == before_id, _P.loan_id == loan_id)
        wanted = wanted.where(_P.sequence < last.scalar_subquery())
    return fetch(connection, PAYMENTS.rows, wanted)


def list_unanswered(connection: Connection, before: datetime) -> list[Payment]:
    """List pending payments of before an instant whose request still waits for its reply."""
    wanted = select_rows(PAYMENTS.rows).where(
        _P.status == PaymentStatus.PENDING, _P.received_at < before, _P.request_key.is_not(None)
    )
    return fetch(connection, PAYMENTS.rows, wanted)
