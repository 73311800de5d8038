"""Importing advances: each line once, whatever is wrong with the others or went wrong before."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tallybook.advances.operations.begin import BeginAdvanceOperation
from tallybook.advances.tasks import importing as importer
from tallybook.advances.tasks.import_lines import parse_line
from tallybook.ambient.liveness import this_process
from tallybook.collection.operations.items import RULE_ITEM, RuleItem
from tallybook.collection.queries import find_transfer
from tallybook.db.scratch import Occurrences
from tallybook.kernel.progress import Stopped
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Action, ItemKind
from tallybook.processor.port import TransferOrder
from tallybook.wire.csv_reader import CsvLine
from tallybook.writer.model import Command
from tests.importing import HEAD, Importing, StopAfter, a_file, account, importing, line

pytestmark = pytest.mark.anyio


async def test_every_line_is_paid_out_once_and_a_second_import_changes_nothing(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        first = await book.bring(a_file(range(30)))
        assert (first.performed, first.lines, first.is_complete) == (30, 30, True)
        before = book.rows()
        assert before["advances"] == before["transfers"] == before["customers"] == 30
        again = await book.bring(a_file(range(30)))
        assert (again.already_there, again.lines, again.is_complete) == (30, 30, True)
        assert book.rows() == before
        assert set(book.executed().values()) == {1}


async def test_a_file_may_be_sorted_split_and_added_to(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        await book.bring(a_file(range(10)))
        summary = await book.bring(a_file([12, *reversed(range(5, 10)), 11]))
        assert (summary.performed, summary.already_there) == (2, 5)
        assert len(book.executed()) == 12


async def test_bad_lines_are_refused_by_number_and_the_others_go_on(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        lines = [
            "bank_account,amount,effective_on",
            f"{account(1)},100.00,2020-01-01",
            f"{account(2)},100.00,2020-01-01",
            f"{account(1)},12.345,2020-01-01",
            f"{account(1)},100.00,01/02/2020",
            f"{account(1)},100.00",
            "",
            f"{account(1)},100.00,2026-03-03",
            f"{account(1)},0.05,2020-01-01",
            f"{account(1)},200.00,2020-01-01",
        ]
        await book.register(1)
        summary = await book.bring(("\ufeff" + "\r\n".join(lines)).encode())
        assert summary.performed == 2
        assert book.codes == {
            3: "bank_account_not_found",
            4: "amount_invalid",
            5: "date_invalid",
            6: "line_malformed",
            8: "date_in_future",
            9: "advance_too_small",
        }
        assert (summary.refused, sorted(summary.first_refused)) == (6, sorted(book.codes))
        assert not summary.is_complete


async def test_a_line_that_is_put_right_is_paid_when_the_file_comes_again(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        content = f"bank_account,amount,effective_on\n{account(1)},100.00,2020-01-01\n"
        assert (await book.bring(content)).refused == 1
        before = book.rows()
        assert (await book.bring(content)).refused == 1
        assert book.rows() == before, "a refused line leaves no trace"
        await book.register(1)
        assert (await book.bring(content)).performed == 1


async def test_customers_are_registered_with_what_the_file_says(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        await book.register(3)
        content = "\n".join(
            [
                HEAD,
                line(1),
                f"{account(11)},,C1@example.org,50.00,2020-01-01",
                f"{account(3)},Customer 3,c3@example.org,50.00,2020-01-01",
                f"{account(13)},Customer 3,c3@example.org,50.00,2020-01-01",
                f"{account(3)},Other,other@example.org,50.00,2020-01-01",
                f"{account(4)},,nobody@example.org,50.00,2020-01-01",
            ]
        )
        summary = await book.bring(content)
        assert book.codes == {6: "bank_account_taken", 7: "name_invalid"}
        assert summary.performed == 4
        rows = book.rows()
        assert (rows["customers"], rows["bank_accounts"]) == (2, 4)
        assert (await book.bring(content)).already_there == 4


async def test_equal_lines_are_as_many_advances(sqlite_book_url: str, tmp_path: Path) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        twice = "\n".join([HEAD, line(1), line(2), line(1)])
        assert (await book.bring(twice)).performed == 3
        assert book.executed() == {account(1): 2, account(2): 1}
        assert (await book.bring(twice)).already_there == 3
        third = await book.bring("\n".join([HEAD, line(1), line(1), line(1)]))
        assert (third.performed, third.already_there) == (1, 2)


async def test_a_file_that_comes_again_in_another_currency_pays_nobody(
    book_url: str, tmp_path: Path
) -> None:
    content = a_file([1, 1, 2]).replace("1200.00", "1200")
    async with importing(book_url, tmp_path, faults="refused=1") as book:
        await book.bring(content)
        assert sum(book.executed().values()) == 0
    async with importing(book_url, tmp_path) as book:
        assert (await book.bring(a_file([1]).replace("1200.00", "1200"))).performed == 1
    for currency in ("EUR", "JPY", "USD"):
        async with importing(book_url, tmp_path, currency=currency) as book:
            summary = await book.bring(content)
            news = (2, 1) if currency == "EUR" else (0, 3)
            assert (summary.performed, summary.already_there) == news
            assert sum(book.executed().values()) == 3


@pytest.mark.parametrize("content", ["bank_account,amount\n1234,5\n", "", "a;b\n"])
async def test_a_file_without_its_columns_is_refused_whole(
    sqlite_book_url: str, tmp_path: Path, content: str
) -> None:
    async with importing(sqlite_book_url, tmp_path) as book:
        with pytest.raises(Refused) as caught:
            await book.bring(content)
        assert caught.value.refusal.code == "file_malformed"


async def test_each_unknown_outcome_is_an_operator_item_and_is_never_sent_again(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path, faults="lost_before=0.2,lost_after=0.2") as book:
        first = await book.bring(a_file(range(60)))
        assert first.unknown > 10
        assert first.performed + first.unknown == 60
        assert first.is_complete
        items = book.items()
        assert len(items) == first.unknown
        assert {item.kind for item in items} == {ItemKind.UNKNOWN}
        arrived = len(list(book.simulator.arrivals()))
        again = await book.bring(a_file(range(60)))
        assert (again.unknown, again.already_there) == (first.unknown, first.performed)
        assert len(list(book.simulator.arrivals())) == arrived == 60

        with book.engine.database.reader() as connection:
            transfer = find_transfer(connection, items[0].transfer_id or "")
        await book.engine.door.ask(
            Command(
                RULE_ITEM,
                RuleItem(
                    item_id=items[0].id,
                    action=Action.CONFIRM_NOT_EXECUTED,
                    reason="asked the bank",
                    by="Ben",
                    transfer_id=items[0].transfer_id,
                    transaction_id=None,
                    transfer=transfer,
                ),
            )
        )
        third = await book.bring(a_file(range(60)))
        assert third.unknown == first.unknown - 1, "what a person has settled is known"


async def test_what_the_processor_refuses_stays_refused(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    async with importing(sqlite_book_url, tmp_path, faults="rejected=1") as book:
        for _ in range(2):
            summary = await book.bring(a_file(range(3)))
            assert (summary.refused, summary.performed) == (3, 0)
            assert set(book.codes.values()) == {"processor_rejected"}
        assert len(list(book.simulator.arrivals())) == 3


async def test_an_import_without_a_processor_stops_and_goes_on_later(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path, faults="refused=1") as book:
        summary = await book.bring(a_file(range(50)))
        assert (summary.refused, summary.not_tried, summary.lines) == (20, 30, 50)
        assert not summary.is_complete
        assert book.items() == [], "nothing left this machine, so nothing is unknown"
    async with importing(book_url, tmp_path) as book:
        summary = await book.bring(a_file(range(50)))
        assert (summary.performed, summary.lines) == (50, 50)
        assert len(book.executed()) == 50


async def test_the_intent_of_a_dead_process_is_unknown_and_the_import_does_not_wait_for_it(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as book:
        await book.register(1)
        values = {"bank_account": account(1), "amount": "1200.00", "effective_on": "2020-05-04"}
        begun = parse_line(CsvLine(2, values), book.engine.secrets, "USD")
        with Occurrences() as seen:
            begun.take_keys(seen)
        host, _, _ = this_process().partition("/")
        operation = BeginAdvanceOperation(book.engine.advance_terms, f"{host}/1/before-the-boot")
        command = importer._command(operation, begun)
        assert (await book.engine.door.ask(command)).pending
        summary = await asyncio.wait_for(book.bring(a_file(range(1, 4))), 20)
        assert (summary.performed, summary.unknown) == (2, 1)
        assert [item.kind for item in book.items()] == [ItemKind.UNKNOWN]
        assert account(1) not in book.executed()


async def test_two_imports_of_one_file_at_once_pay_each_line_once(
    book_url: str, tmp_path: Path
) -> None:
    async with importing(book_url, tmp_path) as one, importing(book_url, tmp_path) as other:
        # Each has a writer of its own, as two processes have.
        same = one.engine.database.is_sqlite
        books = (one, one) if same else (one, other)
        for number in range(40):
            await one.register(number)
        summaries = await asyncio.gather(*(book.bring(a_file(range(40))) for book in books))
        assert sum(summary.performed for summary in summaries) == 40
        assert [summary.lines for summary in summaries] == [40, 40]
        assert set(one.executed().values()) == {1}
        assert len(one.executed()) == 40


class SlowProcessor:
    """A Processor that takes its time, and counts how many calls it has at once."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.seconds = seconds
        self.open = self.most = self.calls = 0

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        assert may_send()
        self.open += 1
        self.calls += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(self.seconds)
        self.open -= 1
        return f"txn-{order.reference}"

    async def download_report(self) -> bytes:
        return b""

    async def available_balance(self, bank_account: str) -> str | None:
        del bank_account

    async def aclose(self) -> None:
        return


