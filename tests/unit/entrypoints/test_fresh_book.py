"""A new SQLite book is laid out as the migrations would make it, to the letter."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tallybook.db import migrate
from tallybook.db.engine import open_database
from tallybook.db.fresh import SCRIPT
from tallybook.entrypoints.fresh_book import script_text


def test_the_script_is_what_the_migrations_come_to() -> None:
    assert SCRIPT.read_text(encoding="utf-8") == script_text(), "run `make schema`"


def test_a_new_book_is_laid_out_from_the_script(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    migrate.upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        laid_out = "".join(f"{line}\n" for line in list(connection.iterdump())[1:-1])
    assert laid_out == SCRIPT.read_text(encoding="utf-8")
    with closing(open_database(f"sqlite:///{path}")) as database:
        assert migrate.current_revision(database) == migrate.HEAD
