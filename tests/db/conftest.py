"""The book that most tests of collection play with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.reports.verify import verify
from tests.played import Played


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[Played]:
    """Play on a fresh book; a file whose book begins otherwise has a fixture of its own."""
    with Played(book_url, tmp_path) as played:
        yield played
        # Whatever was played: everything that the book keeps twice agrees.
        assert verify(played.database) == []
