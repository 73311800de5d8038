"""The examples of docs/processor-wire.md are what the program takes."""

import json
import re
from pathlib import Path

from tallybook.processor.client import AMBIGUOUS_STATUSES
from tallybook.processor.report_reader import TRAILER, read_report

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "processor-wire.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)


def test_the_report_is_complete_and_tells_transfers_apart() -> None:
    (example,) = [text.partition("text/csv\n\n")[2] for text in BLOCKS if TRAILER in text]
    reading = read_report(example.encode())
    assert (reading.ended, reading.is_rich, len(reading.rows)) == (True, True, 2)


def test_the_bodies_are_json() -> None:
    bodies = [json.loads(body) for body in re.findall(r"\{.*?\}", "".join(BLOCKS), re.DOTALL)]
    assert [sorted(body) for body in bodies] == [
        ["amount", "direction", "dst_bank_account", "reference", "src_bank_account"],
        ["transaction_id"],
        ["error"],
        ["available_balance"],
    ]


def test_the_statuses_that_prove_nothing_are_named() -> None:
    assert ", ".join(map(str, sorted(AMBIGUOUS_STATUSES))) in PAGE
