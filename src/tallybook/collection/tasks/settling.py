"""Settling: every fact that reports told and no transfer was settled with. Source: A6, P4, P6."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from tallybook.collection import queries
from tallybook.collection.operations.settling import SETTLE_TRANSFER, SettleTransfer
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.insisting import ask_all
from tallybook.collection.tasks.matching import match_orphans
from tallybook.collection.tasks.reading import read, read_chunks, work_through
from tallybook.kernel.money import format_amount
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.processor.model import Transfer, TransferState
from tallybook.processor.queries import do_rows_tell_accounts
from tallybook.writer.model import Command, Outcome


@dataclass(slots=True)
class Tally:
    """Counts and sums of a step, by what happened."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, name: str, transfer: Transfer | None = None) -> None:
        """Count one more, with its amount if there is a transfer."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if transfer is not None:
            by_currency = self.sums.setdefault(name, {})
            amount = by_currency.get(transfer.currency, 0) + transfer.amount_minor
            by_currency[transfer.currency] = amount

    def shown(self) -> dict[str, Any]:
        """Show counts and sums, amounts as text."""
        return {
            name: {
                "count": count,
                **{
                    currency: format_amount(amount, currency)
                    for currency, amount in self.sums.get(name, {}).items()
                },
            }
            for name, count in sorted(self.counts.items())
        }


@dataclass(slots=True)
class Settling:
    """What settling came to."""

    settled: Tally = field(default_factory=Tally)
    moved: Tally = field(default_factory=Tally)
    """What became of plans: activated ones, and rows that moved."""


async def _nothing() -> None:
    """Do nothing between two chunks."""


async def settle(
    context: CollectionContext,
    *,
    progress: Progress = NO_PROGRESS,
    between: Callable[[], Awaitable[None]] = _nothing,
) -> Settling:
    """Settle transfers with what reports say of them; one command each re-plans its plan as well.

    It finds what is left to do, so it may be stopped, repeated, or done twice at once. `between`
    is called after each chunk: a run says there that it lives.
    """
    done = Settling()
    unapplied = await read(context, queries.count_unapplied)
    progress.begin("settle", unapplied)
    if not unapplied:
        return done
    orphans = await match_orphans(context)
    tell_accounts = await read(context, do_rows_tell_accounts)

    async def settle_chunk(transfers: list[Transfer]) -> list[Outcome]:
        hashes: Mapping[str, str] = {}
        if tell_accounts:
            accounts = sorted({transfer.bank_account_id for transfer in transfers})
            hashes = await read(
                context, lambda connection: queries.account_hashes(connection, accounts)
            )
        return await ask_all(
            context.door,
            [
                Command(
                    SETTLE_TRANSFER,
                    SettleTransfer(
                        transfer,
                        transfer.transaction_id or "",
                        hashes.get(transfer.bank_account_id),
                    ),
                )
                for transfer in transfers
            ],
        )

    chunks = _by_plan(read_chunks(context, queries.stream_unsettled))
    settling = work_through(chunks, settle_chunk, at_once=context.door.bulk_width)
    async with aclosing(settling):
        async for transfers, outcomes in settling:
            _count(transfers, outcomes, done)
            progress.advance(len(transfers))
            await between()
    for _ in range(orphans):
        done.settled.add("orphan")
    return done


async def _by_plan(chunks: AsyncGenerator[list[Transfer]]) -> AsyncGenerator[list[Transfer]]:
    """Cut chunks where a plan ends, so that its rows are settled in their order. Source: A8."""
    left: list[Transfer] = []
    async with aclosing(chunks):
        async for chunk in chunks:
            joined = [*left, *chunk]
            last = joined[-1].subject_id
            places = (at for at, each in enumerate(joined) if each.subject_id == last)
            cut = next(places, len(joined))
            if cut:
                yield joined[:cut]
            left = joined[cut:]
    if left:
        yield left


def _count(transfers: Sequence[Transfer], outcomes: Sequence[Outcome], done: Settling) -> None:
    for before, outcome in zip(transfers, outcomes, strict=True):
        after = outcome.value
        if not isinstance(after, Transfer):
            continue
        done.settled.add(f"{after.direction.value}_{after.state.value}", after)
        if not after.is_debit and after.state is TransferState.SUCCEEDED:
            done.moved.add("activated", after)
        elif after.is_debit and after.state is not TransferState.SUCCEEDED:
            done.moved.add("moved", before)
