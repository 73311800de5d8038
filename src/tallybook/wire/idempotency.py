"""Idempotency keys: which ones are taken, and how a stored reply goes out again. Source: T5."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from starlette.responses import Response

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.problems import refusal_response
from tallybook.writer.model import Outcome

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_REPLAYED = REPLAYED.lower().encode(), b"true"
_JSON = b"content-type", b"application/json"
KEY_CHARACTERS_MAX = 255

_KEY = re.compile(rb"[!-~](?:[ -~]*[!-~])?\Z")
_HEADER = HEADER.lower().encode()


def idempotency_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Read the key that a request carries; None where it carries none.

    Raises: Refused `key_invalid`: empty, too long, not printable ASCII, or more than one.
    """
    keys = [value for name, value in headers if name == _HEADER]
    if not keys:
        return None
    if len(keys) > 1 or len(keys[0]) > KEY_CHARACTERS_MAX or not _KEY.match(keys[0]):
        raise Refused(Refusal("key_invalid", param=HEADER))
    return keys[0].decode()


def scoped_key(key: str | None, client_id: str | None) -> str | None:
    """Give a key the form in which it is kept: within the client who sent it. Source: T5.

    Without API keys there is one client, and the key is kept as it came. One that would become
    too long is kept by its hash.

    >>> scoped_key("k", None), scoped_key("k", "01" * 16)
    ('k', '01010101010101010101010101010101/k')
    """
    if key is None or client_id is None:
        return key
    scoped = f"{client_id}/{key}"
    if len(scoped) <= KEY_CHARACTERS_MAX:
        return scoped
    return f"{client_id}/sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def respond(outcome: Outcome) -> Response:
    """Answer with how a command ended: the very bytes that are stored, each time it is asked."""
    headers = {REPLAYED: "true"} if outcome.replayed else None
    if outcome.refusal is not None:
        return refusal_response(outcome.refusal, outcome.body.encode(), headers)
    if outcome.status == 204:
        return Response(None, 204, headers)
    return StoredAnswer(outcome)


class StoredAnswer(Response):
    """A stored reply on its way out: nothing of it has to be worked out anew."""

    def __init__(self, outcome: Outcome) -> None:
        # Not through Response, which writes each header from texts, and looks for those given.
        self.status_code = outcome.status
        self.background = None
        self.body = outcome.body.encode()
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), _JSON]
        if outcome.replayed:
            self.raw_headers.append(_REPLAYED)
