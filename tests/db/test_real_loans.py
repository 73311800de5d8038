"""The loans of a real bank stand where the oracle says, and where the documents say they do."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.kernel.money import format_amount
from tallybook.loans.queries import stream_loans_on
from tallybook.loans.rules.paying import outstanding_on
from tallybook.loans.tasks.importing import import_loans, import_payments
from tests import loan_oracle as oracle
from tests.importing import importing

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "loans"
LAST_DAY = date(1998, 12, 31)
DAYS = (date(1994, 3, 12), date(1996, 6, 13), date(1997, 11, 12), LAST_DAY)
EVERY = 6
"""One loan of so many goes through the database; the oracle sees all of them."""

STATUSES = ("A finished, paid", "B finished, not paid", "C running", "D running, in debt")


def lines(name: str) -> list[dict[str, str]]:
    with (EXAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def minor(amount: str) -> int:
    return int(Decimal(amount) * 100)


def a_payment(amount: int, day: date) -> oracle.Payment:
    return {"amount": amount, "effective_on": day, "status": "paid", "reversed_on": None}


def read_oracle() -> dict[str, tuple[oracle.Loan, list[oracle.Payment]]]:
    """Read the example for the oracle, by reference."""
    found: dict[str, tuple[oracle.Loan, list[oracle.Payment]]] = {}
    for line in lines("loans.csv"):
        loan: oracle.Loan = {
            "principal": minor(line["principal"]), "rate": line["interest_rate"],
            "installments": int(line["installments"]), "interval": line["interval"],
            "start_on": date.fromisoformat(line["start_on"]), "unit": 1,
            "policy": line["payment_policy"], "after": 2,
        }  # fmt: skip
        found[line["reference"]] = loan, []
    for line in lines("payments.csv"):
        day = date.fromisoformat(line["effective_on"])
        found[line["loan"]][1].append(a_payment(minor(line["amount"]), day))
    return found


def chosen(name: str, column: str, references: Iterable[str]) -> io.BytesIO:
    """Write the lines of a file that are about some loans."""
    wanted = {*references}
    kept = [line for line in lines(name) if line[column] in wanted]
    text = io.StringIO()
    writer = csv.DictWriter(text, kept[0])
    writer.writeheader()
    writer.writerows(kept)
    return io.BytesIO(text.getvalue().encode())


@pytest.mark.anyio
async def test_real_loans_stand_where_the_oracle_says(book_url: str, tmp_path: Path) -> None:
    known = read_oracle()
    some = [reference for at, reference in enumerate(known) if at % EVERY == 0]
    async with importing(book_url, tmp_path) as book:
        counts = await import_loans(book.engine, chosen("loans.csv", "reference", some))
        assert (counts.added, counts.refused) == (len(some), 0)
        counts = await import_payments(book.engine, chosen("payments.csv", "loan", some))
        assert (counts.added, counts.refused) == (sum(len(known[name][1]) for name in some), 0)
        for day in DAYS:
            with book.engine.database.snapshot() as connection:
                stands = {
                    each.loan.reference: (
                        outstanding_on(each.loan, each.coverage, day),
                        each.coverage.excess_minor,
                        each.delinquency.missed_in_a_row,
                        each.delinquency.days_past_due,
                        each.delinquency.is_delinquent,
                    )
                    for part in stream_loans_on(connection, day)
                    for each in part
                }
            told: dict[str, tuple[Any, ...]] = {}
            for name in some:
                loan, payments = known[name]
                if loan["start_on"] <= day:
                    found = oracle.look(loan, payments, day)
                    columns = ("outstanding", "credit", "missed_in_a_row", "days_past_due")
                    told[name] = (*(found[each] for each in columns), found["is_delinquent"])
            assert stands == told, day


@pytest.mark.parametrize("mark", ["dated", "all"])
def test_the_tables_in_the_documents_are_what_the_oracle_says(mark: str) -> None:
    known, bank = read_oracle(), {line["loan"]: line for line in lines("bank.csv")}
    sums: dict[str, Counter[str]] = {status: Counter() for status in "ABCD"}
    for name, (loan, payments) in known.items():
        of = bank[name]
        undated = int(of["payments_made"]) - int(of["payments_dated"])
        assert int(of["payments_dated"]) == len(payments)
        if mark == "all" and undated:
            payments.append(a_payment(undated * minor(of["order_amount"]), LAST_DAY))
        found = oracle.look(loan, payments, LAST_DAY)
        sums[of["status"]] += Counter(
            loans=1,
            **{f"missed {min(found['missed_in_a_row'], 2)}": 1},
            delinquent=int(found["is_delinquent"]),
            closed=int(found["status"] == "closed"),
            outstanding=found["outstanding"],
            credit=found["credit"],
        )
    rows = [
        "| " + " | ".join((words, *(f"{sums[words[0]][name]}" for name in (
            "loans", "missed 0", "missed 1", "missed 2", "delinquent", "closed")),
            *(f"{Decimal(format_amount(sums[words[0]][name], 'CZK')):,}"
              for name in ("outstanding", "credit")))) + " |"
        for words in STATUSES
    ]  # fmt: skip
    text = (ROOT / "docs" / "loans.md").read_text(encoding="utf-8")
    table = re.search(rf"<!-- {mark} -->\n.*\n.*\n((?:\| [ABCD] .*\n)+)", text)
    assert table is not None
    assert table[1].splitlines() == rows
