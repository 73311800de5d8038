"""Every refusal that the wire, the customers and the ledger can give is reached once."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tallybook.kernel.refusal import REFUSALS, Refusal, Refused
from tallybook.wire import body as wire_body
from tallybook.wire import calls as wire_calls
from tallybook.wire.calls import Call
from tallybook.wire.context import InContext
from tallybook.wire.routes import Router
from tallybook.writer import door as writer_door
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View
from tests.serving import Answer, Served, serve_book

ASHA = {"name": "Asha", "email": "asha@example.org"}
NOBODY = "/api/v1/customers/cus_" + "0" * 32


class BegunOperation:
    """Begins something under a key that nobody ever completes."""

    name = "test.begin"

    def needs(self, command: object, seen: View) -> Needs:
        del command, seen
        return Needs()

    def decide(self, view: View, command: object, moment: Moment, ids: object) -> Decision:
        del view, command, moment, ids
        return Decision(events=(Event("test.thing.begun", "0" * 32, {}),))


class RepliedOperation(BegunOperation):
    """Answers without having changed anything."""

    name = "test.reply"

    def decide(self, view: View, command: object, moment: Moment, ids: object) -> Decision:
        del view, command, moment, ids
        return Decision(reply=Reply(200, {}))


def add_routes(app: FastAPI) -> None:
    """Add routes that break, for what no route of ours does."""
    router = Router()

    @router.post("/test/begin")
    async def begin(call: Call) -> Response:
        return await call.ask(BegunOperation(), ("begun",))

    @router.post("/test/reply")
    async def reply(call: Call) -> Response:
        return await call.ask(RepliedOperation(), ("replied",))

    @router.post("/test/break")
    async def break_write(call: Call) -> Response:
        raise RuntimeError("account 1234567890")

    @router.get("/test/break")
    def break_read(context: InContext) -> None:
        raise RuntimeError("account 1234567890")

    @router.get("/test/malformed")
    def malformed() -> None:
        raise HTTPException(400, "account 1234567890")

    @router.get("/test/database")
    def break_database(context: InContext) -> None:
        context.database.engine.pool._timeout = 0.01  # pyright: ignore[reportAttributeAccessIssue] - a pool that is quickly out of patience
        lent = [context.database.engine.connect() for _ in range(100)]
        assert not lent, "the pool should have been empty by now"

    app.router.routes.extend(router.routes())


@pytest.fixture
def broken(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """A server with routes that break, little patience, and one customer."""
    monkeypatch.setattr(wire_body, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(wire_calls, "COMPLETION_SECONDS", 0.2)
    with serve_book(sqlite_book_url, tmp_path, add_routes) as served:
        made = served.post("/api/v1/customers", {**ASHA, "bank_accounts": ["12345678"]}, key="k")
        assert made.status == 201
        yield served


def drip() -> Iterator[bytes]:
    """Send a body that never ends, a byte now and then."""
    for _ in range(100):
        yield b" "
        time.sleep(0.05)


def ask_twice(served: Served) -> Answer:
    assert served.post("/test/begin", key="begun").status == 202
    return served.post("/test/begin", key="begun")


def ask_closed(served: Served) -> Answer:
    served.parts.door.close()
    return served.post("/test/reply")


def post(body: object, **more: object) -> Callable[[Served], Answer]:
    return lambda served: served.post("/api/v1/customers", body, **more)


def get(path: str) -> Callable[[Served], Answer]:
    return lambda served: served.get(path)


OWNED: dict[str, Callable[[Served], Answer]] = {
    "not_found": get("/nothing"),
    "method_not_allowed": lambda served: served.send("DELETE", "/api/v1/customers"),
    "request_malformed": get("/test/malformed"),
    "content_type_unsupported": post(ASHA, headers={"Content-Type": "text/plain"}),
    "body_too_large": post(None, content=b" " * 100_000),
    "body_too_slow": lambda served: served.post("/api/v1/customers", content=drip()),
    "body_malformed": post(None, content=b"{"),
    "field_invalid": post({**ASHA, "is_admin": True}),
    "key_invalid": post(ASHA, key=""),
    "key_reused_with_other_input": post(ASHA, key="k"),
    "id_invalid": get("/api/v1/customers/7"),
    "busy": get("/test/database"),
    "outcome_unknown": ask_twice,
    "shutting_down": ask_closed,
    "internal_error": lambda served: served.post("/test/break"),
    "amount_invalid": post({**ASHA, "credit_limit": "0.001"}),
    "date_invalid": get("/api/v1/ledger/accounts?as_of=yesterday"),
    "name_invalid": post({**ASHA, "name": " "}),
    "email_invalid": post({**ASHA, "email": "asha"}),
    "bank_account_invalid": post({**ASHA, "email": "b@c.d", "bank_accounts": ["1234567!"]}),
    "customer_not_found": get(NOBODY),
    "email_taken": post(ASHA),
    "bank_account_taken": post({**ASHA, "email": "b@c.d", "bank_accounts": ["12345678"]}),
    "account_not_found": get("/api/v1/ledger/accounts/1/statement"),
}


@pytest.mark.parametrize("code", OWNED)
def test_a_refusal_is_reached(broken: Served, code: str) -> None:
    refused = OWNED[code](broken)

    assert refused.code == code
    assert refused.status == REFUSALS[code].status
    problem = refused.json()
    assert problem["detail"].endswith(".")
    assert "(" not in problem["detail"] or code == "content_type_unsupported", "a blank is left"
    assert problem["retry"] is REFUSALS[code].retry
    assert b"1234567" not in refused.body
    assert ("retry-after" in refused.headers) == (refused.status == 503)
    assert refused.headers["x-request-id"]
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{NOBODY}/bank-accounts"),
        ("PUT", NOBODY),
        ("GET", NOBODY),
        ("GET", f"{NOBODY}/balance"),
        ("GET", f"{NOBODY}/history"),
    ],
)
def test_every_call_on_a_customer_knows_when_there_is_none(
    served_on_sqlite: Served, method: str, path: str
) -> None:
    body = {"number": "12345678"} if method == "POST" else {} if method == "PUT" else None
    refused = served_on_sqlite.send(method, path, body)
    assert (refused.status, refused.code) == (404, "customer_not_found")


def test_a_broken_read_says_no_more_than_its_request_id(broken: Served) -> None:
    refused = broken.get("/test/break", headers={"X-Request-Id": "my-own-id"})
    assert (refused.status, refused.code) == (500, "internal_error")
    assert refused.json()["request_id"] == refused.headers["x-request-id"] == "my-own-id"
    assert b"account" not in refused.body


def test_a_request_id_that_could_be_anything_is_not_taken(broken: Served) -> None:
    for given in ("a b", "x" * 65, '"}', "\u00e9"):
        answer = broken.get("/healthz", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] != given


def test_a_refusal_of_the_door_is_one_of_the_wire(
    broken: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_door, "QUEUE_MAX", 0)
    refused = broken.post("/test/reply")
    assert (refused.status, refused.code) == (503, "busy")


def test_a_refusal_without_a_code_of_ours_is_a_bug() -> None:
    with pytest.raises(KeyError):
        _ = Refused(Refusal("no_such_code")).refusal.kind
