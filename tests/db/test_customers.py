"""Customers through the door: one batch, two writers at once, and what the database refuses."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from tallybook.customers.model import CustomerCredit, CustomerStatus, Standing
from tallybook.customers.operations import (
    ADD_BANK_ACCOUNT,
    CHANGE_CUSTOMER,
    CREATE_CUSTOMER,
    AddBankAccount,
    ChangeCustomer,
    CreateCustomer,
    number_hash,
    take_number,
)
from tallybook.customers.store import CREDITS, STANDINGS, STANDINGS_OF
from tallybook.kernel.refusal import Refusal
from tallybook.writer.model import Command, Decision, Event, Moment, Needs, Outcome, Reply, View
from tests.serving import Parts


@pytest.fixture
def parts(book_url: str, tmp_path: Path) -> Iterator[Parts]:
    opened = Parts.open(book_url, tmp_path)
    yield opened
    opened.close()


def new(parts: Parts, email: str, *numbers: str, key: str | None = None) -> Command:
    taken = tuple(take_number(number, parts.secrets, parts.ids) for number in numbers)
    return Command(CREATE_CUSTOMER, CreateCustomer("A", email, None, "USD", taken), key)


def codes(outcomes: list[Outcome]) -> list[str]:
    return [
        outcome.refusal.code if outcome.refusal else str(outcome.status) for outcome in outcomes
    ]


def count(parts: Parts, table: str) -> int:
    with parts.database.reader() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_a_batch_sees_what_its_earlier_commands_decided(parts: Parts) -> None:
    commands = [
        new(parts, "a@x.y", "1111"),
        new(parts, "A@X.Y"),
        new(parts, "b@x.y", "1111"),
        new(parts, "b@x.y", "2222"),
    ]
    outcomes = parts.door.submit_chunk(commands).result()
    assert codes(outcomes) == ["201", "email_taken", "bank_account_taken", "201"]
    assert (count(parts, "customers"), count(parts, "bank_accounts")) == (2, 2)


def test_addresses_change_hands_in_one_batch(parts: Parts) -> None:
    first, second = (
        outcome.value.id
        for outcome in parts.door.submit_chunk([new(parts, "a@x.y"), new(parts, "b@x.y")]).result()
    )

    def change(customer_id: str, email: str) -> Command:
        return Command(CHANGE_CUSTOMER, ChangeCustomer(customer_id, email=email))

    outcomes = parts.door.submit_chunk(
        [
            change(first, "c@x.y"),
            change(second, "a@x.y"),
            change(first, "b@x.y"),
            new(parts, "c@x.y"),
            new(parts, "A@x.y"),
        ]
    ).result()

    assert codes(outcomes) == ["200", "200", "200", "201", "email_taken"]
    with parts.database.reader() as connection:
        rows = connection.execute(text("SELECT email FROM customers ORDER BY id")).scalars().all()
    assert rows == ["b@x.y", "a@x.y", "c@x.y"]


def test_two_writers_do_not_make_the_same_customer(
    book_url: str, tmp_path: Path, parts: Parts
) -> None:
    """Each looks before the other has written: the unique constraint decides, and who lost sees."""
    other = Parts.open(book_url, tmp_path)
    try:
        for number in range(20):
            start, results = threading.Barrier(2), list[str]()

            def race(
                door: Parts, command: Command, start: threading.Barrier, results: list[str]
            ) -> None:
                start.wait(10)
                results.extend(codes([door.door.ask_now(command)]))

            racers = [
                threading.Thread(
                    target=race,
                    args=(door, new(door, f"{number}@x.y", f"9000{number}"), start, results),
                )
                for door in (parts, other)
            ]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            # Address and number are looked up one after the other: the winner may come between.
            assert sorted(results) in (["201", "email_taken"], ["201", "bank_account_taken"])
    finally:
        other.close()
    assert (count(parts, "customers"), count(parts, "bank_accounts")) == (20, 20)


def test_two_writers_do_not_give_one_number_to_two_customers(
    book_url: str, tmp_path: Path, parts: Parts
) -> None:
    first, second = (parts.door.ask_now(new(parts, f"{name}@x.y")).value.id for name in ("a", "b"))
    other = Parts.open(book_url, tmp_path)
    try:
        for number in range(20):
            start, results = threading.Barrier(2), list[str]()

            def race(
                door: Parts, customer: str, number: int, start: threading.Barrier, found: list[str]
            ) -> None:
                taken = take_number(f"7000{number}", door.secrets, door.ids)
                start.wait(10)
                asked = AddBankAccount(customer, taken)
                found.extend(codes([door.door.ask_now(Command(ADD_BANK_ACCOUNT, asked))]))

            racers = [
                threading.Thread(target=race, args=(door, customer, number, start, results))
                for door, customer in ((parts, first), (other, second))
            ]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            assert sorted(results) == ["201", "bank_account_taken"]
    finally:
        other.close()
    assert count(parts, "bank_accounts") == 20


def test_a_retry_under_its_key_seals_anew_and_is_the_same_question(parts: Parts) -> None:
    first = parts.door.ask_now(new(parts, "a@x.y", "12345678", key="k"))
    again = parts.door.ask_now(new(parts, "a@x.y", "1234-5678", key="k"))
    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert count(parts, "bank_accounts") == 1


def test_a_change_that_changes_nothing_leaves_no_event(parts: Parts) -> None:
    ident = parts.door.ask_now(new(parts, "a@x.y")).value.id
    before = count(parts, "events")
    asked = ChangeCustomer(ident, name="A", status=CustomerStatus.ACTIVE)
    assert parts.door.ask_now(Command(CHANGE_CUSTOMER, asked)).status == 200
    assert count(parts, "events") == before


def test_a_number_is_hashed_with_the_installations_own_key(parts: Parts, tmp_path: Path) -> None:
    elsewhere = Parts.open(str(parts.database.url.render_as_string(False)), tmp_path / "elsewhere")
    try:
        assert number_hash("12 34", parts.secrets) == number_hash("1234", parts.secrets)
        assert number_hash("1234", parts.secrets) != number_hash("1234", elsewhere.secrets)
    finally:
        elsewhere.close()


# -- what only businesses write --------------------------------------------------------------------


class TellStanding:
    """Keeps a standing and a credit, as a business would."""

    name = "test.tell_standing"

    def needs(self, command: Standing, seen: View) -> Needs:
        del seen
        return Needs(
            lock=(
                (STANDINGS, command.subject_id),
                (CREDITS, (command.customer_id, "USD")),
            ),
            read=((STANDINGS_OF, command.customer_id),),
        )

    def decide(
        self, view: View, command: Standing, moment: Moment, ids: object
    ) -> Decision | Refusal:
        del moment, ids
        standing = (STANDINGS, command)
        known = view.row(STANDINGS, command.subject_id)
        credit = CustomerCredit(command.customer_id, "USD", 5)
        has_credit = view.row(CREDITS, (command.customer_id, "USD")) is not None
        return Decision(
            added=(
                *(() if known else (standing,)),
                *(() if has_credit else ((CREDITS, credit),)),
            ),
            changed=(standing,) if known else (),
            events=(Event("test.standing.told", command.subject_id, {}),),
            reply=Reply(200, {"seen": len(view.rows(STANDINGS_OF, command.customer_id))}),
        )


@pytest.mark.parametrize("size", [1, 6])
def test_only_active_standings_are_found(parts: Parts, size: int) -> None:
    """What the database finds from batch to batch, the view finds within one."""
    customer = parts.door.ask_now(new(parts, "a@x.y")).value.id
    told = [("1", True), ("2", False), ("3", True), ("1", False), ("2", True), ("4", False)]
    commands = [
        Command(TellStanding(), Standing(subject * 32, customer, "loan_delinquent", active))
        for subject, active in told
    ]
    outcomes = parts.door.submit_many(commands, chunk=size)
    assert [outcome.body for outcome in outcomes] == [
        f'{{"seen":{seen}}}' for seen in (0, 1, 1, 2, 1, 2)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE customer_credits SET credit_minor = -1",
        "UPDATE customers SET status = 'dormant'",
        "UPDATE customers SET credit_limit_minor = -1",
        "UPDATE customers SET email_folded = 'a@x.y'",
        "UPDATE bank_accounts SET number_hash = 'x'",
        "DELETE FROM customers",
    ],
)
def test_the_database_refuses_what_must_never_be(
    book_url: str, parts: Parts, statement: str
) -> None:
    parts.door.submit_chunk([new(parts, "a@x.y", "1234"), new(parts, "b@x.y", "5678")]).result()
    with parts.database.reader() as connection:
        customer = connection.execute(text("SELECT id FROM customers LIMIT 1")).scalar_one()
    standing = Standing("1" * 32, str(customer).replace("-", ""), "loan_delinquent", active=True)
    parts.door.ask_now(Command(TellStanding(), standing))

    engine = create_engine(parts.database.url)
    try:
        with engine.connect() as connection:
            if book_url.startswith("sqlite"):
                connection.execute(text("PRAGMA foreign_keys = ON"))
            with pytest.raises(IntegrityError):
                connection.execute(text(statement))
    finally:
        engine.dispose()


def test_a_moment_is_kept_in_utc(parts: Parts) -> None:
    parts.clock.turn_to(datetime(2026, 7, 1, tzinfo=UTC).date())
    made = parts.door.ask_now(new(parts, "a@x.y"))
    assert made.value.created_at == datetime(2026, 7, 1, 9, tzinfo=UTC)
    assert '"created_at":"2026-07-01T09:00:00Z"' in made.body
