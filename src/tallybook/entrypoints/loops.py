"""The event loop that programs and the library run on: uvloop's, where there is one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop; whoever asked closes it."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    # Here, and not above: most commands need no loop.
    import uvloop

    return uvloop.new_event_loop()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a new event loop, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work)
