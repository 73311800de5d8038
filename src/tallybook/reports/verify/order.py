"""Runs, stored replies and operator items: that nothing was left lying."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from tallybook.reports.verify.discrepancy import Discrepancy, hex_of, rows_of


def check_runs(connection: Connection) -> Iterator[Discrepancy]:
    """Find runs that do not fit what the job says of them. Source: T3."""
    for name, kept, last in rows_of(
        connection,
        "SELECT j.name, j.last_finished_on, max(r.business_date) FROM jobs j"
        " LEFT JOIN runs r ON r.job = j.name AND r.state = 'finished'"
        " GROUP BY j.name, j.last_finished_on"
        " HAVING coalesce(j.last_finished_on, '0001-01-01')"
        " <> coalesce(max(r.business_date), '0001-01-01')",
    ):
        yield Discrepancy(
            "job_out_of_step", f"job {name}", str(last), str(kept), "its last run is another one"
        )
    for job, day in rows_of(
        connection,
        "SELECT r.job, r.business_date FROM runs r LEFT JOIN jobs j ON j.name = r.job"
        " WHERE r.state = 'running' AND (j.running_on IS NULL OR j.running_on <> r.business_date)",
    ):
        yield Discrepancy(
            "run_abandoned",
            f"run {job} {day}",
            "the job's current run",
            "running",
            "nobody works on this run",
        )


def check_replies(connection: Connection) -> Iterator[Discrepancy]:
    """Find keys that wait for a reply which nothing will bring. Source: T5."""
    for (key,) in rows_of(
        connection,
        "SELECT c.key FROM commands c WHERE c.status IS NULL AND NOT EXISTS ("
        " SELECT 1 FROM transfers t WHERE t.request_key = c.key AND t.state = 'intent')"
        " AND NOT EXISTS (SELECT 1 FROM loan_payments p"
        " WHERE p.request_key = c.key AND p.status = 'pending')",
    ):
        yield Discrepancy(
            "reply_missing",
            f"key {key}",
            "a reply",
            "none",
            "the transfer it waits for is not on its way",
        )
    for ident, state, key in rows_of(
        connection,
        "SELECT t.id, t.state, t.request_key FROM transfers t"
        " LEFT JOIN commands c ON c.key = t.request_key"
        " WHERE t.request_key IS NOT NULL"
        " AND (c.key IS NULL OR (c.status IS NULL AND t.state <> 'intent'))",
    ):
        yield Discrepancy(
            "request_lost",
            f"transfer {hex_of(ident)}",
            f"a reply under the key {key}",
            f"{state} and none",
            "who asked for it would get no reply",
        )


def check_items(connection: Connection) -> Iterator[Discrepancy]:
    """Find transfers that wait for a person without an operator item to say so. Source: P9."""
    for ident, state in rows_of(
        connection,
        "SELECT t.id, t.state FROM transfers t WHERE (t.state = 'unknown' OR t.held"
        " OR (t.state = 'timed_out' AND t.direction = 'credit')) AND NOT EXISTS ("
        " SELECT 1 FROM operator_items i WHERE i.transfer_id = t.id AND i.is_open)",
    ):
        yield Discrepancy(
            "item_missing",
            f"transfer {hex_of(ident)}",
            "an open operator item",
            f"{state} and none",
            "it waits for a person whom nobody has asked",
        )


def check_defaults(connection: Connection) -> Iterator[Discrepancy]:
    """Find advances whose default, operator item and standing do not go together. Source: A12."""
    for ident, status, items, standings in rows_of(
        connection,
        "SELECT a.id, a.status, count(DISTINCT i.id), count(DISTINCT s.subject_id) FROM advances a"
        " LEFT JOIN operator_items i ON i.subject_id = a.id AND i.kind = 'default' AND i.is_open"
        " LEFT JOIN standings s ON s.subject_id = a.id AND s.active GROUP BY a.id, a.status"
        " HAVING (a.status = 'in_default') <> (count(DISTINCT i.id) > 0)"
        " OR (a.status = 'in_default') <> (count(DISTINCT s.subject_id) > 0)",
    ):
        yield Discrepancy(
            "default_out_of_step",
            f"advance {hex_of(ident)}",
            "an item and a standing while in default, and else neither",
            f"{status}, {items} items, {standings} standings",
            "its default, who is asked and how its customer stands do not go together",
        )
