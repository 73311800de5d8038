"""`tallybook bills`, as a person runs it."""

import json
from pathlib import Path

import pytest

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer
from tallybook.db.engine import open_database
from tallybook.entrypoints.commands.bills import import_inbox, show_due, try_text
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tallybook.writer.model import Command


def customer_of(url: str) -> str:
    database = open_database(url)
    door = Door(database.open_writer, LedgerJournal(), SystemClock(), FreshIds())
    command = CreateCustomer("Asha Devi", "asha@example.org", None, "INR")
    made = door.ask_now(Command(CREATE_CUSTOMER, command)).value
    door.close()
    database.close()
    return f"cus_{made.id}"


def an_inbox(path: Path, count: int) -> Path:
    bodies = [
        "Your BESCOM bill for RR No. W220145 is Rs. {n}. Due date 28-06-2026.",
        "{code} is your OTP for login. Do not share it.",
        "Order {n} is out for delivery",
        "Your gas bill: Rs {n} or Rs 7, due on 20-06-2026",
    ]
    with path.open("w") as file:
        for number in range(count):
            body = bodies[number % 4].format(n=number + 10, code=100_000 + number)
            file.write(json.dumps({"id": number, "body": body, "sender": "AX-BESCOM"}) + "\n")
        file.write("not json\n\n")
    return path


def test_an_inbox_is_brought_in_and_its_counts_add_up(
    sqlite_book_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = customer_of(sqlite_book_url)
    # Large enough for processes that read.
    inbox = an_inbox(tmp_path / "inbox.jsonl", 6_000)
    assert inbox.stat().st_size > 500_000
    assert import_inbox(inbox, who, None, [], database_url=sqlite_book_url) == 1
    shown = capsys.readouterr().out
    counts = {line.rsplit(None, 1)[0]: line.rsplit(None, 1)[1] for line in shown.splitlines()}
    assert counts["applied"] == "1,500"
    assert counts["one-time passwords, not kept"] == "1,500"
    assert counts["are about no bill"] == "1,500"
    assert counts["wait for review"] == "1,500"
    assert counts["all"] == "6,001"
    assert import_inbox(inbox, who, None, [], database_url=sqlite_book_url) == 1
    again = capsys.readouterr().out
    assert ["were", "there", "before", "6,000"] in [line.split() for line in again.splitlines()]
    assert show_due(who, database_url=sqlite_book_url) == 0
    assert "BESCOM" in capsys.readouterr().out
    assert import_inbox(inbox, "cus_" + "0" * 32, None, [], database_url=sqlite_book_url) == 3
    assert import_inbox(inbox, "nobody", None, [], database_url=sqlite_book_url) == 3


def test_trying_a_text_records_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Your gas bill of Rs 740 for BP No 55001 is due on 20-03-2026"
    assert try_text(text, "VM-MGLGAS", [], SystemClock().today()) == 0
    shown = capsys.readouterr().out
    assert "due-by-a-date" in shown
    assert "740.00" in shown
