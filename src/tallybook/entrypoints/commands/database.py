"""`tallybook db`: the database's schema, brought up to date or looked at."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tallybook.ambient.settings import load_settings
from tallybook.db import migrate
from tallybook.db.engine import Database, open_database
from tallybook.entrypoints.errors import CommandError, ExitCode


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


@contextmanager
def _open(given: dict[str, object], *, read_only: bool) -> Generator[Database]:
    url = load_settings(**given).database_url.get_secret_value()
    database = open_database(url, read_only=read_only)
    try:
        yield database
    finally:
        database.close()
