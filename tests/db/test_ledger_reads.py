"""The ledger's reads against a naive recount of what was posted, on both databases."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tallybook.db.engine import open_database
from tallybook.ledger import queries
from tallybook.ledger.model import Entry, Posting, StatementLine
from tallybook.ledger.operations import POST_ENTRY, PostEntry
from tallybook.writer.model import Command, Outcome
from tests.serving import Parts

ACCOUNTS = ["cash:bank", "receivable:advances", "customer-credit", "income:fees"]
CUSTOMERS = [f"{number}" * 32 for number in range(3)]
FIRST = date(2026, 1, 1)
ENTRIES = 120


@pytest.fixture
def parts(book_url: str, tmp_path: Path) -> Iterator[Parts]:
    opened = Parts.open(book_url, tmp_path)
    yield opened
    opened.close()


def draw_entry(draw: random.Random) -> Entry:
    """Draw an entry of two currencies at most, on any day: learned of in any order."""
    currency = draw.choice(["USD", "USD", "JPY"])
    amounts = [draw.choice([-1, 1]) * draw.randint(1, 9_999) for _ in range(draw.randint(1, 3))]
    rest = -sum(amounts)
    if rest:
        amounts.append(rest)
    if len(amounts) < 2:
        amounts = [5, -5]
    customer = draw.choice([None, *CUSTOMERS])
    postings = tuple(
        Posting(
            draw.choice(ACCOUNTS),
            amount,
            currency,
            customer if line == 0 else draw.choice([None, customer]),
            draw.choice([None, "a" * 32]),
        )
        for line, amount in enumerate(amounts)
    )
    return Entry(
        f"test.kind{draw.randint(1, 3)}.done", FIRST + timedelta(draw.randint(0, 9)), postings
    )


@pytest.fixture
def entries(parts: Parts) -> list[Entry]:
    draw = random.Random(7)
    drawn = [draw_entry(draw) for _ in range(ENTRIES)]
    outcomes = parts.door.submit_chunk(
        [Command(POST_ENTRY, PostEntry(entry)) for entry in drawn]
    ).result()
    assert {outcome.status for outcome in outcomes} == {201}
    return drawn


def naive(entries: list[Entry], as_of: date | None) -> dict[tuple[str, str], list[int]]:
    """Add up debits and credits per account by hand."""
    sums: dict[tuple[str, str], list[int]] = {}
    for entry in entries:
        for posting in entry.postings:
            sides = sums.setdefault((posting.account, posting.currency), [0, 0])
            if as_of is None or entry.effective_on <= as_of:
                sides[posting.amount_minor < 0] += abs(posting.amount_minor)
    return sums


@pytest.mark.parametrize("days", [None, -1, 0, 4, 9, 400])
def test_balances_are_right_at_the_end_of_any_date(
    parts: Parts, entries: list[Entry], days: int | None
) -> None:
    as_of = None if days is None else FIRST + timedelta(days)
    with parts.database.snapshot() as connection:
        balances = queries.list_balances(connection, as_of=as_of)
        totals = queries.total_per_currency(connection, as_of=as_of)
    found = {
        (balance.account.name, balance.account.currency): [
            balance.debit_minor,
            balance.credit_minor,
        ]
        for balance in balances
    }
    assert found == naive(entries, as_of)
    assert all(total.debit_minor == total.credit_minor for total in totals)
    assert {total.currency for total in totals} == (set() if days == -1 else {"USD", "JPY"})


def read_statement(
    parts: Parts, account_id: int, as_of: date | None, size: int
) -> list[StatementLine]:
    """Read a statement page by page."""
    lines: list[StatementLine] = []
    before = None
    while True:
        with parts.database.snapshot() as connection:
            page = queries.list_statement(
                connection, account_id, as_of=as_of, before=before, limit=size
            )
        if not page:
            return lines
        lines += page
        assert len(lines) <= 4 * ENTRIES, "it goes round in circles"
        before = page[-1].entry_seq, page[-1].line


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("days", [None, 3])
def test_a_statement_runs_to_the_balance_however_it_is_paged(
    parts: Parts, entries: list[Entry], days: int | None, size: int
) -> None:
    as_of = None if days is None else FIRST + timedelta(days)
    with parts.database.snapshot() as connection:
        balances = queries.list_balances(connection, as_of=as_of)
    for balance in balances:
        if size == 1 and balance.account.id > 1:
            continue  # one account is enough for pages of one line
        lines = read_statement(parts, balance.account.id, as_of, size)
        expected = [
            (seq, line, posting.amount_minor)
            for seq, entry in enumerate(entries, start=1)
            for line, posting in enumerate(entry.postings, start=1)
            if (posting.account, posting.currency)
            == (balance.account.name, balance.account.currency)
            if as_of is None or entry.effective_on <= as_of
        ]
        assert [(x.entry_seq, x.line, x.amount_minor) for x in lines[::-1]] == expected
        running = 0
        for line in lines[::-1]:
            running += line.amount_minor
            assert line.balance_minor == running
        assert running == balance.balance_minor


def test_an_entry_of_several_customers_is_refused(parts: Parts) -> None:
    def post(*customers: str | None) -> Outcome:
        amounts = [1] * (len(customers) - 1) + [1 - len(customers)]
        lines = zip(customers, amounts, strict=True)
        postings = tuple(Posting("a", amount, "USD", customer) for customer, amount in lines)
        entry = Entry("test.kind.done", FIRST, postings)
        return parts.door.ask_now(Command(POST_ENTRY, PostEntry(entry)))

    kim, lee = CUSTOMERS[:2]
    for customers in ((kim, lee), (None, kim), (kim, None, lee)):
        refusal = post(*customers).refusal
        assert refusal is not None
        assert refusal.code == "entry_customers_differ"
    assert post(kim, None, kim).status == 201


def test_movements_are_a_customers_own_lines_by_entry(parts: Parts, entries: list[Entry]) -> None:
    customer = CUSTOMERS[1]
    expected = {
        seq: [
            (posting.account, posting.currency, posting.amount_minor, posting.subject_id)
            for posting in entry.postings
            if posting.customer_id == customer
        ]
        for seq, entry in enumerate(entries, start=1)
        if any(posting.customer_id == customer for posting in entry.postings)
    }
    found: dict[int, list[tuple[str, str, int, str | None]]] = {}
    before = None
    while True:
        with parts.database.snapshot() as connection:
            page = queries.list_movements(connection, customer, before_seq=before, limit=7)
        if not page:
            break
        for movement in page:
            found[movement.entry_seq] = [
                (x.account, x.currency, x.amount_minor, x.subject_id) for x in movement.lines
            ]
        assert before is None or page[-1].entry_seq < before, "it goes round in circles"
        before = page[-1].entry_seq
    assert found == expected
    assert list(found) == sorted(expected, reverse=True)


def test_a_customers_sums_are_their_postings(parts: Parts, entries: list[Entry]) -> None:
    for customer in CUSTOMERS:
        expected: dict[tuple[str, str, str], int] = {}
        for entry in entries:
            for posting in entry.postings:
                if posting.customer_id == customer:
                    key = posting.account, posting.currency, entry.kind
                    expected[key] = expected.get(key, 0) + posting.amount_minor
        with parts.database.reader() as connection:
            sums = queries.sum_of_customer(connection, customer)
        assert {(x.account, x.currency, x.kind): x.amount_minor for x in sums} == expected


def test_events_are_read_on_from_where_one_was(parts: Parts, entries: list[Entry]) -> None:
    seen: list[int] = []
    while True:
        with parts.database.reader() as connection:
            page = queries.list_events(connection, after=seen[-1] if seen else 0, limit=50)
        if not page:
            break
        seen += [event.seq for event in page]
    assert seen == list(range(1, len(entries) + 1))


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(parts: Parts) -> None:
    entry = Entry("test.kind.done", FIRST, (Posting("a", 5, "USD"), Posting("b", -5, "USD")))

    def post() -> None:
        assert parts.door.ask_now(Command(POST_ENTRY, PostEntry(entry))).status == 201

    post()
    with parts.database.snapshot() as connection:
        first = queries.list_balances(connection)
        post()
        assert queries.list_balances(connection) == first
        assert queries.list_statement(connection, 1, limit=9)[0].balance_minor == 5
    with parts.database.snapshot() as connection:
        assert queries.list_balances(connection) != first


def test_a_reader_cannot_write(parts: Parts) -> None:
    database = open_database(parts.database.url.render_as_string(hide_password=False))
    try:
        for lend in (database.reader, database.snapshot):
            with lend() as connection, pytest.raises(Exception, match=r"read-?only"):
                connection.exec_driver_sql("DELETE FROM customers")
    finally:
        database.close()
