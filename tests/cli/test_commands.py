"""The other commands, as real processes: what they print, and how they end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tallybook.entrypoints.cli.main import app
from tests.cli.programs import begin_book, environment, run, serve, start
from tests.serving import wait_until


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """List every command that does something, by the words one types."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name, command


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_shows_an_example(name: str) -> None:
    text = COMMANDS[name].help
    assert f"tallybook {name}" in text.partition("Example")[2]
    assert len(text.splitlines()[0]) <= 60, "the list of commands cuts a longer one off"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    assert [option.name for option in COMMANDS[name].params if not option.help] == []


def test_help_and_version(tmp_path: Path) -> None:
    helped = run("--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert "tallybook serve" in helped.stdout
    assert run("--version", cwd=tmp_path).stdout.startswith("tallybook ")


def test_the_package_is_the_program_too() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tallybook", "--version"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.startswith("tallybook ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["serve", "--prot", "1"],
        ["serve", "--port", "x"],
        ["run-day", "--date", "1"],
    ],
)
def test_a_wrong_command_line_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Usage: tallybook")
    assert "Traceback" not in ended.stderr


def test_settings_are_shown_with_their_origin(tmp_path: Path) -> None:
    env = environment(TALLYBOOK_PORT="9000", DATABASE_URL="postgresql://bob:s3cret@db/book")
    shown = run("settings", cwd=tmp_path, env=env)
    assert shown.returncode == 0
    assert "TALLYBOOK_PORT=9000\n" in shown.stdout
    assert "(TALLYBOOK_PORT, environment)" in shown.stdout
    assert "DATABASE_URL=postgresql://bob:****@db/book\n" in shown.stdout
    assert "s3cret" not in shown.stdout


def test_all_bad_settings_are_told(tmp_path: Path) -> None:
    ended = run("settings", cwd=tmp_path, env=environment(TALLYBOOK_PORT="x", TALLYBOOK_POTR="1"))
    assert ended.returncode == 2
    assert ended.stderr == (
        "tallybook: TALLYBOOK_POTR is not a setting. Is TALLYBOOK_PORT meant?\n"
        "tallybook: TALLYBOOK_PORT must be a whole number.\n"
    )


def test_a_developer_sees_the_traceback_when_asked(tmp_path: Path) -> None:
    env = environment(TALLYBOOK_PORT="x", TALLYBOOK_DEBUG="1")
    assert "Traceback" in run("settings", cwd=tmp_path, env=env).stderr


# --- the database ---------------------------------------------------------------------------------


def test_a_database_is_brought_up_to_date(database_url: str, tmp_path: Path) -> None:
    env = environment(DATABASE_URL=database_url)
    before = run("db", "current", cwd=tmp_path, env=env)
    if database_url.startswith("sqlite"):
        assert (before.returncode, "There is no book" in before.stderr) == (2, True)
    else:
        assert (before.returncode, "it is empty" in before.stdout) == (1, True)
    assert run("db", "upgrade", cwd=tmp_path, env=env).returncode == 0
    assert run("db", "current", cwd=tmp_path, env=env).returncode == 0
    again = run("db", "upgrade", cwd=tmp_path, env=env)
    assert (again.returncode, "was there already" in again.stdout) == (0, True)


def test_without_leave_nothing_is_migrated(tmp_path: Path) -> None:
    products = tmp_path / "products.csv"
    products.write_text("name,price\n")
    env = environment(TALLYBOOK_MIGRATE="false")
    ended = run("import", "products", "products.csv", cwd=tmp_path, env=env)
    assert ended.returncode == 4
    assert "run `tallybook db upgrade`" in ended.stderr


# --- the daily run --------------------------------------------------------------------------------


def test_a_day_is_run_once(tmp_path: Path) -> None:
    begin_book(tmp_path)
    first = run("run-day", "--date", "2026-03-02", cwd=tmp_path)
    assert (first.returncode, first.stdout.splitlines()[0]) == (0, "2026-03-02 is done.")
    again = run("run-day", "--date", "2026-03-02", cwd=tmp_path)
    assert (again.returncode, "nothing was changed" in again.stdout) == (0, True)


