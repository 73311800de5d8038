"""A lane: one thread's connection, and everything it takes to get a batch committed through it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager

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

BATCH_MAX = 256
"""Interactive commands committed together at most; they never wait for the batch to fill."""
RETRIES = 20
"""How often a batch is tried at most, however much of its time is left."""
RACES = 3
"""How often a batch may lose a natural key, a stored key or a seal to another process in a row:
one loss shows the next. Beyond that, one of its commands is to blame."""
RECONNECTS = 8
"""How often a batch may lose its connection, and how often a lost COMMIT is asked for, at most."""
PATIENCE_SECONDS = 15
"""How long a batch that somebody waits for is tried before they hear that nothing was done."""
BULK_PATIENCE_SECONDS = 60
"""How long a chunk of bulk work is: a run must not break off because an import goes on as well."""
BLOCKED_PATIENCE_SECONDS = 3
"""How long while nothing gets through: who waits behind a batch that was given up hears soon."""
RESOLVE_SECONDS = 60
"""How long a lost COMMIT is asked for at most; each question may take a while by itself."""
RECENT_SECONDS = 30
"""How long trouble is told of after a batch that was given up, where none was tried since."""
SLOW_SECONDS = 10
"""From when on a batch that is under way is told of as trouble."""

_HELD = "a write was given up: another process holds the database"
_SILENT = "a write was given up: the database does not answer"
_FAILED = "a write was given up: the database failed"


class Health:
    """Whether batches get through, and why not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_at: float | None = None
        """Since when a batch is under way."""
        self.given_up: tuple[float, str] | None = None
        """When and why the last batch was given up; None where it was not."""

    @contextmanager
    def under_way(self) -> Generator[None]:
        """Count the time of one batch."""
        self._begun_at = self._clock.monotonic()
        try:
            yield
        finally:
            self._begun_at = None

    def give_up(self, why: str) -> None:
        """Take down that a batch was given up."""
        self.given_up = self._clock.monotonic(), why

    @property
    def trouble(self) -> str | None:
        """Tell why the next batch may not be committed; None where nothing speaks for that."""
        return self.trouble_since(self._begun_at)

    def trouble_since(self, begun_at: float | None) -> str | None:
        """Tell the same where what is under way was begun at some moment; None for nothing is."""
        now, given_up = self._clock.monotonic(), self.given_up
        if begun_at is not None and now - begun_at > SLOW_SECONDS:
            return "a write has waited for too long"
        if given_up is not None and now - given_up[0] < RECENT_SECONDS:
            return given_up[1]
        return None


class Lane:
    """Commits batches one after another. Used by one thread at a time."""

    def __init__(
        self, connection: WriteConnection, journal: Journal, clock: Clock, ids: Ids
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self.health = Health(clock)

    @property
    def trouble(self) -> str | None:
        """Tell why the next batch may not be committed; None where nothing speaks for that."""
        return self.health.trouble

    def run(
        self, commands: Sequence[Command], patience: float = PATIENCE_SECONDS
    ) -> tuple[list[Outcome], list[str]]:
        """Commit a batch, whatever it takes; split it where one command can't be recorded.

        Where nothing gets through, it is tried for `patience`; behind a batch that was given up
        for three seconds only, until one gets through. Units: seconds.

        Returns: one outcome a command, and the keys whose replies were completed.
        """
        with self.health.under_way():
            return self._run(commands, patience)

    def _run(self, commands: Sequence[Command], patience: float) -> tuple[list[Outcome], list[str]]:
        try:
            trace = self._attempt(commands, patience)
        except _CulpritError as culprit:
            if len(commands) > 1:
                middle = len(commands) // 2
                first, completed = self._run(commands[:middle], patience)
                second, also = self._run(commands[middle:], patience)
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
            _log.error(given_up.why)  # one of the constants above: the log keeps no other words
            self.health.give_up(given_up.why)
            return [refused(given_up.refusal) for _ in commands], []
        except Exception:  # noqa: BLE001 - whatever broke, who waits must hear of it
            _log.exception("a batch broke", extra={"commands": len(commands)})
            return [refused(Refusal("internal_error")) for _ in commands], []
        self.health.given_up = None
        return trace.outcomes, trace.completed

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _attempt(self, commands: Sequence[Command], patience: float) -> Trace:
        races = reconnects = 0
        began = self._clock.monotonic()
        if self.health.given_up is not None:
            patience = BLOCKED_PATIENCE_SECONDS
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
                    raise _GivenUpError(Refusal("busy"), _FAILED) from error
                else:
                    is_held = trouble is Trouble.TRANSIENT
                    reconnects += not is_held
                    # However long it took to notice that a connection is gone, a new one is tried.
                    may_wait = self._clock.monotonic() - began < patience or (
                        not is_held and reconnects == 1
                    )
                    if not may_wait or reconnects > RECONNECTS:
                        why = _HELD if is_held else _SILENT
                        raise _GivenUpError(Refusal("busy"), why) from error
                    _log.warning("batch runs again: %s", trouble.name)
            jitter_sleep(attempt)
        raise _GivenUpError(Refusal("busy"), _HELD)

    def _resolve(self, trace: Trace) -> bool:
        """Find out how a lost COMMIT ended. Raises: _GivenUpError where nobody answers."""
        until = self._clock.monotonic() + RESOLVE_SECONDS
        for attempt in range(RECONNECTS):
            try:
                return committed_after_all(self._connection.begin(), trace)
            except Exception:  # noqa: BLE001 - as long as nobody answers, it is asked again
                _log.warning("asking for a lost COMMIT failed", exc_info=True)
                if self._clock.monotonic() >= until:
                    break
                jitter_sleep(attempt + 3)
        raise _GivenUpError(Refusal("outcome_unknown"), _SILENT)


class _CulpritError(Exception):
    """The database refuses a row: one command of the batch is to blame."""

    def __init__(self, constraint: str | None) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class _GivenUpError(Exception):
    """The batch can't be committed now, or its COMMIT can't be resolved."""

    def __init__(self, refusal: Refusal, why: str) -> None:
        super().__init__(refusal.code)
        self.refusal, self.why = refusal, why
