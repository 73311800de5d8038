"""Running the checks one after another over one snapshot of the book."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import InvalidRequestError

from tallybook.ambient.logs import describe_error
from tallybook.ambient.secrets import Secrets
from tallybook.db.engine import Database
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.reports.verify import (
    counter,
    entries,
    evidence,
    loans,
    order,
    plans,
    positions,
    seals,
)
from tallybook.reports.verify.anchors import Anchor, check_anchors
from tallybook.reports.verify.discrepancy import Check, Discrepancy, and_more

_log = logging.getLogger("tallybook.verify")

_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    InvalidRequestError,
    LookupError,
    TypeError,
    ValueError,
)
"""What a check runs into where a row holds what no row of ours does."""

FOUND_MAX = 1_000
"""So many discrepancies are enough of one check: a book that broken needs no longer list.
Where there are more, an `and_more` at the end of them says so."""

CHECKS: Mapping[str, Check] = {
    "entries": entries.check_entries,
    "entry numbers": entries.check_entry_numbers,
    "accounts": seals.check_account_numbers,
    "balances": entries.check_balances,
    "entry chain": entries.check_entry_chain,
    "event chain": entries.check_event_chain,
    "seals": seals.check_seals,
    "plans": plans.check_plans,
    "plan rows": plans.check_rows,
    "transfers": plans.check_transfers,
    "event log": evidence.check_logged,
    "reports": plans.check_facts,
    "evidence": evidence.check_evidence,
    "advances": positions.check_advances,
    "credit payouts": positions.check_payouts,
    "loans": loans.check_loans,
    "loan debits": loans.check_loan_debits,
    "loan standings": loans.check_loan_standings,
    "customer credit": positions.check_credits,
    "counter": counter.check_counter,
    "purchase lines": counter.check_orphaned_lines,
    "drawer cash": counter.check_drawer_cash,
    "runs": order.check_runs,
    "replies": order.check_replies,
    "operator items": order.check_items,
    "defaults": order.check_defaults,
}
"""Every check, by what it looks at, in the order in which they run."""


def verify(
    database: Database,
    secrets: Secrets | None = None,
    *,
    anchors: Sequence[Anchor] = (),
    progress: Progress = NO_PROGRESS,
) -> list[Discrepancy]:
    """Check the whole book; gives what does not agree, nothing where all is well.

    With the book's key it opens the reports, too, and holds what is kept of them against them; with
    anchors, the chains against where they stood when those were written.
    Reads one snapshot and changes nothing, so it may run beside a working server.
    """
    checks = dict(CHECKS)
    if secrets is not None:
        checks["raw reports"] = lambda connection: evidence.check_raw_reports(connection, secrets)
    if anchors:
        checks["anchors"] = lambda connection: check_anchors(connection, anchors)
    found: list[Discrepancy] = []
    with database.snapshot() as connection:
        if not database.is_sqlite:
            # A book of years takes longer than anybody waits for a page.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        progress.begin("verify", len(checks))
        for name, check in checks.items():
            found += _run(name, check, connection)
            progress.advance()
    return found


def _run(name: str, check: Check, connection: Connection) -> list[Discrepancy]:
    """Run one check. What it can't even read is a discrepancy, and the others still have a say."""
    found: list[Discrepancy] = []
    try:
        for discrepancy in check(connection):
            if len(found) == FOUND_MAX:
                found.append(and_more(name, FOUND_MAX))
                break
            found.append(discrepancy)
    except _UNREADABLE as error:
        _log.warning("a check could not read the book", exc_info=error)
        found.append(
            Discrepancy(
                "rows_unreadable",
                name,
                "rows that can be read",
                describe_error(error),
                "a row holds what nothing of ours writes",
            )
        )
    return found
