"""Each flow, killed at every statement and every write to the Processor, ends as if it never was.

The same steps on PostgreSQL, and kills at random moments, are in the long proof.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.driver import Crasher, crasher
from tests.crash.flows import FLOWS

WRITES = {f"{when} a write to the Processor" for when in ("before", "inside", "after")}


@pytest.fixture(scope="session")
def crashing() -> Iterator[Crasher]:
    with crasher() as driver:
        yield driver


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_killed_at_any_step_is_finished_the_same(
    flow: str, crashing: Crasher, sqlite_template: Path
) -> None:
    found = crashing.crash(flow, f"sqlite:///{sqlite_template}")

    assert found.failures == []
    # An import's calls that are answered at once may be recorded at once: then steps of a batch are
    # not there. Elsewhere concurrency moves a few steps at most.
    not_there = found.steps // 3 if flow == "CSV import of advances" else 10
    assert found.kills >= found.steps - not_there
    assert {"before BEGIN", "after BEGIN IMMEDIATE", "after COMMIT"} <= set(found.died_at)
    if FLOWS[flow].calls:
        assert set(found.died_at) >= WRITES
