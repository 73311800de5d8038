"""The envelope of every request: its id, its headers, its line in the log, its last resort."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallybook.ambient.clock import Clock
from tallybook.ambient.logs import REQUEST_ID
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.wire.guard import KEY_IN_SCOPE
from tallybook.wire.problems import REFUSAL_IN_SCOPE, answer_problem

_log = logging.getLogger("tallybook.http")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}\Z")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_ROUTE = "(none)"
_ID = re.compile(r"(?:[a-z]{2,5}_[0-9a-f]{32}|[0-9]{1,6})\Z", re.ASCII)

COMMAND_IN_SCOPE = "tallybook.command"
"""Where a request's scope says which command it became."""

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
"""Sent with every answer that does not set its own."""
_SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)

Observe = Callable[[str, str, int, float], None]
"""Told of each request: route template, method, status, seconds."""

Shortcut = Callable[[Scope], ASGIApp | None]
"""Finds what serves a request without the rest of the application; it fills in the scope."""

Admit = Callable[[Scope], Awaitable[ASGIApp | None]]
"""Asked of each request once its route is known: None lets it in, else this answers it."""


WRITE_WHOLE = "tallybook.write_whole"
"""The name of a server's extension that writes a short answer in one piece."""
WriteWhole = Callable[[Message, Message], Awaitable[bool]]
"""Given both messages of an answer; tells whether it took them, or they are to be sent as ever."""
_NONE: Mapping[str, Any] = {}

_TOLD = (
    ("command", COMMAND_IN_SCOPE),
    ("refusal", REFUSAL_IN_SCOPE),
    ("api_key_id", KEY_IN_SCOPE),
)


class Envelope:
    """Wraps the whole application, as plain ASGI: it runs for every request there is.

    Nothing of a body or a query goes into the log; of the path only its template and the ids.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        clock: Clock,
        ids: Ids,
        observe: Observe,
        shortcut: Shortcut,
        quiet: frozenset[str],
        admit: Admit | None = None,
    ) -> None:
        self._app = app
        self._clock = clock
        self._ids = ids
        self._observe = observe
        self._shortcut = shortcut
        self._admit = admit
        self._quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI says what it does
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock.monotonic()
        request_id = _given_id(scope) or self._ids.fresh()
        REQUEST_ID.set(request_id)
        status = 0
        write: WriteWhole | None = scope.get("extensions", _NONE).get(WRITE_WHOLE)
        held: Message | None = None

        async def send_signed(message: Message) -> None:
            nonlocal status, held
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, request_id)
                if write is not None:
                    held = message
                    return
            elif held is not None and write is not None:
                start, held = held, None
                if await write(start, message):
                    return
                await send(start)
            await send(message)

        try:
            app = self._shortcut(scope) or self._app
            if self._admit is not None:
                app = await self._admit(scope) or app
            await app(scope, receive, send_signed)
        except ClientDisconnect:
            status = status or 499
        except (Exception, asyncio.CancelledError) as error:
            refusal = _last_resort(error, scope, request_id)
            if status and held is None:
                raise  # half an answer is out: only closing the connection can tell the client
            await answer_problem(scope, refusal)(scope, receive, send_signed)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._tell(scope, status, self._clock.monotonic() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route: str = scope.get("tallybook.route") or getattr(scope.get("route"), "path", _NO_ROUTE)
        method: str = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._observe(route, method, status, seconds)
        if route in self._quiet or not _log.isEnabledFor(logging.INFO):
            return
        told: dict[str, Any] = {
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
        }
        for name, key in _TOLD:
            if value := scope.get(key):
                told[name] = value
        if subjects := scope.get("path_params"):
            # Whatever else stood in the address could be anything, an account number too.
            told["subject_ids"] = [x for x in map(str, subjects.values()) if _ID.match(x)]
        _log.info("request", extra=told)


def _last_resort(error: BaseException, scope: Scope, request_id: str) -> Refusal:
    """Tell what is answered where nothing else was."""
    if isinstance(error, asyncio.CancelledError):
        # The server stops and waits no longer. What a write has begun goes on without it.
        return Refusal("shutting_down" if scope["method"] in _READS else "outcome_unknown")
    _log.error("a request broke", exc_info=error)
    return Refusal("internal_error", details={"request_id": request_id})


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _REQUEST_ID.match(value) else None
    return None


def _add_headers(message: Message, request_id: str) -> None:
    headers = list(message.get("headers", ()))
    # Few answers set one of their own, and each counts here: this runs for every request there is.
    if any(name in _SECURITY_NAMES for name, _ in headers):
        present = {name for name, _ in headers}
        headers.extend(pair for pair in SECURITY_HEADERS if pair[0] not in present)
    else:
        headers.extend(SECURITY_HEADERS)
    headers.append((b"x-request-id", request_id.encode()))
    message["headers"] = headers
