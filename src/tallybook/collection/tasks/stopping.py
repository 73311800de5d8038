"""What the program owes to work under way when it stops.

What was begun is done to its end; what is long ends early, between two items.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tallybook.collection.tasks.context import CollectionContext
from tallybook.kernel.progress import Progress
from tallybook.kernel.refusal import Refusal, Refused

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


async def see_through(work: Coroutine[Any, Any, T]) -> T:
    """Do work to its end, also where whoever asked for it goes away."""
    task = asyncio.create_task(work)
    # The loop itself keeps only a weak hold of its tasks.
    _running.add(task)
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)


async def finish_running() -> None:
    """Wait for everything that was begun here: called before the door is closed."""
    loop = asyncio.get_running_loop()
    # Another book of this process has a loop of its own, and waits for what it began.
    while ours := [task for task in _running if task.get_loop() is loop]:
        await asyncio.gather(*ours, return_exceptions=True)


def refuse_when_stopping(context: CollectionContext) -> None:
    """Begin nothing more, and go on with nothing, once the program stops.

    Raises: Refused `shutting_down`.
    """
    if context.is_stopping:
        raise Refused(Refusal("shutting_down"))


class UntilStopping:
    """Watches work and ends it between two items once the program stops; tells another watcher."""

    def __init__(self, context: CollectionContext, told: Progress) -> None:
        self._context = context
        self._told = told

    def begin(self, step: str, total: int | None = None) -> None:
        """Start a step, or end before it. Raises: Refused `shutting_down`; Stopped."""
        self._told.begin(step, total)
        refuse_when_stopping(self._context)

    def advance(self, count: int = 1) -> None:
        """Tell that so many more are done, or end after them. Raises: Refused; Stopped."""
        self._told.advance(count)
        refuse_when_stopping(self._context)
