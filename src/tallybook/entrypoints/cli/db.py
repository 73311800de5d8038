"""`tallybook db`: the schema of the database."""

from __future__ import annotations

import typer

from tallybook.entrypoints.cli.options import Database, command

group = typer.Typer(
    help="Look after the database's schema.", rich_markup_mode=None, no_args_is_help=True
)


@command(group)
def upgrade(*, database: Database = None) -> None:
    """Bring a database up to this version.

    Once is enough, and twice does no harm. Several may do it at once: one does the work.

    Example:
      tallybook db upgrade --database postgresql://tallybook@localhost/book
    """
    from tallybook.entrypoints.commands.database import upgrade as run

    run(database_url=database)


@command(group)
def current(*, database: Database = None) -> None:
    """Show which version a database is at.

    Exits with 1 where it is not the one that this program needs.

    Example:
      tallybook db current
    """
    from tallybook.entrypoints.commands.database import current as run

    run(database_url=database)


@command(group, "forget-key")
def forget_key(*, database: Database = None) -> None:
    """Let a book whose master key is lost take another one.

    Only where no account number is sealed with it. Stop the servers first. The key that the book is
    opened with next becomes its own.

    Example:
      tallybook db forget-key --database shop.db
    """
    from tallybook.entrypoints.commands.database import forget

    forget(database_url=database)
