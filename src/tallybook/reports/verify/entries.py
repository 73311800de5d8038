"""Entries, postings, balances, and the two hash chains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select, text

from tallybook.db.metadata import instant_from_text
from tallybook.ledger.model import Entry, Posting
from tallybook.ledger.store import entry_hash
from tallybook.reports.verify.discrepancy import Discrepancy, hex_of, rows_of
from tallybook.writer.model import Moment
from tallybook.writer.store import BOOK_HEAD, CHAIN_HEADS, FIRST_HASH, event_hash


def check_entries(connection: Connection) -> Iterator[Discrepancy]:
    """Find entries that do not balance, or whose postings are not all there."""
    for seq, currency, total in rows_of(
        connection,
        "SELECT p.entry_seq, a.currency, sum(p.amount_minor) FROM postings p"
        " JOIN accounts a ON a.id = p.account_id"
        " GROUP BY p.entry_seq, a.currency HAVING sum(p.amount_minor) <> 0",
    ):
        yield Discrepancy(
            "entry_unbalanced", f"entry {seq}", f"0 {currency}", str(total), "it does not balance"
        )
    for seq, expected, found in rows_of(
        connection,
        "SELECT e.seq, e.postings_count, count(p.line) FROM entries e"
        " LEFT JOIN postings p ON p.entry_seq = e.seq"
        " GROUP BY e.seq, e.postings_count HAVING count(p.line) <> e.postings_count"
        " OR min(p.line) <> 1 OR max(p.line) <> e.postings_count",
    ):
        yield Discrepancy(
            "entry_postings_missing",
            f"entry {seq}",
            str(expected),
            str(found),
            "it has not the postings that it was written with",
        )
    for seq, line, account in rows_of(
        connection,
        "SELECT p.entry_seq, p.line, p.account_id FROM postings p"
        " LEFT JOIN entries e ON e.seq = p.entry_seq LEFT JOIN accounts a ON a.id = p.account_id"
        " WHERE e.seq IS NULL OR a.id IS NULL",
    ):
        yield Discrepancy(
            "posting_orphaned",
            f"entry {seq} line {line}",
            "an entry and an account",
            f"account {account}",
            "a posting without its entry, or on no account",
        )


def check_entry_numbers(connection: Connection) -> Iterator[Discrepancy]:
    """Find gaps in the numbers of entries and events, and heads that do not fit their end."""
    for table, column in (("entries", "entry_seq"), ("events", "event_seq")):
        for seq, before in rows_of(
            connection,
            "SELECT seq, before FROM (SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before"  # noqa: S608 - two names
            f" FROM {table}) numbered WHERE seq <> before + 1",
        ):
            yield Discrepancy(
                f"{table}_numbers_gap",
                f"{table} {seq}",
                str(before + 1),
                str(seq),
                "a number is missing before it",
            )
        last = connection.execute(text(f"SELECT coalesce(max(seq), 0) FROM {table}")).scalar_one()  # noqa: S608 - two names
        head = connection.execute(
            select(CHAIN_HEADS.c[column]).where(CHAIN_HEADS.c.name == BOOK_HEAD)
        ).scalar_one()
        if last != head:
            yield Discrepancy(
                f"{table}_tail_cut",
                table,
                str(head),
                str(last),
                "the last one is not the one that was written last",
            )


def check_balances(connection: Connection) -> Iterator[Discrepancy]:
    """Find day balances that differ from the sum of their postings."""
    for account, day, debit, credit in rows_of(
        connection,
        "SELECT account_id, effective_on, sum(debit), sum(credit) FROM ("
        " SELECT p.account_id, e.effective_on,"
        "   CASE WHEN p.amount_minor > 0 THEN p.amount_minor ELSE 0 END AS debit,"
        "   CASE WHEN p.amount_minor < 0 THEN -p.amount_minor ELSE 0 END AS credit"
        " FROM postings p JOIN entries e ON e.seq = p.entry_seq"
        " UNION ALL SELECT account_id, effective_on, -debit_minor, -credit_minor FROM balances"
        ") moved GROUP BY account_id, effective_on HAVING sum(debit) <> 0 OR sum(credit) <> 0",
    ):
        yield Discrepancy(
            "balance_wrong",
            f"account {account} on {day}",
            "the sum of its postings",
            f"off by {debit} debit and {credit} credit",
            "the kept balance differs from the postings",
        )


def check_entry_chain(connection: Connection) -> Iterator[Discrepancy]:
    """Recompute the hash chain of entries, postings included."""
    lines = rows_of(
        connection,
        "SELECT e.seq, e.kind, e.effective_on, e.recorded_at, e.reverses_seq, e.hash,"
        " a.book, a.name, a.currency, p.amount_minor, p.customer_id, p.subject_id"
        " FROM entries e LEFT JOIN postings p ON p.entry_seq = e.seq"
        " LEFT JOIN accounts a ON a.id = p.account_id ORDER BY e.seq, p.line",
    )
    previous = FIRST_HASH
    for seq, group in groupby(lines, key=lambda line: line[0]):
        parts = list(group)
        first = parts[0]
        postings = tuple(
            Posting(
                account=part[7],
                amount_minor=int(part[9]),
                currency=part[8],
                customer_id=_hex(part[10]),
                subject_id=_hex(part[11]),
                book=part[6],
            )
            for part in parts
            if part[6] is not None
        )
        entry = Entry(first[1], _day(first[2]), postings, first[4])
        moment = Moment(_instant(first[3]), entry.effective_on)
        expected = entry_hash(previous, seq, entry, moment)
        if expected != first[5]:
            yield _broken("entry", seq, expected, first[5])
        # From here on the stored chain is followed, so that one change is told once.
        previous = first[5]
    yield from _check_head(connection, "entry", previous)


def check_event_chain(connection: Connection) -> Iterator[Discrepancy]:
    """Recompute the hash chain of events."""
    previous = FIRST_HASH
    for seq, kind, subject, customer, occurred_at, body, stored in rows_of(
        connection,
        "SELECT seq, type, subject_id, customer_id, occurred_at, body, hash FROM events"
        " ORDER BY seq",
    ):
        expected = event_hash(
            previous, seq, kind, hex_of(subject), _hex(customer), _instant(occurred_at), body
        )
        if expected != stored:
            yield _broken("event", seq, expected, stored)
        previous = stored
    yield from _check_head(connection, "event", previous)


def _broken(what: str, seq: int, expected: str, found: str) -> Discrepancy:
    return Discrepancy(
        f"{what}_chain_broken",
        f"{what} {seq}",
        expected[:12],
        str(found)[:12],
        "its content is not the one that was chained",
    )


def _check_head(connection: Connection, what: str, last: str) -> Iterator[Discrepancy]:
    head = connection.execute(select(CHAIN_HEADS.c[f"{what}_hash"])).scalar_one()
    if head != last:
        yield Discrepancy(
            f"{what}_head_wrong",
            f"the {what} chain's head",
            last[:12],
            head[:12],
            "the chain does not end where its head says",
        )


def _hex(value: Any) -> str | None:  # noqa: ANN401 - a driver's value
    return None if value is None else hex_of(value)


def _day(value: Any) -> date:  # noqa: ANN401 - a driver's value
    return value if isinstance(value, date) else date.fromisoformat(value)


def _instant(value: Any) -> datetime:  # noqa: ANN401 - a driver's value
    return value if isinstance(value, datetime) else instant_from_text(value)
