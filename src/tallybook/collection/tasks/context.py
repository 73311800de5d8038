"""What the tasks need of the running program."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from tallybook.ambient.clock import Clock
from tallybook.ambient.secrets import Secrets
from tallybook.collection.tasks.switch import SendingGuard
from tallybook.db.engine import Database
from tallybook.kernel.ids import Ids
from tallybook.processor.port import Processor
from tallybook.processor.sender import Sender
from tallybook.writer.door import Door


class CollectionContext(Protocol):
    """One running engine, as the daily run sees it."""

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where every write goes."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def ids(self) -> Ids:
        """Where fresh ids come from."""
        ...

    @property
    def secrets(self) -> Secrets:
        """What opens account numbers, and seals reports."""
        ...

    @property
    def processor(self) -> Processor:
        """The rail to the outside."""
        ...

    @property
    def sender(self) -> Sender:
        """What calls the Processor, a bounded number of times at once."""
        ...

    @property
    def sending(self) -> SendingGuard:
        """What stands before all sending: the switch and the caps."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether real money moves: then nothing is run ahead of today. Source: T3."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether the program is about to end: then long work ends between two items."""
        ...

    def go_on_from(self, day: date) -> None:
        """Take a date ahead of today for today, where no money moves and days may be played."""
        ...

    @property
    def currency(self) -> str:
        """The Processor's one currency. Source: P1."""
        ...
