"""`tallybook bills`, as a person runs it."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.bills import queries
from tallybook.bills.model import Fact, MessageStatus
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer
from tallybook.db.engine import open_database
from tallybook.entrypoints.commands.bills import import_inbox, show_due, try_text
from tallybook.ledger.store import LedgerJournal
from tallybook.writer.door import Door
from tallybook.writer.model import Command
from tests.unit.bills.real import real_messages


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


def test_every_message_of_the_data_is_accounted_for(
    sqlite_book_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each ends as a bill's change, a transaction, information, noise, or a review item."""
    path = real_messages()
    if path is None:
        pytest.skip("the labelled messages are not here; TALLYBOOK_TEST_DATA names their folder")
    lines = path.read_text(encoding="utf-8").splitlines()
    distinct = {(line["sender"], line["body"]) for line in map(json.loads, lines)}
    who = customer_of(sqlite_book_url)
    assert import_inbox(path, who, date(2026, 6, 15), [], database_url=sqlite_book_url) == 0
    counts = {
        name.rstrip(): int(count)
        for name, count in (line.rsplit(None, 1) for line in capsys.readouterr().out.splitlines())
        if count.isdecimal()
    }
    assert counts.pop("all") == len(lines)
    assert sum(counts.values()) == len(lines)
    assert counts.get("were there before", 0) == len(lines) - len(distinct)
    ends: Counter[str] = Counter()
    database = open_database(sqlite_book_url)
    with database.reader() as connection:
        messages = queries.list_messages(connection, limit=1_000)
        standing = {bill.id for bill, _ in queries.list_bills(connection, TODAY, limit=1_000)}
        known = {row.id for row in queries.list_transactions(connection, limit=1_000)}
    database.close()
    assert len(messages) == len(distinct)
    for message, fact in messages:
        end = _end_of(fact)
        ends[end] += 1
        assert end in ENDS, (message.body, fact.status)
        assert fact.bill_id is None or fact.bill_id in standing
        assert fact.transaction_id is None or fact.transaction_id in known
    assert ends.total() == len(distinct)
    assert min(ends[end] for end in ENDS) > 0


TODAY = date(2026, 6, 15)
ENDS = ("a bill's change", "a transaction", "information", "noise", "a review item")


def _end_of(fact: Fact) -> str:
    if fact.status is MessageStatus.APPLIED:
        return "a transaction" if fact.transaction_id else "a bill's change"
    if fact.is_movement and fact.transaction_id:
        return "a transaction"
    return {
        MessageStatus.INFORMATION: "information",
        MessageStatus.UNMATCHED: "noise",
        MessageStatus.OTP_DROPPED: "noise",
        MessageStatus.DUPLICATE: "noise",
        MessageStatus.REVIEW: "a review item",
    }.get(fact.status, "nothing")


def test_a_line_that_is_too_long_to_be_read_waits_for_review(
    sqlite_book_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inbox = tmp_path / "inbox.jsonl"
    huge = json.dumps({"body": "bill of Rs 5 is due " * 500_000})
    broken = ['{"body": 5}', "[" * 100_000, '{"body": "x", "sent_at": "soon"}', "\udcff\x00"]
    inbox.write_bytes("\n".join([huge, *broken]).encode(errors="surrogateescape"))
    who = customer_of(sqlite_book_url)
    assert import_inbox(inbox, who, None, [], database_url=sqlite_book_url) == 1
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["wait", "for", "review", "1"] in shown
    assert ["lines", "that", "are", "no", "message", "4"] in shown
    assert ["all", "5"] in shown


def test_what_is_due_is_a_table(
    sqlite_book_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = customer_of(sqlite_book_url)
    assert show_due(who, database_url=sqlite_book_url) == 0
    assert capsys.readouterr().out == "nothing is due\n"
    inbox = tmp_path / "inbox.jsonl"
    bodies = [
        "Your BESCOM bill for RR No. W220145 is Rs. 1,240.50. Due date 28-06-2026.",
        "Your gas bill of Rs 740 for BP No 55001 is due on 20-06-2026",
        "Payment of Rs 740 received for your gas bill, BP No 55001, on 14-06-2026. Thank you",
    ]
    inbox.write_text("\n".join(json.dumps({"body": body}) for body in bodies))
    assert import_inbox(inbox, who, date(2026, 6, 14), [], database_url=sqlite_book_url) == 0
    capsys.readouterr()
    assert show_due(None, database_url=sqlite_book_url) == 0
    head, row = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["due", "on", "status", "issuer", "type", "account", "open", "currency"]
    assert row == ["2026-06-28", "overdue", "BESCOM", "electric", "W220145", "1240.50", "INR"]


def test_trying_a_text_records_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Your gas bill of Rs 740 for BP No 55001 is due on 20-03-2026"
    assert try_text(text, "VM-MGLGAS", [], SystemClock().today()) == 0
    shown = capsys.readouterr().out
    assert "due-by-a-date" in shown
    assert "740.00" in shown
