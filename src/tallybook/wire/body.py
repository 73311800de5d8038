"""Bodies: bounded while they stream in, of the announced type, read strictly, then checked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.json_reader import read_json
from tallybook.wire.problems import refusal_of_errors

BODY_LIMIT = 65_536
"""Units: bytes. Imports name a limit of their own."""
BODY_SECONDS = 30
"""How long a body may take to arrive. Units: seconds."""
JSON = "application/json"


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, *, limit: int = BODY_LIMIT
) -> bytes:
    """Read a body whole, and no more of it than is allowed.

    What Content-Length says is believed only where it says too much.

    Raises: Refused `body_too_large`, `body_too_slow`; ClientDisconnect.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise Refused(Refusal("body_too_large", details={"limit": limit}))
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        _refuse_longer(len(body), limit)
        return body
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _rest(receive, message, limit)
    except TimeoutError:
        raise Refused(Refusal("body_too_slow")) from None


async def _rest(receive: Receive, message: Message, limit: int) -> bytes:
    parts: list[bytes] = []
    length = 0
    while message["type"] == "http.request":
        part: bytes = message.get("body", b"")
        length += len(part)
        _refuse_longer(length, limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise ClientDisconnect


def _refuse_longer(length: int, limit: int) -> None:
    if length > limit:
        raise Refused(Refusal("body_too_large", details={"limit": limit}))


def check_type(headers: Mapping[bytes, bytes], *allowed: str) -> None:
    """See that a body is of an allowed type, in UTF-8 where it names a character set, not packed.

    Raises: Refused `content_type_unsupported`.
    """
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
        raise Refused(Refusal("content_type_unsupported", details={"allowed": list(allowed)}))
    given = headers.get(b"content-type", b"").decode("latin-1")
    if given in allowed:
        return
    kind, *parameters = (part.strip().lower() for part in given.split(";"))
    charsets = [part.partition("=")[2].strip('" ') for part in parameters if "charset" in part]
    if kind not in allowed or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise Refused(Refusal("content_type_unsupported", details={"allowed": list(allowed)}))


async def read_input(
    headers: Mapping[bytes, bytes],
    receive: Receive,
    shape: TypeAdapter[Any],
    *,
    limit: int = BODY_LIMIT,
    optional: bool = False,
) -> Any:  # noqa: ANN401 - what the shape says
    """Read a JSON body into the model that a call declares.

    Raises: Refused, by what is wrong with it; ClientDisconnect.
    """
    if not optional:
        check_type(headers, JSON)
    body = await read_body(headers, receive, limit=limit)
    if optional:
        if not body:
            return None
        check_type(headers, JSON)
    value = read_json(body)
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        raise Refused(
            refusal_of_errors(error.errors(include_url=False, include_input=False))
        ) from None
