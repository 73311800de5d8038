# noqa: INP001 - a script to run, not a package
"""Take over the loans of a real bank, and compare who is delinquent with what the bank said.

    python examples/loans/compare.py               each loan, then the counts
    python examples/loans/compare.py --counts      the counts alone
    python examples/loans/compare.py --keep bank   keeps the book in the folder `bank`

It looks twice at the last day of the data: once with the payments that the data dates, and once
with those added that it only counts.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import tallybook
from tallybook.entrypoints.progress import show_progress
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.calendar import whole_months
from tallybook.kernel.progress import Progress
from tallybook.loans.tasks.importing import import_loans, import_payments
from tallybook.wire.line_import import AddedCounts

HERE = Path(__file__).parent
LAST_DAY = date(1998, 12, 31)
STATUSES = {
    "A": "finished, paid",
    "B": "finished, not paid",
    "C": "running",
    "D": "running, in debt",
}
IN_DEBT = "BD"


@dataclass(frozen=True)
class Known:
    """What the bank's data says of a loan."""

    reference: str
    status: str
    order: Decimal
    """What the bank's standing order collects: not always quite an installment."""
    made: int
    """How many payments there were in all."""
    dated: int
    """Of how many the data has the date."""


@dataclass(frozen=True)
class Stands:
    """A loan on the last day, as the book sees it."""

    outstanding: Decimal
    credit: Decimal
    is_delinquent: bool
    missed_in_a_row: int
    days_past_due: int
    bucket: str
    rows_due: int
    installment: Decimal


def read_bank() -> dict[str, Known]:
    """Read what the bank's data says beside loans and dated payments."""
    with (HERE / "bank.csv").open(encoding="utf-8", newline="") as lines:
        return {
            line["loan"]: Known(
                line["loan"],
                line["status"],
                Decimal(line["order_amount"]),
                int(line["payments_made"]),
                int(line["payments_dated"]),
            )
            for line in csv.DictReader(lines)
        }


def undated_payments(bank: Mapping[str, Known]) -> str:
    """Write the payments that are only counted as received on the last day.

    On that day it makes no difference when they came: they fill the oldest rows all the same.
    """
    lines = ["loan,amount,effective_on,method"]
    for known in bank.values():
        line = f"{known.reference},{known.order},{LAST_DAY},undated"
        lines += [line] * (known.made - known.dated)
    return "\n".join(lines)


def bring(
    book: tallybook.Tallybook,
    run: Callable[..., Any],
    stream: BinaryIO,
    progress: Progress,
    step: str,
) -> None:
    """Bring a file in, with a bar; every line must fit."""
    total = sum(1 for _ in stream) - 1
    stream.seek(0)
    progress.begin(step, total)
    counts: AddedCounts = asyncio.run(run(book.engine, stream, progress=progress))
    if not counts.is_complete:
        sys.exit(f"{counts.refused} {step} were refused, the first in line {counts.first_refused}")


def look(book: tallybook.Tallybook, progress: Progress) -> dict[str, Stands]:
    """Ask the book how each loan stands on the last day."""
    found: dict[str, Stands] = {}
    progress.begin("loans looked at", 682)
    for loan in book.list("/loans", as_of=LAST_DAY):
        path = f"/loans/{loan['id']}"
        delinquency = book.call("GET", f"{path}/delinquency", query={"as_of": LAST_DAY})
        credit = Decimal("0.00")
        if loan["status"] == "closed":
            credit = sum(
                (Decimal(each["credit"]) for each in book.list(f"{path}/payments")), credit
            )
        months = whole_months(date.fromisoformat(loan["start_on"]), LAST_DAY)
        found[loan["reference"]] = Stands(
            Decimal(loan["outstanding"]),
            credit,
            delinquency["is_delinquent"],
            delinquency["missed_in_a_row"],
            delinquency["days_past_due"],
            delinquency["bucket"],
            min(months, loan["installments"]),
            Decimal(loan["total"]) / loan["installments"],
        )
        progress.advance()
    return found


# -- what is shown -------------------------------------------------------------------------------


