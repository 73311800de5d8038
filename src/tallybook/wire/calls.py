"""Calls: routes that read strictly, answer refusals alike, and stand in the OpenAPI document.

A write is an async function that takes a `Call` first:

    router = APIRouter(tags=["customers"], route_class=CallRoute)

    @router.post(
        "/customers",
        status_code=201,
        response_model=CustomerView,
        responses=refusals("email_taken"),
    )
    async def create_customer(call: Call, body: NewCustomer) -> Response:
        return await call.ask(CREATE_CUSTOMER, to_command(body))

It takes the shortest way through the server: FastAPI describes it, and doesn't run it. Any other
function is a FastAPI route, for reads, with its query held to what it declares; one that has a
`response_model` runs in a thread of ours, which also writes its answer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial, wraps
from typing import Annotated, Any, cast, get_type_hints

from fastapi import Body, Header
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tallybook.kernel.ids import parse_id
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.body import BODY_LIMIT, check_type, read_body, read_input
from tallybook.wire.context import Context
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import codes_of
from tallybook.wire.guard import CLIENT_IN_SCOPE
from tallybook.wire.idempotency import HEADER, idempotency_key, respond, scoped_key
from tallybook.wire.problems import REFUSAL_IN_SCOPE, answer_problem, shown_name
from tallybook.wire.refusals import refusals
from tallybook.writer.model import Command, Operation, Outcome

READERS = 15
"""How many reads run at once; as many as there are connections to read with."""

COMPLETION_SECONDS = 60
"""How long a copy of a call waits for the first one's reply. Units: seconds."""

_READING = ThreadPoolExecutor(READERS, thread_name_prefix="tallybook-read")

_NOTHING: frozenset[str] = frozenset()
_ALWAYS = (
    "request_malformed",
    "field_invalid",
    "internal_error",
    "busy",
    "api_key_missing",
    "api_key_invalid",
    "scope_insufficient",
    "host_not_served",
    "origin_not_allowed",
    "rate_limited",
)
_WITH_BODY = (
    "body_malformed",
    "body_too_large",
    "body_too_slow",
    "content_type_unsupported",
)
_WRITES = ("key_invalid", "key_reused_with_other_input", "outcome_unknown", "shutting_down")


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


def body_id(prefix: str, text: str, *, param: str, code: str) -> str:
    """Read an id out of a body; nonsense is refused as an id that nothing has would be."""
    ident = parse_id(prefix, text)
    if ident is None:
        raise Refused(Refusal(code, param=param))
    return ident


class CallRoute(APIRoute):
    """One route of ours.

    `openapi_extra={"x-body-limit": bytes}` gives an import a limit of its own.
    """

    needs = "money"
    """The scope that an API key must have for it; the strictest where nobody has said."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        **declared: Any,  # noqa: ANN401 - handed on to FastAPI as it came
    ) -> None:
        self._made_of = path, endpoint, dict(declared)
        hints = get_type_hints(endpoint, include_extras=True)
        self.is_plain = Call in hints.values()
        extra = dict(declared.pop("openapi_extra", None) or {})
        self._limit: int | None = extra.pop("x-body-limit", None)
        codes = [*_ALWAYS, *(_WRITES if self.is_plain else ())]
        codes += _WITH_BODY if "body" in hints else ()
        codes += ("id_invalid",) if "{" in path else ()
        codes += sorted(set[str]().union(*map(codes_of, hints.values())))
        shape = declared.get("response_model")
        described = endpoint
        if self.is_plain:
            described = _described(endpoint, hints)
        elif shape is not None and not inspect.iscoroutinefunction(endpoint):
            described = _rendering(endpoint, shape)
        declared["responses"] = refusals(*codes, also=declared.get("responses"))
        declared["operation_id"] = declared.get("operation_id") or endpoint.__name__
        super().__init__(path, described, openapi_extra=extra or None, **declared)
        if self.is_plain:
            self.app = self._plain_app(endpoint, hints)

    def below(self, prefix: str) -> CallRoute:
        """Make the same route below a prefix.

        FastAPI's own inclusion of routers matches each request twice and keeps no flat table.
        """
        path, endpoint, declared = self._made_of
        return type(self)(prefix + path, endpoint, **declared)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hold an ordinary route's query to what it declares, before FastAPI runs it."""
        handler = super().get_route_handler()
        known = {
            field.alias
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, Query)
        }

        async def strict(request: Request) -> Response:
            _check_query(request.scope, known)
            return await handler(request)

        return strict

    def _plain_app(self, endpoint: Callable[..., Any], hints: dict[str, Any]) -> ASGIApp:
        call_name = next(name for name, hint in hints.items() if hint is Call)
        read = _reader_of(endpoint, hints, self._limit)
        run = cast("Callable[..., Awaitable[Response]]", endpoint)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                _check_query(scope, _NOTHING)
                call = Call(scope["app"].state.engine, scope, receive)
                arguments = await read(call)
                arguments[call_name] = call
                response = await run(**arguments)
            except Refused as refused:
                response = answer_problem(scope, refused.refusal)
            await response(scope, receive, send)

        return answer


