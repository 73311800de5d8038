"""A real server for the tests: uvicorn in a thread, on a free port, with a real book behind it."""

import http.client
import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.db.engine import Database, open_database
from tallybook.entrypoints.api import make_app
from tallybook.ledger.store import LedgerJournal
from tallybook.loans.model import LoanTerms, PaymentPolicy
from tallybook.loans.tasks.gateway import MockGateway
from tallybook.writer.door import Door

START_SECONDS = 10


@dataclass
class Settings:
    """As many settings as the routes look at."""

    project_name: str = "Tallybook"
    version: str = "0"
    api_v1_prefix: str = "/api/v1"
    currency: str = "USD"
    cash_rounding: str = "none"
    timezone: str = "UTC"
    docs_page: bool = True
    rate_limit: float = 0
    body_limit: int = 65_536


@dataclass
class Parts:
    """An engine's parts, without the rail and the businesses."""

    database: Database
    door: Door
    clock: ManualClock
    ids: FreshIds
    secrets: Secrets
    settings: Settings = field(default_factory=Settings)
    processor: Any = None
    loan_terms: LoanTerms = field(
        default_factory=lambda: LoanTerms(PaymentPolicy.EXACT, delinquent_after=2)
    )
    gateway: MockGateway = field(default_factory=MockGateway)

    @classmethod
    def open(cls, url: str, home: Path) -> Self:
        database = open_database(url)
        clock, ids = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC)), FreshIds()
        door = Door(database.open_writer, LedgerJournal(), clock, ids)
        secrets = Secrets.load_or_create(home / "keys" / "master.key")
        return cls(database, door, clock, ids, secrets)

    def close(self) -> None:
        self.door.close()
        self.database.close()


@dataclass
class Answer:
    """What came back: status, headers by lower-cased name, and the very bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a refusal, having seen that it is one in every respect."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        problem = self.json()
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:tallybook:refusal:{problem['code']}"
        return problem["code"]


class Client:
    """Speaks HTTP to a server, one connection a request, and gives back what came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = urlsplit(url)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> Answer:
        """Send `body` as JSON, or `content` as it stands."""
        sent = dict(headers or {})
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        if key is not None:
            sent["Idempotency-Key"] = key
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=30
        )
        try:
            connection.request(
                method, path, content, sent, encode_chunked=isinstance(content, Iterator)
            )
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Answer:
        return self.send("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.send("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.send("PUT", path, body, **more)


@dataclass
class Served(Client):
    """A client of a server whose parts a test may look at and break."""

    app: FastAPI
    parts: Parts

    def __init__(self, url: str, app: FastAPI, parts: Parts) -> None:
        super().__init__(url)
        self.app = app
        self.parts = parts


@contextmanager
def run_server(app: FastAPI) -> Generator[str]:
    """Serve an application until the test is over; gives its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws="none", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="test-server", daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), START_SECONDS)
    assert server.started, "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)


@contextmanager
def serve_book(
    url: str,
    home: Path,
    prepare: Callable[[FastAPI], None] | None = None,
    *,
    before: Callable[[Parts], None] | None = None,
) -> Generator[Served]:
    """Serve a migrated book; `prepare` may add routes of the test's own, `before` set things."""
    parts = Parts.open(url, home)
    try:
        if before is not None:
            before(parts)
        app = make_app(parts)
        if prepare is not None:
            prepare(app)
        with run_server(app) as address:
            yield Served(address, app, parts)
    finally:
        parts.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something that happens in another thread."""
    waited = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError(f"it did not come about in {seconds} s")


def threads_left() -> list[str]:
    """List our threads that live. Those that read belong to the process, whatever was closed."""
    names = [thread.name for thread in threading.enumerate() if "tallybook" in thread.name]
    return [name for name in names if not name.startswith("tallybook-read")]
