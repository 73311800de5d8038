"""Cash in and out of the drawer, and its counts. Source: R1, R6, R11."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.money import MINOR_MAX, format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Chart
from tallybook.retail.model import (
    DRAWER,
    CounterTerms,
    Denomination,
    DrawerMovement,
    DrawerSession,
    MovementKind,
    Pieces,
    pieces_text,
    value_of,
)
from tallybook.retail.operations.till import (
    DRAWER_LOCK,
    PIECES_READ,
    Rows,
    Till,
    check_worth,
    drawer_rows,
    entry_of,
    open_own_till,
)
from tallybook.retail.rules.drawer import DENOMINATIONS_MAX, add_pieces, compare_count, take_out
from tallybook.retail.store import DRAWER_MOVEMENTS, SESSIONS
from tallybook.retail.views.answers import show_denomination, show_movement, show_session
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class SetDenomination:
    """How many pieces of one value are in the drawer."""

    value_minor: int
    count: int
    is_new: bool
    """Whether the value is being added, or one that is there is set."""


class SetDenominationOperation:
    """Adds a denomination, or sets its count; the difference came from the float. Source: R1."""

    name = "retail.set_denomination"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: SetDenomination, seen: View) -> Needs:
        """Lock the drawer and look at its pieces."""
        del command, seen
        return Needs(lock=(DRAWER_LOCK,), read=(PIECES_READ,))

    def decide(
        self, view: View, command: SetDenomination, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Set it, unless a new one is known or a known one isn't."""
        till = open_own_till(view, self._terms)
        if isinstance(till, Refusal):
            return till
        if command.is_new and command.value_minor in till.counts:
            return Refusal("denomination_taken", "value")
        if command.is_new and len(till.counts) >= DENOMINATIONS_MAX:
            return Refusal("denominations_too_many", details={"most": DENOMINATIONS_MAX})
        if not command.is_new and command.value_minor not in till.counts:
            return Refusal("denomination_not_found")
        change = command.count - till.counts.get(command.value_minor, 0)
        shown = show_denomination(
            Denomination(DRAWER, command.value_minor, command.count), till.drawer.currency
        )
        movement = _movement(
            till,
            MovementKind.DENOMINATION,
            ((command.value_minor, change),) if change else (),
            0,
            "",
            moment,
            ids,
        )
        counts = {**till.counts, command.value_minor: command.count}
        if (refusal := check_worth(till, counts, "available_count")) is not None:
            return refusal
        reply = Reply(201 if command.is_new else 200, shown)
        return _decision(till, movement, counts, reply)


@frozen
class OpenSession:
    """A count of the drawer that opens a session."""

    counts: Pieces


