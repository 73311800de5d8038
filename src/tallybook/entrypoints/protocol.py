"""Uvicorn's protocol, with limits for a request's head and a short way out for whole answers."""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from functools import partial
from typing import cast

from pydantic_core import to_json
from starlette.types import Message, Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.logs import REQUEST_ID
from tallybook.kernel.refusal import Refusal, problem
from tallybook.wire.envelope import SECURITY_HEADERS, WRITE_WHOLE
from tallybook.wire.problems import PROBLEM_TYPE

HEAD_MAX = 65_536
"""How large a request's line and headers may be, and what comes after a body. Units: bytes."""
HEAD_SECONDS = 30.0
"""How long they may take, and a new connection until it asks for something."""
LINGER_SECONDS = 2.0
"""How long what a refused client still sends is read and thrown away: a connection that is closed
with something unread takes the answer with it."""
_log = logging.getLogger("tallybook.http")
_IDS = FreshIds()


class _HeadTooLargeError(Exception):
    """A head that came in one piece is too large; the parser breaks off."""


class WholeAnswers(HttpToolsProtocol):
    """Offers to write an answer's head and body together, and refuses as everything here does.

    Uvicorn writes them one after another and looks at each header by itself, with two patterns:
    a fifth of what a short call cost the event loop. And it keeps a head in memory, however large
    it is and however long it takes, before anybody has looked at a key.
    """

    _refusal = Refusal("request_malformed")
    _late: asyncio.TimerHandle | None = None
    _headed: Scope | None = None
    """The scope of the last request whose head is there; of another one it is under way."""
    _has_refused = False
    _unheard = 0
    """How much has come since something was passed on: a head, or a part of a body."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Give whoever connects some time to ask for something."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, self._end_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what belongs to the connection."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, unless it makes its head too large."""
        if self._has_refused:
            return
        self._unheard += len(data)
        super().data_received(data)
        if self._unheard > HEAD_MAX and not self._has_refused:
            self._refusal = Refusal("head_too_large", details={"limit": HEAD_MAX})
            self.send_400_response("")
        elif self._late is None and self.scope is not self._headed:
            self._late = self.loop.call_later(HEAD_SECONDS, self._end_waiting)

    def on_headers_complete(self) -> None:
        """Take a request whose headers are there; its task starts in the loop's next turn."""
        # Rarely so: most come with a body, or with others, and each is measured by itself then.
        if self._unheard > HEAD_MAX and self._size_of_head() > HEAD_MAX:
            self._refusal = Refusal("head_too_large", details={"limit": HEAD_MAX})
            raise _HeadTooLargeError
        self._unheard = 0
        if self._late is not None:
            self._wait_no_longer()
        super().on_headers_complete()
        scope = self._headed = cast("Scope", self.scope)
        scope["extensions"] = {WRITE_WHOLE: partial(_write, self.cycle)}

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, whose size is its reader's to bound."""
        self._unheard = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, with a problem; what was asked before it is answered first."""
        del msg
        waiting = self.cycle
        if waiting is not None and not waiting.response_complete:  # pyright: ignore[reportUnnecessaryComparison] - there is none before the first request
            if self.pipeline or not waiting.more_body:
                # Whoever sent both would take this for the answer to the first.
                waiting.keep_alive = False
                self.flow.pause_reading()
                return
            waiting.disconnected = True
            waiting.message_event.set()
        if self._has_refused or self.transport.is_closing():
            return
        copy_context().run(self._refuse)

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _wait_no_longer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_waiting(self) -> None:
        """Refuse a head that is not there in time, and close a connection that asks for nothing."""
        self._late = None
        waiting = self.cycle
        if waiting is not None and not waiting.response_complete:  # pyright: ignore[reportUnnecessaryComparison] - there is none before the first request
            # Nobody reads on while requests wait for their turn: that is no fault of the client's.
            self._late = self.loop.call_later(HEAD_SECONDS, self._end_waiting)
        elif self.scope is self._headed:
            self.transport.close()
        else:
            self._refusal = Refusal("head_too_slow")
            self.send_400_response("")

    def _refuse(self) -> None:
        request_id = _IDS.fresh()
        REQUEST_ID.set(request_id)
        refusal = self._refusal
        body = to_json(problem(refusal))
        headers = (
            (b"content-type", PROBLEM_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        )
        head = STATUS_LINE[refusal.kind.status] + b"".join(
            [b"%b: %b\r\n" % pair for pair in headers]
        )
        self.transport.write(b"".join((head, b"\r\n", body)))
        self.transport.write_eof()
        self._has_refused = True
        self._wait_no_longer()
        self._late = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        _log.info("request", extra={"refusal": refusal.code, "status": refusal.kind.status})

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: there is no other protocol here, and none to be installed."""


async def _write(cycle: RequestResponseCycle, start: Message, message: Message) -> bool:
    """Write an answer whole, as Uvicorn's own `send` would in two steps.

    Returns: False, with nothing done, for whatever is not plainly one answer of known length.
    """
    body: bytes = message.get("body", b"")
    headers: list[tuple[bytes, bytes]] = start["headers"]
    if message.get("more_body") or cycle.response_started or cycle.scope["method"] == "HEAD":
        return False
    if (b"content-length", b"%d" % len(body)) not in headers:
        return False
    head = STATUS_LINE[start["status"]] + b"".join([b"%b: %b\r\n" % pair for pair in headers])
    # A line break in a header would begin another one. Uvicorn refuses it, and says so.
    if not head.count(b"\r") == head.count(b"\n") == len(headers) + 1 or b"\0" in head:
        return False
    if b"\nconnection:" in head or b"\ntransfer-encoding:" in head:
        return False
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return True
    ending = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
    cycle.transport.write(b"".join((head, ending, body)))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