def test_a_day_before_the_last_one_is_refused(tmp_path: Path) -> None:
    begin_book(tmp_path)
    run("run-day", "--date", "2026-03-02", cwd=tmp_path)
    refused = run("run-day", "--date", "2026-03-01", cwd=tmp_path)
    assert refused.returncode == 3
    assert refused.stderr == (
        "tallybook: A later business date has been run already: the last finished one is"
        " 2026-03-02. (run_out_of_order)\n"
    )


def test_catching_up_can_be_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    """Ctrl-C ends it between two items; the same command then goes on, and all dates are run."""
    begin_book(tmp_path)
    run("run-day", "--date", "2026-03-02", cwd=tmp_path)
    process = start("run-day", "--date", "2028-03-02", cwd=tmp_path)
    try:
        wait_until(lambda: last_day_run(tmp_path / "billing.db") > "2026-03-04", 60)
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stderr.read()) == (
            130,
            "tallybook: Stopped. The same command goes on where this one ended.\n",
        )
    finally:
        process.close()
    again = run("run-day", "--date", "2026-04-02", cwd=tmp_path)
    assert again.returncode in (0, 3), "0: reached, 3: the interrupted one had come further"
    last = date.fromisoformat(last_day_run(tmp_path / "billing.db")) + timedelta(days=5)
    assert run("run-day", "--date", last.isoformat(), cwd=tmp_path).returncode == 0


def test_whoever_has_run_ahead_is_told_so(tmp_path: Path) -> None:
    begin_book(tmp_path)
    ahead = datetime.now(UTC).date() + timedelta(days=9)
    run("run-day", "--date", str(ahead), cwd=tmp_path)
    told = run("run-day", cwd=tmp_path)
    assert told.returncode == 0
    assert told.stdout.startswith(f"{ahead} was done before; nothing was changed.\n")
    assert "Dates after today (" in told.stdout.splitlines()[-1]


def last_day_run(book: Path) -> str:
    with closing(sqlite3.connect(book)) as connection:
        (day,) = connection.execute("SELECT max(last_finished_on) FROM jobs").fetchone()
    return str(day)


# --- the simulated Processor ----------------------------------------------------------------------


def test_the_processor_serves_its_wire(tmp_path: Path) -> None:
    order = {
        "src_bank_account": "HOUSE-0001",
        "dst_bank_account": "12345678",
        "amount": "12.50",
        "direction": "credit",
    }
    with serve("--seed", "7", cwd=tmp_path, command="processor") as processor:
        status, answer = processor.ask("POST", "/transactions", order)
        assert status == 201
        assert answer["transaction_id"]
        assert processor.ask("GET", "/report")[0] == 200
        assert processor.stop() in (0, -signal.SIGTERM)


def test_the_processor_of_its_own_is_not_the_simulator_inside(tmp_path: Path) -> None:
    """Two banks in one log would show each other's transfers as orphans."""
    order = {
        "src_bank_account": "HOUSE-0001",
        "dst_bank_account": "12345678",
        "amount": "12.50",
        "direction": "credit",
    }
    with serve(cwd=tmp_path) as server, serve(cwd=tmp_path, command="processor") as processor:
        assert processor.ask("POST", "/transactions", order)[0] == 201
        today = datetime.now(UTC).date()
        for days in range(3):
            body = {"business_date": str(today + timedelta(days))}
            assert server.ask("POST", "/api/v1/runs", body)[0] in (200, 201, 202)
        assert server.ask("GET", "/api/v1/operator-items")[1]["data"] == []


def test_faults_are_listed_and_checked(tmp_path: Path) -> None:
    listed = run("processor", "--faults", "help", cwd=tmp_path)
    assert listed.returncode == 0
    assert "lost_after" in listed.stdout
    assert run("processor", "--port", "70000", cwd=tmp_path).returncode == 2
    ended = run("processor", "--faults", "fial=1", cwd=tmp_path)
    assert ended.returncode == 2
    assert "fial=1" in ended.stderr


# --- a file of advances, and the weeks after it ---------------------------------------------------

