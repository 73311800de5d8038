"""`tallybook loans`, as a person runs it."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient.clock import SystemClock
from tallybook.entrypoints.commands import loans
from tallybook.entrypoints.library import open_book


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_HOME", str(tmp_path / "home"))


def test_a_loan_from_its_making_to_its_portfolio(
    sqlite_book_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_book_url
    start = SystemClock().today() - timedelta(days=22)
    with open_book(url) as book:
        who = str(book.create_customer("Asha", "asha@example.org")["id"])
    body = {
        "customer_id": who, "principal": "100.00", "interest_rate": "10", "installments": 4,
        "start_on": start,
    }  # fmt: skip
    assert loans.create(body, database_url=url) == 0
    heading, state, _, head, *rows = capsys.readouterr().out.splitlines()
    loan = heading.partition(":")[0]
    assert f"100.00 USD at 10 % for the term, weekly from {start}" in heading
    assert state.endswith("active, 110.00 USD outstanding")
    assert " ".join(head.split()) == "no. due on amount principal interest paid paid on status"
    assert [row.split()[-1] for row in rows] == ["missed", "missed", "missed", "come"]
    assert rows[0].split()[:6] == [
        "1", (start + timedelta(days=7)).isoformat(), "27.50", "25.00", "2.50", "0.00",
    ]  # fmt: skip

    assert loans.show_delinquency(loan, None, database_url=url) == 1
    assert "3 missed in a row, 15 days past due, bucket 1-30" in capsys.readouterr().out
    pay: dict[str, Any] = {
        "method": "cash",
        "effective_on": None,
        "installment_number": 1,
        "key": "k",
    }
    for _ in range(2):  # the same key pays once
        assert loans.pay(loan, "27.50", database_url=url, **pay) == 0
        assert "installments: 1; credit: 0.00; left: 82.50" in capsys.readouterr().out
    pay["key"] = "another"
    assert loans.pay(loan, "27.50", database_url=url, **pay) != 0
    assert "Installment 1 is paid already." in capsys.readouterr().out
    for subject in (loan, who):
        assert loans.show_outstanding(subject, None, database_url=url) == 0
        assert capsys.readouterr().out == "82.50 USD\n"
    assert loans.show_outstanding(loan, date(2000, 1, 1), database_url=url) == 0
    assert capsys.readouterr().out == "0.00 USD\n"
    assert loans.list_loans(who, None, database_url=url) == 0
    assert loan in capsys.readouterr().out
    assert loans.show_schedule(loan, None, database_url=url) == 0
    assert capsys.readouterr().out.splitlines()[4].endswith("paid")
    assert loans.show_schedule("loan_7", None, database_url=url) != 0

    target = tmp_path / "portfolio.json"
    assert loans.write_portfolio_file(None, "json", target, database_url=url) == 0
    written = json.loads(target.read_text())
    assert [row["outstanding"] for row in written["data"]] == ["82.50"]
    assert written["buckets"][0]["delinquent"] == 1
