"""The library: `tallybook.open(url)` gives the API's calls in Python, without a server.

Each method makes the same call that a client would make over HTTP, in this process and without a
socket: the same reading of what is asked, the same refusals, the same answers.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from urllib.parse import quote, urlencode

from tallybook.ambient.clock import Clock
from tallybook.ambient.settings import load_settings
from tallybook.collection.tasks.run import run_day
from tallybook.entrypoints.api import make_app
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.loan_calls import Amount, LoanCalls, Record
from tallybook.entrypoints.loops import new_loop
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.kernel.refusal import REFUSALS, Refusal, Refused
from tallybook.processor.port import Processor
from tallybook.reports.verify import Discrepancy, verify

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Message

T = TypeVar("T")
PAGE = 100
_NOT_DETAILS = {"type", "title", "status", "code", "detail", "retry", "param"}


def open_book(
    url: str | Path | None = None,
    *,
    clock: Clock | None = None,
    processor: Processor | None = None,
    **settings: object,
) -> Tallybook:
    """Open a book: a database URL or the path of an SQLite file, and any settings by their names.

    What is not given comes from the environment and `.env`, as for the command line. An empty or
    older database is brought up to date first. A `ManualClock` plays weeks in moments, and a
    Processor may be one of your own.

    Raises: SettingsError, and the database's own errors where it can't be reached.
    """
    loaded = load_settings(database_url=url, **settings)
    return Tallybook(Engine.open(loaded, clock=clock, processor=processor))


class Tallybook(LoanCalls):
    """One open book. Use it in a `with` block, or close it.

    Calls may come from any thread; they run on an event loop of the book's own. Where a call says
    no, it raises Refused, and `.refusal.code` says why.
    """

    def __init__(self, engine: Engine) -> None:
        """Take over a running engine; closing the book closes it."""
        self.engine = engine
        self._app = make_app(engine, is_guarded=False)
        self._prefix = engine.settings.api_v1_prefix
        self._lock = threading.Lock()
        self._is_closing = False
        self._under_way: set[Future[Any]] = set()
        self._loop = new_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="tallybook-library", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Let calls of other threads end, then let go of everything. Twice is once.

        A daily run ends between two items, refused as `shutting_down`; the next one goes on.
        """
        with self._lock:
            if self._is_closing:
                return
            self._is_closing = True
            under_way = list(self._under_way)
        self.engine.stop()
        wait(under_way)
        asyncio.run_coroutine_threadsafe(self.engine.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- customers

    def create_customer(
        self,
        name: str,
        email: str,
        *,
        bank_accounts: Sequence[str] = (),
        credit_limit: Amount | None = None,
        idempotency_key: str | None = None,
    ) -> Record:
        """Create a customer, with any number of bank accounts."""
        body = _given(
            name=name, email=email, bank_accounts=bank_accounts, credit_limit=credit_limit
        )
        return self.call("POST", "/customers", body, idempotency_key=idempotency_key)

    def add_bank_account(
        self, customer_id: str, number: str, *, idempotency_key: str | None = None
    ) -> Record:
        """Add a bank account to a customer."""
        path = f"/customers/{quote(customer_id, safe='')}/bank-accounts"
        return self.call("POST", path, {"number": number}, idempotency_key=idempotency_key)

    def get_customer(self, customer_id: str) -> Record:
        """Read one customer."""
        return self.call("GET", f"/customers/{quote(customer_id, safe='')}")

    def list_customers(self, **filters: object) -> Iterator[Record]:
        """List customers, the newest first, page after page as they are asked for."""
        return self.list("/customers", **filters)

    def get_balance(self, customer_id: str) -> Record:
        """Read what a customer owes, what is in flight, and what credit they hold."""
        return self.call("GET", f"/customers/{quote(customer_id, safe='')}/balance")

    def list_history(self, customer_id: str) -> Iterator[Record]:
        """List a customer's movements, the newest first, each with its ledger entry."""
        return self.list(f"/customers/{quote(customer_id, safe='')}/history")

    # -- advances

    def perform_advance(
        self,
        dst_bank_account: str,
        amount: Amount,
        **options: Any,  # noqa: ANN401 - see create_advance
    ) -> str | None:
        """Pay an advance out, and give the Processor's transaction id. Source: A1.

        None means that nobody knows yet whether it was paid out: a report or a person will tell.
        Asking again would be another advance, unless it is asked with the same `idempotency_key`.
        `create_advance` takes the same options and gives the advance's own id as well.
        """
        transaction_id: str | None = self.create_advance(dst_bank_account, amount, **options)[
            "transaction_id"
        ]
        return transaction_id

    def create_advance(
        self,
        dst_bank_account: str,
        amount: Amount,
        *,
        currency: str | None = None,
        installments: int | None = None,
        interval_days: int | None = None,
        fee: Amount | None = None,
        effective_on: date | str | None = None,
        idempotency_key: str | None = None,
    ) -> Record:
        """Pay an advance out, and give the advance with its plan."""
        body = _given(
            dst_bank_account=dst_bank_account,
            amount=amount,
            currency=currency,
            installments=installments,
            interval_days=interval_days,
            fee=fee,
            effective_on=effective_on,
        )
        return self.call("POST", "/advances", body, idempotency_key=idempotency_key)

    def get_advance(self, advance_id: str) -> Record:
        """Read one advance, with its plan and every attempt."""
        return self.call("GET", f"/advances/{quote(advance_id, safe='')}")

    def list_advances(self, **filters: object) -> Iterator[Record]:
        """List advances, the newest first: `customer_id=...`, `status=...`."""
        return self.list("/advances", **filters)

    def download_report(
        self,
        days: int = 5,
        *,
        format: Literal["json", "csv", "xlsx"] = "json",  # noqa: A002 - the call's own name for it
        as_of: date | str | None = None,
    ) -> Any:  # noqa: ANN401 - rows, or the bytes of a file
        """Give every transfer submitted or resolved in the last days: rows, or a file's bytes."""
        return self.call("GET", "/report", query={"days": days, "format": format, "as_of": as_of})

    def run_day(self, day: date | None = None, *, progress: Progress = NO_PROGRESS) -> Record:
        """Run a business date, after the dates that were missed before it. Source: A6, T3.

        Raises: Refused, as `shutting_down` where the book is closed meanwhile; Stopped.
        """
        return self._wait(run_day(self.engine, day, progress=progress)).view

    def verify(self) -> list[Discrepancy]:
        """Check the whole book from raw rows; gives what does not agree."""
        return verify(self.engine.database, self.engine.secrets)

    # -- any call

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | Sequence[object] | None = None,
        *,
        query: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:  # noqa: ANN401 - an answer's JSON, or the bytes of a file
        """Make any call of the API, such as `call("GET", "/ledger/trial-balance")`.

        Raises: Refused; TypeError where something can't be sent, such as a float.
        """
        answer = self._wait(
            _ask(
                self._app,
                method,
                f"{self._prefix}{path}",
                _query(query or {}),
                b"" if body is None else json.dumps(_sendable(body)).encode(),
                idempotency_key,
            )
        )
        return answer.read()

    def list(self, path: str, **query: object) -> Iterator[Record]:
        """List anything that comes in pages, one page at a time as it is asked for."""
        # Events are read on from a number, the oldest first; all else from an id.
        cursor, ident = ("after", "seq") if path == "/events" else ("starting_after", "id")
        last: dict[str, object] = {}
        while True:
            page = self.call("GET", path, query={"limit": PAGE, **query, **last})
            yield from page["data"]
            if not page["has_more"]:
                return
            last = {cursor: page["data"][-1][ident]}

    def _wait(self, asked: Coroutine[Any, Any, T]) -> T:
        """Run something on the book's loop. Who is interrupted meanwhile cancels nothing."""
        with self._lock:
            if self._is_closing:
                asked.close()
                raise Refused(Refusal("shutting_down"))
            future = asyncio.run_coroutine_threadsafe(asked, self._loop)
            self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future.result()


class _Answer:
    """What a call answered."""

    def __init__(self) -> None:
        self.status = 0
        self.type = ""
        self.body = bytearray()

    def read(self) -> Any:  # noqa: ANN401 - see `call`
        """Give the answer's content. Raises: Refused."""
        if self.status >= 400:
            raise Refused(_refusal(json.loads(self.body)))
        if self.status == 204:
            return None
        is_json = self.type.partition(";")[0] == "application/json"
        return json.loads(self.body) if is_json else bytes(self.body)


async def _ask(
    app: Callable[..., Coroutine[Any, Any, None]],
    method: str,
    path: str,
    query: str,
    body: bytes,
    key: str | None,
) -> _Answer:
    """Ask the application as a server would, in ASGI's words."""
    headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
    if body:
        headers.append((b"content-type", b"application/json"))
    if key is not None:
        headers.append((b"idempotency-key", key.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": ("localhost", 80),
        "state": {},
    }
    answer = _Answer()
    is_sent = asyncio.Event()
    parts = [body]

    async def receive() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        await is_sent.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.type = dict(message.get("headers", ())).get(b"content-type", b"").decode()
            return
        answer.body += message.get("body", b"")
        if not message.get("more_body"):
            is_sent.set()

    await app(scope, receive, send)
    return answer


def _refusal(problem: Record) -> Refusal:
    """Read a refusal back from its form on the wire."""
    code = problem.get("code", "internal_error")
    details = {name: value for name, value in problem.items() if name not in _NOT_DETAILS}
    known = code if code in REFUSALS else "internal_error"
    return Refusal(known, param=problem.get("param"), details=details)


def _query(values: Mapping[str, object]) -> str:
    return urlencode({name: str(value) for name, value in values.items() if value is not None})


def _given(**fields: object) -> Record:
    """Leave out what was not given."""
    return {name: value for name, value in fields.items() if value is not None}


def _sendable(value: object) -> Any:  # noqa: ANN401 - JSON
    """Give a value the form that JSON has for it."""
    if isinstance(value, Mapping):
        return {str(name): _sendable(field) for name, field in value.items()}
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_sendable(item) for item in value]
    hint = ": give amounts as str, int or Decimal" if isinstance(value, float) else ""
    raise TypeError(f"{type(value).__name__} can't be sent{hint}")
