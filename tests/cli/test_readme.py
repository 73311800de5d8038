"""What the README shows runs as it is written there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.programs import PROGRAM, begin_book, environment, serve

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def blocks(word: str, language: str = "") -> list[str]:
    """Give the blocks of a language that hold a word."""
    return [text for kind, text in BLOCKS if kind == language and word in text]


def shell(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = environment()
    env["PATH"] = f"{Path(PROGRAM[0]).parent}:{env['PATH']}"
    try:
        return subprocess.run(
            ["bash", "-euc", script],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("needs bash")


def test_it_opens_with_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in BLOCKS[0][1].splitlines()[::2]] == [
        "make demo",
        "make test",
    ]


def test_the_walk_through_advances_runs_as_written(tmp_path: Path) -> None:
    script = "".join(text for text in blocks("curl") if "/loans" not in text)
    assert script.count("localhost:8000") == 6
    with serve(cwd=tmp_path) as server:
        script = script.replace("localhost:8000", f"127.0.0.1:{server.port}")
        walked = shell(script.replace("curl -s", "echo; curl -s"), tmp_path)
    if "curl: command not found" in walked.stderr:
        pytest.skip("needs curl")
    assert walked.returncode == 0, walked.stderr
    lines = walked.stdout.splitlines()
    answers = [json.loads(line) for line in lines if line.startswith("{")]
    customer, advance, first, second, listed, items = answers
    assert customer["bank_accounts"][0]["last4"] == "3000"
    assert advance["transaction_id"].startswith("txn_")
    assert [row["amount"] for row in advance["plan"]] == ["100.00"] * 12
    assert first["summary"]["replanned"] == {"activated": {"count": 1, "USD": "1200.00"}}
    assert second["status"] == "finished"
    (shown,) = listed["data"]
    assert (shown["status"], shown["outstanding"]) == ("active", "1100.00")
    results = [line.split(",")[6:10] for line in lines if line.startswith("txn_")]
    assert results == [["debit", "100.00", "USD", "success"]]
    assert items["data"] == []


def test_the_walk_through_a_loan_runs_as_written(tmp_path: Path) -> None:
    (script,) = blocks("/loans/$L")
    with serve(cwd=tmp_path) as server:
        script = script.replace("localhost:8000", f"127.0.0.1:{server.port}")
        walked = shell(script.replace("\ncurl -s", "\necho; curl -s"), tmp_path)
    if "curl: command not found" in walked.stderr:
        pytest.skip("needs curl")
    assert walked.returncode == 0, walked.stderr
    lines = walked.stdout.splitlines()
    paid, outstanding, delinquency = (json.loads(line) for line in lines if line.startswith("{"))
    assert (paid["installment_numbers"], paid["outstanding"]) == ([1], "5390000.00")
    assert outstanding["outstanding"] == "5390000.00"
    assert (delinquency["is_delinquent"], delinquency["missed_in_a_row"]) == (True, 49)
    portfolio = [line for line in lines if line.startswith("loan_") and line.count(",") == 12]
    assert [line.partition("_")[2][:2] for line in portfolio] == ["id", paid["loan_id"][5:7]]
    rows = [line.split() for line in lines if line.split()[1:2] and line.split()[0].isdigit()]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 51)]
    assert {row[2] for row in rows} == {"110000.00"}


def test_the_python_and_the_commands_run_as_written(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (program,) = blocks("tallybook.open", "python")
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "txn_" in ran.stdout
    (commands,) = blocks("tallybook verify")
    # The last one serves until it is stopped.
    script = "".join(line for line in commands.splitlines(keepends=True) if "processor" not in line)
    begin_book(tmp_path)  # the README has started a server by then
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"paid out +682", done.stdout), done.stdout
    assert "is done" in done.stdout
    assert "transaction_id,transfer_id" in done.stdout
