"""A command in the wrong folder, or with a typing mistake in --database, says so and makes nothing.

A kill switch that is thrown on a book it has just invented leaves the real server sending.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.programs import environment, run
from tests.cli.test_commands import COMMANDS

KEY = f"key_{'0' * 32}"
MAKES_A_BOOK = {
    "serve", "db upgrade", "import advances", "import loans", "import payments", "import products",
    "import sales", "restore", "demo",
}  # fmt: skip
NEEDS_NO_BOOK = {"settings", "processor", "bills try"}
ARGUMENTS: dict[str, list[str]] = {
    "backup": ["copy.db"],
    "anchor": ["anchors.jsonl"],
    "keys create": ["till"],
    "keys rotate": [KEY],
    "keys revoke": [KEY],
    "sending stop": ["--reason", "amounts look wrong", "--by", "ann"],
    "sending start": ["--reason", "it was the report"],
    "sending hold": ["--reason", "restored"],
    "bills import": ["messages.jsonl", "--customer", f"cus_{'0' * 32}"],
    "loans schedule": [f"loan_{'0' * 32}"],
    "loans pay": [f"loan_{'0' * 32}", "1.00"],
    "loans delinquency": [f"loan_{'0' * 32}"],
    "loans outstanding": [f"loan_{'0' * 32}"],
    "loans create": [f"cus_{'0' * 32}", "100", "10", "5"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - MAKES_A_BOOK - NEEDS_NO_BOOK))
def test_a_book_that_is_not_there_is_refused_and_not_made(name: str, tmp_path: Path) -> None:
    ended = run(*name.split(), *ARGUMENTS.get(name, []), cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr == (
        f"tallybook: There is no book at {tmp_path}/billing.db. Name the right one with --database"
        " or DATABASE_URL; a new one is made by `tallybook serve`, `tallybook import` or"
        " `tallybook db upgrade`.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_made_for_a_typing_mistake(tmp_path: Path) -> None:
    ended = run("verify", "--database", str(tmp_path / "typo" / "x.db"), cwd=tmp_path)
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])


def test_an_empty_database_is_no_book_either(database_url: str, tmp_path: Path) -> None:
    """Another program's, or one just made: it is not for `sending stop` to begin a book in it."""
    env = environment(DATABASE_URL=database_url)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    for command in (["sending", "stop", "--reason", "a drill"], ["verify"], ["report"]):
        ended = run(*command, cwd=tmp_path, env=env)
        assert ended.returncode == 2
        assert ended.stderr.startswith("tallybook: There is no book at ")
    assert "it is empty" in run("db", "current", cwd=tmp_path, env=env).stdout


def test_whoever_only_looks_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    assert run("db", "upgrade", cwd=tmp_path).returncode == 0
    with closing(sqlite3.connect(tmp_path / "billing.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = (tmp_path / "billing.db").read_bytes()
    assert run("verify", cwd=tmp_path).returncode == 0
    assert run("db", "current", cwd=tmp_path).returncode == 0
    assert (tmp_path / "billing.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["billing.db"]
