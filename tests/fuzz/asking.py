"""Asks the application in this process, in ASGI's words, with whatever bytes one likes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it goes out."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),)

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.method} {self.path}{query} {self.body[:600]!r} {list(self.headers)}"


@dataclass(slots=True)
class Answered:
    """What came back."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """Tell what kind of body it is."""
        return self.headers.get("content-type", "").partition(";")[0]


async def ask(app: Any, asked: Asked) -> Answered:
    """Make a request. Raises: TimeoutError where no answer comes."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "query_string": asked.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"content-length", str(len(asked.body)).encode()),
            *asked.headers,
        ],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "state": {},
    }
    answered, is_sent, parts = Answered(), asyncio.Event(), [asked.body]

    async def receive() -> dict[str, Any]:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        await is_sent.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = {
                name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]
            }
            return
        answered.body += message.get("body", b"")
        if not message.get("more_body"):
            is_sent.set()

    async with asyncio.timeout(PATIENCE_SECONDS):
        await app(scope, receive, send)
    return answered
