"""Bringing in a file of advances: line by line, once each, however often it is begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydantic_core import from_json

from tallybook.advances.operations.begin import BeginAdvanceOperation
from tallybook.advances.queries import list_currencies
from tallybook.advances.tasks.import_lines import COLUMNS, AdvanceLine, parse_line
from tallybook.advances.tasks.perform import AdvanceContext
from tallybook.ambient.liveness import this_process
from tallybook.collection.model import NOT_ATTEMPTED, NOT_CONNECTED
from tallybook.collection.queries import list_transfers_of
from tallybook.collection.tasks.paying import wait_for_reply
from tallybook.collection.tasks.sending import (
    NOT_CONNECTED_MAX,
    SendOrder,
    expire_intents,
    send_and_record,
)
from tallybook.customers.tasks import register_accounts
from tallybook.db.scratch import Occurrences
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import parse_id
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import Transfer, TransferState
from tallybook.processor.port import NOT_LET_IN
from tallybook.processor.sender import OPEN_MAX
from tallybook.wire.csv_reader import CsvLine, CsvReader
from tallybook.wire.line_import import (
    LINES_AT_ONCE,
    LineCounts,
    Tally,
    WhenRefused,
    find_asked,
    find_replies,
    in_parts,
)
from tallybook.writer.model import Command, Operation, Outcome
from tallybook.writer.transact import refusal_of

BEGUN_AT_ONCE = 100
"""How many intents go on record in one transaction; the calls of two such groups overlap."""


@dataclass(slots=True)
class ImportSummary(LineCounts):
    """What became of a file's lines; every line is counted in exactly one place."""

    performed: int = 0
    unknown: int = 0
    """Sent, now or in an import before, and nobody knows what came of it: each is an operator
    item."""
    not_tried: int = 0
    """Left for the next import, because the Processor could not be reached."""

    @property
    def lines(self) -> int:
        """Tell how many lines there were."""
        return self.performed + self.already_there + self.unknown + self.refused + self.not_tried

    @property
    def is_complete(self) -> bool:
        """Tell whether every line is in the book now."""
        return not (self.refused or self.not_tried)


async def import_advances(
    context: AdvanceContext,
    stream: BinaryIO,
    *,
    progress: Progress = NO_PROGRESS,
    when_refused: WhenRefused | None = None,
) -> ImportSummary:
    """Pay out the advances of a CSV file, each once, whatever happened to imports before.

    A line that fails leaves the others be. Killed anywhere, the same file goes on where it was:
    what was in the air is unknown then, and waits for a person.

    Raises: Refused `file_malformed`, `shutting_down`; Stopped, once nothing is in the air.
    """
    reader = CsvReader(stream, COLUMNS)
    await expire_intents(context)
    others = await asyncio.to_thread(_other_currencies, context)
    with Occurrences() as seen:
        work = _Import(context, others, seen, progress, when_refused)
        return await work.run(reader)


def _other_currencies(context: AdvanceContext) -> list[str]:
    """List what the installation's currency can have been at imports before."""
    with context.database.reader() as connection:
        return [each for each in list_currencies(connection) if each != context.currency]


