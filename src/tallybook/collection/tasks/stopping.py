"""Ending long work early where the program stops: between two items, with nothing half done."""

from __future__ import annotations

from tallybook.collection.tasks.context import CollectionContext
from tallybook.kernel.progress import Progress
from tallybook.kernel.refusal import Refusal, Refused


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
