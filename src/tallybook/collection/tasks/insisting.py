"""Writes that must not be lost: asked again while the database is in trouble, never passed over.

A refusal of the door itself (`busy`, `internal_error`, `outcome_unknown`) says that nothing was
decided, or that nobody knows. It is not an answer to what was asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome
from tallybook.writer.transact import refused

TRIES = 64
"""How often what came of a call is recorded before it is given up: for about a minute, as long as
an intent's lease. After that the intent expires, and waits for a report or a person."""
PAUSE_SECONDS = 0.05
PAUSE_MAX_SECONDS = 1.0

_TROUBLE = frozenset({"busy", "outcome_unknown"})
_UNDECIDED = _TROUBLE | {"internal_error"}

_log = logging.getLogger("tallybook.collection")


async def record_surely(
    door: Door, commands: Sequence[Command], told: Sequence[Mapping[str, object]], *, in_bulk: bool
) -> list[Outcome]:
    """Record what came of calls that were made, again and again until the book has it.

    A command that was recorded after all must change nothing when it comes again. `told` says of
    each what goes into the log if it is given up, so that a person can find it at the other side.

    Raises: Refused `call_unrecorded`, never `busy`: whoever asks anew might pay twice.
    """
    decided: dict[int, Outcome] = {}
    for attempt in range(TRIES):
        left = [place for place in range(len(commands)) if place not in decided]
        outcomes = await _ask(door, [commands[place] for place in left], in_bulk=in_bulk)
        decided |= {
            place: outcome
            for place, outcome in zip(left, outcomes, strict=True)
            if outcome.refusal is None or outcome.refusal.code not in _UNDECIDED
        }
        if len(decided) == len(commands):
            return [decided[place] for place in range(len(commands))]
        await asyncio.sleep(min(PAUSE_MAX_SECONDS, PAUSE_SECONDS * 2**attempt))
    for place in range(len(commands)):
        if place not in decided:
            _log.error("what came of a call could not be recorded", extra=told[place])
    raise Refused(Refusal("call_unrecorded"))


async def ask_all(door: Door, commands: Sequence[Command]) -> list[Outcome]:
    """Ask for a chunk of a run's writes; what the database refuses is no answer.

    Raises: as `refuse_trouble`.
    """
    outcomes = await door.ask_chunk(commands)
    refuse_trouble(outcomes)
    return outcomes


async def ask_one(door: Door, command: Command) -> Outcome:
    """Ask for a write that a run can't do without. Raises: Refused where it was not decided."""
    outcome = await door.ask(command)
    if outcome.refusal is not None and outcome.refusal.code in _UNDECIDED:
        raise Refused(outcome.refusal)
    return outcome


def refuse_trouble(outcomes: Sequence[Outcome]) -> None:
    """See that the database took a chunk. A command that broke by itself stops no others.

    Raises: Refused `busy`, `outcome_unknown`, so that a run stays open and is gone on with.
    """
    for outcome in outcomes:
        if outcome.refusal is not None and outcome.refusal.code in _TROUBLE:
            raise Refused(outcome.refusal)


async def _ask(door: Door, commands: Sequence[Command], *, in_bulk: bool) -> Sequence[Outcome]:
    if in_bulk:
        return await door.ask_chunk(commands)
    try:
        return [await door.ask(command) for command in commands]
    except Refused as full:
        return [refused(full.refusal) for _ in commands]
