"""Migrations: bring an empty or older database to this version, and refuse a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, inspect, text

from tallybook.db.engine import Database, open_database

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0006"
"""The newest migration. A test keeps it equal to the newest file in migrations/versions."""

_LOCK = 0x7A11B00C
_MARK_UNSEALED = (
    "INSERT INTO row_seals (name, rows_count, digest) VALUES ('(unsealed)', 1, '0')"
    " ON CONFLICT (name) DO UPDATE SET rows_count = 1"
)


class DatabaseTooNewError(RuntimeError):
    """The database was made by a newer Tallybook."""


def upgrade(target: Database | str) -> None:
    """Bring a database to this version's schema; does nothing where it is there already.

    Raises: DatabaseTooNewError.
    Locks: an advisory lock on PostgreSQL, so that several servers may start at once.
    """
    if isinstance(target, str):
        database = open_database(target)
        try:
            upgrade(database)
        finally:
            database.close()
        return
    if current_revision(target) == HEAD:
        return
    _migrate(target)


def current_revision(database: Database) -> str | None:
    """Tell which migration a database is at; None where it is empty."""
    with database.reader() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(database: Database) -> None:
    # Alembic takes a quarter of a second to load, which a database that is current needn't pay.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    engine = create_engine(
        database.url,
        connect_args={} if database.is_sqlite else {"options": "-c lock_timeout=30s"},
    )
    try:
        with engine.connect() as connection:
            if database.is_sqlite:
                # One process migrates at a time: the write lock is held to the end.
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(text("PRAGMA busy_timeout = 30000"))
                connection.execute(text("PRAGMA journal_mode = WAL"))
                connection.execute(text("BEGIN IMMEDIATE"))
                _upgrade_on(connection, command, config, known)
                connection.execute(text("COMMIT"))
            else:
                with connection.begin():
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                    _upgrade_on(connection, command, config, known)
    finally:
        engine.dispose()


def _upgrade_on(connection: Any, command: Any, config: Config, known: set[str]) -> None:
    if inspect(connection).has_table("alembic_version"):
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if revision is not None and revision not in known:
            raise DatabaseTooNewError(
                f"this database is at version {revision}, which this Tallybook (at {HEAD}) does"
                " not know: it was made by a newer one. Install that one, or restore a backup."
            )
    else:
        revision = None
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if revision not in (None, HEAD):
        # What a migration changed is to be sealed anew, by whoever knows what rows look like.
        connection.execute(text(_MARK_UNSEALED))
