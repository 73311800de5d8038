"""Paying an advance out. Source: A2."""

from __future__ import annotations

from typing import Protocol

from tallybook.advances.model import AdvanceTerms
from tallybook.advances.operations.begin import BeginAdvance, BeginAdvanceOperation
from tallybook.ambient.liveness import this_process
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.paying import pay_out
from tallybook.kernel.frozen import replace
from tallybook.writer.model import Command, Outcome


class AdvanceContext(CollectionContext, Protocol):
    """One running engine, as advances see it."""

    @property
    def advance_terms(self) -> AdvanceTerms:
        """What an advance may be, and how it is collected."""
        ...


async def perform_advance(
    context: AdvanceContext, asked: BeginAdvance, *, key: str | None = None
) -> Outcome:
    """Make an advance, pay it out, and give the reply once its outcome is on record.

    A copy with the same key waits for the first one's reply. Whoever asked may go away: what was
    begun is finished.

    Raises: Refused `busy`, `shutting_down` before anything was begun;
        `call_unrecorded`, `outcome_unknown` as `pay_out` does.
    """
    operation = BeginAdvanceOperation(context.advance_terms, this_process(), context.sender.lease)
    return await pay_out(context, Command(operation, replace(asked, request_key=key), key))
