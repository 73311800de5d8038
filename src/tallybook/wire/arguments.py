"""What a call's function takes: read strictly out of the address and the body.

Its parameters are told apart by their types and names: the `Call` of a write, or `InContext` of a
read; `Request`; what stands in the path; `body`; what a function makes of query parameters
(`InPage`); and any other is a query parameter, which the annotation may describe with `Query`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args, get_type_hints

from fastapi.params import Depends
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import Receive, Scope

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.body import read_input
from tallybook.wire.calls import Call
from tallybook.wire.context import Context, context_of
from tallybook.wire.problems import refusal_of_errors, shown_name


class Arguments:
    """Reads what one function takes."""

    def __init__(
        self,
        endpoint: Callable[..., Any],
        hints: Mapping[str, Any],
        in_path: Collection[str],
        limit: int | None,
    ) -> None:
        """Prepare for a function; `limit` is a body's own. Units: bytes."""
        self._limit = limit
        self._calls: list[str] = []
        self._contexts: list[str] = []
        self._requests: list[str] = []
        self._paths: dict[str, TypeAdapter[Any]] = {}
        self._made: list[tuple[str, Callable[..., Any], list[str]]] = []
        self._shape: TypeAdapter[Any] | None = None
        self._may_be_empty = False
        queried: dict[str, Any] = {}
        for name, parameter in inspect.signature(endpoint).parameters.items():
            hint = hints[name]
            make = _maker_of(hint)
            if hint is Call:
                self._calls.append(name)
            elif hint is Request:
                self._requests.append(name)
            elif make is context_of:
                self._contexts.append(name)
            elif make is not None:
                parts = _fields_of(make)
                queried |= parts
                self._made.append((name, make, list(parts)))
            elif name in in_path:
                self._paths[name] = TypeAdapter(hint)
            elif name == "body":
                self._shape = TypeAdapter(hint)
                self._may_be_empty = parameter.default is None
            else:
                queried[name] = hint, _default_of(parameter)
        self._known = frozenset(queried)
        self._query: type[BaseModel] | None = create_model("Query", **queried) if queried else None

    async def read(self, context: Context, scope: Scope, receive: Receive) -> dict[str, Any]:
        """Read everything. Raises: Refused, by what is wrong; ClientDisconnect."""
        given = _read_query(scope, self._known)
        arguments = {} if self._query is None else self._check_query(self._query, given)
        arguments |= self._read_path(scope)
        for name in self._contexts:
            arguments[name] = context
        for name in self._requests:
            arguments[name] = Request(scope, receive)
        for name in self._calls:
            call = arguments[name] = Call(context, scope, receive)
            if self._shape is not None:
                arguments["body"] = await read_input(
                    call.headers,
                    receive,
                    self._shape,
                    limit=self._limit or context.settings.body_limit,
                    optional=self._may_be_empty,
                )
        return arguments

    def _read_path(self, scope: Scope) -> dict[str, Any]:
        try:
            return {
                name: adapter.validate_python(scope["path_params"][name])
                for name, adapter in self._paths.items()
            }
        except ValidationError:
            raise Refused(Refusal("id_invalid")) from None

    def _check_query(self, shape: type[BaseModel], given: dict[str, str]) -> dict[str, Any]:
        try:
            values = dict(shape.model_validate(given).__dict__)
        except ValidationError as error:
            raise Refused(
                refusal_of_errors(error.errors(include_url=False, include_input=False))
            ) from None
        for name, make, parts in self._made:
            values[name] = make(**{part: values.pop(part) for part in parts})
        return values


def _maker_of(hint: Any) -> Callable[..., Any] | None:  # noqa: ANN401 - whatever stands there
    """Find the function that makes a parameter, where its type names one."""
    return next((part.dependency for part in get_args(hint) if isinstance(part, Depends)), None)


def _fields_of(function: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    return {name: (hints[name], _default_of(each)) for name, each in parameters.items()}


def _default_of(parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - the parameter's own
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def _read_query(scope: Scope, known: Collection[str]) -> dict[str, str]:
    """Read the query; what a call would not look at is refused, and nothing is given twice.

    Raises: Refused `field_invalid`, `id_invalid`.
    """
    if "\0" in scope["path"]:
        raise Refused(Refusal("id_invalid"))
    given: dict[str, str] = {}
    if not scope["query_string"]:
        return given
    for name, value in QueryParams(scope["query_string"]).multi_items():
        fault = None
        if name not in known:
            fault = "this call knows no such parameter"
        elif name in given:
            fault = "it is given twice"
        elif "\0" in value:
            fault = "it has a character that is none"
        if fault is not None:
            details = {"field": shown_name(name), "problem": fault}
            raise Refused(Refusal("field_invalid", param=shown_name(name), details=details))
        given[name] = value
    return given
