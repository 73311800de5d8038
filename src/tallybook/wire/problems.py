"""Problems: every refusal and every error, as one shape of answer (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from fastapi import FastAPI
from pydantic_core import to_json
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from tallybook.ambient.logs import mask
from tallybook.kernel.refusal import REFUSALS, Refusal, Refused, problem

PROBLEM_TYPE = "application/problem+json"
REFUSAL_IN_SCOPE = "tallybook.refusal"
"""Where a request's scope says with which code it was refused, for the access log."""
ERRORS_SHOWN = 20
FIELD_CHARACTERS_SHOWN = 100

_log = logging.getLogger("tallybook.http")

_OF_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "content_type_unsupported",
}
_IN_OUR_WORDS = {
    "extra_forbidden": "this call knows no such field",
    "missing": "it is missing",
}
SHAPE_TAG = "~"
"""What the tags begin with by which a route tells the shapes of its body apart."""


def problem_response(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a refusal."""
    return refusal_response(refusal, to_json(problem(refusal)), headers)


def refusal_response(
    refusal: Refusal, body: bytes, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a refusal whose bytes are known already, such as a stored one."""
    status = refusal.kind.status
    response = Response(body, status, headers, PROBLEM_TYPE)
    if refusal.kind.retry and status == 503:
        response.headers["Retry-After"] = "1"
    return response


def refusal_of_errors(errors: Sequence[Any]) -> Refusal:
    """Turn what pydantic found into one refusal: the first fault, and a list if there are more.

    An error whose type is the code of a refusal becomes that refusal. What was sent is not
    repeated; field names are, and cut short.
    """
    found = [_field_and_problem(error) for error in errors[:ERRORS_SHOWN]]
    field, fault = found[0]
    code = str(errors[0]["type"])
    details: dict[str, object] = {}
    if code not in REFUSALS:
        code = "field_invalid"
        details |= {"field": field, "problem": fault}
    if len(found) > 1:
        details["errors"] = [{"param": param, "problem": text} for param, text in found]
    return Refusal(code, param=field, details=details)


def shown_name(name: str) -> str:
    """Give a field's name the form in which an answer may repeat it.

    An unknown field is named by whoever sent it, and could be anything: an account number, too.
    """
    return mask(name[:FIELD_CHARACTERS_SHOWN])


def _field_and_problem(error: Any) -> tuple[str, str]:  # noqa: ANN401 - pydantic's
    place = [str(part) for part in error["loc"]]
    # Which of several shapes a body was read as is our business, not a field of the caller's.
    if place and place[0].startswith(SHAPE_TAG):
        place = place[1:]
    field = shown_name(".".join(place)) or "body"
    return field, _IN_OUR_WORDS.get(error["type"], str(error["msg"]))


def add_problem_handlers(app: FastAPI) -> None:
    """Answer with a problem where no route of ours does: for the docs' pages, and for no route."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)


def answer_problem(
    scope: Scope, refusal: Refusal, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer a request with a refusal, and leave its code where the log finds it."""
    scope[REFUSAL_IN_SCOPE] = refusal.code
    return problem_response(refusal, headers)


async def _refused(request: Request, error: Exception) -> Response:
    return answer_problem(request.scope, cast("Refused", error).refusal)


async def _http(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    if raised.status_code >= 500:
        code = "internal_error"
    else:
        code = _OF_STATUS.get(raised.status_code, "request_malformed")
    headers = raised.headers
    if code == "method_not_allowed":
        headers = {**(headers or {}), "Allow": ", ".join(_methods_at(request.scope))}
    return answer_problem(request.scope, Refusal(code), headers)


def _methods_at(scope: Scope) -> list[str]:
    """List what an address takes: each method has a route of its own."""
    methods: set[str] = set()
    for route in scope["app"].router.routes:
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


@contextmanager
def refusing_trouble() -> Generator[None]:
    """Refuse a read that the database did not answer. Raises: Refused `busy`."""
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError) as trouble:
        if not _is_passing(trouble):
            raise
        _log.exception("a read failed")
        raise Refused(Refusal("busy")) from trouble


def _is_passing(trouble: exc.DBAPIError | exc.TimeoutError) -> bool:
    if isinstance(trouble, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
        return True
    # Such as one whose prepared statements fit no longer: another connection takes its place.
    return trouble.connection_invalidated
