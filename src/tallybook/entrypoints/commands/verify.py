"""`tallybook verify`: the whole book recomputed from raw rows."""

from __future__ import annotations

from pathlib import Path

from tallybook.ambient.secrets import Secrets, SecretsError
from tallybook.ambient.settings import Settings, load_settings
from tallybook.db import migrate
from tallybook.db.engine import Database, open_database
from tallybook.entrypoints.engine import require_book
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.master_key import open_secrets
from tallybook.entrypoints.progress import show_progress
from tallybook.reports.verify import CHECKS, format_discrepancies, how_many
from tallybook.reports.verify import verify as verify_book
from tallybook.reports.verify.anchors import Anchor, AnchorError, read_anchors

_LEFT_OUT = "Line {number} of {path} is no anchor, and is left out."


def verify(anchor: Path | None = None, **given: object) -> None:
    """Check the book that is set, and print what does not agree.

    With the book's key the reports are read as they came, and held against what was made of them.

    Raises: CommandError: with discrepancies, or where there is no book of this version.
    """
    settings = load_settings(**given)
    anchors = _read(anchor)
    database = open_database(settings.database_url.get_secret_value(), read_only=True)
    try:
        require_book(database)
        revision = migrate.current_revision(database)
        if revision != migrate.HEAD:
            raise CommandError(
                f"The book {database.shown} is at version {revision}, and this"
                f" Tallybook verifies version {migrate.HEAD}: run `tallybook db upgrade`.",
                ExitCode.USAGE,
            )
        secrets = _open_secrets(settings, database)
        with show_progress() as progress:
            found = verify_book(database, secrets, anchors=anchors, progress=progress)
        shown = database.shown
    finally:
        database.close()
    if not found:
        held = [f"{len(CHECKS)} checks"]
        held += ["the reports as they came"] if secrets is not None else []
        held += [f"{len(anchors)} anchors"] if anchors else []
        print(f"{shown}: {' and '.join(held)}, and all agree.")
        return
    print(format_discrepancies(found))
    raise CommandError(f"{how_many(found)} things do not agree.".capitalize(), ExitCode.FOUND)


def _open_secrets(settings: Settings, database: Database) -> Secrets | None:
    """Open the book's key, to read the reports with; without it the rest is verified."""
    if not settings.key_path.exists():
        print(f"There is no key at {settings.key_path}, so the reports as they came are not read.")
        return None
    try:
        return open_secrets(settings.key_path, database, may_claim=False)
    except SecretsError as error:
        print(f"The reports as they came are not read: {error}")
        return None


def _read(path: Path | None) -> list[Anchor]:
    if path is None:
        return []
    try:
        return read_anchors(path, lambda number: print(_LEFT_OUT.format(number=number, path=path)))
    except AnchorError as error:
        raise CommandError(f"The anchors can't be used: {error}.", ExitCode.USAGE) from error