async def test_many_calls_are_in_the_air_at_once_and_never_more_than_200(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    slow = SlowProcessor(seconds=1)
    async with importing(sqlite_book_url, tmp_path, processor=slow) as book:
        assert (await book.bring(a_file(range(700)))).performed == 700
        assert 100 < slow.most <= 200


async def test_an_import_that_is_stopped_leaves_nothing_in_the_air(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    slow = SlowProcessor()
    async with importing(sqlite_book_url, tmp_path, processor=slow) as book:
        with pytest.raises(Stopped):
            await book.bring(a_file(range(700)), progress=StopAfter(130))
        assert slow.open == 0
        assert 130 <= slow.calls < 700
        summary = await book.bring(a_file(range(700)))
        assert summary.performed + summary.already_there == 700
        assert (slow.calls, book.items()) == (700, [])


async def test_two_thousand_lines_on_a_bad_day(sqlite_book_url: str, tmp_path: Path) -> None:
    async with importing(
        sqlite_book_url, tmp_path, faults="lost_before=0.05,lost_after=0.05,rejected=0.05"
    ) as book:
        lines = a_file(range(2_000)).split("\n")
        for at in range(1, 2_000, 100):
            lines[at] = "nonsense"
        content = "\n".join(lines)
        first = await book.bring(content)
        assert first.lines == 2_000
        assert book.codes[2] == "line_malformed"
        assert first.refused == 20 + sum(
            code == "processor_rejected" for code in book.codes.values()
        )
        assert first.unknown == len(book.items())
        before, codes = book.rows(), book.codes
        again = await book.bring(content)
        assert (again.already_there, again.unknown) == (first.performed, first.unknown)
        assert book.codes == codes
        assert book.rows() == before


async def test_what_breaks_in_the_middle_waits_for_what_is_in_the_air(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with importing(sqlite_book_url, tmp_path, processor=SlowProcessor()) as book:
        whole = Importing(book.engine, book.simulator)
        plain = importer.register_accounts
        seen = 0

        async def break_later(*given: object) -> object:
            nonlocal seen
            seen += 1
            if seen > 1:
                raise RuntimeError("the disk is full")
            return await plain(*given)  # pyright: ignore[reportArgumentType] - handed on as it came

        monkeypatch.setattr(importer, "register_accounts", break_later)
        with pytest.raises(RuntimeError, match="disk"):
            await whole.bring(a_file(range(600)))
        monkeypatch.undo()
        summary = await whole.bring(a_file(range(600)))
        assert (summary.already_there, summary.performed) == (500, 100)
