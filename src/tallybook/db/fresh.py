"""A new SQLite book in one go: what all migrations come to, kept as one script, fresh_book.sql.

To run them takes a third of a second, most of it to load Alembic, and who begins a book should not
wait for that. entrypoints/fresh_book.py writes the script. PostgreSQL runs the migrations.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

SCRIPT = Path(__file__).with_name("fresh_book.sql")


def lay_out(connection: Connection) -> None:
    """Make all tables, triggers and first rows in an empty SQLite file, in the open transaction."""
    for statement in _statements(SCRIPT.read_text(encoding="utf-8")):
        connection.exec_driver_sql(statement)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        # The body of a trigger has semicolons of its own.
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
