"""`tallybook backup`, `restore` and `anchor`: copies of a book, and the proof of where it stood."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tallybook.ambient.clock import Clock, SystemClock
from tallybook.ambient.setting_types import sqlite_url
from tallybook.ambient.settings import Settings, load_settings
from tallybook.db import migrate
from tallybook.db.copying import CopyError, copy_database, drafted, fold_log, refuse_existing
from tallybook.db.engine import Database, database_file, open_database
from tallybook.entrypoints.engine import bring_up_to_date, open_door, require_book
from tallybook.entrypoints.errors import CommandError, ExitCode
from tallybook.entrypoints.progress import show_progress
from tallybook.entrypoints.restored import hold_sending
from tallybook.kernel.frozen import frozen
from tallybook.kernel.progress import Progress
from tallybook.reports.verify import format_discrepancies, how_many
from tallybook.reports.verify import verify as verify_book
from tallybook.reports.verify.anchors import append_anchor, last_event_at, read_anchor
from tallybook.writer.door import Door

_FOR_SQLITE = (
    "{what} is for SQLite. A PostgreSQL book is copied with pg_dump, and brought back with"
    " pg_restore and `tallybook sending hold` (docs/operations.md)."
)


@frozen
class _Copy:
    """A copy that no program runs on yet, as its anchors see it."""

    settings: Settings
    database: Database
    door: Door
    clock: Clock


def backup(file: Path, **given: object) -> None:
    """Copy the book into a file that is not there yet, while it is in use."""
    settings = load_settings(**given)
    source = _path_of(settings, "Backup")
    database = open_database(settings.database_url.get_secret_value(), read_only=True)
    try:
        require_book(database)
        with show_progress() as progress, _told(), drafted(file) as draft:
            _copy(source, draft, progress)
            copy = open_database(sqlite_url(draft), read_only=True)
            try:
                with copy.reader() as connection:
                    clock = SystemClock(settings.timezone)
                    at = last_event_at(connection)
                    anchor = read_anchor(connection, clock.now())
            finally:
                copy.close()
            fold_log(draft)
    finally:
        database.close()
    events = 0 if anchor is None else anchor.event_seq
    last = "empty" if at is None else clock.date_of(at)
    print(
        f"The copy {file} holds the book up to event {events} ({last}).\n"
        f"The key is not in it: without {settings.key_path} no account number in it can be read."
        " Keep that apart from it."
    )


def restore(file: Path, *, is_verified: bool, **given: object) -> None:
    """Bring a copy back as the book, where there is none, with all sending held."""
    settings = load_settings(**given)
    target = _path_of(settings, "Restore")
    with show_progress() as progress, _told():
        refuse_existing(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with drafted(target) as draft:
            _copy(file, draft, progress, is_at_rest=True)
            was_at = _prepare(draft, settings, progress, is_verified=is_verified)
            fold_log(draft)
    if was_at != migrate.HEAD:
        print(_unverified(was_at, is_verified=is_verified))
    print(
        f"The book of {file} is back, as {target}.\n"
        "Nothing is sent from it until the Processor's reports have accounted for what was sent"
        " after the copy was made, or a person says so: `tallybook sending show`. Until then no"
        " invoice is mailed either.\n"
        f"It needs the key that it was made with, at {settings.key_path}."
    )


def anchor(file: Path, **given: object) -> None:
    """Write below what a file holds where the chains of the book stand now."""
    settings = load_settings(**given)
    database = open_database(settings.database_url.get_secret_value(), read_only=True)
    try:
        require_book(database)
        if migrate.current_revision(database) != migrate.HEAD:
            raise CommandError(
                f"The book {database.shown} is not of this version: run `tallybook db upgrade`."
            )
        with database.snapshot() as connection:
            found = read_anchor(connection, SystemClock(settings.timezone).now())
    finally:
        database.close()
    if found is None:
        raise CommandError("Nothing has happened in this book yet.", ExitCode.FOUND)
    append_anchor(file, found)
    print(f"Anchored in {file}: events up to {found.event_seq}, entries up to {found.entry_seq}.")


def _prepare(draft: Path, settings: Settings, progress: Progress, *, is_verified: bool) -> str:
    """See that the copy agrees, bring it up to date, and hold all sending in it.

    What an older version wrote can't be verified by this one; it tells which version that was.
    """
    copy = open_database(sqlite_url(draft))
    try:
        was_at = migrate.current_revision(copy)
        if was_at is None:
            raise CommandError("The file is not a copy of a book.", ExitCode.USAGE)
        if is_verified and was_at == migrate.HEAD:
            found = verify_book(copy, progress=progress)
            if found:
                print(format_discrepancies(found))
                raise CommandError(
                    f"{how_many(found)} things in the copy do not agree, so it was not brought"
                    " back. To bring it back all the same, say --unverified.",
                    ExitCode.FOUND,
                )
        bring_up_to_date(copy, allowed=True)
        clock = SystemClock(settings.timezone)
        door = open_door(copy, clock)
        try:
            book = _Copy(settings, copy, door, clock)
            hold_sending(book, reason="the book was restored", by="tallybook restore")
        finally:
            door.close()
    finally:
        copy.close()
    return was_at


def _unverified(was_at: str, *, is_verified: bool) -> str:
    """Say that a copy of an older version came back unverified, and what that leaves to do."""
    why = "could not be verified before it was brought" if is_verified else "was brought"
    return (
        f"The copy was of version {was_at}: it {why} up to {migrate.HEAD}."
        " Run `tallybook verify` now."
    )


def _copy(source: Path, target: Path, progress: Progress, *, is_at_rest: bool = False) -> None:
    is_begun = False
    done = 0

    def watch(pages: int, total: int) -> None:
        nonlocal is_begun, done
        if not is_begun:
            progress.begin("copy", total)
            is_begun = True
        progress.advance(pages - done)
        done = pages

    copy_database(source, target, watch, is_at_rest=is_at_rest)


@contextmanager
def _told() -> Generator[None]:
    """Tell in a sentence why a copy can't be made."""
    try:
        yield
    except CopyError as error:
        raise CommandError(f"Nothing was copied: {error}.", ExitCode.REFUSED) from error


def _path_of(settings: Settings, what: str) -> Path:
    path = database_file(settings.database_url.get_secret_value())
    if path is None:
        raise CommandError(_FOR_SQLITE.format(what=what), ExitCode.USAGE)
    return path
