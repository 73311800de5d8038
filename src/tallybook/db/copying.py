"""Copies of an SQLite database: whole, consistent, made while it is written, never over a file."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

PAGES_AT_ONCE = 2_000

Watch = Callable[[int, int], None]
"""Told how many pages are done, and of how many."""


class CopyError(RuntimeError):
    """A copy can't be made, or is not one of a sound database."""


@contextmanager
def drafted(target: Path) -> Generator[Path]:
    """Lend a file beside the target, which takes the target's name once all went well.

    Raises: CopyError where the target is there already, now or by then.
    """
    refuse_existing(target)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        yield draft
        _sync(draft)
        try:
            os.link(draft, target)
        except FileExistsError:
            raise CopyError(f"{target} is there already") from None
        _sync(target.parent)
    finally:
        for path in (draft, *_beside(draft)):
            path.unlink(missing_ok=True)


def refuse_existing(target: Path) -> None:
    """See that nothing would be overwritten, nor read along with a copy. Raises: CopyError."""
    for path in (target, *_beside(target)):
        if path.exists():
            raise CopyError(f"{path} is there already, and is not overwritten: move it away first")


def copy_database(source: Path, target: Path, watch: Watch, *, is_at_rest: bool = False) -> None:
    """Copy a database into an empty file, as it stands at one moment, and check the copy.

    Whoever writes meanwhile goes on: the copy reads one snapshot. A source that is at rest, such as
    a backup, is nobody's book: nothing is put beside it, and it may lie on a disk that only reads.

    Raises: CopyError.
    """
    if not source.is_file():
        raise CopyError(f"{source} is not there")
    address = f"{source.absolute().as_uri()}?mode=ro"
    if is_at_rest and not any(path.exists() for path in _beside(source)):
        address += "&immutable=1"  # what lies in a log beside it would be passed over
    try:
        with (
            closing(sqlite3.connect(address, uri=True)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.execute("PRAGMA busy_timeout = 10000")
            read.isolation_level = None
            read.execute("BEGIN")
            # The first read opens the snapshot; the copy is of it, however long it takes.
            read.execute("SELECT count(*) FROM sqlite_master").fetchone()
            read.backup(
                written,
                pages=PAGES_AT_ONCE,
                progress=lambda _status, left, total: watch(total - left, total),
            )
            (found,) = written.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise CopyError(f"{source} can't be copied: {error}") from error
    if found != "ok":
        raise CopyError(f"the copy of {source} is damaged: {found}")


def fold_log(path: Path) -> None:
    """Bring everything out of a database's write-ahead log into its one file, and do without one.

    A file that says of itself that it has such a log can't be read where none can be made.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _beside(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm", "-journal"))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
