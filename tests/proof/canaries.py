"""Canary account numbers: sent through every flow, with failures, then looked for in every file.

Each number has the same eight digits in it, in a row that nothing else has; what is looked for is
these digits in every form that a leak may take. The simulated Processor's own log holds numbers in
clear, as a Processor's books do; it is not ours to seal, and is kept apart.
Source: I31.
"""

from __future__ import annotations

import base64
import gc
import io
import json
import logging
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import Settings
from tallybook.db import migrate
from tallybook.entrypoints.api import make_app
from tallybook.entrypoints.commands.copies import backup
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.reports.verify import format_discrepancies, verify
from tests.postgres import Databases
from tests.proof.check import Check, Ground, Result
from tests.serving import Client, run_server

CORE = "90417263"
"""Eight digits that every canary has, and nothing else."""
FAULTS = (
    "fail=0.1,returned=0.1,contradicted=0.05,lost_after=0.05,lost_before=0.05,refused=0.02,rejected=0.1"
    ",error_after=0.03,broken_reply=0.03,crossed=0.03,unknown_rows=0.5,odd_encoding=0.1,late=0.1"
)
API = "/api/v1"
DAYS = 10


def canary(number: int) -> str:
    """Make one account number."""
    return f"DE{CORE}{number:08d}"


def written(number: int) -> str:
    """Write one the way people do: whole, in groups, with hyphens, in small letters."""
    plain = canary(number)
    groups = [plain[at : at + 4] for at in range(0, len(plain), 4)]
    return (plain, " ".join(groups), "-".join(groups), plain.lower())[number % 4]


def needles() -> list[bytes]:
    """List every form in which a canary would show itself."""
    texts = {
        CORE,
        *("".join(f"{sign}{digit}" for digit in CORE).strip(sign) for sign in " -_."),
        *(CORE[:at] + sign + CORE[at:] for sign in " -_." for at in range(1, 8)),
        # DE90 4172 63..: how groups of four fall.
        *(f"{CORE[:2]}{sign}{CORE[2:6]}{sign}{CORE[6:]}" for sign in " -_."),
    }
    found: list[bytes] = []
    for text in sorted(texts):
        plain = text.encode()
        found += [plain, text.encode("utf-16-le"), text.encode("utf-16-be"), plain.hex().encode()]
    for sign in ("", " ", "-"):
        found += _in_base64(f"{CORE[:2]}{sign}{CORE[2:6]}{sign}{CORE[6:]}".encode())
    return found


def _in_base64(plain: bytes) -> Iterator[bytes]:
    """Give what base64 makes of a text wherever it stands: what its neighbours can't change."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + plain + b"\0" * 3)
        first = -(-before * 8 // 6)
        last = (before + len(plain)) * 8 // 6
        yield coded[first + (1 if before else 0) : last]


def run(amount: int, ground: Ground) -> Result:
    """Send so many canaries through every flow, and look for them in every file there is then."""
    failures: list[str] = []
    did, size = _play(ground, amount, "sqlite", failures)
    seen = f"SQLite: {size / 1e6:.1f} MB of files, log and answers searched"
    if amount >= 1_000 and ground.may_go_on():
        done, more = _play(ground, amount // 5, "postgresql", failures)
        seen += f"; PostgreSQL: {done} numbers, {more / 1e6:.1f} MB, its files and log with them"
    elif amount >= 1_000:
        seen += "; PostgreSQL: not begun, the time was over"
    return Result(did, failures, seen)


CHECKS = [Check("account numbers in clear", "canary numbers", full=10_000, in_check=60, run=run)]


def _play(ground: Ground, amount: int, kind: str, failures: list[str]) -> tuple[int, int]:
    home = ground.scratch / kind
    home.mkdir()
    log, answers = home / "log.jsonl", home / "answers.txt"
    data: list[Path] = []
    if kind == "sqlite":
        url = f"sqlite:///{home / 'book.db'}"
    else:
        server = ground.own_postgres()
        url = Databases(server.url).create()
        data = [server.folder]
    migrate.upgrade(url)
    with log.open("w", encoding="utf-8") as stream, _logging_to(stream):
        did = _flows(ground, url, home, amount, answers)
        if kind == "sqlite":
            backup(home / "copy.db", database_url=url, home=home)
    needed = needles()
    size = 0
    for path in _files(home, *data):
        content = path.read_bytes()
        size += len(content)
        hit = next((needle for needle in needed if needle in content), None)
        if hit is not None:
            failures.append(f"{kind}: {path.name} has {hit!r} in it")
    # The search itself must be able to find: the Processor's log, which it leaves out, has them.
    truth = b"".join(path.read_bytes() for path in home.glob("truth.db*"))
    if CORE.encode() not in truth:
        failures.append(f"{kind}: no canary ever reached the Processor, so nothing was tried")
    return did, size


def _files(*places: Path) -> Iterator[Path]:
    for place in places:
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.name.startswith("truth.db"):
                yield path


@contextmanager
def _logging_to(stream: io.TextIOBase) -> Generator[None]:
    """Log everything, as a server with debug logs does, and put things back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("tallybook")
    before = root.handlers[:], root.level, ours.level
    hooks = threading.excepthook, sys.unraisablehook
    log_to(stream, level="DEBUG", style="json")  # pyright: ignore[reportArgumentType] - a text stream, as open() gives it
    try:
        yield
        gc.collect()
    finally:
        root.handlers[:], level, own = before
        root.setLevel(level)
        ours.setLevel(own)
        threading.excepthook, sys.unraisablehook = hooks


