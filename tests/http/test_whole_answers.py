"""Answers that the server writes in one piece are what they would be in two."""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.fresh import CountedIds
from tallybook.entrypoints import protocol
from tallybook.entrypoints.protocol import WholeAnswers
from tallybook.wire.envelope import Envelope

PROTOCOLS = (HttpToolsProtocol, WholeAnswers)


class Quiet(uvicorn.Server):
    """A server that leaves the test's signals alone."""

    def install_signal_handlers(self) -> None:
        """Install none."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    answers: dict[str, Callable[[], Response]] = {
        "/plain": lambda: PlainTextResponse("plain", headers={"Cache-Control": "max-age=1"}),
        "/empty": lambda: Response(status_code=204),
        "/parts": lambda: StreamingResponse(iter(["one", "two"]), media_type="text/csv"),
        "/split": lambda: PlainTextResponse("x", headers={"X-Odd": "a\r\nX-Evil: b"}),
        "/close": lambda: PlainTextResponse("bye", headers={"Connection": "close"}),
    }
    path: str = scope["path"]
    if path == "/slow":
        await asyncio.sleep(1)
        path = "/plain"
    if path == "/echo":
        await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)
        return
    await answers[path]()(scope, receive, send)


async def talk(
    kind: type[HttpToolsProtocol], work: Callable[[int], Awaitable[Sequence[bytes]]]
) -> Sequence[bytes]:
    """Serve the application above while some work talks to its port."""
    envelope = Envelope(
        app,
        clock=SystemClock(),
        ids=CountedIds(),
        observe=lambda *_: None,
        shortcut=lambda _: None,
        quiet=frozenset(),
    )
    config = uvicorn.Config(
        envelope, http=kind, ws="none", lifespan="off", log_config=None, server_header=False,
        date_header=False,
    )  # fmt: skip
    server = Quiet(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # what comes before the server is ready waits
    serving = asyncio.create_task(server.serve([listener]))
    try:
        return await asyncio.wait_for(work(listener.getsockname()[1]), 20)
    finally:
        server.should_exit = True
        await serving


async def exchange(port: int, sent: bytes) -> bytes:
    """Send everything, and read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    return re.sub(rb"x-request-id: \w+", b"x-request-id: -", answer)


def asking(path: str, *, method: str = "GET", headers: str = "", body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}{headers}\r\n{body}".encode()


LAST = "Connection: close\r\n"
CONVERSATIONS = {
    "one": asking("/plain", headers=LAST),
    "kept": asking("/plain") + asking("/plain", headers=LAST),
    "pipelined": asking("/plain") * 20 + asking("/empty") + asking("/plain", headers=LAST),
    "body": asking("/echo", method="POST", body="x" * 200_000) + asking("/plain", headers=LAST),
    "expected": asking("/echo", method="POST", headers=f"Expect: 100-continue\r\n{LAST}", body="y"),
    "head": asking("/plain", method="HEAD") + asking("/plain", headers=LAST),
    "parts": asking("/parts") + asking("/plain", headers=LAST),
    "old": b"GET /plain HTTP/1.0\r\nHost: x\r\n\r\n",
    "closing": asking("/close") + asking("/plain"),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_whole_answers_are_those_of_two_pieces(name: str) -> None:
    async def work(port: int) -> Sequence[bytes]:
        return [await exchange(port, CONVERSATIONS[name])]

    usual, whole = (asyncio.run(talk(kind, work)) for kind in PROTOCOLS)
    assert usual[0].startswith(b"HTTP/1.1 ")
    assert whole == usual


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "a control character": b"GET /plain HTTP/1.1\r\nHost: x\r\nX-Odd: a\x01b\r\n\r\n",
    "a method in small letters": b"get /plain HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "a chunk of no size": b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_http_is_refused_with_a_problem(name: str) -> None:
    async def work(port: int) -> Sequence[bytes]:
        return [await exchange(port, MALFORMED[name])]

    (answer,) = asyncio.run(talk(WholeAnswers, work))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: -" in head
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body)["code"] == "request_malformed"


