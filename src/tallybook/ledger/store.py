"""The ledger's tables, and the journal that writes them inside the writer's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CHAR,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from tallybook.db.dialect import Accumulate, Insert, Select, Step, Tx
from tallybook.db.metadata import (
    METADATA,
    MINOR,
    NUMBER,
    HexId,
    Instant,
    instant_to_text,
    partial_index,
)
from tallybook.db.tables import RowMap
from tallybook.kernel.frozen import replace
from tallybook.ledger.model import (
    Account,
    DayBalance,
    Entry,
    StoredEntry,
    StoredPosting,
    imbalance,
    is_of_one_customer,
)
from tallybook.writer.model import Moment
from tallybook.writer.store import ChainHead

NAMES_CUSTOMER = "line = 1 AND customer_id IS NOT NULL"
"""Which postings are found by their customer: the first of each entry, which speaks for all."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("book", String(64), nullable=False),
    Column("name", String(128), nullable=False),
    Column("currency", CHAR(3), nullable=False),
    UniqueConstraint("book", "name", "currency", name="accounts_book_name_unique"),
)

ENTRIES = Table(
    "entries",
    METADATA,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("kind", String(64), nullable=False),
    Column("effective_on", Date, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("postings_count", SmallInteger, nullable=False),
    Column("reverses_seq", NUMBER, ForeignKey("entries.seq", name="entries_reverses_seq_fkey")),
    Column("hash", CHAR(64), nullable=False),
    CheckConstraint("postings_count >= 2", name="postings_count_two"),
    partial_index(
        "entries_reverses_seq_unique",
        "reverses_seq",
        where="reverses_seq IS NOT NULL",
        unique=True,
    ),
)

POSTINGS = Table(
    "postings",
    METADATA,
    Column(
        "entry_seq",
        NUMBER,
        ForeignKey(
            "entries.seq", name="postings_entry_seq_fkey", deferrable=True, initially="DEFERRED"
        ),
        primary_key=True,
    ),
    Column("line", SmallInteger, primary_key=True),
    # Checked by the trigger on entries, together with the balance: set-based, once a batch.
    Column("account_id", Integer, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("customer_id", HexId),
    Column("subject_id", HexId),
    CheckConstraint("amount_minor <> 0", name="amount_minor_not_zero"),
    Index("postings_account_id_index", "account_id", "entry_seq"),
    partial_index("postings_customer_id_index", "customer_id", "entry_seq", where=NAMES_CUSTOMER),
)

BALANCES = Table(
    "balances",
    METADATA,
    Column(
        "account_id",
        Integer,
        ForeignKey("accounts.id", name="balances_account_id_fkey"),
        primary_key=True,
    ),
    Column("effective_on", Date, primary_key=True),
    Column("debit_minor", MINOR, nullable=False),
    Column("credit_minor", MINOR, nullable=False),
    CheckConstraint("debit_minor >= 0", name="debit_minor_positive"),
    CheckConstraint("credit_minor >= 0", name="credit_minor_positive"),
)

ACCOUNT_ROWS = RowMap(ACCOUNTS, Account, key=("id",))
ENTRY_ROWS = RowMap(ENTRIES, StoredEntry, key=("seq",))
POSTING_ROWS = RowMap(POSTINGS, StoredPosting, key=("entry_seq", "line"))
BALANCE_ROWS = RowMap(BALANCES, DayBalance, key=("account_id", "effective_on"))

_AccountKey = tuple[str, str, str]


class LedgerJournal:
    """Records entries for the writer: numbers, chains, posts and adds them up."""

    def __init__(self) -> None:
        # Accounts never change, so that what was once read from the database stays true.
        self._accounts: dict[_AccountKey, int] = {}

    def record(
        self, tx: Tx, entries: Sequence[Any], head: ChainHead, moment: Moment
    ) -> tuple[ChainHead, list[Step]]:
        """Say what writes entries with their postings and balances, and the chain's new head.

        Locks: runs under the chain head's lock, so numbers and accounts are its own to give.
        """
        accounts, new_accounts = self._accounts_of(tx, entries, head)
        entry_rows: list[StoredEntry] = []
        posting_rows: list[StoredPosting] = []
        days: dict[tuple[int, Any], list[int]] = {}
        seq, chained = head.entry_seq, head.entry_hash
        for entry in entries:
            assert isinstance(entry, Entry)
            assert not imbalance(entry), f"{entry.kind} is out of balance"
            assert len(entry.postings) >= 2, f"{entry.kind} moves nothing"
            assert is_of_one_customer(entry), f"{entry.kind} concerns several customers"
            seq += 1
            chained = entry_hash(chained, seq, entry, moment)
            entry_rows.append(
                StoredEntry(
                    seq,
                    entry.kind,
                    entry.effective_on,
                    moment.now,
                    len(entry.postings),
                    entry.reverses_seq,
                    chained,
                )
            )
            for line, posting in enumerate(entry.postings, start=1):
                account = accounts[posting.book, posting.account, posting.currency]
                posting_rows.append(
                    StoredPosting(
                        seq,
                        line,
                        account,
                        posting.amount_minor,
                        posting.customer_id,
                        posting.subject_id,
                    )
                )
                day = days.setdefault((account, entry.effective_on), [0, 0])
                day[posting.amount_minor < 0] += abs(posting.amount_minor)
        balances = [DayBalance(*key, *sums) for key, sums in sorted(days.items())]
        steps: list[Step] = [
            *([Insert(ACCOUNT_ROWS, new_accounts)] if new_accounts else []),
            # Postings first: the trigger on entries then finds them and checks their sum.
            Insert(POSTING_ROWS, posting_rows),
            Insert(ENTRY_ROWS, entry_rows),
            Accumulate(BALANCE_ROWS, ("debit_minor", "credit_minor"), balances),
        ]
        account_seq = head.account_seq + len(new_accounts)
        return (
            replace(head, entry_seq=seq, entry_hash=chained, account_seq=account_seq),
            steps,
        )

    def _accounts_of(
        self, tx: Tx, entries: Sequence[Entry], head: ChainHead
    ) -> tuple[dict[_AccountKey, int], list[Account]]:
        """Find the accounts that the entries post to, and make those that are new."""
        wanted = {
            (posting.book, posting.account, posting.currency)
            for entry in entries
            for posting in entry.postings
        }
        known = {key: self._accounts[key] for key in wanted if key in self._accounts}
        missing = sorted(wanted - known.keys())
        if not missing:
            return known, []
        (found,) = tx.run([Select(ACCOUNT_ROWS, ("book", "name", "currency"), missing)])
        known |= {(account.book, account.name, account.currency): account.id for account in found}
        # Only what was found is remembered: this batch, and what it makes, may yet be undone.
        self._accounts.update(known)
        new = [
            Account(head.account_seq + number, *key)
            for number, key in enumerate((key for key in missing if key not in known), start=1)
        ]
        known |= {(account.book, account.name, account.currency): account.id for account in new}
        return known, new


def entry_hash(previous: str, seq: int, entry: Entry, moment: Moment) -> str:
    """Hash an entry with all of its postings together with the hash of the one before it."""
    parts = [
        previous,
        str(seq),
        entry.kind,
        entry.effective_on.isoformat(),
        instant_to_text(moment.now),
        "" if entry.reverses_seq is None else str(entry.reverses_seq),
    ]
    for posting in entry.postings:
        parts += (
            posting.book,
            posting.account,
            posting.currency,
            str(posting.amount_minor),
            posting.customer_id or "",
            posting.subject_id or "",
        )
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
