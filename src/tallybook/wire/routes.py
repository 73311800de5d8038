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

Any other function is a read. It runs in a thread, and what it gives is checked against its
`response_model`:

    @ROUTER.get("/customers/{customer_id}", response_model=CustomerView)
    def read_customer(context: InContext, customer_id: str) -> Any: ...

FastAPI describes both and runs neither: they take the shortest way through the server.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property
from typing import Annotated, Any, TypeVar, cast, get_type_hints

from fastapi import Body, Header
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tallybook.kernel.refusal import Refused
from tallybook.wire.arguments import Arguments
from tallybook.wire.calls import Call
from tallybook.wire.fields import codes_of
from tallybook.wire.idempotency import HEADER
from tallybook.wire.problems import answer_problem, refusing_trouble
from tallybook.wire.refusals import refusals

F = TypeVar("F", bound=Callable[..., Any])
Run = Callable[..., Awaitable[Response]]

READERS = 15
"""How many reads run at once; as many as there are connections to read with."""

_READING = ThreadPoolExecutor(READERS, thread_name_prefix="tallybook-read")

_ALWAYS = (
    "request_malformed",
    "head_too_large",
    "head_too_slow",
    "field_invalid",
    "internal_error",
    "busy",
    "api_key_missing",
    "api_key_invalid",
    "scope_insufficient",
    "host_not_served",
    "origin_not_allowed",
    "rate_limited",
    "shutting_down",
)
_WITH_BODY = (
    "body_malformed",
    "body_too_large",
    "body_too_slow",
    "content_type_unsupported",
)
_WRITES = ("key_invalid", "key_reused_with_other_input", "outcome_unknown")


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
        self.is_write = Call in self._hints.values()
        self._declared = declared
        self._extra = dict(declared.pop("openapi_extra", None) or {})
        self._limit: int | None = self._extra.pop("x-body-limit", None)

    @cached_property
    def described(self) -> APIRoute:
        """Give FastAPI's route of the same call, which describes it."""
        hints, declared = self._hints, dict(self._declared)
        codes = [*_ALWAYS, *(_WRITES if self.is_write else ())]
        codes += _WITH_BODY if "body" in hints else ()
        codes += ("id_invalid",) if "{" in self.path else ()
        codes += sorted(set[str]().union(*map(codes_of, hints.values())))
        declared["responses"] = refusals(*codes, also=declared.get("responses"))
        return APIRoute(
            self.path,
            _described(self.endpoint, hints) if self.is_write else self.endpoint,
            methods=self.methods,
            operation_id=self.operation_id,
            openapi_extra=self._extra or None,
            **declared,
        )

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the first request, and leave the others to what was made for it."""
        self.app = self._serving()
        await self.app(scope, receive, send)

    def _serving(self) -> ASGIApp:
        takes = Arguments(self.endpoint, self._hints, self.param_convertors, self._limit)
        if self.is_write:
            run = cast("Run", self.endpoint)
        else:
            run = _reading(self.endpoint, self._declared.get("response_model", Any))

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                arguments = await takes.read(scope["app"].state.engine, scope, receive)
                response = await run(**arguments)
            except Refused as refused:
                response = answer_problem(scope, refused.refusal)
            await response(scope, receive, send)

        return answer


def _reading(
    endpoint: Callable[..., Any],
    shape: Any,  # noqa: ANN401 - whatever pydantic takes for a type
) -> Run:
    """Let a read work in a thread of ours, which also writes its answer.

    Each way to a thread and back costs as much as a short read.
    """
    adapter = TypeAdapter[Any](shape)

    def work(named: dict[str, Any]) -> Response:
        with refusing_trouble():
            shown = endpoint(**named)
        if isinstance(shown, Response):
            return shown
        checked = adapter.validate_python(shown, from_attributes=True)
        content = adapter.dump_json(checked, by_alias=True)
        return Response(content, media_type="application/json")

    async def run(**named: Any) -> Response:  # noqa: ANN401 - the read's own arguments
        loop = asyncio.get_running_loop()
        # With the call's context, so that what is logged there has the request's id.
        context = copy_context()
        return await loop.run_in_executor(_READING, lambda: context.run(work, named))

    return run


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
