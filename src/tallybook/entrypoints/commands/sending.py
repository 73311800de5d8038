"""`tallybook sending`: the switch of all sending, on the machine of the book."""

from __future__ import annotations

from datetime import date

from tallybook.ambient.settings import load_settings
from tallybook.collection.operations.switching import SetSending
from tallybook.collection.tasks.switch import set_sending
from tallybook.entrypoints import loops
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.restored import hold_sending
from tallybook.kernel.refusal import Refused
from tallybook.kernel.text import on_one_line
from tallybook.processor.model import SendingState
from tallybook.processor.queries import find_sending


def show(**given: object) -> None:
    """Say whether anything may be sent."""
    engine = Engine.open(load_settings(**given), may_create=False, sends_nothing=True)
    try:
        _say(engine)
    finally:
        engine.close()


def change(state: SendingState, reason: str, by: str, **given: object) -> None:
    """Stop or start all sending; once this is done nothing that is forbidden begins any more."""
    engine = Engine.open(load_settings(**given), may_create=False, sends_nothing=True)
    try:
        outcome = loops.run(set_sending(engine.door, SetSending(state, reason.strip(), by.strip())))
        if outcome.refusal is not None:
            raise Refused(outcome.refusal)
        _say(engine)
    finally:
        engine.close()


def hold(reason: str, by: str, lost_from: date | None = None, **given: object) -> None:
    """Say that this book is a restored copy: after its last run it may have lost something."""
    engine = Engine.open(load_settings(**given), may_create=False, sends_nothing=True)
    try:
        hold_sending(engine, reason=reason.strip(), by=by.strip(), lost_from=lost_from)
        _say(engine)
    finally:
        engine.close()


def _say(engine: Engine) -> None:
    with engine.database.reader() as connection:
        sending = find_sending(connection)
    if engine.newest.is_unread:
        print(
            f"{engine.settings.anchor_path} can't be read as a file of anchors: processes with"
            " these settings send nothing. Bring it back, or move it away if it is lost."
        )
    if engine.settings.sending_stopped:
        print("TALLYBOOK_SENDING_STOPPED is set: processes with these settings send nothing.")
    if sending is None:
        print("Sending is open; nobody has ever stopped it.")
        return
    print(
        f"Sending is {sending.state.value}, by {on_one_line(sending.changed_by)}"
        f" at {sending.changed_at:%Y-%m-%d %H:%M:%S} UTC: {on_one_line(sending.reason)}"
    )
    if sending.state is SendingState.RECONCILING:
        print(
            f"What was sent from {sending.lost_from} to {sending.lost_until} may be missing from"
            " this book. It starts by itself once complete reports cover these days and five more"
            " and no orphan waits, or with `tallybook sending start`."
        )
