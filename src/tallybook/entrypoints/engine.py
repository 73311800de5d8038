"""The engine: the whole program put together, the same for HTTP, command line and library."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import date
from typing import TYPE_CHECKING, Self

from tallybook.advances.model import AdvanceTerms
from tallybook.advances.operations import ADVANCE_BUSINESS
from tallybook.ambient.clock import Clock, PlayedClock, SystemClock
from tallybook.ambient.fresh import FreshIds
from tallybook.ambient.secrets import Secrets
from tallybook.ambient.settings import Settings
from tallybook.ambient.surroundings import SettingsError
from tallybook.collection.operations.business import BUSINESSES
from tallybook.collection.operations.runs import DAILY
from tallybook.collection.operations.sending import lease_for
from tallybook.collection.queries import find_job, find_other_currency
from tallybook.collection.rules import Caps
from tallybook.collection.tasks.stopping import finish_running
from tallybook.collection.tasks.switch import SendingGuard
from tallybook.db import migrate
from tallybook.db.engine import Database, NoBookError, open_database
from tallybook.entrypoints import loops
from tallybook.entrypoints.master_key import open_secrets
from tallybook.entrypoints.rail import open_processor
from tallybook.entrypoints.restored import Newest
from tallybook.kernel.ids import Ids
from tallybook.kernel.money import MINOR_MAX, parse_amount
from tallybook.ledger.store import LedgerJournal
from tallybook.loans.model import LoanTerms, PaymentPolicy
from tallybook.loans.operations import LOAN_BUSINESS
from tallybook.loans.tasks.gateway import MockGateway
from tallybook.processor.model import TransferKind
from tallybook.processor.port import Processor
from tallybook.processor.sender import Sender
from tallybook.reports.verify.anchors import last_event_at
from tallybook.reports.verify.seals import SEALED_SHELVES
from tallybook.writer.apart import Closes, LaneApart, can_fork
from tallybook.writer.door import Door
from tallybook.writer.lane import Lane
from tallybook.writer.resealing import seal_if_unsealed

if TYPE_CHECKING:
    from types import TracebackType


BULK_LANES = 2
"""Connections for bulk work on PostgreSQL, beside the one for interactive commands."""


class DatabaseBehindError(RuntimeError):
    """The database is older than this program, and was not to be brought up to date."""


class Engine:
    """One running program on one book. Whoever opens it closes it."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        secrets: Secrets,
        processor: Processor,
        *,
        clock: Clock,
        ids: Ids,
        apart: LaneApart | None = None,
    ) -> None:
        """Put the parts together, and start the writer; `open` makes the parts."""
        # Businesses register when they are loaded: this one must be, whoever opens an engine.
        assert BUSINESSES.of(TransferKind.ADVANCE) is ADVANCE_BUSINESS
        assert BUSINESSES.of(TransferKind.LOAN) is LOAN_BUSINESS
        self.settings = settings
        self.database = database
        self.secrets = secrets
        self.processor = processor
        self.clock = clock
        self.ids = ids
        self.newest = Newest(self)
        self.sending = SendingGuard(
            database,
            clock,
            caps=read_caps(settings),
            is_stopped=settings.sending_stopped,
            why_older=self.newest.why_older,
        )
        self.sender = Sender(
            processor,
            clock,
            house_account=settings.house_account.get_secret_value(),
            currency=settings.currency,
            lease=lease_for(settings.processor_timeout_seconds),
            is_open=self.sending.is_open,
        )
        self.advance_terms = read_terms(settings)
        self.loan_terms = LoanTerms(
            payment_policy=PaymentPolicy(settings.payment_policy),
            delinquent_after=settings.delinquent_after,
            hold_days=settings.hold_days,
        )
        self.gateway = MockGateway()
        self.door = Door(
            database.open_writer,
            LedgerJournal(),
            clock,
            ids,
            bulk_lanes=0 if database.is_sqlite else BULK_LANES,
            apart=apart,
        )
        self.is_stopping = False
        self._is_closed = False

    @property
    def is_live(self) -> bool:
        """Tell whether real money moves."""
        return self.settings.is_live

    @property
    def currency(self) -> str:
        """Tell the currency of amounts that name none; it is the Processor's as well."""
        return self.settings.currency

    def go_on_from(self, day: date | None) -> None:
        """Take a date that the book has seen, or is about to, for today, where it lies ahead.

        Where no money moves days may be played: the clock follows, and with it the simulator.
        """
        if day is not None and isinstance(self.clock, PlayedClock):
            self.clock.turn_to(day)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        processor: Processor | None = None,
        migrate: bool | None = None,
        may_create: bool = True,
        sends_nothing: bool = False,
        apart: LaneApart | None = None,
    ) -> Engine:
        """Assemble a running engine; a test or a demo brings a clock, ids or Processor of its own.

        An empty or older database is migrated first, unless the settings or the caller say no.
        Whoever works on a book that must be there says that none may be created. Whoever sends
        nothing, and seals no account number, needs neither its master key nor its currency. The
        process behind `apart` was split off before; from here on it is the engine's to end.

        Raises: SettingsError, DatabaseUrlError, NoBookError, DatabaseTooNewError,
            DatabaseBehindError, SecretsError, and the driver's own errors where the database can't
            be reached.
        """
        if clock is None:
            clock = (SystemClock if settings.is_live else PlayedClock)(settings.timezone)
        with ExitStack() as undo:
            if apart is not None:
                undo.callback(apart.close)
            database = open_database(
                settings.database_url.get_secret_value(),
                pool_size=settings.pool_size,
                pool_overflow=settings.pool_overflow,
                may_create=may_create,
            )
            undo.callback(database.close)
            if not may_create:
                require_book(database)
            bring_up_to_date(database, allowed=settings.migrate if migrate is None else migrate)
            if not sends_nothing:
                refuse_other_currency(settings, database)
            secrets = open_secrets(settings.key_path, database, may_claim=not sends_nothing)
            engine = cls(
                settings,
                database,
                secrets,
                processor or open_processor(settings, clock),
                clock=clock,
                ids=ids or FreshIds(),
                apart=apart,
            )
            undo.pop_all()
        engine.go_on_from(last_date(engine))
        engine.newest.look()
        return engine

    def stop(self) -> None:
        """Let daily runs end between two items, and begin no more. From any thread; twice is once.

        A run stays open then, and the next one goes on with it.
        """
        self.is_stopping = True

    async def aclose(self) -> None:
        """Finish what waits to be written, then let go of everything. Twice is once."""
        if self._is_closed:
            return
        self._is_closed = True
        self.stop()
        await finish_running()
        if self.sending.has_let_through:
            await asyncio.to_thread(self.newest.keep)
        # In a thread: the writer's answers are delivered by this very event loop.
        await asyncio.to_thread(self.door.close)
        await self.processor.aclose()
        self.database.close()

    def close(self) -> None:
        """Do the same from synchronous code, where no event loop runs."""
        loops.run(self.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def open_door(database: Database, clock: Clock) -> Door:
    """Open a door on a book that no program runs on, such as a copy. Who opens it closes it."""
    return Door(database.open_writer, LedgerJournal(), clock, FreshIds())


def split_off_writer(settings: Settings, leaves: Iterable[Closes]) -> LaneApart | None:
    """Split off a process that commits, where that is set and can be done: `LaneApart`."""
    if not (settings.writer_process and can_fork()):
        return None

    def open_lane(clock: Clock) -> Lane:
        database = open_database(settings.database_url.get_secret_value())
        return Lane(database.open_writer(), LedgerJournal(), clock, FreshIds())

    return LaneApart(open_lane, leaves)


def read_terms(settings: Settings) -> AdvanceTerms:
    """Read what the settings say of advances."""
    currency = settings.currency
    least, most = settings.advance_min, settings.advance_max
    return AdvanceTerms(
        currency=currency,
        min_minor=parse_amount(least, currency) if least is not None else 1,
        max_minor=parse_amount(most, currency) if most is not None else MINOR_MAX,
        on_failed_debit=settings.on_failed_debit,
        max_attempts=settings.max_attempts,
        hold_days=settings.hold_days,
    )


def read_caps(settings: Settings) -> Caps:
    """Read the most that debits may come to."""
    caps = settings.cap_debit, settings.cap_account_day, settings.cap_run
    return Caps(
        *(parse_amount(cap, settings.currency) if cap is not None else None for cap in caps)
    )


def bring_up_to_date(database: Database, *, allowed: bool) -> None:
    """Migrate a database where that is allowed, or say that it is needed.

    Raises: DatabaseTooNewError, DatabaseBehindError.
    """
    if allowed:
        migrate.upgrade(database)
        seal_if_unsealed(database, SEALED_SHELVES)
    elif (revision := migrate.current_revision(database)) != migrate.HEAD:
        raise DatabaseBehindError(
            f"the database is at version {revision or 'none'}, and this Tallybook needs"
            f" {migrate.HEAD}: run `tallybook db upgrade`"
        )


def require_book(database: Database) -> None:
    """See that a book was begun in a database. Raises: NoBookError."""
    if migrate.current_revision(database) is None:
        raise NoBookError(database.place)


def refuse_other_currency(settings: Settings, database: Database) -> None:
    """See that the Processor's currency is the one that this book collects in.

    The wire names none: what is owed in another would be collected figure by figure. Source: P1.

    Raises: SettingsError.
    """
    with database.reader() as connection:
        other = find_other_currency(connection, settings.currency)
    if other is not None:
        problem = (
            f"This book has something to collect in {other}, and TALLYBOOK_CURRENCY is"
            f" {settings.currency}: set TALLYBOOK_CURRENCY={other}. Another one can be set once"
            " all of that is collected or given up."
        )
        raise SettingsError([problem])


def last_date(engine: Engine) -> date | None:
    """Tell the latest date in a book: that of a run, or on which anything happened."""
    with engine.database.reader() as connection:
        job = find_job(connection, DAILY)
        at = last_event_at(connection)
    run_on = job and (job.running_on or job.last_finished_on)
    return max((day for day in (run_on, at and engine.clock.date_of(at)) if day), default=None)
