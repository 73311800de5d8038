"""The engine opens what it can work on, and says plainly what it can't."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import ManualClock, SystemClock
from tallybook.ambient.secrets import SecretsError
from tallybook.ambient.settings import Settings, load_settings
from tallybook.ambient.surroundings import SettingsError
from tallybook.customers.operations import CREATE_CUSTOMER, CreateCustomer
from tallybook.db import migrate
from tallybook.db.engine import open_database
from tallybook.entrypoints import daily
from tallybook.entrypoints.daily import follow_played_days
from tallybook.entrypoints.engine import DatabaseBehindError, Engine
from tallybook.entrypoints.library import Tallybook
from tallybook.entrypoints.master_key import forget_key
from tallybook.kernel.refusal import Refused
from tallybook.processor.client import HttpProcessor
from tallybook.processor.port import TransferOrder
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.reports.verify import verify
from tallybook.writer.model import Command
from tests.serving import threads_left, wait_until


@pytest.fixture(autouse=True)
def no_threads_stay() -> Iterator[None]:
    """See that no writer outlives its engine, also where opening failed half-way."""
    yield
    assert threads_left() == []


def settings_for(url: str, home: Path, **given: object) -> Settings:
    return load_settings(database_url=url, home=home, **given)


def execute(url: str, *statements: str) -> None:
    engine = create_engine(open_database(url).url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_an_empty_database_is_made_ready(database_url: str, tmp_path: Path) -> None:
    engine = Engine.open(settings_for(database_url, tmp_path / "home"))
    assert migrate.current_revision(engine.database) == migrate.HEAD
    assert isinstance(engine.processor, SimulatedProcessor)
    assert (tmp_path / "home" / "master.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    engine.close()
    engine.close()


@pytest.mark.parametrize("revision", ["0001", "0003", "0004", "0005", "0008"])
def test_an_older_database_is_brought_up_to_date(
    database_url: str, tmp_path: Path, revision: str
) -> None:
    with closing(open_database(database_url)) as database:
        migrate.run_migrations(database, to=revision)
        assert migrate.current_revision(database) == revision
    with closing(Engine.open(settings_for(database_url, tmp_path / "home"))) as engine:
        assert migrate.current_revision(engine.database) == migrate.HEAD
        assert verify(engine.database) == []
        outcome = engine.door.ask_now(
            Command(CREATE_CUSTOMER, CreateCustomer("Ada", "a@b.org", None, "USD", ()))
        )
        assert outcome.status == 201
        assert verify(engine.database) == []


@pytest.mark.parametrize("first", ["'22222222222222222222222222222222'", "NULL"])
def test_a_book_with_an_entry_of_several_customers_stays_as_it_is(
    database_url: str, first: str
) -> None:
    """No version posted one. What is owed by whom would be wrong without a word."""
    with closing(open_database(database_url)) as database:
        migrate.run_migrations(database, to="0008")
        execute(
            database_url,
            "INSERT INTO accounts (id, book, name, currency) VALUES (1, 'house', 'a', 'USD')",
            "INSERT INTO postings (entry_seq, line, account_id, amount_minor, customer_id) VALUES"
            f" (1, 1, 1, 5, {first}), (1, 2, 1, -5, '11111111111111111111111111111111')",
            "INSERT INTO entries (seq, kind, effective_on, recorded_at, postings_count, hash)"
            " VALUES (1, 'test', '2026-03-01', '2026-03-01T00:00:00.000000Z', 2, 'x')",
        )
        with pytest.raises(ValueError, match="entry 1 concerns several customers"):
            migrate.upgrade(database)
        assert migrate.current_revision(database) == "0008"


def test_closing_refuses_what_comes_after(book_url: str, tmp_path: Path) -> None:
    engine = Engine.open(settings_for(book_url, tmp_path / "home"))
    engine.close()
    with pytest.raises(Refused) as caught:
        engine.door.ask_now(Command(CREATE_CUSTOMER, None))
    assert caught.value.refusal.code == "shutting_down"


def test_a_database_is_not_migrated_where_that_is_not_wanted(
    database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(DatabaseBehindError, match="tallybook db upgrade"):
        Engine.open(settings_for(database_url, tmp_path / "home", migrate=False))
    database = open_database(database_url)
    assert migrate.current_revision(database) is None
    database.close()


def test_a_newer_database_is_left_alone(book_url: str, tmp_path: Path) -> None:
    execute(book_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.DatabaseTooNewError, match="newer"):
        Engine.open(settings_for(book_url, tmp_path / "home"))


def test_a_processor_with_an_address_is_called_over_http(book_url: str, tmp_path: Path) -> None:
    settings = settings_for(
        book_url, tmp_path / "home", processor_url="http://127.0.0.1:9", processor_token="t0ken"
    )
    engine = Engine.open(settings)
    assert isinstance(engine.processor, HttpProcessor)
    engine.close()


def test_a_fault_that_is_none_is_a_bad_setting(book_url: str, tmp_path: Path) -> None:
    settings = settings_for(book_url, tmp_path / "home", simulator_faults="fial=0.1")
    with pytest.raises(SettingsError, match=r"TALLYBOOK_SIMULATOR_FAULTS: 'fial=0\.1'"):
        Engine.open(settings)


def test_terms_of_advances_are_minor_units(book_url: str, tmp_path: Path) -> None:
    settings = settings_for(
        book_url, tmp_path / "home", currency="KWD", advance_min="1.5", advance_max="20"
    )
    engine = Engine.open(settings)
    assert (engine.advance_terms.min_minor, engine.advance_terms.max_minor) == (1_500, 20_000)
    engine.close()


# --- days that are played -------------------------------------------------------------------------


def test_a_played_clock_does_not_go_back_at_a_restart(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = datetime(2026, 11, 26, 20, tzinfo=UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _: real)
    with Tallybook(Engine.open(settings_for(book_url, tmp_path / "home"))) as book:
        book.run_day(date(2026, 12, 5))
        real += timedelta(hours=8)  # past midnight, and before the next run
        assert book.engine.clock.today() == date(2026, 12, 6)
        book.create_customer("Ada", "ada@example.com")
    with Tallybook(Engine.open(settings_for(book_url, tmp_path / "home"))) as book:
        assert book.engine.clock.today() == date(2026, 12, 6)


def test_a_server_follows_the_days_that_another_process_plays(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "FOLLOW_SECONDS", 0.01)
    settings = settings_for(book_url, tmp_path / "home")

    async def follow(engine: Engine, day: date) -> None:
        following = asyncio.create_task(follow_played_days(engine))
        await asyncio.to_thread(wait_until, lambda: engine.clock.today() == day, 20)
        following.cancel()

    with closing(Engine.open(settings)) as server:
        with Tallybook(Engine.open(settings)) as other:
            day = other.engine.clock.today() + timedelta(days=9)
            other.run_day(day)
        asyncio.run(follow(server, day))


# --- the key that account numbers are sealed with -------------------------------------------------


@pytest.fixture
def sealed_book(book_url: str, tmp_path: Path) -> str:
    """A book that has one sealed account number, and its key in `tmp_path/home`."""
    with Tallybook(Engine.open(settings_for(book_url, tmp_path / "home"))) as book:
        book.create_customer("Ada", "ada@example.com", bank_accounts=["DE89370400440532013000"])
    return book_url


def test_a_book_opens_with_its_own_key(sealed_book: str, tmp_path: Path) -> None:
    Engine.open(settings_for(sealed_book, tmp_path / "home")).close()


def test_a_missing_key_is_never_replaced(sealed_book: str, tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="is missing"):
        Engine.open(settings_for(sealed_book, tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere" / "master.key").exists()


def test_two_machines_never_begin_a_book_with_two_keys(book_url: str, tmp_path: Path) -> None:
    """Else one account number could be two customers', and neither key would open all."""
    with closing(Engine.open(settings_for(book_url, tmp_path / "one"))) as first:
        assert verify(first.database, first.secrets) == []
        with pytest.raises(SecretsError, match="is missing"):
            Engine.open(settings_for(book_url, tmp_path / "another"))
        key = tmp_path / "other.key"
        key.write_bytes(bytes(range(32)))
        with pytest.raises(SecretsError, match="not the one"):
            Engine.open(settings_for(book_url, tmp_path / "another", key_file=key))
    Engine.open(settings_for(book_url, tmp_path / "one")).close()