TOO_LARGE = {
    "a long address": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": asking("/plain", headers="X: " + "a" * 70_000 + "\r\n"),
    "many headers": asking("/plain", headers="X: a\r\n" * 20_000),
    "a header without an end": b"GET /plain HTTP/1.1\r\nX: " + b"a" * 70_000,
    "another header after the body": (
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n0\r\nX: "
        + b"a" * 600_000
    ),
}


@pytest.mark.parametrize("step", [1_000, 1_000_000])
@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_head_has_a_size(name: str, step: int) -> None:
    """However it comes, in pieces or at once."""
    sent = TOO_LARGE[name]

    async def work(port: int) -> Sequence[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for place in range(0, len(sent), step):
            writer.write(sent[place : place + step])
            await asyncio.sleep(0)
        answer = await reader.read()
        writer.close()
        return [answer]

    (answer,) = asyncio.run(talk(WholeAnswers, work))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["code"] == "head_too_large"
    assert json.loads(body)["limit"] == 65_536


def test_a_head_below_that_size_is_served_however_it_comes() -> None:
    async def work(port: int) -> Sequence[bytes]:
        headers = f"X: {'a' * 60_000}\r\n{LAST}"
        body = "y" * 200_000
        return [
            await exchange(port, asking("/echo", method="POST", headers=headers, body=body)),
            await exchange(port, asking("/echo", method="POST", body=body) * 3 + asking("/close")),
        ]

    one, three = asyncio.run(talk(WholeAnswers, work))
    assert one.startswith(b"HTTP/1.1 200 ")
    assert one.endswith(b"y" * 200_000)
    assert three.count(b"HTTP/1.1 200 ") == 4


def test_a_head_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)

    async def begin(port: int, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        return answer

    async def work(port: int) -> Sequence[bytes]:
        begun = (b"", b"GET /plain HTTP/1.1\r\nX", asking("/plain") + b"GET /pl", b"\r\n\r\n")
        slow = asking("/slow") + b"GET /pl"
        return await asyncio.gather(*(begin(port, sent) for sent in (*begun, slow)))

    idle, alone, after, empty, slow = asyncio.run(talk(WholeAnswers, work))
    assert idle == empty == b"", "nobody asked for anything"
    assert alone.startswith(b"HTTP/1.1 408 ")
    assert b"head_too_slow" in alone
    assert after.startswith(b"HTTP/1.1 200 ")
    assert after.count(b"HTTP/1.1 408 ") == 1
    # What is being answered is answered to its end first, however long that takes.
    assert slow.startswith(b"HTTP/1.1 200 ")
    assert slow.count(b"HTTP/1.1 408 ") == 1


def test_what_came_before_it_is_answered_first() -> None:
    """Else the first request, which may be in the book, would seem to be refused."""

    async def work(port: int) -> Sequence[bytes]:
        both = asking("/echo", method="POST", body="first") + b"hello\r\n\r\n"
        three = asking("/plain") + both
        return [await exchange(port, both), await exchange(port, three)]

    answer, answers = asyncio.run(talk(WholeAnswers, work))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"first")
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert b" 400 " not in answer + answers


def test_other_protocols_are_not_advertised(caplog: pytest.LogCaptureFixture) -> None:
    asked = asking("/plain", headers=f"Upgrade: websocket\r\nConnection: upgrade\r\n{LAST}")

    async def work(port: int) -> Sequence[bytes]:
        return [await exchange(port, asked)]

    (answer,) = asyncio.run(talk(WholeAnswers, work))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "install" not in caplog.text


def test_a_header_never_begins_another_one() -> None:
    async def work(port: int) -> Sequence[bytes]:
        return [await exchange(port, asking("/split", headers=LAST))]

    # Uvicorn notices once it has begun: nothing goes out, and the connection is closed.
    assert asyncio.run(talk(WholeAnswers, work)) == [b""]
