from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Served, serve_book


@pytest.fixture
def served(book_url: str, tmp_path: Path) -> Iterator[Served]:
    """A server on a fresh book, once on each database."""
    with serve_book(book_url, tmp_path) as server:
        yield server


@pytest.fixture
def served_on_sqlite(sqlite_book_url: str, tmp_path: Path) -> Iterator[Served]:
    """A server for what has nothing to do with the database."""
    with serve_book(sqlite_book_url, tmp_path) as server:
        yield server
