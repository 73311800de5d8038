"""The pool that reads: a connection whose server has gone is replaced, not handed out."""

import pytest
from sqlalchemy import text

from tallybook.db import engine
from tallybook.db.engine import open_database
from tests.postgres import Server


def test_a_connection_that_rested_is_tried_before_it_is_lent(
    own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PING_AFTER_SECONDS", 0)
    database = open_database(own_postgres.url)
    with database.reader() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    own_postgres.crash()
    own_postgres.start()
    with database.reader() as connection:
        assert connection.execute(text("SELECT 2")).scalar() == 2
    database.close()


def test_a_read_holds_no_transaction(postgres_url: str) -> None:
    database = open_database(postgres_url)
    with database.reader() as connection:
        first = connection.execute(text("SELECT now()")).scalar()
        assert connection.execute(text("SELECT now()")).scalar() != first
        with pytest.raises(Exception, match="read-only"):
            connection.execute(text("CREATE TABLE x (y int)"))
    with database.snapshot() as connection:
        first = connection.execute(text("SELECT now()")).scalar()
        assert connection.execute(text("SELECT now()")).scalar() == first
    database.close()
