"""The last resort: what happens when an application breaks, before and after it began to answer."""

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import CountedIds
from tallybook.wire.envelope import SECURITY_HEADERS, WRITE_WHOLE, Envelope


class Seen:
    """Remembers what the envelope tells of."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.observed: list[tuple[str, str, int]] = []

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.observed.append((route, method, status))

    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}


class Whole:
    """A server's extension that takes answers whole, or does not."""

    def __init__(self, *, takes: bool) -> None:
        self.offered: list[tuple[Any, Any]] = []
        self._takes = takes

    async def __call__(self, start: Any, body: Any) -> bool:
        self.offered.append((start, body))
        return self._takes


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def shortcut(scope: Scope) -> Any:
    if scope["path"] != "/fast":
        return None
    scope["route"] = SimpleNamespace(path="/fast")
    return answer


def run(app: Any, seen: Seen, **scope: Any) -> None:
    envelope = Envelope(
        app,
        clock=SystemClock(),
        ids=CountedIds(),
        observe=seen.observe,
        shortcut=shortcut,
        quiet=frozenset({"/quiet"}),
    )
    base = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b""}
    asyncio.run(envelope({**base, **scope}, receive, seen.send))


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("fine", headers={"Cache-Control": "max-age=60"})(scope, receive, send)


async def break_first(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("number 1234567890")


async def break_later(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("number 1234567890")


async def hang_up(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


def test_an_answer_keeps_its_own_headers_and_gets_the_rest() -> None:
    seen = Seen()
    run(answer, seen)
    headers = seen.headers()
    assert headers["cache-control"] == "max-age=60"
    assert {name.decode() for name, _ in SECURITY_HEADERS} <= headers.keys()
    assert headers["x-request-id"] == CountedIds().fresh()
    assert seen.observed == [("(none)", "GET", 200)]


def test_what_breaks_before_it_answers_is_a_problem(caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen()
    with caplog.at_level(logging.INFO, logger="tallybook.http"):
        run(break_first, seen)
    assert seen.sent[0]["status"] == 500
    problem = json.loads(seen.sent[1]["body"])
    assert problem["code"] == "internal_error"
    assert problem["request_id"] == seen.headers()["x-request-id"]
    assert seen.observed == [("(none)", "GET", 500)]
    assert [record.__dict__.get("refusal") for record in caplog.records] == [
        None,
        "internal_error",
    ]


def test_what_breaks_in_the_middle_of_an_answer_is_not_glossed_over() -> None:
    seen = Seen()
    with pytest.raises(RuntimeError):
        run(break_later, seen)
    assert len(seen.sent) == 1
    assert seen.observed == [("(none)", "GET", 200)]


def test_what_breaks_before_anything_of_it_went_out_is_a_problem() -> None:
    seen, whole = Seen(), Whole(takes=False)
    run(break_later, seen, extensions={WRITE_WHOLE: whole})
    assert [message.get("status") for message in seen.sent] == [500, None]


@pytest.mark.parametrize("takes", [True, False])
def test_a_server_may_take_an_answer_whole(*, takes: bool) -> None:
    seen, whole = Seen(), Whole(takes=takes)
    run(answer, seen, extensions={WRITE_WHOLE: whole})
    ((start, body),) = whole.offered
    assert (start["status"], body["body"]) == (200, b"fine")
    assert (b"x-request-id", CountedIds().fresh().encode()) in start["headers"]
    assert seen.sent == ([] if takes else [start, body])
    assert seen.observed == [("(none)", "GET", 200)]


def test_a_client_that_hung_up_is_counted_and_not_answered() -> None:
    seen = Seen()
    run(hang_up, seen)
    assert (seen.sent, seen.observed) == ([], [("(none)", "GET", 499)])


@pytest.mark.parametrize(
    ("method", "code"), [("POST", "outcome_unknown"), ("GET", "shutting_down")]
)
@pytest.mark.parametrize("begins", [False, True])
def test_a_server_that_waits_no_longer_says_so(*, method: str, code: str, begins: bool) -> None:
    """Uvicorn would say "Internal Server Error" of a write that is stored afterwards."""
    seen, whole = Seen(), Whole(takes=False)

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(wait, seen, method=method, extensions={WRITE_WHOLE: whole})
    assert json.loads(seen.sent[1]["body"])["code"] == code
    assert seen.observed == [("(none)", method, 503)]


def test_half_an_answer_is_left_at_that_when_the_server_waits_no_longer() -> None:
    seen = Seen()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(wait, seen)
    assert len(seen.sent) == 1


def test_what_has_a_shortcut_takes_it() -> None:
    seen = Seen()
    run(break_first, seen, method="POST", path="/fast")
    assert seen.observed == [("/fast", "POST", 200)]


def test_methods_nobody_knows_are_counted_as_one() -> None:
    seen = Seen()
    run(answer, seen, method="BREW")
    assert seen.observed == [("(none)", "OTHER", 200)]


def test_what_is_not_a_request_passes_through() -> None:
    seen, passed = Seen(), list[str]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    run(app, seen, type="lifespan")
    assert (passed, seen.observed) == (["lifespan"], [])