def test_of_machines_that_begin_a_book_at_once_one_goes_on(book_url: str, tmp_path: Path) -> None:
    opened: list[Engine] = []
    refused: list[SecretsError] = []

    def open_one(number: int) -> None:
        try:
            opened.append(Engine.open(settings_for(book_url, tmp_path / f"home-{number}")))
        except SecretsError as error:
            refused.append(error)

    threads = [threading.Thread(target=open_one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in opened:
        engine.close()
    assert (len(opened), len(refused)) == (1, 3)


def test_who_only_looks_does_not_choose_the_key(book_url: str, tmp_path: Path) -> None:
    Engine.open(settings_for(book_url, tmp_path / "root"), sends_nothing=True).close()
    Engine.open(settings_for(book_url, tmp_path / "home")).close()
    with pytest.raises(SecretsError, match="not the one"):
        Engine.open(settings_for(book_url, tmp_path / "root"), sends_nothing=True)


def test_a_book_without_account_numbers_may_take_another_key(book_url: str, tmp_path: Path) -> None:
    Engine.open(settings_for(book_url, tmp_path / "lost")).close()
    with closing(open_database(book_url)) as database:
        forget_key(database)
    with Tallybook(Engine.open(settings_for(book_url, tmp_path / "home"))) as book:
        book.create_customer("Ada", "ada@example.com", bank_accounts=["DE89370400440532013000"])
        assert book.verify() == []
    with closing(open_database(book_url)) as database, pytest.raises(SecretsError, match="sealed"):
        forget_key(database)
    Engine.open(settings_for(book_url, tmp_path / "home")).close()


def test_another_books_key_is_refused(sealed_book: str, tmp_path: Path) -> None:
    key = tmp_path / "other.key"
    key.write_bytes(bytes(range(32)))
    with pytest.raises(SecretsError, match="not the one"):
        Engine.open(settings_for(sealed_book, tmp_path / "home", key_file=key))


# --- the currency that it collects in ------------------------------------------------------------


@pytest.fixture
def czech_book(sealed_book: str, tmp_path: Path) -> str:
    """A book that collects an advance in CZK."""
    settings = settings_for(sealed_book, tmp_path / "home", currency="CZK")
    with Tallybook(Engine.open(settings)) as book:
        assert book.create_advance("DE89370400440532013000", "1200.00")["currency"] == "CZK"
    return sealed_book


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_a_book_that_collects_in_another_currency_is_refused(
    czech_book: str, tmp_path: Path, currency: str
) -> None:
    with pytest.raises(SettingsError, match="TALLYBOOK_CURRENCY=CZK"):
        Engine.open(settings_for(czech_book, tmp_path / "home", currency=currency))
    Engine.open(settings_for(czech_book, tmp_path / "home", currency="CZK")).close()


def test_an_emergency_stop_needs_no_currency(czech_book: str, tmp_path: Path) -> None:
    settings = settings_for(czech_book, tmp_path / "home")
    Engine.open(settings, sends_nothing=True).close()


def played(book_url: str, home: Path, clock: ManualClock, **given: object) -> Tallybook:
    settings = settings_for(book_url, home, **({"currency": "CZK"} | given))
    return Tallybook(Engine.open(settings, clock=clock, sends_nothing="currency" in given))


def test_nothing_hinders_another_currency_once_all_is_collected_or_given_up(
    czech_book: str, tmp_path: Path
) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(days=1))
    with played(czech_book, tmp_path / "home", clock) as book:
        book.run_day()
        (advance,) = book.list_advances()
        path = f"/advances/{advance['id']}/cancellation"
        book.call("POST", path, {"reason": "moved", "forgive": True})
    Engine.open(settings_for(czech_book, tmp_path / "home")).close()


def test_a_debit_in_another_currency_stays_due(czech_book: str, tmp_path: Path) -> None:
    """Two processes began on the empty book, and one of them lacked the setting."""
    clock = ManualClock(datetime.now(UTC) + timedelta(days=1))
    with played(czech_book, tmp_path / "home", clock) as book:
        book.run_day()
    clock.advance(days=6)
    with played(czech_book, tmp_path / "home", clock, currency="USD") as book:
        assert list(book.run_day()["summary"]["sent"]) == ["currency_not_served"]
        assert book.verify() == []
    clock.advance(days=1)
    with played(czech_book, tmp_path / "home", clock) as book:
        assert list(book.run_day()["summary"]["sent"]) == ["accepted"]


# --- several at once ------------------------------------------------------------------------------


def test_engines_that_start_at_once_on_an_empty_postgresql_all_come_up(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = settings_for(postgres_url, tmp_path / "home")
    start = threading.Barrier(4)
    opened: list[Engine] = []
    errors: list[BaseException] = []

    def open_one() -> None:
        start.wait()
        try:
            opened.append(Engine.open(settings))
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in opened:
        engine.close()
    assert errors == []
    keys = {engine.secrets.keyed_hash("x") for engine in opened}
    assert len(keys) == 1, "all of them took the same key"


def test_what_waits_is_written_before_the_door_is_shut(book_url: str, tmp_path: Path) -> None:
    async def create_while_closing() -> list[int]:
        engine = Engine.open(settings_for(book_url, tmp_path / "home"))
        asked = [
            asyncio.create_task(
                engine.door.ask(
                    Command(
                        CREATE_CUSTOMER,
                        CreateCustomer(
                            name="Ada",
                            email=f"ada{number}@example.com",
                            credit_limit_minor=None,
                            currency="USD",
                            numbers=(),
                        ),
                    )
                )
            )
            for number in range(200)
        ]
        await asyncio.sleep(0)
        await engine.aclose()
        return [(await task).status for task in asked]

    assert asyncio.run(create_while_closing()) == [201] * 200
    with Tallybook(Engine.open(settings_for(book_url, tmp_path / "home"))) as book:
        assert len(list(book.list_customers())) == 200


def test_money_in_the_air_is_waited_for_though_its_client_went_away(
    sealed_book: str, tmp_path: Path
) -> None:
    asked = threading.Event()

    class SlowBank(SimulatedProcessor):
        async def perform_transaction(
            self, order: TransferOrder, *, may_send: Callable[[], bool]
        ) -> str:
            asked.set()
            await asyncio.sleep(0.5)
            return await super().perform_transaction(order, may_send=may_send)

    async def leave_while_it_is_asked() -> None:
        bank = SlowBank(tmp_path / "bank.db", seed=1, clock=SystemClock())
        async with Engine.open(
            settings_for(sealed_book, tmp_path / "home"), processor=bank
        ) as engine:
            wanted = BeginAdvance(
                number_hash=engine.secrets.keyed_hash("DE89370400440532013000"),
                amount_minor=100_00,
                currency="USD",
                installments=12,
                interval_days=7,
                fee_minor=0,
                effective_on=None,
            )
            client = asyncio.create_task(perform_advance(engine, wanted))
            await asyncio.to_thread(asked.wait, 30)
            client.cancel()

    asyncio.run(leave_while_it_is_asked())
    with Tallybook(Engine.open(settings_for(sealed_book, tmp_path / "home"))) as book:
        (row,) = book.download_report()["data"]
    assert row["transaction_id"] is not None