class _Import:
    """One import, as far as it has come."""

    def __init__(
        self,
        context: AdvanceContext,
        others: Sequence[str],
        seen: Occurrences,
        progress: Progress,
        when_refused: WhenRefused | None,
    ) -> None:
        self._context = context
        self._operation = BeginAdvanceOperation(
            context.advance_terms, this_process(), context.sender.lease
        )
        self._others = others
        self._seen = seen
        self._summary = ImportSummary()
        self._tally = Tally(self._summary, progress, when_refused)
        self._in_air: set[asyncio.Task[None]] = set()
        self._was_connected = False
        self._not_connected_in_a_row = 0

    async def run(self, reader: CsvReader) -> ImportSummary:
        """Go through the file. Whatever ends it, what was sent is recorded first."""
        try:
            for lines in in_parts(reader, LINES_AT_ONCE):
                await self._take(lines)
                if self._tally.stopped is not None:
                    break
        finally:
            while self._in_air:
                await asyncio.wait(self._in_air)
        if self._tally.stopped is not None:
            raise self._tally.stopped
        return self._summary

    # -- a part of the file

    async def _take(self, lines: Sequence[CsvLine]) -> None:
        parsed = [parsed for line in lines if (parsed := self._parse(line)) is not None]
        if self._is_cut_off:
            self._count_not_tried(len(parsed))
            return
        await self._recognise(parsed)
        fresh = await self._registered(await self._without_known(parsed))
        while fresh and self._tally.stopped is None:
            # Until one call got through, it takes few to see that none does.
            size = BEGUN_AT_ONCE if self._was_connected else NOT_CONNECTED_MAX
            await self._begin(fresh[:size])
            fresh = fresh[size:]

    def _parse(self, line: CsvLine) -> AdvanceLine | None:
        try:
            parsed = parse_line(line, self._context.secrets, self._context.currency, self._others)
        except Refused as refused:
            self._tally.refuse(line.number, refused.refusal)
            return None
        parsed.take_keys(self._seen)
        return parsed

    async def _recognise(self, lines: Sequence[AdvanceLine]) -> None:
        """Take lines that were asked before under another currency for what they were then."""
        if not self._others:
            return
        before = await find_asked(self._context, [line.keys for line in lines])
        for line, stored in zip(lines, before, strict=True):
            if stored is not None:
                line.first_key = stored.key

    async def _without_known(self, lines: Sequence[AdvanceLine]) -> list[AdvanceLine]:
        """Count the lines that an import before has brought in; give the others, in order."""
        left: set[int] = set()
        in_doubt: list[str] = []
        asking = list(lines)
        while asking:
            known = await find_replies(self._context, [line.key for line in asking])
            again: list[AdvanceLine] = []
            for line in asking:
                stored = known.get(line.key)
                if stored is None or stored.status is None or stored.body is None:
                    left.add(line.number)
                    continue
                refusal = refusal_of(stored.body)
                if _never_left(refusal):
                    line.attempt += 1
                    again.append(line)
                elif stored.status == 202:
                    in_doubt.append(stored.body)
                else:
                    self._count_known(line, stored.status, refusal)
            asking = again
        await self._count_in_doubt(in_doubt)
        return [line for line in lines if line.number in left]

    async def _count_in_doubt(self, bodies: Sequence[str]) -> None:
        """Count lines whose outcome nobody knew when they were sent: it may be known by now."""
        shown = [str(from_json(body)["id"]) for body in bodies]
        ids = [ident for each in shown if (ident := parse_id("adv", each)) is not None]
        credits_of = await self._transfers_of(ids) if ids else []
        unknown = sum(
            not transfer.is_debit and transfer.state is TransferState.UNKNOWN
            for transfer in credits_of
        )
        self._summary.unknown += unknown
        self._summary.already_there += len(bodies) - unknown
        self._tally.advance(len(bodies))

    async def _transfers_of(self, advance_ids: Sequence[str]) -> list[Transfer]:
        def load() -> list[Transfer]:
            with self._context.database.reader() as connection:
                return list_transfers_of(connection, advance_ids)

        return await asyncio.to_thread(load)

    async def _registered(self, lines: Sequence[AdvanceLine]) -> list[AdvanceLine]:
        """Register the accounts that lines name a customer for; give the lines that stand."""
        wanted = [(line, line.account) for line in lines if line.account is not None]
        answers = await register_accounts(self._context, [account for _, account in wanted])
        refused: set[int] = set()
        for (line, _), refusal in zip(wanted, answers, strict=True):
            if refusal is not None:
                refused.add(line.number)
                self._tally.refuse(line.number, refusal)
        return [line for line in lines if line.number not in refused]

    # -- paying out

    async def _begin(self, lines: Sequence[AdvanceLine]) -> None:
        """Put intents on record, and send them while the next ones are prepared."""
        room = OPEN_MAX - len(lines) if self._was_connected else 0
        while len(self._in_air) > room:
            await asyncio.wait(self._in_air, return_when=asyncio.FIRST_COMPLETED)
        if self._is_cut_off:
            self._count_not_tried(len(lines))
            return
        commands = [_command(self._operation, line) for line in lines]
        asked_at = self._context.clock.monotonic()
        outcomes = await self._context.door.ask_chunk(commands)
        for line, command, outcome in zip(lines, commands, outcomes, strict=True):
            if outcome.value is not None:
                self._start(self._send(line, SendOrder(*outcome.value), asked_at))
            elif outcome.pending:
                self._start(self._wait(line, command))
            else:
                self._count(line, outcome)

    def _start(self, work: Any) -> None:  # noqa: ANN401 - a coroutine, whatever it would send
        task = asyncio.create_task(work)
        self._in_air.add(task)
        task.add_done_callback(self._in_air.discard)

    async def _send(self, line: AdvanceLine, order: SendOrder, asked_at: float) -> None:
        try:
            outcome = await send_and_record(self._context, order, asked_at=asked_at)
        except Refused as refused:
            self._tally.refuse(line.number, refused.refusal)
            return
        self._count(line, outcome)

    async def _wait(self, line: AdvanceLine, command: Command) -> None:
        """Wait for whoever began this line: another import, or one that died elsewhere."""
        try:
            self._count(line, await wait_for_reply(self._context, command))
        except Refused as refused:
            self._tally.refuse(line.number, refused.refusal)

    # -- counting

    @property
    def _is_cut_off(self) -> bool:
        """Nothing can be sent: the Processor does not answer, or sending is stopped."""
        if self._not_connected_in_a_row >= NOT_CONNECTED_MAX:
            return True
        return not self._context.sending.is_open()

    def _count(self, line: AdvanceLine, outcome: Outcome) -> None:
        if outcome.replayed:
            self._count_known(line, outcome.status, outcome.refusal)
            return
        cut_off = _why_rejected(outcome.refusal) in (NOT_CONNECTED, NOT_LET_IN)
        self._not_connected_in_a_row = self._not_connected_in_a_row + 1 if cut_off else 0
        self._was_connected = self._was_connected or not cut_off
        if outcome.refusal is not None:
            self._tally.refuse(line.number, outcome.refusal)
            return
        if outcome.status == 201:
            self._summary.performed += 1
        else:
            self._summary.unknown += 1
        self._tally.advance()

    def _count_known(self, line: AdvanceLine, status: int, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._tally.refuse(line.number, refusal)
            return
        if status == 201:
            self._summary.already_there += 1
        else:
            self._summary.unknown += 1
        self._tally.advance()

    def _count_not_tried(self, count: int) -> None:
        self._summary.not_tried += count
        self._tally.advance(count)


def _command(operation: Operation[Any], line: AdvanceLine) -> Command:
    asked = replace(line.asked, request_key=line.key)
    return Command(operation, asked, line.key, keeps_refusals=False)


def _never_left(refusal: Refusal | None) -> bool:
    """Tell whether a stored reply proves that the Processor looked at nothing: no attempt (P3)."""
    return _why_rejected(refusal) in NOT_ATTEMPTED


def _why_rejected(refusal: Refusal | None) -> object:
    is_rejection = refusal is not None and refusal.code == "processor_rejected"
    return refusal.details.get("reason") if refusal is not None and is_rejection else None