def _rendering(
    endpoint: Callable[..., Any],
    shape: Any,  # noqa: ANN401 - whatever pydantic takes for a type
) -> Callable[..., Awaitable[Response]]:
    """Let a read give its answer as bytes, from the one thread that it runs in.

    FastAPI would send what it gives to a thread once more, to be checked and written there, and
    each way to a thread and back costs as much as a short read.
    """
    adapter = cache(lambda: TypeAdapter[Any](shape))

    def work(named: dict[str, Any]) -> Response:
        shown = endpoint(**named)
        if isinstance(shown, Response):
            return shown
        checked = adapter().validate_python(shown, from_attributes=True)
        content = adapter().dump_json(checked, by_alias=True)
        return Response(content, media_type="application/json")

    @wraps(endpoint)
    async def render(**named: Any) -> Response:  # noqa: ANN401 - the read's own arguments
        loop = asyncio.get_running_loop()
        # With the call's context, so that what is logged there has the request's id.
        run = partial(copy_context().run, partial(work, named))
        return await loop.run_in_executor(_READING, run)

    return render


def _described(endpoint: Callable[..., Any], hints: dict[str, Any]) -> Callable[..., Any]:
    """Make the function that FastAPI sees: without the call, with the key's header."""
    parameters = [
        parameter.replace(
            annotation=Annotated[hints[name], Body()] if name == "body" else hints[name],
            kind=inspect.Parameter.KEYWORD_ONLY,
        )
        for name, parameter in inspect.signature(endpoint).parameters.items()
        if hints[name] is not Call
    ]
    key = Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=255,
            description="Makes it safe to send this call again: the same key and body get the same"
            " reply, for ever.",
        ),
    ]
    parameters.append(
        inspect.Parameter(
            "idempotency_key", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=key
        )
    )

    async def described(**_: object) -> None:
        raise AssertionError("FastAPI describes this route and never runs it")

    described.__name__ = endpoint.__name__
    described.__doc__ = endpoint.__doc__
    described.__signature__ = inspect.Signature(parameters)
    return described


def _reader_of(
    endpoint: Callable[..., Any], hints: dict[str, Any], limit: int | None
) -> Callable[[Call], Awaitable[dict[str, Any]]]:
    """Prepare how a plain route's arguments are read: path parameters and one body."""
    parameters = inspect.signature(endpoint).parameters
    paths = {
        name: TypeAdapter[Any](hints[name])
        for name in parameters
        if name != "body" and hints[name] is not Call
    }
    shape = TypeAdapter[Any](hints["body"]) if "body" in parameters else None
    optional = shape is not None and parameters["body"].default is None

    async def read(call: Call) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for name, adapter in paths.items():
            try:
                arguments[name] = adapter.validate_python(call.scope["path_params"][name])
            except ValidationError:
                raise Refused(Refusal("id_invalid")) from None
        if shape is not None:
            arguments["body"] = await read_input(
                call.headers,
                call.receive,
                shape,
                limit=limit or call.context.settings.body_limit,
                optional=optional,
            )
        return arguments

    return read


def _check_query(scope: Scope, known: Collection[str]) -> None:
    """Refuse what a call would otherwise silently not look at. Raises: Refused `field_invalid`."""
    if "\0" in scope["path"]:
        raise Refused(Refusal("id_invalid"))
    if not scope["query_string"]:
        return
    seen: set[str] = set()
    for name, value in QueryParams(scope["query_string"]).multi_items():
        fault = None
        if name not in known:
            fault = "this call knows no such parameter"
        elif name in seen:
            fault = "it is given twice"
        elif "\0" in value:
            fault = "it has a character that is none"
        if fault is not None:
            details = {"field": shown_name(name), "problem": fault}
            raise Refused(Refusal("field_invalid", param=shown_name(name), details=details))
        seen.add(name)
