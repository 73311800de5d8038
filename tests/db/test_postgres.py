"""The test suite's own PostgreSQL keeps what it promises."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.postgres import Databases, PostgresMissing, Server

ROOT = Path(__file__).resolve().parents[2]


def test_databases_share_nothing(databases: Databases, postgres_url: str) -> None:
    other_url = databases.create()
    with psycopg.connect(postgres_url) as one, psycopg.connect(other_url) as other:
        one.execute("CREATE TABLE only_here (id integer)")
        one.commit()
        assert other.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    databases.drop(other_url)


def test_a_dropped_database_is_gone_even_with_somebody_in_it(databases: Databases) -> None:
    url = databases.create()
    with psycopg.connect(url) as connection:
        databases.drop(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_crash_loses_nothing_committed_and_the_url_stays(own_postgres: Server) -> None:
    url = own_postgres.url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id integer)")
        connection.execute("INSERT INTO kept VALUES (1)")
        own_postgres.crash()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    own_postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "binaries",
    dict.fromkeys(f for f in postgres.candidate_folders() if (f / "initdb").exists()),
    ids=str,
)
def test_every_postgres_on_this_machine_will_do(
    binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "candidate_folders", lambda: iter([binaries]))
    server = Server.create()
    try:
        with psycopg.connect(server.url) as connection:
            settings = {
                name: connection.execute(
                    "SELECT setting FROM pg_settings WHERE name = %s", [name]
                ).fetchone()
                for name in ("fsync", "TimeZone")
            }
            assert settings == {"fsync": ("on",), "TimeZone": ("Pacific/Chatham",)}
            assert connection.info.server_version >= 15_00_00
    finally:
        server.remove()
    assert not server.folder.exists()


def test_a_checkout_below_a_closed_home_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """When root tests, `nobody` runs the server, and may not enter root's home to find it."""
    is_open = postgres._is_open_to_all
    monkeypatch.setattr(
        postgres, "_is_open_to_all", lambda path: "site-packages" not in str(path) and is_open(path)
    )
    server = Server.create()
    psycopg.connect(server.url).close()
    server.remove()
    assert not server.folder.exists()


def test_without_any_postgres_a_person_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "candidate_folders", lambda: iter([Path("/nowhere")]))
    with pytest.raises(PostgresMissing, match="make install"):
        Server.create()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a child so")
def test_the_server_dies_with_a_killed_test_run_and_the_next_run_sweeps_up() -> None:
    script = """
        import time
        from tests.postgres import Server
        server = Server.create()
        print(server.url, server.folder, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        url, folder = run.stdout.readline().split()
        psycopg.connect(url).close()
        os.kill(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + postgres.STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as gone:
            if "refused" in str(gone):
                break
        time.sleep(0.05)
    else:
        pytest.fail("the server outlived the test run that started it")
    postgres.remove_orphans()
    assert not Path(folder).exists()
