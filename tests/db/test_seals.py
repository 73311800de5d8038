"""Seals: every table is accounted for, and a migration's changes are sealed anew, once.

Source: I20.
"""

from pathlib import Path

from sqlalchemy import create_engine, text

from tallybook.db.metadata import METADATA
from tallybook.reports.verify import verify
from tallybook.reports.verify.seals import SEALED_SHELVES
from tallybook.writer.resealing import seal_if_unsealed
from tests.played import Played

CHAINED = {"events", "entries", "postings", "purchases", "purchase_items"}
"""Their hash chains cover every column."""
PROVED = {"accounts", "balances", "chain_heads", "row_seals", "commands"}
"""Recomputed, compared with the chains' ends, or sealed by halves."""


def test_no_table_is_left_out() -> None:
    sealed = {shelf.name for shelf in SEALED_SHELVES}
    assert sealed | CHAINED | PROVED == set(METADATA.tables)
    assert not sealed & (CHAINED | PROVED)


def test_what_a_migration_changed_is_sealed_anew_by_the_next_start(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path) as played:
        played.pay_out(key="k")
        engine = create_engine(played.database.url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE customers SET name = 'Renamed'"))
        assert {each.code for each in verify(played.database)} == {"rows_changed"}
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO row_seals (name, rows_count, digest) VALUES ('(unsealed)', 1, '0')"
                )
            )
        engine.dispose()
        assert {each.code for each in verify(played.database)} == {"book_unsealed"}
        assert seal_if_unsealed(played.database, SEALED_SHELVES)
        assert verify(played.database) == []
        assert not seal_if_unsealed(played.database, SEALED_SHELVES)
        played.run(7)
        assert verify(played.database) == []
