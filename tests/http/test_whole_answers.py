"""Answers that the server writes in one piece are what they would be in two."""

import asyncio
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
    if path == "/echo":
        await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)
        return
    await answers[path]()(scope, receive, send)


async def talk(
    protocol: type[HttpToolsProtocol], work: Callable[[int], Awaitable[Sequence[bytes]]]
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
        envelope, http=protocol, ws="none", lifespan="off", log_config=None, server_header=False,
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

    usual, whole = (asyncio.run(talk(protocol, work)) for protocol in PROTOCOLS)
    assert usual[0].startswith(b"HTTP/1.1 ")
    assert whole == usual


def test_a_header_never_begins_another_one() -> None:
    async def work(port: int) -> Sequence[bytes]:
        return [await exchange(port, asking("/split", headers=LAST))]

    # Uvicorn notices once it has begun: nothing goes out, and the connection is closed.
    assert asyncio.run(talk(WholeAnswers, work)) == [b""]
