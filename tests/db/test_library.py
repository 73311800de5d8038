"""`tallybook.open(url)`: the API's calls in Python, with the API's refusals and answers."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.entrypoints import library
from tallybook.entrypoints.progress import StopWhen
from tallybook.kernel.progress import Stopped
from tallybook.processor.port import ProcessorRejected, ProcessorUnknown, TransferOrder
from tests.serving import threads_left

ACCOUNT = "DE89 3704 0044 0532 0130 00"


class Bank:
    """A Processor that answers as it is told to."""

    def __init__(self, *answers: str | Exception, seconds: float = 0) -> None:
        self.answers = list(answers)
        self.seconds = seconds
        self.rows: list[str] = []
        self.was_asked = threading.Event()
        self.is_closed = False

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        assert order.dst_bank_account == "DE89370400440532013000"
        assert may_send()
        self.was_asked.set()
        await asyncio.sleep(self.seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def download_report(self) -> bytes:
        lines = ["transaction_id,result", *self.rows, f"#end,{len(self.rows)}"]
        return "".join(f"{line}\n" for line in lines).encode()

    async def available_balance(self, bank_account: str) -> str | None:
        del bank_account

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[tallybook.Tallybook]:
    with tallybook.open(book_url, home=tmp_path / "home") as book:
        yield book
    assert threads_left() == []


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(tallybook.Refused) as caught:
        call()
    return caught.value.refusal.code


def test_an_advance_is_paid_out_and_collected(book: tallybook.Tallybook) -> None:
    customer = book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
    transaction_id = book.perform_advance(ACCOUNT, Decimal("1200.00"), installments=4)
    assert isinstance(transaction_id, str)
    (advance,) = book.list_advances(customer_id=customer["id"])
    assert [row["amount"] for row in advance["plan"]] == ["300.00"] * 4

    first_due = date.fromisoformat(advance["plan"][0]["due_on"])
    book.run_day(first_due - timedelta(6))
    sent = book.run_day(first_due)["summary"]["sent"]
    assert sent == {"accepted": {"count": 1, "USD": "300.00"}}
    book.run_day(first_due + timedelta(1))

    assert book.get_advance(advance["id"])["outstanding"] == "900.00"
    (balance,) = book.get_balance(customer["id"])["data"]
    assert balance["owed"] == "900.00"
    assert [row["result"] for row in book.download_report(10)["data"]] == ["success"] * 2
    assert book.download_report(10, format="csv").startswith(b"transaction_id,")
    assert book.download_report(10, format="xlsx").startswith(b"PK")
    assert len(list(book.list_history(customer["id"]))) >= 3


def test_events_are_listed_to_the_end(
    book: tallybook.Tallybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "PAGE", 2)
    for number in range(5):
        book.create_customer("Ada", f"ada{number}@example.com")
    found = [event["seq"] for event in book.list("/events")]
    assert found == list(range(1, found[-1] + 1))
    assert [event["seq"] for event in book.list("/events", after=3)] == found[3:]


def test_a_refusal_has_its_code_and_its_details(book: tallybook.Tallybook) -> None:
    assert code_of(lambda: book.perform_advance(ACCOUNT, 100)) == "bank_account_not_found"
    assert code_of(lambda: book.get_advance("adv_1")) == "id_invalid"
    book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
    with pytest.raises(tallybook.Refused) as caught:
        book.perform_advance(ACCOUNT, "0.001")
    assert caught.value.refusal.code == "amount_invalid"
    assert caught.value.refusal.param == "amount"
    book.run_day(date(2026, 3, 2))
    with pytest.raises(tallybook.Refused) as caught:
        book.run_day(date(2026, 3, 1))
    assert caught.value.refusal.details == {"last": "2026-03-02"}


def test_an_unknown_outcome_is_none_and_the_advance_is_kept(book_url: str, tmp_path: Path) -> None:
    bank = Bank(ProcessorUnknown("reset"), "txn_2")
    with tallybook.open(book_url, home=tmp_path / "home", processor=bank) as book:
        book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
        assert book.perform_advance(ACCOUNT, 100) is None
        (advance,) = book.list_advances()
        assert advance["status"] == "pending"
        assert book.perform_advance(ACCOUNT, 100) == "txn_2"
    assert bank.is_closed


def test_closing_waits_for_money_in_the_air(book_url: str, tmp_path: Path) -> None:
    bank = Bank("txn_1", seconds=1)
    book = tallybook.open(book_url, home=tmp_path / "home", processor=bank)
    book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
    with ThreadPoolExecutor(1) as threads:
        paid = threads.submit(book.perform_advance, ACCOUNT, 100)
        assert bank.was_asked.wait(30)
        book.close()
        # Its thread may hear of it a moment later; a call that was cut off has no such answer.
        assert paid.result(5) == "txn_1"
    assert code_of(lambda: book.perform_advance(ACCOUNT, 100)) == "shutting_down"


def test_closing_one_book_waits_for_none_of_another(book_url: str, tmp_path: Path) -> None:
    bank = Bank("txn_1", seconds=1)
    other = tallybook.open(f"sqlite:///{tmp_path / 'other.db'}", home=tmp_path / "other")
    with (
        tallybook.open(book_url, home=tmp_path / "home", processor=bank) as book,
        ThreadPoolExecutor(1) as threads,
    ):
        book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
        paid = threads.submit(book.perform_advance, ACCOUNT, 100)
        assert bank.was_asked.wait(30)
        other.close()
        assert paid.result() == "txn_1"


def test_closing_ends_a_run_between_two_items(book_url: str, tmp_path: Path) -> None:
    bank, today = Bank("txn_1", "txn_2", seconds=1), datetime.now(UTC).date()
    book = tallybook.open(book_url, home=tmp_path / "home", processor=bank)
    book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
    advance = book.create_advance(ACCOUNT, 100, installments=1)
    bank.rows = ["txn_1,success"]
    book.run_day(today + timedelta(days=1))
    bank.was_asked.clear()
    due = today + timedelta(days=7)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(book.run_day, due)
        assert bank.was_asked.wait(30)
        book.close()
        assert code_of(running.result) == "shutting_down"
    # This process lives: the run waits for nobody's lease all the same.
    with tallybook.open(book_url, home=tmp_path / "home", processor=bank) as book:
        (debit,) = book.get_advance(advance["id"])["plan"][0]["attempts"]
        assert (debit["transaction_id"], debit["result"]) == ("txn_2", "pending")
        assert book.run_day(due)["status"] == "finished"


def test_a_rejected_advance_is_a_refusal(book_url: str, tmp_path: Path) -> None:
    bank = Bank(ProcessorRejected("no_account", refused_before_sending=False))
    with tallybook.open(book_url, home=tmp_path / "home", processor=bank) as book:
        book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
        assert code_of(lambda: book.perform_advance(ACCOUNT, 100)) == "processor_rejected"


def test_the_same_key_is_one_advance_from_any_thread(book: tallybook.Tallybook) -> None:
    book.create_customer("Ada", "ada@example.com", bank_accounts=[ACCOUNT])
    with ThreadPoolExecutor(8) as threads:
        ids = list(
            threads.map(
                lambda _: book.perform_advance(ACCOUNT, 100, idempotency_key="once"), range(8)
            )
        )
    assert len(set(ids)) == 1
    assert len(list(book.list_advances())) == 1


def test_lists_go_on_over_their_pages(book: tallybook.Tallybook) -> None:
    for number in range(130):
        book.create_customer("Ada", f"ada{number}@example.com")
    emails = [customer["email"] for customer in book.list_customers()]
    assert emails == [f"ada{number}@example.com" for number in reversed(range(130))]


def test_any_call_can_be_made(book: tallybook.Tallybook) -> None:
    product = {"name": "Tea", "stock": 3, "price": "2.50", "tax_percent": "0"}
    made = book.call("POST", "/products", product)
    assert book.call("GET", f"/products/{made['id']}")["name"] == "Tea"
    assert book.call("DELETE", f"/products/{made['id']}") is None
    assert code_of(lambda: book.call("GET", "/nothing")) == "not_found"


@pytest.mark.parametrize("value", [1.5, float("nan"), object(), b"1"])
def test_what_can_not_be_sent_is_a_type_error(book: tallybook.Tallybook, value: Any) -> None:
    with pytest.raises(TypeError, match="can't be sent"):
        book.perform_advance(ACCOUNT, value)


def test_a_run_can_be_stopped_by_who_watches(book: tallybook.Tallybook) -> None:
    watched = StopWhen(lambda: True)
    with pytest.raises(Stopped):
        book.run_day(progress=watched)


def test_bad_settings_are_told_in_sentences() -> None:
    with pytest.raises(tallybook.SettingsError) as caught:
        tallybook.open("mysql://x", prot=1)
    assert len(caught.value.problems) == 2


def test_closing_twice_is_closing_once(book_url: str, tmp_path: Path) -> None:
    book = tallybook.open(book_url, home=tmp_path / "home")
    book.close()
    book.close()


def test_the_package_offers_what_it_says() -> None:
    assert {name for name in tallybook.__all__ if not hasattr(tallybook, name)} == set()
    with pytest.raises(AttributeError):
        _ = tallybook.nothing
