"""Migrations: bring an empty or older database to this version, and refuse a newer one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text

from tallybook.db.engine import Database, open_database
from tallybook.db.fresh import lay_out

HEAD = "0009"
"""The newest migration."""

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
    Locks: an advisory lock on PostgreSQL, SQLite's write lock, each until all migrations are done:
    so several servers may start at once.
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
    run_migrations(target, may_lay_out=True)


def current_revision(database: Database) -> str | None:
    """Tell which migration a database is at; None where it is empty."""
    with database.reader() as connection:
        return _revision_on(connection)


def run_migrations(database: Database, *, to: str = "head", may_lay_out: bool = False) -> None:
    """Run the migrations that a database lacks; an empty SQLite file may be laid out instead.

    Raises: DatabaseTooNewError.
    """
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
                revision = _revision_on(connection)
                if revision is None and may_lay_out:
                    lay_out(connection)
                else:
                    _upgrade_on(connection, revision, to)
                connection.execute(text("COMMIT"))
            else:
                with connection.begin():
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                    _upgrade_on(connection, _revision_on(connection), to)
    finally:
        engine.dispose()


def _revision_on(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade_on(connection: Connection, revision: str | None, to: str) -> None:
    # Alembic takes a quarter of a second to load, which needn't be paid for a
    # current book, nor for a new SQLite book.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseTooNewError(
            f"this database is at version {revision}, which this Tallybook (at {HEAD}) does"
            " not know: it was made by a newer one. Install that one, or restore a backup."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    lacked = scripts.iterate_revisions(to, revision) if revision is not None else ()
    if any(getattr(script.module, "changes_rows", True) for script in lacked):
        # What a migration changed is to be sealed anew, by whoever knows what rows look like.
        connection.execute(text(_MARK_UNSEALED))
