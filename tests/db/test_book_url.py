"""A test's book is its own: migrated, and untouched by the test before."""

import pytest
from sqlalchemy import create_engine, inspect, text


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_a_book_is_migrated_and_fresh(book_url: str, attempt: str) -> None:
    engine = create_engine(book_url)
    tables = inspect(engine).get_table_names()
    assert "alembic_version" in tables
    assert "scribble" not in tables, attempt
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE scribble (id integer)"))
    engine.dispose()


def test_an_empty_database_is_empty(database_url: str) -> None:
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
