"""Statements in one piece: what fails, what is left afterwards, and that neither side waits."""

import threading
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest

from tallybook.db.errors import Trouble, classify
from tallybook.db.pipeline import Pipeline, Statement

BEGIN, COMMIT = Statement(b"BEGIN"), Statement(b"COMMIT")
MAKE = Statement(b"CREATE TEMPORARY TABLE things (id integer PRIMARY KEY, name text)")
COUNT = Statement(b"SELECT count(*) FROM things")
ADD = b"INSERT INTO things SELECT $1::integer, $2::text"


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with closing(psycopg.connect(postgres_url, autocommit=True)) as opened:
        yield opened


@pytest.fixture
def pipeline(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[Pipeline]:
    with closing(Pipeline(connection)) as made:
        made.run([MAKE])
        yield made


def test_each_statement_gets_its_rows(pipeline: Pipeline) -> None:
    name = Statement(b"SELECT name FROM things WHERE id = $1::integer", (b"2",))
    added = [Statement(ADD, (b"1", b"one")), Statement(ADD, (b"2", "zwölf \t{}".encode()))]
    assert pipeline.run([BEGIN, *added, COUNT, name, COMMIT]) == [
        [],
        [],
        [],
        [(2,)],
        [("zwölf \t{}",)],
        [],
    ]


def test_the_first_failure_is_told_and_nothing_after_it_is_run(
    pipeline: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    once, twice = Statement(ADD, (b"1", b"one")), Statement(ADD, (b"1", b"again"))
    with pytest.raises(psycopg.errors.UniqueViolation) as raised:
        pipeline.run([BEGIN, once, twice, Statement(b"SELECT 1 / 0"), COMMIT])
    assert raised.value.diag.constraint_name == "things_pkey"
    connection.rollback()
    assert pipeline.run([COUNT]) == [[(0,)]]


def test_what_was_never_prepared_is_prepared_the_next_time(
    pipeline: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    later = Statement(b"SELECT 1 + $1::integer", (b"1",))
    with pytest.raises(psycopg.errors.UndefinedTable):
        pipeline.run([BEGIN, Statement(b"SELECT * FROM nothing_of_the_kind"), later, COMMIT])
    connection.rollback()
    assert pipeline.run([later]) == [[(2,)]]
    with pytest.raises(psycopg.errors.UndefinedTable):
        pipeline.run([Statement(b"SELECT * FROM nothing_of_the_kind")])


def test_a_text_is_prepared_once(
    pipeline: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    for number in range(3):
        pipeline.run([Statement(ADD, (b"%d" % number, b"x"))] * 1)
    found = connection.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement = %s", (ADD.decode(),)
    )
    assert found.fetchone() == (1,)


def test_a_nul_is_refused_and_not_taken_for_an_end(
    pipeline: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        pipeline.run([Statement(ADD, (b"1", b"one")), Statement(ADD, (b"2", b"t\0wo"))])
    assert connection.closed, "a part of it may be on its way"


def test_neither_side_waits_for_the_other_when_both_have_much_to_say(pipeline: Pipeline) -> None:
    # The server begins with an answer that fills every buffer between the two.
    much = Statement(b"SELECT repeat('x', 50000000)")
    lengths = [Statement(b"SELECT length($1::text)", (b"y" * 1_000_000,)) for _ in range(30)]
    rows: list[list[tuple[object, ...]]] = []
    both = [much, *lengths]
    thread = threading.Thread(target=lambda: rows.extend(pipeline.run(both)), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "both sides wait"
    assert len(str(rows[0][0][0])) == 50_000_000
    assert rows[1:] == [[(1_000_000,)]] * 30


def test_a_connection_that_goes_is_told_as_gone(pipeline: Pipeline, postgres_url: str) -> None:
    ((pid,),) = pipeline.run([Statement(b"SELECT pg_backend_pid()")])[0]
    with psycopg.connect(postgres_url, autocommit=True) as other:
        ending = threading.Timer(0.3, other.execute, ("SELECT pg_terminate_backend(%s)", (pid,)))
        ending.start()
        with pytest.raises(psycopg.OperationalError):
            pipeline.run([BEGIN, Statement(b"SELECT pg_sleep(30)"), COMMIT])
        ending.join()
    with pytest.raises(psycopg.OperationalError):
        pipeline.run([COUNT])


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    pipeline: Pipeline,
    connection: psycopg.Connection[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tallybook.db.pipeline.SILENCE_SECONDS", 0.2)
    with pytest.raises(psycopg.OperationalError, match="stopped answering") as raised:
        pipeline.run([BEGIN, Statement(b"SELECT pg_sleep(5)"), COMMIT])
    assert classify(raised.value) == (Trouble.LOST, None)
    assert connection.closed


def test_a_connection_without_its_statements_is_closed(
    pipeline: Pipeline, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    pipeline.run([COUNT])
    connection.execute("ALTER TABLE things ADD COLUMN more text")
    pipeline.run([COUNT])
    connection.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName) as raised:
        pipeline.run([BEGIN, COUNT, COMMIT])
    assert classify(raised.value) == (Trouble.STALE, None)
    assert connection.closed


def test_answers_that_can_not_be_read_are_not_left_to_the_next_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "_loading", SimpleNamespace(set_pgresult=fail))
    with pytest.raises(MemoryError):
        pipeline.run([BEGIN, COUNT, Statement(ADD, (b"1", b"one")), COMMIT])
    monkeypatch.undo()
    with pytest.raises(psycopg.OperationalError):
        pipeline.run([COUNT])
