"""The OpenAPI document: every call with its shapes, ids and refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi

from tallybook.wire.idempotency import HEADER, REPLAYED
from tallybook.wire.refusals import PROBLEM_SCHEMA
from tallybook.wire.routes import CallRoute

DESCRIPTION = """\
One book for every kind of bill, on one double-entry ledger.

Amounts are decimal strings in major units. Every POST honours `Idempotency-Key`: the same key and
body get the same reply, byte for byte, for ever. Every refusal is a problem document with a stable
`code` and one sentence that says what would help.
"""

_SOURCE = re.compile(r"\s*\bSource: [^.]*\.?\s*\Z")
"""Where a docstring cites a rule of docs/rules.md: for who reads the code, not for who calls."""

_API_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, made with `tallybook keys create`. Each call says in `x-scope` what"
    " a key must be good for: `read`, `operate`, which has `read` in it, or `money`, which has"
    " both. While the book has no key at all none is needed, and only this machine is served.",
}


def openapi_document(routes: Sequence[CallRoute], title: str, version: str) -> dict[str, Any]:
    """Describe the routes."""
    described = [route.described for route in routes]
    document = get_openapi(title=title, version=version, description=DESCRIPTION, routes=described)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    document["components"]["securitySchemes"] = {"apiKey": _API_KEY}
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"][route.path][method.lower()]
            operation["x-scope"] = route.needs
            operation["security"] = [{"apiKey": []}, {}]
    _leave_out_sources(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            _describe_replay(operation)
    return document


def _leave_out_sources(part: dict[str, Any]) -> None:
    """Take citations of rules off the end of all descriptions."""
    for name, value in part.items():
        if name == "description" and isinstance(value, str):
            part[name] = _SOURCE.sub("", value)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                _leave_out_sources(inner)


def _describe_replay(operation: dict[str, Any]) -> None:
    """Say on every answer of a call with a key that it may be a stored one."""
    parameters = operation.get("parameters", ())
    if not any(parameter["name"] == HEADER for parameter in parameters):
        return
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response.setdefault("headers", {})[REPLAYED] = {
                "description": "`true` where this is the stored reply of an earlier call.",
                "schema": {"type": "string", "enum": ["true"]},
            }
