"""What all migrations come to on SQLite, as the script that a new book is laid out from.

`python -m tallybook.entrypoints.fresh_book src/tallybook/db/fresh_book.sql` writes it anew; a test
fails where the script and the migrations differ.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tallybook.db.engine import open_database
from tallybook.db.migrate import run_migrations


def script_text() -> str:
    """Migrate an empty SQLite file step by step, and write down what is in it."""
    with tempfile.TemporaryDirectory(prefix="tallybook-fresh-") as folder:
        path = Path(folder) / "fresh.db"
        with closing(open_database(f"sqlite:///{path}")) as database:
            run_migrations(database)
        with closing(sqlite3.connect(path)) as connection:
            _begin, *statements, _commit = connection.iterdump()
    return "".join(f"{statement}\n" for statement in statements)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(script_text(), encoding="utf-8")
