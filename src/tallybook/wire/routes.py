"""Routes: calls that read strictly, answer refusals alike, and stand in the OpenAPI document.

A write is an async function that takes a `Call` first:

    ROUTER = Router("customers")

    @ROUTER.post(
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
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, cached_property, partial, wraps
from typing import Annotated, Any, TypeVar, cast, get_type_hints

from fastapi import Body, Header
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.body import read_input
from tallybook.wire.calls import Call
from tallybook.wire.fields import codes_of
from tallybook.wire.idempotency import HEADER
from tallybook.wire.problems import answer_problem, shown_name
from tallybook.wire.refusals import refusals

F = TypeVar("F", bound=Callable[..., Any])

READERS = 15
"""How many reads run at once; as many as there are connections to read with."""

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


class Router:
    """Takes down the calls of one part of the API, one decorator a call.

    What is declared with a call is FastAPI's: `status_code`, `response_model`, `responses` and so
    on. `openapi_extra={"x-body-limit": bytes}` gives an import a limit of its own.
    """

    def __init__(self, *tags: str) -> None:
        """Begin with no calls; the OpenAPI document groups them by their tags."""
        self._tags = list(tags)
        self._calls: list[tuple[str, str, Callable[..., Any], dict[str, Any]]] = []

    def get(self, path: str, **declared: Any) -> Callable[[F], F]:  # noqa: ANN401 - FastAPI's
        """Take down a read."""
        return self._taking("GET", path, declared)

    def post(self, path: str, **declared: Any) -> Callable[[F], F]:  # noqa: ANN401 - FastAPI's
        """Take down a write that makes something or does something."""
        return self._taking("POST", path, declared)

    def put(self, path: str, **declared: Any) -> Callable[[F], F]:  # noqa: ANN401 - FastAPI's
        """Take down a write that puts something in the place of what was there."""
        return self._taking("PUT", path, declared)

    def patch(self, path: str, **declared: Any) -> Callable[[F], F]:  # noqa: ANN401 - FastAPI's
        """Take down a write that changes a part."""
        return self._taking("PATCH", path, declared)

    def delete(self, path: str, **declared: Any) -> Callable[[F], F]:  # noqa: ANN401 - FastAPI's
        """Take down a write that takes something away."""
        return self._taking("DELETE", path, declared)

    def routes(self, prefix: str = "") -> list[CallRoute]:
        """Make the routes, all below a prefix."""
        return [
            CallRoute(prefix + path, endpoint, method, tags=self._tags, **declared)
            for method, path, endpoint, declared in self._calls
        ]

    def _taking(self, method: str, path: str, declared: dict[str, Any]) -> Callable[[F], F]:
        def take(endpoint: F) -> F:
            self._calls.append((method, path, endpoint, declared))
            return endpoint

        return take


class CallRoute(Route):
    """One route of ours.

    What serves it and what describes it are made when they are asked for: to make both for every
    route took a fifth of the server's start.
    """

    needs = "money"
    """The scope that an API key must have for it; the strictest where nobody has said."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        method: str,
        **declared: Any,  # noqa: ANN401 - handed on to FastAPI as it came
    ) -> None:
        """Take down what was declared. See `Router`."""
        super().__init__(path, endpoint, methods=[method])
        self.methods = {method}
        self.app = self._open
        self.operation_id = endpoint.__name__
        self._hints = get_type_hints(endpoint, include_extras=True)
        self.is_plain = Call in self._hints.values()
        self._declared = declared
        self._extra = dict(declared.pop("openapi_extra", None) or {})
        self._limit: int | None = self._extra.pop("x-body-limit", None)

    @cached_property
    def described(self) -> APIRoute:
        """Give FastAPI's route of the same call: it describes a write, and serves a read."""
        hints, declared = self._hints, dict(self._declared)
        codes = [*_ALWAYS, *(_WRITES if self.is_plain else ())]
        codes += _WITH_BODY if "body" in hints else ()
        codes += ("id_invalid",) if "{" in self.path else ()
        codes += sorted(set[str]().union(*map(codes_of, hints.values())))
        shape = declared.get("response_model")
        described = self.endpoint
        if self.is_plain:
            described = _described(self.endpoint, hints)
        elif shape is not None and not inspect.iscoroutinefunction(self.endpoint):
            described = _rendering(self.endpoint, shape)
        declared["responses"] = refusals(*codes, also=declared.get("responses"))
        return _StrictRoute(
            self.path,
            described,
            methods=self.methods,
            operation_id=self.operation_id,
            openapi_extra=self._extra or None,
            **declared,
        )

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the first request, and leave the others to what was made for it."""
        self.app = self._plain_app() if self.is_plain else self.described.app
        await self.app(scope, receive, send)

    def _plain_app(self) -> ASGIApp:
        call_name = next(name for name, hint in self._hints.items() if hint is Call)
        read = _reader_of(self.endpoint, self._hints, self._limit)
        run = cast("Callable[..., Awaitable[Response]]", self.endpoint)

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


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hold a read's query to what it declares, before FastAPI runs it."""
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
