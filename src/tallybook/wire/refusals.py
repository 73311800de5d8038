"""Refusals in the OpenAPI document: which codes a call can answer, by HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallybook.kernel.refusal import REFUSALS
from tallybook.wire.problems import PROBLEM_TYPE

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Why a call was refused (RFC 9457). No money has moved, except that after"
    " `outcome_unknown`, `call_unrecorded` and `internal_error` it may have.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "retry"],
    "properties": {
        "type": {"type": "string", "description": "`urn:tallybook:refusal:` and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; what programs look at."},
        "detail": {"type": "string", "description": "One sentence that says what would help."},
        "retry": {
            "type": "boolean",
            "description": "Whether a program may send the very same call again, under the same"
            " key, and it may succeed.",
        },
        "param": {"type": "string", "description": "The field or header that it is about."},
        "errors": {
            "type": "array",
            "description": "All fields at fault, where there are several.",
            "items": {
                "type": "object",
                "required": ["param", "problem"],
                "properties": {"param": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}


def refusals(
    *codes: str, also: Mapping[int | str, dict[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals that a call can give, for FastAPI's `responses`.

    `also` is what was described before; refusals of the same status are put together.
    """
    described: dict[int | str, dict[str, Any]] = dict(also or {})
    for status in sorted({REFUSALS[code].status for code in codes}):
        mine = {code for code in codes if REFUSALS[code].status == status}
        earlier = described.get(status, {}).get("x-refusals", [])
        described[status] = _described(sorted(mine | set(earlier)))
    return described


def _described(codes: list[str]) -> dict[str, Any]:
    return {
        "description": " ".join(f"`{code}`: {REFUSALS[code].sentence}" for code in codes),
        "x-refusals": codes,
        "content": {
            PROBLEM_TYPE: {
                "schema": {
                    "allOf": [{"$ref": "#/components/schemas/Problem"}],
                    "properties": {"code": {"enum": codes}},
                }
            }
        },
    }
