"""One batch, one transaction: look up, lock, read, decide, record, commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from pydantic_core import from_json, to_json

from tallybook.db.dialect import Insert, Select, Step, Tx, Update
from tallybook.db.errors import Trouble, classify
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import REFUSALS, Refusal, problem
from tallybook.writer.batch import Batch
from tallybook.writer.loading import Loader, LockTooLateError, look_up
from tallybook.writer.model import (
    Command,
    Decision,
    Journal,
    Moment,
    NotAskedForError,
    Outcome,
    Reply,
    Shelf,
    View,
)
from tallybook.writer.sealing import Seals
from tallybook.writer.store import (
    BOOK_HEAD,
    COMMAND_ROWS,
    COMPLETION_ROWS,
    EVENT_ROWS,
    HEAD_ROWS,
    SEAL_ROWS,
    ChainHead,
    Completion,
    RowSeal,
    StoredCommand,
    chain_events,
)

_log = logging.getLogger("tallybook.writer")

_NO_BODY = "null"


class CommitUnknownError(Exception):
    """The connection broke while COMMIT was on its way: `trace` can tell later how it ended."""

    def __init__(self, trace: Trace) -> None:
        super().__init__("the outcome of a COMMIT is unknown")
        self.trace = trace


@dataclass(slots=True)
class Trace:
    """What a committed batch leaves behind for certain: its first event, or a key of its own."""

    event_seq: int | None = None
    event_hash: str = ""
    keys: dict[str, datetime] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)


def transact(
    begin: Callable[[], Tx],
    journal: Journal,
    commands: Sequence[Command],
    moment: Moment,
    ids: Ids,
) -> Trace:
    """Run a batch of commands in one transaction and commit it.

    Starts again with all locks known where one came up out of order, or where a row is to be
    changed that nobody locked: what was decided on it may be of yesterday. Both are rare.

    Returns: what happened: one outcome a command, in their order, and the keys completed.
    Raises: the driver's errors (nothing is committed then); CommitUnknownError. Whatever
        happened, no transaction is left open.
    Locks: all rows that the batch needs, once, in (rank, key) order; the chain head last.
    """
    early: set[tuple[Shelf[Any], Any]] = set()
    while True:
        tx = begin()
        try:
            view = View()
            loader = Loader(tx, view)
            stored = None if early else loader.load_at_once(commands)
            if stored is None:
                stored = look_up(tx, view, commands)
                loader.load(commands, early)
            batch = _decide_all(loader, commands, stored, moment, ids)
            batch.see_guarded(view)
            return _record(tx, journal, batch, view, moment)
        except LockTooLateError as late:
            tx.rollback()
            early |= late.wanted
        except BaseException:
            tx.rollback()
            raise


# -- decide ----------------------------------------------------------------------------------


def _decide_all(
    loader: Loader,
    commands: Sequence[Command],
    stored: dict[str, StoredCommand],
    moment: Moment,
    ids: Ids,
) -> Batch:
    loader.view.strict = True
    batch = Batch()
    known = dict(stored)
    for command in commands:
        outcome = _replay(command, known)
        if outcome is None:
            outcome = _decide_one(loader, command, batch, known, moment, ids)
        batch.outcomes.append(outcome)
    loader.view.strict = False
    return batch


def _replay(command: Command, known: dict[str, StoredCommand]) -> Outcome | None:
    """Answer a key that was used before. Source: T5."""
    if command.key is None or (row := known.get(command.key)) is None:
        return None
    if not command.asks_what_was(row.input_hash) or row.operation != command.operation.name:
        return refused(Refusal("key_reused_with_other_input", param="Idempotency-Key"))
    if row.status is None or row.body is None:
        return Outcome(202, _NO_BODY, replayed=True, pending=True)
    return Outcome(row.status, row.body, refusal_of(row.body), replayed=True)


def _decide(
    loader: Loader, command: Command, moment: Moment, ids: Ids
) -> Decision | Refusal | None:
    """Decide one command on what the batch has come to; None where it breaks.

    What earlier commands decided may let a command need more than it did when all were asked:
    then that is loaded, and it decides again.
    """
    while True:
        try:
            return command.operation.decide(loader.view, command.input, moment, ids)
        except Exception as error:  # noqa: BLE001 - whatever broke, the neighbours go on
            broken = error
        if isinstance(broken, NotAskedForError) and loader.load_late(command):
            continue
        # One command's bug must not take its neighbours along. Nothing of it was applied.
        _log.error("a command broke", extra={"command": command.operation.name}, exc_info=broken)
        return None


def _decide_one(
    loader: Loader,
    command: Command,
    batch: Batch,
    known: dict[str, StoredCommand],
    moment: Moment,
    ids: Ids,
) -> Outcome:
    decided = _decide(loader, command, moment, ids)
    if decided is None:
        return refused(Refusal("internal_error"))
    if isinstance(decided, Refusal):
        outcome = refused(decided)
        if not command.keeps_refusals:
            return outcome
    else:
        _apply(loader.view, batch, decided, known, moment)
        outcome = _answer(decided, has_key=command.key is not None)
    if command.key is not None:
        final = not outcome.pending
        row = StoredCommand(
            command.key,
            command.operation.name,
            command.input_hash(),
            outcome.status if final else None,
            outcome.body if final else None,
            moment.now,
            moment.now if final else None,
        )
        known[command.key] = batch.new_keys[command.key] = row
    return outcome


def _answer(decided: Decision, *, has_key: bool) -> Outcome:
    reply = decided.reply
    if isinstance(reply, Refusal):
        return replace(refused(reply), value=decided.value)
    return Outcome(
        reply.status if reply else 202,
        to_json(reply.body).decode() if reply else _NO_BODY,
        value=decided.value,
        pending=has_key and reply is None,
    )


def _apply(
    view: View,
    batch: Batch,
    decided: Decision,
    known: dict[str, StoredCommand],
    moment: Moment,
) -> None:
    assert decided.events or not (decided.changed or decided.added or decided.entries), (
        "every change has an event"
    )
    for shelf, row in decided.added:
        ident = shelf.key_of(row)
        batch.added[shelf][ident] = row
        view.apply(shelf, ident, row)
    for shelf, row in decided.changed:
        ident = shelf.key_of(row)
        rows = batch.added.get(shelf)
        if rows is None or ident not in rows:
            rows = batch.changed[shelf]
        rows[ident] = row
        view.apply(shelf, ident, row)
    batch.entries.extend(decided.entries)
    batch.events.extend(decided.events)
    for key, reply in decided.completes.items():
        _complete(batch, known, key, reply, moment)


def _complete(
    batch: Batch,
    known: dict[str, StoredCommand],
    key: str,
    reply: Reply | Refusal,
    moment: Moment,
) -> None:
    """Write the final reply of a key that an earlier command began.

    The writer does not read the row first: the operation did, by locking what carries the key.
    """
    if isinstance(reply, Refusal):
        status, body = reply.kind.status, to_json(problem(reply)).decode()
    else:
        status, body = reply.status, to_json(reply.body).decode()
    begun = known.get(key)
    if begun is not None and key in batch.new_keys:
        begun = replace(begun, status=status, body=body, completed_at=moment.now)
        known[key] = batch.new_keys[key] = begun
        return
    batch.completed_keys[key] = Completion(key, status, body, moment.now)
    if begun is not None:
        known[key] = replace(begun, status=status, body=body, completed_at=moment.now)


def refused(refusal: Refusal) -> Outcome:
    """Make the outcome of a refusal."""
    return Outcome(refusal.kind.status, to_json(problem(refusal)).decode(), refusal)


def refusal_of(body: str) -> Refusal | None:
    """Find the refusal again in a stored reply; None where the reply was not one."""
    shape = from_json(body)
    code = shape.get("code") if isinstance(shape, dict) else None
    if code not in REFUSALS or shape.get("type") != f"urn:tallybook:refusal:{code}":
        return None
    known = ("type", "title", "status", "code", "detail", "retry", "param")
    details = {key: value for key, value in shape.items() if key not in known}
    return Refusal(str(code), param=shape.get("param"), details=details)


# -- record ----------------------------------------------------------------------------------


def _record(tx: Tx, journal: Journal, batch: Batch, view: View, moment: Moment) -> Trace:
    trace = Trace(outcomes=batch.outcomes, completed=list(batch.completed_keys))
    steps: list[Step] = []
    for shelf in sorted({*batch.changed, *batch.added}, key=lambda shelf: shelf.rank):
        # Changes before additions: a row may give up a place that a new row takes.
        if changed := batch.changed.get(shelf):
            steps.append(_overwriting(shelf, changed, view))
        if added := batch.added.get(shelf):
            steps.append(Insert(shelf.rows, list(added.values())))
    # Keys in one order, as all locks: a batch that waits for another's key must not hold one that
    # the other waits for. And before the head is locked, so that batches write them side by side.
    if completed := batch.completed_keys:
        steps.append(Update(COMPLETION_ROWS, [completed[key] for key in sorted(completed)]))
    if batch.new_keys:
        steps.append(Insert(COMMAND_ROWS, [batch.new_keys[key] for key in sorted(batch.new_keys)]))
        trace.keys = {key: row.recorded_at for key, row in batch.new_keys.items()}
    last: list[Step] = []
    seals, sealed = Seals(), batch.sealed
    if batch.events or batch.entries or sealed:
        # The seals are added up while PostgreSQL is at the rows.
        head, stored_seals = _lock_head(tx, steps, sealed, partial(batch.seal, seals, view))
        steps = []
        last += seals.steps(stored_seals)
        if batch.entries:
            head, posted = journal.record(tx, batch.entries, head, moment)
            last += posted
        if batch.events:
            rows, seq, chained = chain_events(batch.events, head, moment)
            last.append(Insert(EVENT_ROWS, rows))
            last.append(Update(HEAD_ROWS, [replace(head, event_seq=seq, event_hash=chained)]))
            trace.event_seq, trace.event_hash = rows[0].seq, rows[0].hash
    _commit(tx, [*steps, *last], trace)
    return trace


def _overwriting(shelf: Shelf[Any], changed: dict[Any, Any], view: View) -> Update:
    """Write what has changed of rows that were read under their locks, in the order of keys.

    To write all of each row costs SQLite every index of the table, three times as much.
    """
    ordered = sorted(changed)
    columns = shelf.rows.differing((view.stored_row(shelf, key), changed[key]) for key in ordered)
    return Update(shelf.rows, [changed[key] for key in ordered], columns)


def _lock_head(
    tx: Tx,
    steps: Sequence[Step],
    sealed: Sequence[str],
    meanwhile: Callable[[], None] | None = None,
) -> tuple[ChainHead, list[RowSeal]]:
    """Lock the chain head, and read the seals that only its holder may change."""
    lock = Select(HEAD_ROWS, ("name",), [BOOK_HEAD], lock=True)
    read = [Select(SEAL_ROWS, ("name",), sealed)] if sealed else []
    heads, *seals = tx.run([*steps, lock, *read], meanwhile)
    assert len(heads) == 1, "the chain has one head, made by the first migration"
    return heads[0], seals[0] if seals else []


def _commit(tx: Tx, steps: Sequence[Step], trace: Trace) -> None:
    try:
        tx.commit(steps)
    except Exception as error:
        if classify(error)[0] is Trouble.LOST:
            raise CommitUnknownError(trace) from error
        raise


def committed_after_all(tx: Tx, trace: Trace) -> bool:
    """Find out, on a new connection, whether a batch whose COMMIT was lost is on disk.

    Locks: the chain head first, so that a commit still on its way is waited for.
    """
    try:
        _lock_head(tx, [], ())
        if trace.event_seq is not None:
            (events,) = tx.run([Select(EVENT_ROWS, ("seq",), [trace.event_seq])])
            return bool(events) and events[0].hash == trace.event_hash
        if trace.keys:
            (rows,) = tx.run([Select(COMMAND_ROWS, ("key",), sorted(trace.keys))])
            return {row.key: row.recorded_at for row in rows} == trace.keys
        return True
    finally:
        tx.rollback()
