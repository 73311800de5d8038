"""What every test may ask for: a database of its own, on SQLite and on a real PostgreSQL.

`database_url`, empty, and `book_url`, migrated, run a test once per database. A test that is about
one database asks for it by name: `sqlite_url`, `postgres_url`, `sqlite_book_url`,
`postgres_book_url`. A test that crashes its server asks for `own_postgres`.
"""

import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from tests.memory import keep_files_in_memory
from tests.postgres import UNPLUGGED, URL_VARIABLE, Databases, PostgresMissing, Server

# Every run draws the same cases, so that a red run is about the change and not about luck.
# `pytest --hypothesis-profile=explore` goes looking for new ones.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("ci")

_BEGAN_AT = "TALLYBOOK_TEST_BEGAN_AT"
_shared_server = pytest.StashKey[Server]()

PLAYED_ON_POSTGRES = 10
"""Of tests that play weeks of business dates, one in so many is played on PostgreSQL as well."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that leaves nothing out."""
    parser.addoption(
        "--everything",
        action="store_true",
        help="do all of what takes long, and play every worked example on PostgreSQL as well",
    )
    parser.addoption(
        "--spare",
        type=float,
        default=0,
        metavar="SECONDS",
        help="go on with more simulated books until so many seconds after the start",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what fills the time that is left to the end, and leave most played weeks to SQLite.

    What those show is in rules that know no database.
    """
    items.sort(key=lambda item: item.get_closest_marker("spare") is not None)
    if config.getoption("--everything"):
        return
    played = [
        item
        for item in items
        if item.get_closest_marker("played") and "postgresql" in item.nodeid.partition("[")[2]
    ]
    left_out = {item for place, item in enumerate(played) if place % PLAYED_ON_POSTGRES}
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def pytest_configure(config: pytest.Config) -> None:
    """Start the one PostgreSQL that all workers share, in the process that outlives them."""
    keep_files_in_memory()
    for name in [name for name in os.environ if name.startswith("TALLYBOOK_")]:
        if not name.startswith("TALLYBOOK_TEST_"):
            del os.environ[name]  # what somebody has set for their own book must not reach a test
    # The workers inherit it; `make check` says it of the whole check.
    os.environ.setdefault(_BEGAN_AT, str(time.time()))
    is_worker = hasattr(config, "workerinput")
    has_workers = config.getoption("dist", "no") != "no"
    if is_worker or not has_workers or config.option.collectonly or os.environ.get(URL_VARIABLE):
        return
    try:
        server = Server.create(UNPLUGGED)
    except PostgresMissing:
        return  # each test that needs it will say so
    config.stash[_shared_server] = server
    os.environ[URL_VARIABLE] = server.url  # the workers inherit it


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no server and no files behind."""
    server = config.stash.get(_shared_server, None)
    if server is not None:
        del os.environ[URL_VARIABLE]
        server.remove()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was done of what depends on the time."""
    done: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        done.update(dict(value for name, value in report.user_properties if name == "done"))
    for what, count in sorted(done.items()):
        terminalreporter.write_line(f"{what}: {count}")


def pytest_report_header() -> str | None:
    """Say which PostgreSQL is meant, when it is running already."""
    url = os.environ.get(URL_VARIABLE)
    if not url:
        return None
    with psycopg.connect(url) as connection:
        return f"postgresql: {connection.info.parameter_status('server_version')}"


# --- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases on the server that was named, or that all workers share, or else on our own."""
    url = os.environ.get(URL_VARIABLE)
    if url:
        yield Databases(url)
        return
    try:
        server = Server.create(UNPLUGGED)
    except PostgresMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield Databases(server.url)
    server.remove()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """Where a fresh, empty PostgreSQL database is."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def postgres_template(databases: Databases) -> Iterator[str]:
    """Where the migrated database is that `postgres_book_url` copies."""
    url = databases.create()
    _migrate(url)
    databases.close_to_all(url)
    yield url
    databases.drop(url)


@pytest.fixture
def postgres_book_url(databases: Databases, postgres_template: str) -> Iterator[str]:
    """Where a fresh, migrated PostgreSQL database is."""
    url = databases.create(template=postgres_template)
    yield url
    databases.drop(url)


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that the test has for itself, to stop, crash and start as it likes."""
    server = Server.create()
    yield server
    server.remove()


# --- SQLite ---------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where a fresh, empty SQLite database is."""
    return f"sqlite:///{tmp_path / 'book.db'}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The migrated file that `sqlite_book_url` copies."""
    path = tmp_path_factory.mktemp("template") / "book.db"
    _migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in the one file
    return path


@pytest.fixture
def sqlite_book_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Where a fresh, migrated SQLite database is."""
    shutil.copyfile(sqlite_template, tmp_path / "book.db")
    return f"sqlite:///{tmp_path / 'book.db'}"


# --- both -----------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Where a fresh, empty database is: the test runs once on each kind."""
    fixtures = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}
    url: str = request.getfixturevalue(fixtures[request.param])
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def book_url(request: pytest.FixtureRequest) -> str:
    """Where a fresh, migrated database is: the test runs once on each kind."""
    fixtures = {"sqlite": "sqlite_book_url", "postgresql": "postgres_book_url"}
    url: str = request.getfixturevalue(fixtures[request.param])
    return url


@pytest.fixture
def everything(pytestconfig: pytest.Config) -> bool:
    """Whether a test does all it can, or what a minute allows."""
    return bool(pytestconfig.getoption("--everything"))


@pytest.fixture
def is_time_left(pytestconfig: pytest.Config, everything: bool) -> Callable[[], bool]:
    """Tell whether a test that is marked `spare` may go on with what it would like to do."""
    until = float(os.environ[_BEGAN_AT]) + float(pytestconfig.getoption("--spare") or 0)
    return lambda: everything or time.time() < until


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which is what serves the API."""
    return "asyncio"


def _migrate(url: str) -> None:
    from tallybook.db import migrate  # noqa: PLC0415 - tests without a database need not load it

    migrate.upgrade(url)