def each_loan(bank: Mapping[str, Known], found: Mapping[str, Stands]) -> list[str]:
    """Write a line for each loan."""
    rows = [
        (
            known.reference,
            known.status,
            f"{stands.outstanding:,}",
            f"{stands.credit:,}",
            "delinquent" if stands.is_delinquent else "",
            stands.missed_in_a_row,
            stands.days_past_due,
            stands.bucket,
            known.made - known.dated or "",
        )
        for known in bank.values()
        for stands in (found[known.reference],)
    ]
    columns = ("outstanding", "credit", "missed in a row", "days past due", "undated payments")
    headers = (
        "loan", "bank", "outstanding", "credit", "rule", "missed in a row", "days past due",
        "bucket", "undated payments",
    )  # fmt: skip
    return format_table(headers, rows, right=columns)


def counts(bank: Mapping[str, Known], found: Mapping[str, Stands]) -> list[str]:
    """Write what the rule says of the loans of each of the bank's statuses."""
    rows: list[Sequence[object]] = []
    for status, words in STATUSES.items():
        loans = [found[known.reference] for known in bank.values() if known.status == status]
        missed = Counter(min(stands.missed_in_a_row, 2) for stands in loans)
        rows.append(
            (
                f"{status} {words}",
                len(loans),
                *(missed[number] for number in range(3)),
                sum(stands.is_delinquent for stands in loans),
                sum(stands.outstanding == 0 for stands in loans),
                f"{sum((stands.outstanding for stands in loans), Decimal(0)):,}",
                f"{sum((stands.credit for stands in loans), Decimal(0)):,}",
            )
        )
    headers = (
        "the bank says", "loans", "none missed", "one", "two or more in a row", "delinquent",
        "closed", "outstanding", "credit",
    )  # fmt: skip
    return format_table(headers, rows, right=headers[1:])


def differences(bank: Mapping[str, Known], found: Mapping[str, Stands]) -> list[str]:
    """Group the loans of which the bank and the rule say different things, by what they share."""
    groups: Counter[tuple[str, ...]] = Counter()
    for known in bank.values():
        stands = found[known.reference]
        if stands.is_delinquent is (known.status in IN_DEBT):
            continue
        order = known.order - stands.installment
        short = "below" if order < 0 else "above" if order > 0 else "equal"
        rule = "delinquent" if stands.is_delinquent else "not delinquent"
        missing = str(stands.rows_due - known.made)
        groups[known.status, rule, missing, short, str(stands.missed_in_a_row)] += 1
    headers = (
        "bank", "rule", "payments missing", "order to installment", "missed in a row", "loans"
    )  # fmt: skip
    rows = [(*group, count) for group, count in sorted(groups.items())]
    return format_table(headers, rows, right=("payments missing", "missed in a row", "loans"))


def compare(home: Path, *, only_counts: bool) -> None:
    """Take the loans over into a new book, and say how they stand."""
    bank = read_bank()
    database = f"sqlite:///{home / 'loans.db'}"
    with tallybook.open(database, currency="CZK", home=home) as book, show_progress() as shown:
        with (HERE / "loans.csv").open("rb") as stream:
            bring(book, import_loans, stream, shown, "loans")
        with (HERE / "payments.csv").open("rb") as stream:
            bring(book, import_payments, stream, shown, "payments")
        dated = look(book, shown)
        undated = io.BytesIO(undated_payments(bank).encode())
        bring(book, import_payments, undated, shown, "payments without a date")
        every = look(book, shown)
        disagreements = book.verify()
    told = [] if only_counts else [*each_loan(bank, dated), ""]
    told += [
        f"As of {LAST_DAY}, with the {sum(each.dated for each in bank.values()):,} dated payments:",
        *counts(bank, dated),
        "",
        f"With all {sum(each.made for each in bank.values()):,} payments, the others on that day:",
        *counts(bank, every),
        "",
        "Where the bank and the rule differ, with all payments:",
        *differences(bank, every),
        "",
        f"tallybook verify: {len(disagreements)} discrepancies",
    ]
    sys.stdout.write("\n".join(told) + "\n")


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", action="store_true", help="leave the single loans out")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="an empty folder for the book")
    arguments = parser.parse_args()
    if arguments.keep is None:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), only_counts=arguments.counts)
        return
    arguments.keep.mkdir(parents=True)
    compare(arguments.keep, only_counts=arguments.counts)


if __name__ == "__main__":
    main()
