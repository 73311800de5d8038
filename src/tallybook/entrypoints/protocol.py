"""Uvicorn's protocol, with a short way out for an answer that is whole already."""

from __future__ import annotations

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

_log = logging.getLogger("tallybook.http")
_IDS = FreshIds()


class WholeAnswers(HttpToolsProtocol):
    """Offers to write an answer's head and body together, and refuses as everything here does.

    Uvicorn writes them one after another and looks at each header by itself, with two patterns:
    a fifth of what a short call cost the event loop.
    """

    def on_headers_complete(self) -> None:
        """Take a request whose headers are there; its task starts in the loop's next turn."""
        super().on_headers_complete()
        scope = cast("Scope", self.scope)
        scope["extensions"] = {WRITE_WHOLE: partial(_write, self.cycle)}

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
        if self.transport.is_closing():
            return
        copy_context().run(self._refuse)

    def _refuse(self) -> None:
        request_id = _IDS.fresh()
        REQUEST_ID.set(request_id)
        refusal = Refusal("request_malformed")
        body = to_json(problem(refusal))
        headers = (
            (b"content-type", PROBLEM_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        )
        head = STATUS_LINE[400] + b"".join([b"%b: %b\r\n" % pair for pair in headers])
        self.transport.write(b"".join((head, b"\r\n", body)))
        self.transport.close()
        _log.info("request", extra={"refusal": refusal.code, "status": 400})

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
