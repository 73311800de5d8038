"""The walk-through in docs/counter.md runs as it is written there."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.serving import Served

PAGE = Path(__file__).resolve().parents[2] / "docs" / "counter.md"


def test_the_walk_through_runs_as_written(served_on_sqlite: Served) -> None:
    script = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    address = "http://127.0.0.1:8000"
    assert address in script
    script = script.replace(address, served_on_sqlite.url).replace("curl -s", "echo; curl -s")
    try:
        ran = subprocess.run(
            ["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=True
        )
    except FileNotFoundError:
        pytest.skip("needs bash")
    if "curl: command not found" in ran.stderr:
        pytest.skip("needs curl")
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    refused, sold, refund = answers[3], answers[4], answers[5]
    assert (refused["code"], refused["owed"]) == ("payment_insufficient", "8000.00")
    assert (sold["id"], sold["balance_amount"]) == (1, "2000.00")
    assert sold["change"] == [{"value": "500.00", "count": 4}]
    assert refund["refund_amount"] == "16800.00"
    assert "Receipt 1\n" in ran.stdout
