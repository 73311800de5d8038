"""Who is known to be dead, and of whom nobody can tell."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient import liveness
from tallybook.ambient.liveness import is_known_dead, this_process

NAMESPACE = Path("/proc/self/ns/pid")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in another container, that has the same host's name and boot."""
    read = os.readlink

    def readlink(path: Any, **more: Any) -> Any:
        return "pid:[7]" if str(path) == str(NAMESPACE) else read(path, **more)

    monkeypatch.setattr(os, "readlink", readlink)
    liveness.this_process.cache_clear()
    liveness._host.cache_clear()
    yield
    liveness.this_process.cache_clear()
    liveness._host.cache_clear()


def test_a_process_that_lives_is_not_dead_and_one_that_ended_is() -> None:
    assert not is_known_dead(this_process())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = this_process().partition("/")[0]
    assert is_known_dead(f"{host}/{ended.pid}/1")
    assert is_known_dead(f"{host}/{os.getpid()}/1"), "its number is another process's now"


@pytest.mark.skipif(not NAMESPACE.exists(), reason="this machine's processes have no namespaces")
def test_of_a_process_in_another_container_nobody_can_tell(request: pytest.FixtureRequest) -> None:
    """Containers may share the host's name: the number of a process tells nothing there."""
    ours = this_process()
    host = ours.partition("/")[0]
    request.getfixturevalue("elsewhere")
    assert this_process() != ours
    assert not is_known_dead(ours)
    assert not is_known_dead(f"{host}/999999999/1")
    assert not is_known_dead(this_process())
