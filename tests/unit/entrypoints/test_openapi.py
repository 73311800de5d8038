"""The document in docs/api is the one that the program gives."""

import json
import re
from pathlib import Path
from typing import Any

from tallybook.entrypoints.openapi import document_text
from tallybook.kernel.refusal import REFUSALS

SNAPSHOT = Path(__file__).resolve().parents[3] / "docs" / "api" / "openapi.json"


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in json.loads(document_text())["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_file_is_current() -> None:
    """If this is meant to change: `make openapi`, and look at what other programs will see."""
    assert SNAPSHOT.read_text(encoding="utf-8") == document_text()


def test_every_call_has_an_id_of_its_own_and_says_what_it_does() -> None:
    found = operations()
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    assert [path for path, _, operation in found if not operation.get("description")] == []
    assert [path for path, _, operation in found if not operation.get("tags")] == []


def test_no_rule_of_the_house_is_cited_to_callers() -> None:
    assert re.findall(r"[^.\"]*\bSource:[^\"]*", document_text()) == []


def test_every_error_is_a_problem_with_known_codes() -> None:
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            where = f"{method} {path} {status}"
            assert list(response["content"]) == ["application/problem+json"], where
            for code in response["x-refusals"]:
                assert REFUSALS[code].status == int(status), where


def test_every_post_takes_an_idempotency_key() -> None:
    for path, method, operation in operations():
        if method == "post":
            names = [parameter["name"] for parameter in operation["parameters"]]
            assert "Idempotency-Key" in names, path


def test_every_list_is_paged_alike() -> None:
    for path, method, operation in operations():
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        if method == "get" and "starting_after" in names:
            assert "limit" in names, path
