"""Runs a flow once per step, killed there, restarted and finished, and compares the end.

`python -m tests.crash.every_step FOLDER` is a process without threads that forks: it reads one
request a line and answers each with one line, both JSON.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from tallybook.ambient.fresh import CountedIds
from tallybook.collection.tasks import paying, requests
from tallybook.db.metadata import METADATA
from tallybook.processor.model import TransferState
from tallybook.reports.verify import format_discrepancies, verify
from tests.crash.bank import LOG, fork_banks, open_bank, wait_until_quiet
from tests.crash.book import CrashBook, Parts, Place, shape_of
from tests.crash.children import Ended, Run, Tell, fork, run_here
from tests.crash.flows import FLOWS, Flow
from tests.crash.fuse import NEVER, Fuse
from tests.postgres import Databases

FAILURES_MOST = 10
FIRST_ID = 1 << 40
"""Where they begin: below any id that today's clock gives."""

SIGKILL = 9
_WRITERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'tallybook writer'"
)
DIFFERS_EACH_TIME = frozenset({"number_sealed", "raw_sealed", "holder", "sender"})
"""Columns with fresh randomness, or with the process that wrote them."""
SEALS = "row_seals"
"""A table that is made of the others' rows, those columns included."""


@dataclass
class Crashed:
    """What came of killing one flow at its steps."""

    flow: str
    steps: int = 0
    """How many steps the flow has, undisturbed."""
    kills: int = 0
    ends: int = 0
    """How many were finished and judged. A crash that leaves the same rows as one before, and had
    acknowledged the same, is judged once: most steps inside a transaction leave nothing."""
    died_at: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])


class Books:
    """Lays copies of a prepared book into one and the same place, one after another.

    One place, so that what a process works out about its book before it forks serves every child.
    """

    def __init__(self, folder: Path, bank: str, template: str, server: str | None) -> None:
        """`template` is a migrated, empty database: a file, or a database on the server."""
        self._folder, self._template = folder, template
        self._databases = Databases(server) if server else None
        self._master = folder / "prepared"
        self._master_url = template
        self._kept: str | None = None
        self._last: str | None = None
        self._place = Place(f"sqlite:///{folder / 'book' / 'book.db'}", folder / "book", bank)
        self.parts: Parts

    def begin(self) -> None:
        """Lay out an empty book."""
        shutil.rmtree(self._master, ignore_errors=True)
        self._lay(None)

    def keep(self) -> None:
        """Take the book as it stands for the one that is copied from now on."""
        shutil.copytree(self._place.folder, self._master)
        if self._databases is not None:
            self._databases.close_to_all(self.parts.place.url)
            self._master_url = self.parts.place.url

    def copy(self) -> Parts:
        """Lay out the book that was kept; one that a crash has left as it was serves again."""
        is_new = self._last is None or self._last != self._kept
        if is_new:
            if self._databases is not None and self.parts.place.url != self._master_url:
                self._databases.drop(self.parts.place.url)
            self._lay(self._master)
        if self._kept is None:
            self._kept = self.remains()
        self.touch()
        return self.parts

    def remains(self) -> str:
        """Name what a crash left behind: every row of the book and of the Processor's log."""
        left = hashlib.sha256()
        files = [self._place.folder / LOG]
        if self._databases is None:
            files.append(self._place.folder / "book.db")
        else:
            left.update(repr(_rows_left(self.parts.place.url)).encode())
        for file in files:
            with closing(sqlite3.connect(file)) as connection:
                tables = connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
                ).fetchall()
                for (table,) in tables:
                    if table == SEALS:
                        continue
                    columns = [
                        name
                        for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")
                        if name not in DIFFERS_EACH_TIME
                    ]
                    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}")
                    left.update(repr((table, sorted(map(repr, rows)))).encode())
        self._last = left.hexdigest()
        return self._last

    def touch(self) -> None:
        """Say that the book that lies there is no longer what a crash left."""
        self._last = None

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder)
        if self._databases is not None:
            for url in {self.parts.place.url, self._master_url} - {self._template}:
                self._databases.drop(url)

    def _lay(self, master: Path | None) -> None:
        place = self._place
        shutil.rmtree(place.folder, ignore_errors=True)
        if master is not None:
            shutil.copytree(master, place.folder)
        else:
            place.folder.mkdir()
            open_bank(place.folder).log.close()
        if self._databases is not None:
            self.parts = Parts.make(replace(place, url=self._databases.create(self._master_url)))
        elif master is None:
            shutil.copyfile(self._template.removeprefix("sqlite:///"), place.folder / "book.db")
            self.parts = Parts.make(place)


