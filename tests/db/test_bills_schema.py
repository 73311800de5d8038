"""The bills' migration makes the tables that the code declares, and they keep what was received."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tallybook.bills import store
from tallybook.customers.store import CUSTOMERS_TABLE
from tallybook.db.engine import open_database
from tallybook.db.metadata import METADATA


def test_the_migration_and_the_tables_agree(book_url: str) -> None:
    assert CUSTOMERS_TABLE.metadata is METADATA  # which the bills refer to
    database = open_database(book_url)
    try:
        with database.reader() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            found = compare_metadata(context, METADATA)
    finally:
        database.close()
    names = [table.name for table in METADATA.tables.values() if table.name.startswith("bill")]
    assert len(names) == 7
    ours = [change for change in found if "bill" in str(change)]
    assert [change for change in ours if "remove_table" not in str(change)] == []


@pytest.mark.parametrize("table", [store.MESSAGES.name, store.LINKS.name, store.RESOLUTIONS.name])
def test_what_was_received_can_not_be_changed(book_url: str, table: str) -> None:
    database = open_database(book_url)
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.execute(text("PRAGMA query_only = OFF"))
            guarded = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"),
                {"name": table},
            )
            assert len(guarded.all()) == 2
        else:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.rollback()
            connection.execute(text("SET TRANSACTION READ WRITE"))
            with pytest.raises(DBAPIError, match=r"append_only|refused"):
                connection.execute(text(f"DELETE FROM {table}"))
    database.close()
