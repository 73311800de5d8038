"""Calls: one write on its way in, and the way it takes through the door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope

from tallybook.kernel.ids import parse_id
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.body import BODY_LIMIT, check_type, read_body
from tallybook.wire.context import Context
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.guard import CLIENT_IN_SCOPE, LACKS_IN_SCOPE
from tallybook.wire.idempotency import idempotency_key, respond, scoped_key
from tallybook.wire.problems import REFUSAL_IN_SCOPE
from tallybook.writer.model import Command, Operation, Outcome

Lacks = Callable[[str], Refusal | None]
"""Tells the refusal of a scope that the call's key is not good for."""

COMPLETION_SECONDS = 60
"""How long a copy of a call waits for the first one's reply. Units: seconds."""


class Call:
    """One write on its way in: the engine, the idempotency key, and the request behind them."""

    __slots__ = ("context", "headers", "key", "receive", "scope")

    def __init__(self, context: Context, scope: Scope, receive: Receive) -> None:
        """Take a request as the server gives it. Raises: Refused `key_invalid`."""
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.context = context
        self.scope = scope
        self.receive = receive
        self.headers: Mapping[bytes, bytes] = dict(reversed(headers))
        """By their names in lower case; of several of one name the first."""
        self.key = scoped_key(idempotency_key(headers), scope.get(CLIENT_IN_SCOPE))

    def require(self, needed: str) -> None:
        """See that the call's key has a scope that some of its fields need beyond its route's.

        Where there are no keys, on this machine alone, all is allowed.

        Raises: Refused `scope_insufficient`.
        """
        lacks: Lacks | None = self.scope.get(LACKS_IN_SCOPE)
        if lacks is not None and (refusal := lacks(needed)) is not None:
            raise Refused(refusal)

    async def ask(self, operation: Operation[Any], asked: object) -> Response:
        """Put a command through the door under this call's key, and answer with its outcome."""
        return self.respond(await self.outcome(operation, asked))

    def respond(self, outcome: Outcome) -> Response:
        """Answer with how a command ended."""
        if outcome.refusal is not None:
            self.scope[REFUSAL_IN_SCOPE] = outcome.refusal.code
        return respond(outcome)

    async def outcome(self, operation: Operation[Any], asked: object) -> Outcome:
        """Put a command through the door and wait for its outcome; a copy waits for the first.

        Raises: Refused `busy`, `shutting_down`; `outcome_unknown` where the first copy takes
            longer than a minute.
        """
        self.scope[COMMAND_IN_SCOPE] = operation.name
        command = Command(operation, asked, self.key)
        outcome = await self.context.door.ask(command)
        if not (outcome.pending and outcome.replayed):
            return outcome
        try:
            async with asyncio.timeout(COMPLETION_SECONDS):
                return await self.context.door.ask_until_complete(command)
        except TimeoutError:
            raise Refused(Refusal("outcome_unknown")) from None

    async def read(self, *types: str, limit: int = BODY_LIMIT) -> bytes:
        """Read a body that is not JSON, such as a report file; empty where none was sent.

        Raises: Refused `body_too_large`, `content_type_unsupported`.
        """
        body = await read_body(self.headers, self.receive, limit=limit)
        if body:
            check_type(self.headers, *types)
        return body


def path_id(prefix: str, text: str) -> str:
    """Read an id out of an address. Raises: Refused `id_invalid`."""
    ident = parse_id(prefix, text)
    if ident is None:
        raise Refused(Refusal("id_invalid"))
    return ident


def query_id(prefix: str, text: str | None, *, param: str) -> str | None:
    """Read an id out of a query, where there is one. Raises: Refused `field_invalid`."""
    if text is None:
        return None
    ident = parse_id(prefix, text)
    if ident is None:
        details = {"field": param, "problem": f"it is not an id that starts with {prefix}_"}
        raise Refused(Refusal("field_invalid", param=param, details=details))
    return ident


def body_id(prefix: str, text: str, *, param: str, code: str) -> str:
    """Read an id out of a body; nonsense is refused as an id that nothing has would be."""
    ident = parse_id(prefix, text)
    if ident is None:
        raise Refused(Refusal(code, param=param))
    return ident
