"""Which plan rows a run sends: the oldest of each bank account, and none that a cap stops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

from tallybook.collection.rules import ROWS_A_DAY_MAX, Caps
from tallybook.kernel.frozen import frozen


@frozen
class DueRow:
    """A plan row to be sent, with the account it is collected from."""

    installment_id: str
    subject_id: str
    bank_account_id: str
    number_sealed: bytes
    customer_id: str
    amount_minor: int


_DUE = """
SELECT installment_id, subject_id, bank_account_id, number_sealed, customer_id, amount_minor
FROM (
  SELECT ready.*,
         row_number() OVER (
           PARTITION BY bank_account_id, is_capped ORDER BY due_on, subject_id, number
         ) AS place,
         (SELECT count(*) FROM transfers t
           WHERE t.bank_account_id = ready.bank_account_id AND t.sent_on = :run_on
             AND t.direction = 'debit') AS sent
  FROM (
    SELECT i.id AS installment_id, i.subject_id, p.bank_account_id, b.number_sealed,
           p.customer_id, i.amount_minor, i.due_on, i.number,
           CASE WHEN p.on_failed_debit = 'end_of_plan' THEN 1 ELSE :rows_a_day END AS a_day,
           CASE WHEN i.amount_minor <= :most THEN 0
                WHEN replace(CAST(i.id AS text), '-', '') IN (
                  SELECT about FROM operator_items
                  WHERE kind = 'debit_capped' AND action = 'override'
                ) THEN 0 ELSE 1 END AS is_capped
    FROM installments i
    JOIN plans p ON p.subject_id = i.subject_id
    JOIN bank_accounts b ON b.id = p.bank_account_id
    WHERE i.state = 'planned' AND i.due_on <= :run_on AND p.status = 'active'
      AND p.claimed_minor + i.amount_minor <= p.total_minor
  ) ready
) due
WHERE place + sent <= a_day
ORDER BY due_on, subject_id, installment_id
"""

_NO_CAP = 2**63 - 1


def stream_due(
    connection: Connection, run_on: date, size: int, caps: Caps
) -> Iterator[list[DueRow]]:
    """List the rows that a run sends, so many at a time: the oldest of each bank account.

    The oldest of all come first: a run that stops at its cap then keeps nobody waiting for ever.
    What the account was debited in this run already counts, so that a run which was killed goes
    on where it stopped. A row that is over the caps by itself is listed too, so that a person is
    told of it, but takes no other row's place. Source: A10, A11.
    """
    with connection.execution_options(stream_results=True).execute(
        text(_DUE), _parameters(connection, run_on, caps)
    ) as found:
        for part in found.partitions(size):
            yield [
                DueRow(
                    _hex(row[0]), _hex(row[1]), _hex(row[2]), bytes(row[3]), _hex(row[4]), row[5]
                )
                for row in part
            ]


def count_due(connection: Connection, run_on: date, caps: Caps) -> int:
    """Count the rows that `stream_due` lists."""
    counted = connection.execute(
        text(f"SELECT count(*) FROM ({_DUE}) d"),  # noqa: S608 - a constant
        _parameters(connection, run_on, caps),
    )
    return int(counted.scalar_one())


def _parameters(connection: Connection, run_on: date, caps: Caps) -> dict[str, Any]:
    told = [
        cap for cap in (caps.debit_minor, caps.account_day_minor, caps.run_minor) if cap is not None
    ]
    return {
        "run_on": run_on.isoformat() if connection.dialect.name == "sqlite" else run_on,
        "rows_a_day": ROWS_A_DAY_MAX,
        "most": min(told, default=_NO_CAP),
    }


def _hex(value: Any) -> str:  # noqa: ANN401 - a UUID or text, by the driver
    return str(value).replace("-", "")
