"""A lane: one thread's connection, and everything it takes to get a batch committed through it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tallybook.ambient.clock import Clock
from tallybook.ambient.fresh import jitter_sleep
from tallybook.db.dialect import WriteConnection
from tallybook.db.errors import Trouble, classify
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.model import Command, Journal, Moment, Outcome
from tallybook.writer.transact import (
    CommitUnknownError,
    Trace,
    committed_after_all,
    refused,
    transact,
)

_log = logging.getLogger("tallybook.writer")

RETRIES = 20
RACES = 3
"""How often a batch may lose a natural key, a stored key or a seal to another process in a row:
one loss shows the next. Beyond that, one of its commands is to blame."""
RECONNECTS = 8


class Lane:
    """Commits batches one after another. Used by one thread at a time."""

    def __init__(
        self, connection: WriteConnection, journal: Journal, clock: Clock, ids: Ids
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._clock = clock
        self._ids = ids

    def run(self, commands: Sequence[Command]) -> tuple[list[Outcome], list[str]]:
        """Commit a batch, whatever it takes; split it where one command can't be recorded.

        Returns: one outcome a command, and the keys whose replies were completed.
        """
        try:
            trace = self._attempt(commands)
        except _CulpritError as culprit:
            if len(commands) > 1:
                middle = len(commands) // 2
                first, completed = self.run(commands[:middle])
                second, also = self.run(commands[middle:])
                return [*first, *second], [*completed, *also]
            _log.error(
                "a command can't be recorded",
                extra={
                    "command": commands[0].operation.name,
                    "constraint": culprit.constraint,
                },
                exc_info=culprit.__cause__,
            )
            return [refused(Refusal("internal_error"))], []
        except _GivenUpError as given_up:
            return [refused(given_up.refusal) for _ in commands], []
        except Exception:  # noqa: BLE001 - whatever broke, who waits must hear of it
            _log.exception("a batch broke", extra={"commands": len(commands)})
            return [refused(Refusal("internal_error")) for _ in commands], []
        return trace.outcomes, trace.completed

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _attempt(self, commands: Sequence[Command]) -> Trace:
        races = reconnects = 0
        for attempt in range(RETRIES):
            moment = Moment(self._clock.now(), self._clock.today())
            try:
                return transact(self._connection.begin, self._journal, commands, moment, self._ids)
            except CommitUnknownError as unknown:
                if self._resolve(unknown.trace):
                    return unknown.trace
            except Exception as error:
                trouble, constraint = classify(error)
                if trouble in (Trouble.CONSTRAINT, Trouble.DATA):
                    # Another process may have taken a natural key since it was looked up; the
                    # rules then see it and refuse by themselves.
                    races += 1
                    if races > RACES or trouble is Trouble.DATA:
                        raise _CulpritError(constraint) from error
                elif trouble is Trouble.MACHINE:
                    _log.exception("the database failed", extra={"commands": len(commands)})
                    raise _GivenUpError(Refusal("busy")) from error
                else:
                    reconnects += trouble is Trouble.LOST
                    _log.warning("batch runs again: %s", trouble.name)
                    if reconnects > RECONNECTS:
                        raise _GivenUpError(Refusal("busy")) from error
            jitter_sleep(attempt)
        raise _GivenUpError(Refusal("busy"))

    def _resolve(self, trace: Trace) -> bool:
        """Find out how a lost COMMIT ended. Raises: _GivenUpError where nobody answers."""
        for attempt in range(RECONNECTS):
            try:
                return committed_after_all(self._connection.begin(), trace)
            except Exception:  # noqa: BLE001 - as long as nobody answers, it is asked again
                _log.warning("asking for a lost COMMIT failed", exc_info=True)
                jitter_sleep(attempt + 3)
        raise _GivenUpError(Refusal("outcome_unknown"))


class _CulpritError(Exception):
    """The database refuses a row: one command of the batch is to blame."""

    def __init__(self, constraint: str | None) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class _GivenUpError(Exception):
    """The batch can't be committed now, or its COMMIT can't be resolved."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