def _must_end(ended: Ended, what: str) -> None:
    if ended.code or ended.signal:
        raise AssertionError(f"{what}: {ended.said[-3:]}")


def _rows_left(url: str) -> list[tuple[str, list[str]]]:
    """Read every row of a PostgreSQL book, once the server has seen that its client is dead."""
    left: list[tuple[str, list[str]]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(_WRITERS).fetchone() != (0,):
            time.sleep(0.001)
        for table in METADATA.sorted_tables:
            if table.name == SEALS:
                continue
            names = [name for name in table.columns.keys() if name not in DIFFERS_EACH_TIME]  # noqa: SIM118 - not a dictionary
            wanted = f"SELECT {', '.join(names)} FROM {table.name}"
            left.append((table.name, sorted(map(repr, connection.execute(wanted.encode())))))
    return left


def prepare(books: Books, flow: Flow) -> None:
    """Make the book in which a flow is about to be asked for."""
    books.begin()

    def work(tell: Tell) -> None:
        asyncio.run(_through(CrashBook(books.parts, Fuse(), tell), flow.prepare))

    _must_end(fork(work), f"{flow.name}: preparing")
    books.keep()


async def _through(book: CrashBook, *steps: Callable[[CrashBook], Any]) -> None:
    try:
        for step in steps:
            await step(book)
    finally:
        await book.engine.aclose()


def act(parts: Parts, flow: Flow, at: int = NEVER, *, run: Run = fork) -> Ended:
    """Ask for the flow in a process of its own, which dies at a step."""

    def work(tell: Tell) -> None:
        fuse = Fuse(at, lambda name: tell({"died at": name}))
        # Counted ids: what two crashes leave can then be compared.
        book = CrashBook(parts, fuse, tell, CountedIds(FIRST_ID))
        asyncio.run(_through(book, flow.act))
        tell({"steps": fuse.steps})

    return run(work)


def finish(parts: Parts, flow: Flow, *, run: Run = fork) -> Ended:
    """Ask again, as after a crash, bring everything to rest, and say where the book stands."""

    def work(tell: Tell) -> None:
        book = CrashBook(parts, Fuse(), tell)

        async def look(book: CrashBook) -> None:
            tell({"shape": shape_of(book.engine.database, book.calls(), has_rail=flow.has_rail)})
            found = await asyncio.to_thread(verify, book.engine.database, book.engine.secrets)
            tell({"verify": format_discrepancies(found) if found else ""})
            tell({"rail": check_rail(book)})

        asyncio.run(_through(book, flow.act, flow.rest, look))

    return run(work)


def check_rail(book: CrashBook) -> list[str]:
    """Hold the book against the Processor's own log, call by call."""
    calls, transfers = book.calls(), {each.id: each for each in book.transfers()}
    wrong = [
        f"sent {times} times: transfer {reference}"
        for reference, times in Counter(call.reference for call in calls).items()
        if times > 1
    ]
    for call in calls:
        transfer = transfers.get(call.reference)
        if transfer is None:
            wrong.append(f"the Processor was asked for {call.reference}, which no intent names")
        elif call.is_executed and transfer.state in (
            TransferState.REJECTED, TransferState.NOT_EXECUTED, TransferState.INTENT,
        ):  # fmt: skip
            wrong.append(f"executed, and {transfer.state} in the book: {transfer.id}")
    arrived = {call.reference for call in calls if call.is_executed}
    wrong.extend(
        f"{transfer.state} in the book, and never executed: {transfer.id}"
        for transfer in transfers.values()
        if transfer.state in (TransferState.ACCEPTED, TransferState.SUCCEEDED)
        and transfer.id not in arrived
    )
    return wrong


def judge(killed: Ended, ended: Ended, undisturbed: dict[str, Any]) -> list[str]:
    """Say what is wrong with a book that was killed, restarted and finished."""
    if ended.code or ended.signal:
        return [f"it did not finish: {ended.said[-1:]}"]
    wrong: list[str] = []
    (verified,), (rail,), (shape,) = (ended.found(kind) for kind in ("verify", "rail", "shape"))
    if verified:
        wrong.append(f"verify: {verified}")
    wrong.extend(rail)
    again = {key: (status, body) for key, status, body in ended.found("ack")}
    wrong.extend(
        f"acknowledged {key}: {status} {body}, and then {again.get(key)}"
        for key, status, body in killed.found("ack")
        if again.get(key) != (status, body)
    )
    wrong.extend(
        f"{name}: {shape.get(name)} instead of {undisturbed.get(name)}"
        for name in sorted({*shape, *undisturbed})
        if shape.get(name) != undisturbed.get(name)
    )
    return wrong


def crash(books: Books, flow: Flow, random_kills: int | None = None, seed: int = 0) -> Crashed:
    """Kill a flow at every step, or so many times from outside at a random moment."""
    found = Crashed(flow.name)
    prepare(books, flow)
    parts = books.copy()
    # Undisturbed it runs here, so that what it has to compile is there for every child to come.
    whole = act(parts, flow, run=run_here)
    (found.steps,) = whole.found("steps")
    settled = finish(parts, flow, run=run_here)
    undisturbed = settled.found("shape")[0]
    found.failures += [f"undisturbed: {what}" for what in judge(whole, settled, undisturbed)]
    gc.freeze()
    judged: set[tuple[str, str]] = set()
    for name, run, at in _kills(books, flow, found.steps, random_kills, seed):
        killed = act(books.copy(), flow, at, run=run)
        if flow.calls:
            # What it sent before it died arrives, or it would in the next one's book.
            wait_until_quiet(books.parts.place.bank)
        if killed.signal == SIGKILL:
            found.kills += 1
            found.died_at[next(iter(killed.found("died at")), "a random moment")] += 1
        elif killed.code:
            found.failures.append(f"{name}: it broke by itself: {killed.said[-1:]}")
            continue
        if random_kills is None:
            left = books.remains(), repr(killed.found("ack"))
            if left in judged:
                continue
            judged.add(left)
        books.touch()
        found.ends += 1
        wrong = judge(killed, finish(books.parts, flow), undisturbed)
        found.failures += [f"{name}: {what}" for what in wrong]
        if len(found.failures) >= FAILURES_MOST:
            break
    return found


def _kills(
    books: Books, flow: Flow, steps: int, random_kills: int | None, seed: int
) -> Iterator[tuple[str, Run, int]]:
    """Say how each process is to die, by name."""
    if random_kills is None:
        for at in range(steps):
            yield f"{flow.name}, killed at step {at}", fork, at
        return
    draw = random.Random(seed)
    began = time.monotonic()
    act(books.copy(), flow)
    lasts = time.monotonic() - began
    for number in range(random_kills):
        after = 0.8 * draw.random() * lasts
        name = f"{flow.name}, seed {seed}, kill {number}, after {after:.4f} of {lasts:.4f} s"
        yield name, partial(fork, kill_after=after), NEVER


def main() -> None:
    """Serve requests from standard input, beside a bank of our own."""
    # A copy of a request waits so long for whoever began it; here whoever began it is always dead.
    paying.LOOK_SECONDS = requests.COPY_SECONDS = 0.01
    base = Path(sys.argv[1])
    bank, address = fork_banks(base)
    try:
        for number, line in enumerate(sys.stdin):
            asked = json.loads(line)
            flow = FLOWS[asked["flow"]]
            folder = base / f"books-{number}"
            folder.mkdir()
            books = Books(
                folder, f"{address}/{folder.name}/book", asked["template"], asked["server"]
            )
            try:
                found = crash(books, flow, asked["random_kills"], asked["seed"])
            except Exception:  # noqa: BLE001 - told to whoever asked
                found = Crashed(flow.name, failures=[traceback.format_exc()])
            finally:
                books.remove()
            sys.stdout.write(json.dumps(vars(found)) + "\n")
            sys.stdout.flush()
    finally:
        os.kill(bank, SIGKILL)


if __name__ == "__main__":
    main()
