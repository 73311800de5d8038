# noqa: INP001 - a script to run, not a package
"""Score the shipped rules on labelled messages: what is right, per field, and the mix-ups.

    python examples/score_messages.py messages.jsonl

Each line has `body`, `sender` and a `label` with `kind`, `bill_type`, `amount`, `minimum_due`,
`due_date`, `account_number`, `issuer`. Without an argument it looks where TALLYBOOK_TEST_DATA says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallybook.bills.reading.reader import shipped_reader, show_reading

FIELDS = (
    ("bill_type", "bill_type"),
    ("amount", "amount"),
    ("minimum_due", "minimum_due"),
    ("due_on", "due_date"),
    ("account_number", "account_number"),
    ("issuer", "issuer"),
)


@dataclass
class Score:
    """What was counted."""

    messages: int = 0
    kinds_right: int = 0
    bills: int = 0
    accepted: int = 0
    accepted_with_date: int = 0
    amounts_right: int = 0
    due_right: int = 0
    wrong_amounts: int = 0
    accepted_that_are_no_bills: int = 0
    right: Counter[str] = field(default_factory=Counter[str])
    """Per field, of all bill messages; a due date counts where the text has day, month and year."""
    asked: Counter[str] = field(default_factory=Counter[str])
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """(label, read) to count."""


def score(path: Path) -> Score:
    """Read every message of a file and compare with its label."""
    result = Score()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            _compare(json.loads(line), result)
    return result


def _compare(message: dict[str, Any], result: Score) -> None:
    label = message["label"]
    reading = shipped_reader().read(message["body"], message["sender"], _day_of(label))
    shown = show_reading(reading)
    result.messages += 1
    result.kinds_right += shown["kind"] == label["kind"]
    result.kinds[label["kind"] or "not a bill", str(shown["kind"] or "not a bill")] += 1
    accepted = reading.is_accepted and reading.kind is not None
    if label["kind"] is None:
        result.accepted_that_are_no_bills += accepted
        return
    result.bills += 1
    same = {name: _same(shown[name], label[of]) for name, of in FIELDS}
    has_date = label["due_date"] is not None
    for name, is_same in same.items():
        counts = name != "due_on" or has_date
        result.asked[name] += counts
        result.right[name] += counts and is_same
    if accepted:
        result.accepted += 1
        result.amounts_right += same["amount"]
        result.wrong_amounts += shown["amount"] is not None and not same["amount"]
        result.accepted_with_date += has_date
        result.due_right += has_date and same["due_on"]


def _day_of(label: dict[str, Any]) -> date:
    """Choose a day on which the message may have come; the texts rarely have one of their own."""
    if label["due_date"] is None:
        return date(2026, 6, 15)
    return date.fromisoformat(label["due_date"]) - timedelta(days=10)


def _same(read: object, wanted: object) -> bool:
    if isinstance(wanted, int | float):
        return read is not None and Decimal(str(read)) == Decimal(str(wanted))
    return read == wanted


def table(result: Score) -> str:
    """Write the score as tables."""
    lines = [
        f"{'kind':16}{result.kinds_right:>5} of {result.messages}",
        *(f"{name:16}{result.right[name]:>5} of {result.asked[name]}" for name, _ in FIELDS),
        "",
        f"accepted: {result.accepted} of {result.bills} bill messages",
        f"  of these amount right {result.amounts_right}, wrong {result.wrong_amounts}",
        f"  of these due date right {result.due_right} of {result.accepted_with_date}",
        f"accepted though no bills: {result.accepted_that_are_no_bills}",
        "",
        f"{'label':24}{'read as':24}count",
        *(
            f"{label:24}{read:24}{count:>5}"
            for (label, read), count in sorted(result.kinds.items())
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    """Score the file that is named, or the one that the environment knows."""
    known = Path(os.environ.get("TALLYBOOK_TEST_DATA", "data")) / "messages" / "messages.jsonl"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", default=known, help="messages, one a line")
    path: Path = parser.parse_args().file
    if not path.exists():
        sys.exit(f"there are no labelled messages at {path}")
    sys.stdout.write(table(score(path)) + "\n")


if __name__ == "__main__":
    main()
