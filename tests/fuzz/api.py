"""Hostile requests at the whole API, held to its own OpenAPI document.

No 5xx, nothing that the document does not declare, nothing accepted that it calls invalid; and at
the end `verify` finds a book in order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.entrypoints.api import make_app
from tallybook.entrypoints.engine import Engine
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.reports.verify import verify
from tests.fuzz.asking import Answered, Asked, ask
from tests.fuzz.drawing import Drawing

FAILURES_MOST = 20
NOT_SENT = {502, 503}
"""5xx that say what a Processor did: its own, declared, and never a mistake of ours."""
PROCESSOR_CODES = {
    "processor_rejected",
    "processor_unavailable",
    "outcome_unknown",
    "sending_stopped",
}


@dataclass
class Held:
    """What came of holding answers to the document."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter[int])
    reached: set[str] = field(default_factory=set[str])
    """The calls that were accepted at least once."""
    failures: list[str] = field(default_factory=list[str])

    def shown(self) -> str:
        """Say in a line what was reached."""
        counts = ", ".join(f"{count:,} x {status}" for status, count in self.statuses.most_common())
        return f"{len(self.reached)} calls accepted at least once; {counts}"


class Document:
    """The OpenAPI document, as a judge."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, Any] = {}

    def judge(self, asked: Asked, described: Mapping[str, Any], answered: Answered) -> str | None:
        """Say what is wrong with an answer; None where nothing is."""
        status = answered.status
        if status >= 500:
            code = _json(answered.body).get("code")
            if status not in NOT_SENT or code not in PROCESSOR_CODES:
                return f"answered {status} {answered.body[:300]!r}"
        declared = described["responses"].get(str(status))
        if declared is None:
            return f"answered {status}, which is not declared"
        # A media type is the same with a character set or without.
        content = {
            name.partition(";")[0]: each for name, each in declared.get("content", {}).items()
        }
        if content and answered.body:
            if answered.media_type not in content:
                return f"answered {answered.media_type}, which is not declared for {status}"
            schema = content[answered.media_type].get("schema")
            if (
                schema
                and "json" in answered.media_type
                and (why := self._invalid(schema, answered))
            ):
                return f"answered {status} with a body that is not as declared: {why}"
        if status < 300 and (why := self._was_nonsense(asked, described)):
            return f"accepted what the document calls invalid: {why}"
        return None

    def _invalid(self, schema: Any, answered: Answered) -> str | None:
        return self._errors(schema, json.loads(answered.body))

    def _was_nonsense(self, asked: Asked, described: Mapping[str, Any]) -> str | None:
        content = described.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        try:
            body = json.loads(asked.body)
        except (ValueError, RecursionError):
            return "not JSON" if asked.body else None
        return self._errors(content["schema"], body)

    def _errors(self, schema: Any, value: Any) -> str | None:
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[name] = jsonschema_rs.validator_for(whole)
        error = next(self._validators[name].iter_errors(value), None)
        return error and f"{error.message[:200]} at {list(error.instance_path)}"


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def fuzzed_engine(url: str, home: Path) -> Generator[Engine]:
    """Open a migrated book with a simulated Processor, whose clock stands still."""
    clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(home / "truth.db", seed=7, clock=clock)
    settings = Settings(database_url=url, home=home, _env_file=None)  # pyright: ignore[reportCallIssue] - pydantic-settings reads them
    engine = Engine.open(settings, clock=clock, processor=simulator)
    try:
        yield engine
    finally:
        engine.close()


async def fuzz(engine: Engine, seed: int, requests: int, held: Held) -> None:
    """Ask so many drawn requests, one after another."""
    app = make_app(engine)
    judge = Document(app.openapi())
    drawing = Drawing(judge.document, Random(seed))
    operations = drawing.operations()
    # Writes more often than reads: they make what there is to read. What stops everything, seldom.
    weights = [
        0.05 if path.endswith("/stop") else 3 if method == "POST" else 1
        for method, path, _ in operations
    ]
    for number in range(requests):
        ((method, path, described),) = drawing.dice.choices(operations, weights)
        asked = drawing.request(method, path, described)
        answered = await hold(app, judge, asked, described, held, f"seed {seed}, {number}")
        if answered is not None and answered.status < 300 and answered.media_type.endswith("json"):
            held.reached.add(f"{method} {path}")
            drawing.learn(path, json.loads(answered.body))
        if len(held.failures) >= FAILURES_MOST:
            return


async def hold(
    app: Any,
    judge: Document,
    asked: Asked,
    described: Mapping[str, Any],
    held: Held,
    name: str,
) -> Answered | None:
    """Ask one request, and write down what was wrong with its answer; None where it broke."""
    held.asked += 1
    try:
        answered = await ask(app, asked)
    except Exception as broken:  # noqa: BLE001 - whatever it is, an answer was due
        held.failures.append(f"{name}: {asked}: {broken!r} instead of an answer")
        return None
    held.statuses[answered.status] += 1
    if why := judge.judge(asked, described, answered):
        held.failures.append(f"{name}: {asked}: {why}")
    return answered


def look(engine: Engine, held: Held) -> None:
    """Verify the book that was made of it all."""
    held.failures += [f"verify: {found}" for found in verify(engine.database, engine.secrets)]