def _flows(ground: Ground, url: str, home: Path, amount: int, answers: Path) -> int:
    clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(
        home / "truth.db", seed=5, clock=clock, faults=Faults.parse(FAULTS), report_columns="rich"
    )
    settings = Settings(database_url=SecretStr(url), home=home, _env_file=None)  # pyright: ignore[reportCallIssue] - pydantic-settings reads it
    engine = Engine.open(settings, clock=clock, processor=simulator)
    did = 0
    try:
        with run_server(make_app(engine)) as address, answers.open("wb") as kept:
            caller = _Caller(Client(address), kept)
            for number in range(amount):
                if not ground.may_go_on():
                    break
                caller.try_everything(number)
                did += 1
                ground.say(did, amount, "canaries")
            for _ in range(DAYS):
                clock.advance(days=1)
                caller.ask("POST", "/runs", {})
            caller.look_around()
        for log in home.glob("book.db-wal"):  # it is gone once the book is closed
            (home / "kept.db-wal").write_bytes(log.read_bytes())
        found = verify(engine.database, engine.secrets)
        answers.write_bytes(answers.read_bytes() + format_discrepancies(found).encode())
    finally:
        engine.close()
        simulator.log.close()
    return did


class _Caller:
    """Makes calls, good and bad, and keeps every answer to be searched."""

    def __init__(self, client: Client, kept: io.BufferedWriter) -> None:
        self._client, self._kept = client, kept

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        with suppress(OSError):
            answer = self._client.send(method, f"{API}{path}", body, **more)
            # The request's own id comes back as it was sent, to whoever sent it and nowhere else.
            told = {name: text for name, text in answer.headers.items() if name != "x-request-id"}
            self._kept.write(json.dumps(told).encode() + answer.body + b"\n")
            with suppress(ValueError):
                return json.loads(answer.body)
        return {}

    def try_everything(self, number: int) -> None:
        """Send one number everywhere that takes one, and where none belongs."""
        text = written(number)
        body = {"name": f"N{number}", "email": f"n{number}@example.org", "bank_accounts": [text]}
        made = self.ask("POST", "/customers", body, key=f"c{number}")
        self.ask("POST", "/customers", {**body, "email": f"o{number}@example.org"})
        ident = made.get("id", "x")
        self.ask("POST", f"/customers/{ident}/bank-accounts", {"number": f"{text}!"})
        self.ask("POST", f"/customers/{ident}/bank-accounts", {"number": text})
        advance = {
            "dst_bank_account": text,
            "amount": "6.00",
            "installments": 3,
            "interval_days": 2,
        }
        self.ask("POST", "/perform_advance", advance, key=f"a{number}")
        self.ask("POST", "/advances", {**advance, "amount": text})
        self.ask("POST", "/advances", {**advance, "dst_bank_account": f"{text}00"})
        if number % 10:
            return
        # Where no number belongs: names of fields, paths, queries, broken bodies, headers.
        self.ask("POST", "/customers", {**body, text: 1})
        self.ask("POST", "/customers", content=f'{{"name": "{text}"'.encode())
        self.ask("POST", "/customers", content=f'{{"{text}": NaN}}'.encode())
        self.ask("GET", f"/customers/{canary(number)}")
        self.ask("GET", f"/customers?customer={canary(number)}&starting_after={canary(number)}")
        self.ask("GET", f"/{canary(number)}")
        self.ask("PUT", f"/denominations/{canary(number)}", {"value": text})
        self.ask("GET", "/customers", headers={"X-Request-Id": canary(number)})
        self.ask("GET", "/customers", headers={"Authorization": f"Bearer {canary(number)}"})
        report = (
            "transaction_id,result,amount,account,direction\n"
            f"txn_x{number},success,6.00,{text},debit\n{text},maybe,{text}\n#end,{text}\n"
        )
        csv = {"Content-Type": "text/csv"}
        self.ask("POST", "/processor-reports", content=report.encode(), headers=csv)

    def look_around(self) -> None:
        """Read everything that can be read."""
        for path in (
            "/customers?limit=100",
            "/advances?limit=100",
            "/operator-items?limit=100",
            "/processor-reports",
            "/events?limit=100",
            "/report?days=30",
            "/report?days=30&format=csv",
            "/report?days=30&format=xlsx",
            "/ledger/accounts",
            "/runs",
        ):
            self.ask("GET", path)