class OpenSessionOperation:
    """Opens a drawer session with a count. Source: R11."""

    name = "retail.open_drawer_session"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: OpenSession, seen: View) -> Needs:
        """Lock the drawer and look at its pieces."""
        del command, seen
        return Needs(lock=(DRAWER_LOCK,), read=(PIECES_READ,))

    def decide(
        self, view: View, command: OpenSession, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Open it, unless one is open."""
        till = open_own_till(view, self._terms)
        if isinstance(till, Refusal):
            return till
        if till.drawer.open_session is not None:
            details = {"session_id": till.drawer.open_session}
            return Refusal("drawer_session_open", details=details)
        refusal = _find_unknown(till, command.counts, "counts") or _check_count(command.counts)
        if refusal is not None:
            return refusal
        number = till.drawer.sessions_count + 1
        till = replace(
            till, drawer=replace(till.drawer, open_session=number, sessions_count=number)
        )
        session = DrawerSession(
            number=number,
            currency=till.drawer.currency,
            opened_at=moment.now,
            opening_minor=value_of(command.counts),
            closed_at=None,
            expected_minor=None,
            counted_minor=None,
        )
        decided = _count(till, MovementKind.OPENING, command.counts, moment, ids)
        return replace(
            decided,
            added=(*decided.added, (SESSIONS, session)),
            reply=Reply(201, show_session(session)),
        )


@frozen
class MoveCash:
    """Cash paid into the drawer or out of it. Units: minor units."""

    session_number: int
    amount_minor: int
    """More than zero."""
    is_in: bool
    pieces: Pieces | None
    """Which pieces, where that is known."""
    reason: str


class MoveCashOperation:
    """Pays cash in or out during a session. Source: R11."""

    name = "retail.move_cash"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: MoveCash, seen: View) -> Needs:
        """Lock drawer and session, and look at the pieces."""
        del seen
        return Needs(lock=(DRAWER_LOCK, (SESSIONS, command.session_number)), read=(PIECES_READ,))

    def decide(self, view: View, command: MoveCash, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Move it, unless the session is closed or the drawer does not hold it."""
        till = open_own_till(view, self._terms)
        if isinstance(till, Refusal):
            return till
        refusal = _check_session(view, command.session_number)
        if refusal is None and command.pieces is not None:
            refusal = _check_pieces(till, command)
        if refusal is not None:
            return refusal
        pieces, uncounted = command.pieces or (), 0
        if command.pieces is None and command.is_in:
            uncounted = command.amount_minor
        elif command.pieces is None:
            out = take_out(command.amount_minor, till.counts, till.drawer.uncounted_minor)
            if out is None:
                return _too_much(till, command.amount_minor)
            pieces, uncounted = out.pieces, out.uncounted_minor
        if not command.is_in:
            pieces, uncounted = _negative(pieces), -uncounted
        counts = add_pieces(till.counts, pieces)
        if any(count < 0 for count in counts.values()):
            return _too_much(till, command.amount_minor)
        if (refusal := check_worth(till, counts, "amount", uncounted)) is not None:
            return refusal
        kind = MovementKind.PAY_IN if command.is_in else MovementKind.PAY_OUT
        movement = _movement(till, kind, pieces, uncounted, command.reason, moment, ids)
        return _decision(till, movement, counts, Reply(201, show_movement(movement)))


@frozen
class CloseSession:
    """A blind count of the drawer that closes a session."""

    session_number: int
    counts: Pieces


class CloseSessionOperation:
    """Closes a drawer session: what was uncounted is counted, the rest is over or short."""

    name = "retail.close_drawer_session"

    def __init__(self, terms: CounterTerms) -> None:
        self._terms = terms

    def needs(self, command: CloseSession, seen: View) -> Needs:
        """Lock drawer and session, and look at the pieces."""
        del seen
        return Needs(lock=(DRAWER_LOCK, (SESSIONS, command.session_number)), read=(PIECES_READ,))

    def decide(
        self, view: View, command: CloseSession, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Close it, unless it is closed."""
        till = open_own_till(view, self._terms)
        if isinstance(till, Refusal):
            return till
        refusal = (
            _check_session(view, command.session_number)
            or _find_unknown(till, command.counts, "counts")
            or _check_count(command.counts)
        )
        session = view.row(SESSIONS, command.session_number)
        if refusal is not None or session is None:
            return refusal or Refusal("drawer_session_not_found")
        found = compare_count(till.counts, till.drawer.uncounted_minor, command.counts)
        closed = replace(
            session,
            closed_at=moment.now,
            expected_minor=found.expected_minor,
            counted_minor=found.counted_minor,
        )
        decided = _count(till, MovementKind.CLOSING, command.counts, moment, ids)
        changed: Rows = [*decided.changed, (SESSIONS, closed)]
        return replace(decided, changed=changed, reply=Reply(200, show_session(closed)))


def _count(till: Till, kind: MovementKind, counted: Pieces, moment: Moment, ids: Ids) -> Decision:
    """Believe a count: the pieces are what was counted, and nothing is uncounted any more."""
    found = compare_count(till.counts, till.drawer.uncounted_minor, counted)
    movement = _movement(
        till, kind, found.differences, -till.drawer.uncounted_minor, "", moment, ids
    )
    # A drawer that held nothing was filled from the float; one that did is over or short.
    other = Chart.OVER_SHORT if found.expected_minor else Chart.CASH_FLOAT
    counts = dict.fromkeys(till.counts, 0) | dict(counted)
    if kind is MovementKind.CLOSING:
        till = replace(till, drawer=replace(till.drawer, open_session=None))
        other = Chart.OVER_SHORT
    return _decision(till, movement, counts, None, other=other)


def _movement(
    till: Till,
    kind: MovementKind,
    pieces: Pieces,
    uncounted_minor: int,
    reason: str,
    moment: Moment,
    ids: Ids,
) -> DrawerMovement:
    return DrawerMovement(
        number=till.drawer.movements_count + 1,
        subject_id=ids.fresh(),
        kind=kind,
        session_number=till.drawer.open_session,
        currency=till.drawer.currency,
        amount_minor=value_of(pieces) + uncounted_minor,
        pieces=pieces_text(pieces),
        uncounted_minor=uncounted_minor,
        reason=reason,
        effective_on=moment.today,
        recorded_at=moment.now,
    )


def _decision(
    till: Till,
    movement: DrawerMovement,
    counts: Mapping[int, int],
    reply: Reply | None,
    *,
    other: Chart = Chart.CASH_FLOAT,
) -> Decision:
    drawer = replace(
        till.drawer,
        movements_count=movement.number,
        uncounted_minor=till.drawer.uncounted_minor + movement.uncounted_minor,
    )
    rows = drawer_rows(till, drawer, counts)
    moved = Event(
        "retail.cash." + ("counted" if other is Chart.OVER_SHORT else "moved"),
        movement.subject_id,
        show_movement(movement),
    )
    return Decision(
        changed=rows.changed,
        added=(*rows.added, (DRAWER_MOVEMENTS, movement)),
        entries=entry_of(
            f"retail.drawer.{movement.kind.value}",
            movement.effective_on,
            ((Chart.CASH_DRAWER, movement.amount_minor), (other, -movement.amount_minor)),
            movement.currency,
            movement.subject_id,
        ),
        events=(moved,),
        reply=reply,
    )


def _check_count(counted: Pieces) -> Refusal | None:
    """See that what was counted is worth no more than any amount may be."""
    return Refusal("amount_invalid", param="counts") if value_of(counted) > MINOR_MAX else None


def _check_session(view: View, number: int) -> Refusal | None:
    session = view.row(SESSIONS, number)
    if session is None:
        return Refusal("drawer_session_not_found")
    return None if session.closed_at is None else Refusal("drawer_session_closed")


def _check_pieces(till: Till, command: MoveCash) -> Refusal | None:
    assert command.pieces is not None
    worth = value_of(command.pieces)
    if worth != command.amount_minor:
        tendered = format_amount(worth, till.drawer.currency)
        return Refusal("tender_mismatch", "pieces", {"tendered": tendered})
    return _find_unknown(till, command.pieces, "pieces")


def _find_unknown(till: Till, pieces: Pieces, param: str) -> Refusal | None:
    for value, _ in pieces:
        if value not in till.counts:
            shown = format_amount(value, till.drawer.currency)
            return Refusal("denomination_unknown", param, {"value": shown})
    return None


def _negative(pieces: Pieces) -> Pieces:
    return tuple((value, -count) for value, count in pieces)


def _too_much(till: Till, amount_minor: int) -> Refusal:
    amount = format_amount(amount_minor, till.drawer.currency)
    return Refusal("drawer_insufficient", "amount", {"amount": amount})
