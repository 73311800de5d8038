"""`tallybook db`: the database's schema, brought up to date or looked at."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tallybook.ambient.settings import load_settings
from tallybook.db import migrate
from tallybook.db.engine import Database, open_database
from tallybook.entrypoints.engine import require_book
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.master_key import forget_key


def upgrade(**given: object) -> None:
    """Migrate the database that is set."""
    with _open(given, read_only=False) as database:
        before = migrate.current_revision(database)
        migrate.upgrade(database)
        came = "was there already" if before == migrate.HEAD else f"came from {before or 'empty'}"
        print(f"{database.shown} is at version {migrate.HEAD}; it {came}.")


def current(**given: object) -> None:
    """Show the version of the database that is set."""
    with _open(given, read_only=True) as database:
        revision = migrate.current_revision(database)
        print(f"{database.shown} is at version {revision or 'none: it is empty'}.")
    if revision != migrate.HEAD:
        raise CommandError(
            f"This Tallybook needs version {migrate.HEAD}: run `tallybook db upgrade`.",
            ExitCode.FOUND,
        )


def forget(**given: object) -> None:
    """Let the book that is set take another key, where no account number is sealed with its own."""
    with _open(given, read_only=False, may_create=False) as database:
        require_book(database)
        forget_key(database)
        print(
            f"{database.shown} takes the key that it is opened with next. Reports that were sealed"
            " with the old one can't be read any more, and a message that comes again is new."
        )


@contextmanager
def _open(
    given: dict[str, object], *, read_only: bool, may_create: bool = True
) -> Generator[Database]:
    url = load_settings(**given).database_url.get_secret_value()
    database = open_database(url, read_only=read_only, may_create=may_create)
    try:
        yield database
    finally:
        database.close()