ADVANCES = """\
bank_account,amount,effective_on,customer_name,customer_email
DE89370400440532013000,1200.00,{today},Ada,ada@example.com
GB29NWBK60161331926819,100,{today},Bob,bob@example.com
GB29NWBK60161331926820,x,{today},Bob,bob@example.com
12345678,100,{today},,
"""


@pytest.fixture
def advances(tmp_path: Path) -> Path:
    path = tmp_path / "advances.csv"
    path.write_text(ADVANCES.format(today=datetime.now(UTC).date()))
    return path


def test_a_file_of_advances_is_brought_in_once(advances: Path, tmp_path: Path) -> None:
    first = run("import", "advances", str(advances), "--refused", "refused.csv", cwd=tmp_path)
    assert first.returncode == 1
    assert first.stdout.splitlines()[-4:] == [
        "lines     count",
        "paid out      2",
        "refused       2",
        "all           4",
    ]
    assert "line 4: The amount must be a positive decimal" in first.stdout
    assert (tmp_path / "refused.csv").read_text().splitlines()[2].startswith("5,bank_account_not")
    again = run("import", "advances", str(advances), cwd=tmp_path)
    assert "were in the book already      2" in again.stdout
    for number in ("DE8937040044", "GB29NWBK", "12345678"):
        assert number not in first.stdout + first.stderr + again.stdout + again.stderr


def test_a_file_that_is_all_right_ends_with_0(advances: Path, tmp_path: Path) -> None:
    advances.write_text("".join(advances.read_text().splitlines(keepends=True)[:3]))
    assert run("import", "advances", str(advances), cwd=tmp_path).returncode == 0


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    ended = run("import", "advances", "gone.csv", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        4,
        "tallybook: No such file or directory (gone.csv).\n",
    )


def test_dates_to_come_are_played_on_the_simulator(advances: Path, tmp_path: Path) -> None:
    """A newcomer sees the first debit go out a week on, without waiting for a week."""
    run("import", "advances", str(advances), cwd=tmp_path)
    today = datetime.now(UTC).date()
    said = [
        run("run-day", "--date", str(today + timedelta(days)), cwd=tmp_path).stdout
        for days in (0, 1, 7, 8)
    ]
    assert "credit_succeeded      2  1300.00 USD" in said[1]
    assert "sent    accepted      2  108.34 USD" in said[2]
    assert "debit_succeeded      2  108.34 USD" in said[3]


def test_a_report_is_written_to_the_output_or_into_a_file(advances: Path, tmp_path: Path) -> None:
    run("import", "advances", str(advances), cwd=tmp_path)
    lines = run("report", cwd=tmp_path).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("transaction_id,")
    assert len(json.loads(run("report", "--format", "json", cwd=tmp_path).stdout)["data"]) == 2
    told = run("report", "--days", "30", "--output", "transfers.xlsx", cwd=tmp_path)
    assert told.stdout.endswith(" are in transfers.xlsx.\n")
    assert told.stdout.startswith("2 transfers of ")
    assert (tmp_path / "transfers.xlsx").read_bytes().startswith(b"PK")
    assert [path.name for path in tmp_path.iterdir() if "draft" in path.name] == []


@pytest.mark.parametrize("target", ["/", "", ".", b"a\xff.csv"])
def test_a_target_that_is_no_file_is_refused_as_it_is_read(
    tmp_path: Path, target: str | bytes
) -> None:
    name = os.fsdecode(target)
    (tmp_path / "products.csv").touch()
    for command in (
        ["report", "--output", name],
        ["loans", "portfolio", "--output", name],
        ["import", "products", "products.csv", "--refused", name],
        ["backup", name],
        ["anchor", name],
    ):
        ended = run(*command, cwd=tmp_path)
        assert (ended.returncode, "it must name a file" in ended.stderr) == (2, True), command
    for command in ("verify", "serve", "report"):
        ended = run(command, "--database", name, cwd=tmp_path)
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.count("\n") == 1
        assert ended.stderr.startswith("tallybook: database_url must ")


def test_a_report_into_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    begin_book(tmp_path)
    ended = run("report", "--output", "gone/transfers.csv", cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (4, 1)
    assert ended.stderr.startswith("tallybook: No such file or directory (")
