"""Taking over loans and payments: each line once, whatever is wrong with the others. Source: T2."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tallybook.customers.queries import list_customers
from tallybook.kernel.ids import show_id
from tallybook.kernel.progress import NO_PROGRESS, Progress, Stopped
from tallybook.kernel.refusal import Refused
from tallybook.loans.queries import find_by_references, find_loan_on, list_payments_of
from tallybook.loans.rules.paying import LoanOn
from tallybook.loans.tasks.importing import import_loans, import_payments
from tallybook.reports.verify import verify
from tallybook.wire import line_import
from tallybook.wire.line_import import AddedCounts
from tests.importing import Importing, StopAfter, importing

pytestmark = pytest.mark.anyio

LOAN_HEAD = (
    "reference,customer_name,customer_email,principal,interest_rate,installments,interval,start_on"
)
PAYMENT_HEAD = "loan,amount,effective_on"


def a_loan(number: int, **changed: str) -> str:
    """Write the line of the n-th loan: ten weekly rows of 110.00."""
    values = {
        "reference": f"L-{number}",
        "customer_name": f"Customer {number}",
        "customer_email": f"c{number}@example.org",
        "principal": "1000.00",
        "interest_rate": "10",
        "installments": "10",
        "interval": "weekly",
        "start_on": "2020-01-06",
        **changed,
    }
    return ",".join(values[column] for column in LOAN_HEAD.split(","))


def loans(*lines: str) -> str:
    return "\n".join([LOAN_HEAD, *lines, ""])


def payments(*lines: str) -> str:
    return "\n".join([PAYMENT_HEAD, *lines, ""])


class TakingOver:
    """A book to take loans over into."""

    def __init__(self, book: Importing) -> None:
        self.book = book
        self.codes: dict[int, str] = {}
        """Of the last import, by line."""

    async def bring(
        self,
        run: Callable[..., Awaitable[AddedCounts]],
        content: str,
        *,
        progress: Progress = NO_PROGRESS,
    ) -> tuple[int, int, int]:
        """Import a file; gives how many lines were added, there already, and refused."""
        self.codes = {}
        counts = await run(
            self.book.engine,
            io.BytesIO(content.encode()),
            progress=progress,
            when_refused=lambda number, refusal: self.codes.update({number: refusal.code}),
        )
        assert counts.refused == len(self.codes)
        assert counts.lines == counts.added + counts.already_there + counts.refused
        return counts.added, counts.already_there, counts.refused

    def look(self, reference: str, as_of: str) -> LoanOn:
        with self.book.engine.database.reader() as connection:
            (loan_id,) = find_by_references(connection, [reference]).values()
            found = find_loan_on(connection, loan_id, date.fromisoformat(as_of))
        assert found is not None
        return found

    def check(self) -> None:
        engine = self.book.engine
        assert verify(engine.database, engine.secrets) == []


async def test_loans_and_payments_come_in_once(book_url: str, tmp_path: Path) -> None:
    async with importing(book_url, tmp_path) as book:
        taking = TakingOver(book)
        file = loans(*(a_loan(number) for number in range(30)))
        assert await taking.bring(import_loans, file) == (30, 0, 0)
        paid = payments(
            *(f"L-{number},110.00,2020-01-{13 + day}" for number in range(30) for day in (0, 7))
        )
        assert await taking.bring(import_payments, paid) == (60, 0, 0)
        before = book.rows()
        assert (before["loans"], before["loan_payments"], before["customers"]) == (30, 60, 30)
        assert await taking.bring(import_loans, file) == (0, 30, 0)
        assert await taking.bring(import_payments, paid) == (0, 60, 0)
        assert book.rows() == before
        found = taking.look("L-7", "2020-01-19")
        assert found.coverage.filled_minor == 110_00
        assert taking.look("L-7", "2020-02-05").delinquency.missed_in_a_row == 2
        taking.check()


async def test_bad_lines_are_refused_by_number_and_the_others_go_on(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        taking = TakingOver(book)
        added, there, _ = await taking.bring(
            import_loans,
            loans(
                a_loan(1),
                a_loan(2, principal="0"),
                a_loan(3, principal="12.345"),
                a_loan(4, interest_rate="-1"),
                a_loan(5, installments="10001"),
                a_loan(6, interval="daily"),
                a_loan(7, start_on="2026-03-03"),
                a_loan(8, customer_email=""),
                a_loan(9, customer_name=""),
                a_loan(10, reference="L-1"),
                a_loan(11, principal="0.01"),
                a_loan(12, reference="x" * 65),
                "L-13,too,few,fields",
                a_loan(14),
            ),
        )
        assert (added, there) == (2, 0)
        assert taking.codes == {
            3: "amount_invalid",
            4: "amount_invalid",
            5: "interest_rate_invalid",
            6: "field_invalid",
            7: "field_invalid",
            8: "date_in_future",
            9: "field_invalid",
            10: "name_invalid",
            11: "loan_reference_taken",
            12: "loan_too_small",
            13: "field_invalid",
            14: "line_malformed",
        }
        added, there, _ = await taking.bring(
            import_payments,
            payments(
                "L-1,110.00,2020-01-13",
                "L-99,110.00,2020-01-13",
                f"{show_id('loan', 'f' * 32)},110.00,2020-01-13",
                "L-1,110.01,2020-01-20",
                "L-1,110.00,2020-01-05",
                "L-1,110.00,2026-03-03",
                "L-1,-110.00,2020-01-20",
                "L-1,110.00,20 January",
                "L-1,110.00",
                "L-14,110.00,2020-01-06",
            ),
        )
        assert (added, there) == (2, 0)
        assert taking.codes == {
            3: "loan_not_found",
            4: "loan_not_found",
            5: "payment_amount_mismatch",
            6: "payment_before_loan",
            7: "date_in_future",
            8: "amount_invalid",
            9: "date_invalid",
            10: "line_malformed",
        }
        taking.check()


async def test_a_line_that_is_put_right_comes_in_when_the_file_comes_again(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        taking = TakingOver(book)
        paid = payments("L-1,110.00,2020-01-13")
        assert await taking.bring(import_payments, paid) == (0, 0, 1)
        before = book.rows()
        assert await taking.bring(import_payments, paid) == (0, 0, 1)
        assert book.rows() == before, "a refused line leaves no trace"
        await taking.bring(import_loans, loans(a_loan(1)))
        assert await taking.bring(import_payments, paid) == (1, 0, 0)


SETTINGS: list[dict[str, Any]] = [
    {"delinquent_after": 3},
    {"payment_policy": "flexible"},
    {"currency": "EUR"},
    {"currency": "JPY"},
    {},
]


async def test_a_file_that_comes_again_after_a_setting_was_changed_is_the_same_file(
    book_url: str, tmp_path: Path
) -> None:
    """What a line leaves open the settings say; they are no part of what it asks."""
    lines = [a_loan(number, reference="", principal="1000") for number in (1, 1, 2)]
    more = [a_loan(number, reference="", principal="1000") for number in (3, 3, 4)]
    async with importing(book_url, tmp_path) as book:
        assert await TakingOver(book).bring(import_loans, loans(*lines[:2])) == (2, 0, 0)
    for place, told in enumerate(SETTINGS):
        async with importing(book_url, tmp_path, **told) as book:
            taking = TakingOver(book)
            # The first time a part of it is new: it is lent under the settings of the day.
            news = (1, 2, 0) if place == 0 else (0, 3, 0)
            assert await taking.bring(import_loans, loans(*lines)) == news
            assert await taking.bring(import_loans, loans(*lines[::-1])) == (0, 3, 0)
    async with importing(book_url, tmp_path, delinquent_after=3) as book:
        taking = TakingOver(book)
        assert await taking.bring(import_loans, loans(*lines, *more)) == (3, 3, 0)
        assert book.rows()["loans"] == 6
        taking.check()


async def test_a_line_that_says_what_the_settings_said_is_the_same_line(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    head = f"{LOAN_HEAD},payment_policy,delinquent_after,currency"

    def said(*lines: str) -> str:
        return "\n".join([head, *(f"{a_loan(1, reference='')},{line}" for line in lines), ""])

    async with importing(sqlite_book_url, tmp_path) as book:
        assert await TakingOver(book).bring(import_loans, said("exact,2,USD", ",,")) == (2, 0, 0)
    async with importing(sqlite_book_url, tmp_path, payment_policy="flexible") as book:
        taking = TakingOver(book)
        assert await taking.bring(import_loans, said("exact,2,", ",2,USD")) == (0, 2, 0)
        # A third of that kind is new, and so is what says of itself that it is another.
        third = said("exact,2,USD", ",,", ",,", "flexible,5,")
        assert await taking.bring(import_loans, third) == (2, 2, 0)
        assert await taking.bring(import_loans, third) == (0, 4, 0)


async def test_customers_are_known_by_their_address(sqlite_book_url: str, tmp_path: Path) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        taking = TakingOver(book)
        await book.register(1)
        file = loans(
            a_loan(1, customer_name=""),
            a_loan(2),
            a_loan(3, customer_email=" C2@Example.org", customer_name=""),
        )
        assert await taking.bring(import_loans, file) == (3, 0, 0)
        with book.engine.database.reader() as connection:
            emails = [each.email for each in list_customers(connection, limit=9)]
        assert sorted(emails) == ["c1@example.org", "c2@example.org"]
        renamed = loans(a_loan(2, customer_name="Somebody else"))
        assert await taking.bring(import_loans, renamed) == (0, 1, 0), "names are no part of it"


async def test_equal_payments_are_as_many_and_a_loan_has_two_names(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        taking = TakingOver(book)
        await taking.bring(import_loans, loans(a_loan(1)))
        twice = payments(*["L-1,110.00,2020-02-03"] * 2)
        assert await taking.bring(import_payments, twice) == (2, 0, 0)
        assert await taking.bring(import_payments, twice) == (0, 2, 0)
        loan_id = show_id("loan", taking.look("L-1", "2020-02-03").loan.id)
        named = payments(*[f"{loan_id},110,2020-02-03"] * 3)
        assert await taking.bring(import_payments, named) == (1, 2, 0)


async def test_an_import_that_is_stopped_goes_on_in_the_order_of_the_file(
    book_url: str, tmp_path: Path
) -> None:
    """Exact payments need their order, within a transaction and from one to the next."""
    async with importing(book_url, tmp_path) as book:
        taking = TakingOver(book)
        # 5,200.07 in 520 rows: the first seven are 10.01, the others 10.00.
        terms = {"principal": "5200.07", "interest_rate": "0", "installments": "520"}
        await taking.bring(import_loans, loans(a_loan(1, **terms, start_on="2015-01-05")))
        lines = [f"L-1,10.0{1 if row < 7 else 0},2025-01-01" for row in range(520)]
        with pytest.raises(Stopped):
            await taking.bring(import_payments, payments(*lines), progress=StopAfter(30))
        assert book.rows()["loan_payments"] == line_import.LINES_AT_ONCE
        assert await taking.bring(import_payments, payments(*lines)) == (20, 500, 0)
        found = taking.look("L-1", "2025-01-01")
        assert found.loan.status.value == "closed"
        with book.engine.database.reader() as connection:
            paid = list_payments_of(connection, found.loan.id)
        assert [each.installment_number for each in paid] == list(range(1, 521))
        taking.check()


async def test_two_imports_at_once_bring_each_line_in_once(
    postgres_book_url: str, tmp_path: Path
) -> None:
    """Each has a writer of its own, as two processes have."""
    async with (
        importing(postgres_book_url, tmp_path) as one,
        importing(postgres_book_url, tmp_path) as other,
    ):
        books = TakingOver(one), TakingOver(other)
        file = loans(*(a_loan(number, customer_email="a@example.org") for number in range(40)))
        await books[0].bring(import_loans, loans(a_loan(99, customer_email="a@example.org")))
        found = await asyncio.gather(*(each.bring(import_loans, file) for each in books))
        assert sum(added for added, _, _ in found) == 40
        assert [added + there for added, there, _ in found] == [40, 40]
        paid = payments(*(f"L-{number},110.00,2020-01-13" for number in range(40)))
        found = await asyncio.gather(*(each.bring(import_payments, paid) for each in books))
        assert sum(added for added, _, _ in found) == 40
        assert one.rows()["loan_payments"] == 40
        books[0].check()


@pytest.mark.parametrize("run", [import_loans, import_payments])
async def test_a_file_without_its_columns_is_refused_whole(
    sqlite_book_url: str, tmp_path: Path, run: Any
) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        with pytest.raises(Refused) as caught:
            await TakingOver(book).bring(run, "loan,principal\nL-1,5\n")
        assert caught.value.refusal.code == "file_malformed"
