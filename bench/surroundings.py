"""Where benchmarks run: fresh databases on both kinds, and how their figures are printed."""

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from tests.postgres import Databases, Server


@dataclass(frozen=True)
class Place:
    """One fresh database, and a folder beside it."""

    name: str
    url: str
    home: Path


def places(
    only: str | None = None, *, kinds: Sequence[str] = ("sqlite", "postgresql")
) -> Iterator[Place]:
    """Give a fresh database of each kind, one after another, and take it away afterwards."""
    with ExitStack() as stack:
        if only is not None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            yield Place(only.split(":", maxsplit=1)[0], only, home)
            return
        if "sqlite" in kinds:
            with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
                yield Place("sqlite", f"sqlite:///{folder}/book.db", Path(folder))
        if "postgresql" in kinds:
            server = Server.create()
            stack.callback(server.remove)
            databases = Databases(server.url)
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            yield Place("postgresql", databases.create(), home)


class DatabaseTime:
    """The processor time of a PostgreSQL on this machine, all of its processes together."""

    def __init__(self, url: str) -> None:
        with psycopg.connect(url) as connection:
            self._server = _parent(connection.info.backend_pid)

    def seconds(self) -> float:
        """Tell what it has used up to now. Units: seconds."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                pid, fields = int(stat.parent.name), _stat(stat)
                if pid == self._server:
                    # With its children that have ended.
                    ticks += sum(map(int, fields[11:15]))
                elif int(fields[1]) == self._server:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def process_seconds(pid: int) -> float:
    """Tell the processor time that a process has used up to now. Units: seconds."""
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def yardstick() -> float:
    """Tell what one step of a plain loop costs just now. Units: nanoseconds of processor time.

    Where others share the machine, everything costs more processor time than on an idle one: what
    a figure is worth is told by this one, taken beside it.
    """
    steps = 300_000
    kept: dict[int, tuple[int, str]] = {}
    began = time.thread_time()
    for step in range(steps):
        kept[step & 255] = step, str(step)
    return (time.thread_time() - began) / steps * 1e9


def _parent(pid: int) -> int:
    return int(_stat(Path(f"/proc/{pid}/stat"))[1])


def _stat(path: Path) -> list[str]:
    """Read what stands after the name of a process, which may hold anything."""
    return path.read_text().rpartition(")")[2].split()


def report(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table with the machine and the date, to be copied into docs/benchmarks.md."""
    stamp = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{title} ({stamp}, {machine})")
    for row in rows:
        print("  " + "  ".join(f"{cell:<18}" for cell in row))
