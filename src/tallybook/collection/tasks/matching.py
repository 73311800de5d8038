"""Orphans: rows of reports that no transfer has the id of. Source: P6, P9."""

from __future__ import annotations

import asyncio
from datetime import date

from tallybook.collection import queries
from tallybook.collection.operations.matching import (
    MATCH_ORPHAN,
    RULE_ABSENT,
    MatchOrphan,
)
from tallybook.collection.operations.reports import OPEN_ITEM, OpenItem
from tallybook.collection.operations.transfers import MarkTransfer
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.insisting import ask_all
from tallybook.processor.model import Fact, ItemKind, Transfer, TransferState
from tallybook.processor.queries import find_sending, list_dismissed, list_nameless
from tallybook.processor.rules import covered_days, has_timed_out, match_orphan, may_be_shown
from tallybook.writer.model import Command


async def match_orphans(context: CollectionContext) -> int:
    """Give orphan rows to the transfers without an id that they identify.

    The rest wait for a person. A transfer that a person confirmed without its id is one of them:
    else its row would go to another that is equal and of which nothing is known. It is not while
    the book is a restored copy: a row may be of a transfer that the copy does not have. What a
    person has dismissed is nobody's, also where a report says more of it.

    Returns: how many orphans are new operator items.
    """

    def load() -> tuple[list[Fact], list[Transfer], dict[str, str], frozenset[str]]:
        with context.database.reader() as connection:
            orphans = queries.list_orphans(connection)
            if not orphans:
                return [], [], {}, frozenset()
            nameless = list_nameless(connection)
            sending = find_sending(connection)
            if sending is not None and sending.lost_from is not None:
                nameless = [each for each in nameless if each.state is TransferState.UNKNOWN]
            accounts = sorted({transfer.bank_account_id for transfer in nameless})
            hashes = dict(queries.account_hashes(connection, accounts))
            return orphans, nameless, hashes, list_dismissed(connection, ItemKind.ORPHAN)

    orphans, nameless, hashes, dismissed = await asyncio.to_thread(load)
    left = {transfer.id: transfer for transfer in nameless}
    commands: list[Command] = []
    seen: set[str] = set()
    for fact in sorted(orphans, key=lambda each: (each.happened_on, each.transaction_id)):
        if fact.transaction_id in seen:
            continue
        seen.add(fact.transaction_id)
        may_be = [] if fact.transaction_id in dismissed else list(left.values())
        matched = match_orphan(fact, may_be, hashes)
        if matched is not None:
            transfer = left.pop(matched)
            commands.append(Command(MATCH_ORPHAN, MatchOrphan(transfer, fact.transaction_id)))
        else:
            commands.append(_orphan_item(fact))
    outcomes = await ask_all(context.door, commands)
    return sum(
        1
        for command, outcome in zip(commands, outcomes, strict=True)
        if command.operation is OPEN_ITEM and outcome.value
    )


async def rule_absent(context: CollectionContext, run_on: date) -> int:
    """Rule unknown transfers not executed that complete, identifying reports never showed.

    None is while a row of its time is unexplained, for that may be it; nor while one stands under
    the id of a transfer that it does not fit.

    Returns: how many.
    """

    def load() -> list[Transfer]:
        with context.database.reader() as connection:
            unknowns = queries.list_in_flight(connection, TransferState.UNKNOWN)
            if not unknowns:
                return []
            oldest = min(transfer.sent_on for transfer in unknowns)
            covered = covered_days(queries.list_rich_days(connection, since=oldest))
            unexplained = [*queries.list_orphans(connection), *queries.list_disputed(connection)]
            return [
                transfer
                for transfer in unknowns
                if has_timed_out(transfer.sent_on, run_on, covered)
                and not may_be_shown(transfer.sent_on, unexplained)
            ]

    absent = await asyncio.to_thread(load)
    commands = [Command(RULE_ABSENT, MarkTransfer(transfer)) for transfer in absent]
    return sum(1 for outcome in await ask_all(context.door, commands) if outcome.value)


def gap_item(transfer: Transfer) -> Command:
    """Make the item about a transfer that no report can tell of any more. Source: P5."""
    detail = (
        f"No complete report covers a day that could have shown this {transfer.direction.value}"
        f" sent on {transfer.sent_on}: what became of it can't be told from reports any more."
    )
    return Command(
        OPEN_ITEM,
        OpenItem(
            ItemKind.GAP,
            transfer.id,
            detail,
            transfer_id=transfer.id,
            subject_id=transfer.subject_id,
            customer_id=transfer.customer_id,
            transfer_kind=transfer.kind,
        ),
    )


def _orphan_item(fact: Fact) -> Command:
    detail = (
        f"A report names {fact.transaction_id} ({fact.result.value}), which no transfer of ours"
        " has. If an unknown transfer is behind it, confirm that one with this id."
    )
    return Command(OPEN_ITEM, OpenItem(ItemKind.ORPHAN, fact.transaction_id, detail))
