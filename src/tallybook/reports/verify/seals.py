"""Seals: that the rows of every table are those that went through the door, all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from tallybook.access import store as access
from tallybook.advances import store as advances
from tallybook.bills import store as bills
from tallybook.collection import store as collection
from tallybook.customers import store as customers
from tallybook.loans import store as loans
from tallybook.processor import store as processor
from tallybook.reports.verify.discrepancy import Discrepancy, rows_of
from tallybook.retail import store as retail
from tallybook.writer.model import Shelf
from tallybook.writer.resealing import read_seals, sum_up
from tallybook.writer.sealing import OF_KEY, UNSEALED
from tallybook.writer.store import RowSeal

_STORES = (access, customers, advances, collection, processor, loans, retail, bills)


def _shelves() -> Iterator[Shelf[Any]]:
    for store in _STORES:
        for shelf in vars(store).values():
            if isinstance(shelf, Shelf) and shelf.is_sealed:
                yield shelf


SEALED_SHELVES: Sequence[Shelf[Any]] = sorted(
    {shelf.name: shelf for shelf in _shelves()}.values(), key=lambda shelf: shelf.name
)
"""Every table whose rows are summed up. What is not here is chained, or follows from what is."""


def check_seals(connection: Connection) -> Iterator[Discrepancy]:
    """Find tables in which a row was changed, added or taken away behind the door's back."""
    kept = read_seals(connection)
    kept.pop(OF_KEY, None)  # it is compared with the key itself, wherever that is read
    unsealed = kept.pop(UNSEALED, None)
    if unsealed is not None and unsealed.rows_count:
        yield Discrepancy(
            "book_unsealed",
            "all tables",
            "seals",
            "none since the last migration",
            "start the program once, and it seals them",
        )
        return
    for found in sum_up(connection, SEALED_SHELVES):
        yield from _compare(found, kept)
    for name in sorted(kept):
        yield Discrepancy(
            "seal_of_nothing", f"table {name}", "no seal", "one", "there is no such table"
        )


def _compare(found: RowSeal, kept: dict[str, RowSeal]) -> Iterator[Discrepancy]:
    sealed = kept.pop(found.name, RowSeal(found.name, 0, "0" * 64))
    if sealed != found:
        yield Discrepancy(
            "rows_changed",
            f"table {found.name}",
            f"{sealed.rows_count} rows, seal {sealed.digest[:12]}",
            f"{found.rows_count} rows, seal {found.digest[:12]}",
            "its rows are not those that were written through the door",
        )


def check_account_numbers(connection: Connection) -> Iterator[Discrepancy]:
    """Find ledger accounts that were added or taken away."""
    for count, last, known in rows_of(
        connection,
        "SELECT count(a.id), coalesce(max(a.id), 0), max(h.account_seq) FROM chain_heads h"
        " LEFT JOIN accounts a ON true",
    ):
        if count != known or last != known:
            yield Discrepancy(
                "accounts_changed",
                "ledger accounts",
                f"{known}, numbered through",
                f"{count} up to {last}",
                "an account was added or taken away",
            )
    for (account,) in rows_of(
        connection,
        "SELECT a.id FROM accounts a WHERE NOT EXISTS"
        " (SELECT 1 FROM postings p WHERE p.account_id = a.id) ORDER BY a.id",
    ):
        yield Discrepancy(
            "account_unused", f"account {account}", "a posting", "none", "nothing was ever posted"
        )
