"""Where benchmarks run: fresh databases on both kinds, and how their figures are printed."""

import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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


def report(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table with the machine and the date, to be copied into docs/benchmarks.md."""
    stamp = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{title} ({stamp}, {machine})")
    for row in rows:
        print("  " + "  ".join(f"{cell:<18}" for cell in row))
