"""`tallybook verify`: the whole book recomputed from raw rows."""

from __future__ import annotations

from pathlib import Path

from tallybook.ambient.settings import load_settings
from tallybook.db import migrate
from tallybook.db.engine import open_database
from tallybook.entrypoints.engine import require_book
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.progress import show_progress
from tallybook.reports.verify import CHECKS, format_discrepancies, how_many
from tallybook.reports.verify import verify as verify_book
from tallybook.reports.verify.anchors import Anchor, AnchorError, read_anchors


def verify(anchor: Path | None = None, **given: object) -> None:
    """Check the book that is set, and print what does not agree.

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
        with show_progress() as progress:
            found = verify_book(database, anchors=anchors, progress=progress)
        shown = database.shown
    finally:
        database.close()
    if not found:
        against = f" and {len(anchors)} anchors" if anchors else ""
        print(f"{shown}: {len(CHECKS)} checks{against}, and all agree.")
        return
    print(format_discrepancies(found))
    raise CommandError(f"{how_many(found)} things do not agree.".capitalize(), ExitCode.FOUND)


def _read(path: Path | None) -> list[Anchor]:
    if path is None:
        return []
    try:
        return read_anchors(path)
    except AnchorError as error:
        raise CommandError(f"The anchors can't be used: {error}.", ExitCode.USAGE) from error
