"""A load generator that costs little: raw HTTP/1.1 on kept connections, one request in flight each.

On a machine that the server shares, a friendly client library would take half of what is measured.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import uvloop

MakeRequest = Callable[[int], bytes]
"""Makes the n-th request, headers and body."""


@dataclass
class Load:
    """What a storm did. Units: seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list[float])
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    strange: list[bytes] = field(default_factory=list[bytes])
    """The first few answers that were not expected."""

    @property
    def rate(self) -> float:
        """Expected answers a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Tell the latency that a share of the answers did not exceed. Units: milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def request(method: str, path: str, body: bytes, key: str | None = None) -> bytes:
    """Write a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    if body:
        head += "Content-Type: application/json\r\n"
    if key is not None:
        head += f"Idempotency-Key: {key}\r\n"
    return head.encode() + b"\r\n" + body


def storm(
    url: str, make: MakeRequest, *, clients: int, seconds: float, expected: int = 201
) -> Load:
    """Send as fast as answers come, on so many connections, for so long."""
    address = urlsplit(url)

    async def run() -> Load:
        loop = asyncio.get_running_loop()
        load = Load(seconds)
        stop_at = time.perf_counter() + seconds
        shared = _Shared(make, load, stop_at, expected)
        connections = [
            await loop.create_connection(
                lambda: _Client(shared, loop.create_future()),
                address.hostname or "127.0.0.1",
                address.port or 80,
            )
            for _ in range(clients)
        ]
        await asyncio.gather(*(client.done for _, client in connections))
        load.seconds = seconds
        return load

    return uvloop.run(run())


@dataclass
class _Shared:
    make: MakeRequest
    load: Load
    stop_at: float
    expected: int
    sent: int = 0


class _Client(asyncio.Protocol):
    def __init__(self, shared: _Shared, done: asyncio.Future[None]) -> None:
        self.done = done
        self._shared = shared
        self._buffer = b""
        self._needed = -1
        self._status = 0
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        # uvloop's transports are asyncio's in all but their class.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the storm, unless it is over."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer; a whole one is timed and the next request sent."""
        self._buffer += data
        if self._needed < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._status = int(head[9:12])
            self._needed = end + 4 + length
        if len(self._buffer) >= self._needed:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        load = self._shared.load
        load.statuses[self._status] = load.statuses.get(self._status, 0) + 1
        if now > self._shared.stop_at:
            self.done.set_result(None)
            self._transport.close()
            return
        if self._status == self._shared.expected:
            load.latencies.append(now - self._sent_at)
        elif len(load.strange) < 3:
            load.strange.append(self._buffer)
        self._buffer, self._needed = b"", -1
        self._send()

    def _send(self) -> None:
        number = self._shared.sent
        self._shared.sent += 1
        message = self._shared.make(number)
        self._sent_at = time.perf_counter()
        self._transport.write(message)
