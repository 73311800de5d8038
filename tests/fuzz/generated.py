"""Requests that schemathesis draws from the OpenAPI document: what it allows and what it does not.

Only its strategies are used; answers are held to the document by our own judge, in this process.
A request costs it twenty times what our own drawing costs, so it draws few and `drawing.py` many.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Container
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tallybook.entrypoints.api import make_app
from tallybook.entrypoints.engine import Engine
from tests.fuzz.api import Document, Held, hold
from tests.fuzz.asking import Asked

with warnings.catch_warnings():
    # What the libraries behind it warn of when they are loaded is not ours to mend.
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.core import NotSet
    from schemathesis.core.result import Ok


def ask_generated(
    engine: Engine,
    examples: int,
    held: Held,
    *,
    only: Container[str] | None = None,
    derandomize: bool = True,
) -> None:
    """Ask so many valid and so many invalid requests of each call, or of those that are named."""
    app = make_app(engine)
    judge = Document(app.openapi())
    schema = schemathesis.openapi.from_dict(dict(app.openapi()))
    draw = settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=(
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
            HealthCheck.data_too_large,
        ),
    )
    with asyncio.Runner() as runner:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            if only is not None and operation.label not in only:
                continue

            def ask_one(case: Any) -> None:
                name = f"schemathesis, {case.operation.label}"
                described = judge.document["paths"][case.operation.path][case.method.lower()]
                runner.run(hold(app, judge, _asked(case), described, held, name))

            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                with suppress(Unsatisfiable):  # a call that takes nothing has nothing invalid
                    draw(given(case=operation.as_strategy(generation_mode=mode))(ask_one))()


def _asked(case: Any) -> Asked:
    path = case.operation.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(_text(value), safe=""))
    query = urlencode({name: _text(value) for name, value in (case.query or {}).items()})
    headers = [
        (name.lower().encode("latin-1", "replace"), _text(value).encode("latin-1", "replace"))
        for name, value in (case.headers or {}).items()
    ]
    body = b""
    if not isinstance(case.body, NotSet):
        headers = [pair for pair in headers if pair[0] != b"content-type"]
        media = case.media_type or "application/json"
        headers.append((b"content-type", media.encode()))
        body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    return Asked(case.method.upper(), path, query, body, headers)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()
