"""What a collecting business answers when one of its transfers changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Protocol

from sqlalchemy import Connection

from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.processor.model import Action, OperatorItem, Transfer, TransferKind
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Command, Decision, Moment, Needs, View


@frozen
class TransferChange:
    """One transfer, before and after what was learned."""

    before: Transfer
    after: Transfer


@frozen
class CreditUse:
    """What a person wants a customer's credit to be used for. Source: C3."""

    customer_id: str
    subject_id: str | None
    """With its prefix, as it came; None leaves it to the business."""
    amount_minor: int
    currency: str
    reason: str
    said: Said = said_of("amount_minor", "currency")


class Business(Protocol):
    """A business that pays out or collects through the Processor."""

    def needs(self, transfer: Transfer, seen: View, after: Transfer | None) -> Needs:
        """Say what to load before a change of one of its transfers can be booked.

        `transfer` names it; `after` is what it will be, once that is known, so that rows which
        only some changes touch are read for those alone.
        """
        ...

    def book(self, view: View, change: TransferChange, moment: Moment, ids: Ids) -> Decision:
        """Decide what a change means: plan, entries, events, the reply to who waits for it.

        The transfer itself and the operator items about it are not its concern.
        """
        ...

    def ruling(self, item: OperatorItem, action: Action, reason: str, by: str) -> Command | None:
        """Make the command that does what a person asks about one of its subjects.

        None where the action is about the transfer alone.
        """
        ...

    def credit_application(self, asked: CreditUse) -> Command | None:
        """Make the command that uses a customer's credit for one of its subjects.

        None where the subject is not one of its own; without a subject it finds the oldest owed.
        """
        ...


class DailyWork(Protocol):
    """What a business does in each day's run, beyond its transfers."""

    def __call__(self, connection: Connection, /, *, day: date) -> Iterator[list[Command]]:
        """List the commands, a chunk at a time. Those that did something give a true value."""
        ...


class Businesses:
    """The businesses by the kind of their transfers, filled once when the program starts."""

    def __init__(self) -> None:
        self._by_kind: dict[TransferKind, Business] = {}
        self._daily: dict[TransferKind, DailyWork] = {}

    def register(
        self, kind: TransferKind, business: Business, *, daily: DailyWork | None = None
    ) -> None:
        """Let a business take part, and where it has work of its own, in each day's run."""
        self._by_kind[kind] = business
        if daily is not None:
            self._daily[kind] = daily

    def of(self, kind: TransferKind) -> Business:
        """Find the business of a transfer."""
        return self._by_kind[kind]

    @property
    def daily(self) -> Mapping[TransferKind, DailyWork]:
        """Give the work that businesses have of their own in each day's run."""
        return self._daily

    @property
    def all(self) -> Mapping[TransferKind, Business]:
        """Give all of them."""
        return self._by_kind


BUSINESSES = Businesses()
"""Domains register here when their operations are imported; collection knows none of them."""
