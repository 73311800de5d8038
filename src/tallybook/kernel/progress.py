"""Progress: how long work tells whoever waits for it how far it has come."""

from __future__ import annotations

from typing import Protocol


class Stopped(Exception):  # noqa: N818 - nothing went wrong: somebody wants the work to end here
    """Somebody who watched wants the work to end between two items. What was told is done."""


class Progress(Protocol):
    """Somebody who watches: a bar on a terminal, lines in a log, or nobody.

    Calls are cheap and may come from any thread. Work tells only what is safely done, because
    whoever watches may stop it there. Raises: Stopped.
    """

    def begin(self, step: str, total: int | None = None) -> None:
        """Start a step, which ends the one before; without a total nobody knows how long."""
        ...

    def advance(self, count: int = 1) -> None:
        """Tell that so many more of the step's items are done."""
        ...


class NoProgress:
    """Nobody watches."""

    def begin(self, step: str, total: int | None = None) -> None:
        """Start a step."""

    def advance(self, count: int = 1) -> None:
        """Tell that so many more of the step's items are done."""


NO_PROGRESS: Progress = NoProgress()
