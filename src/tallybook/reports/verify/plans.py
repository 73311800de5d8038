"""Plans against their rows and transfers, and transfers against reports and events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from tallybook.collection.model import Plan
from tallybook.collection.rules import target_unsent
from tallybook.collection.store import PLANS, PLANS_TABLE
from tallybook.customers.store import BANK_ACCOUNTS_TABLE
from tallybook.db.reading import select_rows
from tallybook.processor.model import Fact, Transfer, TransferState
from tallybook.processor.rules import CONTESTED, LIVE, disagrees, fold_facts
from tallybook.processor.store import FACTS, FACTS_TABLE, TRANSFERS, TRANSFERS_TABLE
from tallybook.reports.verify.discrepancy import FETCH_ROWS, Discrepancy, hex_of, rows_of

_SUMS = """
SELECT p.subject_id, coalesce(t.in_flight, 0), coalesce(t.succeeded, 0), coalesce(t.held, 0),
       coalesce(i.planned, 0), coalesce(i.waiting, 0), coalesce(i.rows_count, 0),
       coalesce(i.last_number, 0)
FROM plans p
LEFT JOIN (
  SELECT subject_id,
    sum(CASE WHEN state IN ('intent', 'accepted', 'unknown') THEN amount_minor ELSE 0 END)
      AS in_flight,
    sum(CASE WHEN state = 'succeeded' THEN amount_minor ELSE 0 END) AS succeeded,
    sum(CASE WHEN held THEN amount_minor ELSE 0 END) AS held
  FROM transfers WHERE direction = 'debit' GROUP BY subject_id
) t ON t.subject_id = p.subject_id
LEFT JOIN (
  SELECT subject_id,
    sum(CASE WHEN state = 'planned' THEN amount_minor ELSE 0 END) AS planned,
    sum(CASE WHEN state = 'waiting' THEN amount_minor ELSE 0 END) AS waiting,
    count(*) AS rows_count, max(number) AS last_number
  FROM installments GROUP BY subject_id
) i ON i.subject_id = p.subject_id
ORDER BY p.subject_id
"""
UNINTENDED = """
SELECT t.id FROM transfers t WHERE NOT EXISTS (
  SELECT 1 FROM events e WHERE e.subject_id = t.id AND substr(e.type, 1, 7) <> 'retail.'
  AND e.type IN ('processor.credit.intent', 'processor.debit.intent')
)
"""


def check_plans(connection: Connection) -> Iterator[Discrepancy]:
    """Find plans whose kept sums differ from their transfers and rows, or break the equation.

    Source: A7, A10.
    """
    plans = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
        select_rows(PLANS.rows).order_by(PLANS_TABLE.c.subject_id)
    )
    for row, sums in zip(plans, rows_of(connection, _SUMS), strict=True):
        yield from _check_plan(PLANS.rows.row(row, sqlite=False), sums)


def _check_plan(plan: Plan, sums: Any) -> Iterator[Discrepancy]:  # noqa: ANN401 - a row of _SUMS
    subject, in_flight, succeeded, held, planned, waiting, rows_count, last_number = sums
    assert hex_of(subject) == plan.subject_id
    kept = {
        "in flight": (plan.in_flight_minor, in_flight),
        "succeeded": (plan.succeeded_minor, succeeded),
        "held": (plan.held_minor, held),
        "unsent": (plan.unsent_minor, planned),
    }
    for name, (found, expected) in kept.items():
        if found != int(expected):
            yield Discrepancy(
                "plan_sum_wrong",
                f"plan {plan.subject_id}",
                str(expected),
                str(found),
                f"what is kept as {name} is not the sum of its transfers or rows",
            )
    claimed = plan.in_flight_minor + plan.succeeded_minor + plan.held_minor
    excess = max(0, claimed - plan.total_minor)
    if (plan.claimed_minor, plan.excess_minor) != (claimed, excess):
        yield Discrepancy(
            "plan_claims_wrong",
            f"plan {plan.subject_id}",
            f"{claimed} claimed, {excess} too much",
            f"{plan.claimed_minor} claimed, {plan.excess_minor} too much",
            "its claims are not what is in flight, succeeded and held",
        )
    target = target_unsent(plan)
    if int(planned) != target:
        yield Discrepancy(
            "plan_equation_broken",
            f"plan {plan.subject_id}",
            str(target),
            str(planned),
            "its unsent rows do not sum to what is still to be collected",
        )
    if plan.has_rows and int(waiting) != int(held):
        yield Discrepancy(
            "plan_waiting_wrong",
            f"plan {plan.subject_id}",
            str(held),
            str(waiting),
            "the rows that stand in for held amounts do not sum to them",
        )
    if plan.rows_count != rows_count or rows_count != last_number:
        yield Discrepancy(
            "plan_rows_missing",
            f"plan {plan.subject_id}",
            f"{plan.rows_count} rows",
            f"{rows_count} rows up to number {last_number}",
            "its rows are not numbered through",
        )


def check_rows(connection: Connection) -> Iterator[Discrepancy]:
    """Find rows whose state does not fit their transfers, and rows that were sent twice."""
    for ident, state, live, tried in rows_of(
        connection,
        "SELECT i.id, i.state, sum(CASE WHEN t.state IN"
        " ('intent', 'accepted', 'unknown', 'timed_out', 'succeeded') THEN 1 ELSE 0 END) AS live,"
        " count(t.id) AS tried FROM installments i"
        " LEFT JOIN transfers t ON t.installment_id = i.id GROUP BY i.id, i.state"
        " HAVING sum(CASE WHEN t.state IN"
        " ('intent', 'accepted', 'unknown', 'timed_out', 'succeeded') THEN 1 ELSE 0 END) > 1"
        " OR (i.state = 'sent' AND count(t.id) = 0)"
        " OR (i.state <> 'sent' AND sum(CASE WHEN t.state IN"
        " ('intent', 'accepted', 'unknown', 'timed_out', 'succeeded') THEN 1 ELSE 0 END) > 0)",
    ):
        code = "row_sent_twice" if live > 1 else "row_state_wrong"
        yield Discrepancy(
            code,
            f"plan row {hex_of(ident)}",
            "one live transfer at most, and one attempt if it is sent",
            f"{state}, {live} live of {tried}",
            "its state does not fit its transfers",
        )


def check_transfers(connection: Connection) -> Iterator[Discrepancy]:
    """Find transfers that were never put on record as an intent, and repeated transaction ids."""
    for ident, *_ in rows_of(
        connection,
        UNINTENDED,
    ):
        yield Discrepancy(
            "transfer_without_intent",
            f"transfer {hex_of(ident)}",
            "an intent in the event log",
            "none",
            "it was not put on record before it was sent",
        )
    for ident, count in rows_of(
        connection,
        "SELECT transaction_id, count(*) FROM transfers WHERE transaction_id IS NOT NULL"
        " GROUP BY transaction_id HAVING count(*) > 1",
    ):
        yield Discrepancy(
            "transaction_id_repeated", ident, "1 transfer", str(count), "two transfers have this id"
        )


def check_facts(connection: Connection) -> Iterator[Discrepancy]:
    """Find transfers that are not where their report rows fold to. Source: P4, P7, T4.

    A row that is another's by what it says or when counts as the transfer's own only in books older
    than that rule. Where an id is two transfers', people say what its rows mean, and where a row of
    a failure has become doubtful (P2).
    """
    width = len(FACTS.rows.columns)
    pairs = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
        select(
            *(FACTS_TABLE.c[name] for name in FACTS.rows.columns),
            *(TRANSFERS_TABLE.c[name].label(f"t_{name}") for name in TRANSFERS.rows.columns),
            BANK_ACCOUNTS_TABLE.c.number_hash,
        )
        .join(TRANSFERS_TABLE, TRANSFERS_TABLE.c.transaction_id == FACTS_TABLE.c.transaction_id)
        .outerjoin(
            BANK_ACCOUNTS_TABLE, BANK_ACCOUNTS_TABLE.c.id == TRANSFERS_TABLE.c.bank_account_id
        )
        .order_by(FACTS_TABLE.c.transaction_id)
    )
    for ident, group in groupby(pairs, key=lambda pair: pair[0]):
        rows = list(group)
        facts: list[Fact] = [FACTS.rows.row(row[:width], sqlite=False) for row in rows]
        transfer: Transfer = TRANSFERS.rows.row(rows[0][width:-1], sqlite=False)
        own = [fact for fact in facts if not disagrees(fact, transfer, rows[0][-1])]
        folded = fold_facts(own)
        waiting = any(not fact.applied for fact in facts)
        is_success = folded.state is TransferState.SUCCEEDED
        is_in_doubt = is_success and own != facts and transfer.state not in LIVE
        is_asked = transfer.is_ruled or transfer.reason == CONTESTED or not own or is_in_doubt
        if waiting or is_asked or transfer.state in (folded.state, fold_facts(facts).state):
            continue
        yield Discrepancy(
            "transfer_against_reports",
            f"transfer {transfer.id} ({ident})",
            str(folded.state),
            transfer.state.value,
            "reports say otherwise",
        )
