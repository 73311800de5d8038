"""Peers for the Processor's client, good and bad, on real sockets."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from tallybook.processor.client import ClientSettings, HttpProcessor
from tallybook.processor.port import Direction, TransferOrder

ACCOUNT = "DE89370400440532013000"
ORDER = TransferOrder("HOUSE-0001", ACCOUNT, "12.50", Direction.DEBIT, "ref-1")
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def order(number: int) -> TransferOrder:
    return TransferOrder("HOUSE-0001", f"DE{number:018d}", "12.50", Direction.DEBIT, "")


async def perform(
    url: str,
    *,
    what: TransferOrder = ORDER,
    may_send: Callable[[], bool] = lambda: True,
    timeout_seconds: float = 5,
    settings: ClientSettings | None = None,
) -> str:
    client = HttpProcessor(url, timeout_seconds=timeout_seconds, settings=settings)
    try:
        return await client.perform_transaction(what, may_send=may_send)
    finally:
        await client.aclose()


async def download(url: str, **settings: Any) -> bytes:
    client = HttpProcessor(url, settings=ClientSettings(**settings))
    try:
        return await client.download_report()
    finally:
        await client.aclose()


# Peers, good and bad.


class Seen:
    """What a peer saw of its clients."""

    def __init__(self) -> None:
        self.connections = 0
        self.received: list[bytes] = []


@asynccontextmanager
async def peer(answer: Peer) -> AsyncGenerator[tuple[str, Seen]]:
    """Run a server by hand; it reads a request's head and body, then does what it is told."""
    seen = Seen()
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # pyright: ignore[reportArgumentType] - it runs in one
        seen.connections += 1
        seen.received.append(b"")
        try:
            request = b""
            # What begins with a 22 is a TLS hello, which gets the same plain answer.
            while not (b"\r\n\r\n" in request or request[:1] == b"\x16") and (
                piece := await reader.read(65_536)
            ):
                request += piece
                seen.received[-1] = request
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n")
                 if line.lower().startswith(b"content-length:")), 0
            )  # fmt: skip
            if len(body) < length:
                seen.received[-1] += await reader.readexactly(length - len(body))
            if request:
                await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}", seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(raw: bytes) -> Peer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def reply(body: bytes, status: str = "201 Created", more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + more + b"\r\n" + body


GOOD = reply(b'{"transaction_id": "txn_1"}')


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def closes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def drips(raw: bytes, pause: float) -> Peer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in raw:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def never_ends(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def never_ends_its_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nX: ")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


@contextmanager
def closed_port() -> Generator[str]:
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
