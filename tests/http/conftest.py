import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Databases
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


# A table of refusals is asked of one server that stands for a whole file: each row leaves it as it
# found it, which the row after it relies on.


@pytest.fixture(scope="module")
def standing_on_sqlite(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that the tests of a file share, on SQLite."""
    home = tmp_path_factory.mktemp("standing")
    shutil.copyfile(sqlite_template, home / "book.db")
    with serve_book(f"sqlite:///{home / 'book.db'}", home) as server:
        yield server


@pytest.fixture(scope="module")
def standing_on_postgres(
    databases: Databases, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that the tests of a file share, on PostgreSQL."""
    url = databases.create(template=postgres_template)
    with serve_book(url, tmp_path_factory.mktemp("standing")) as server:
        yield server
    databases.drop(url)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def standing(request: pytest.FixtureRequest) -> Served:
    """A server that the tests of a file share, once on each database."""
    server: Served = request.getfixturevalue(f"standing_on_{request.param}")
    return server
