"""A customer's entries are found by the first posting of each, which speaks for all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
changes_rows = False
"""Nothing is to be sealed anew."""

_NAMES_CUSTOMER = "line = 1 AND customer_id IS NOT NULL"
_OF_SEVERAL = """
    SELECT p.entry_seq FROM postings p JOIN postings f ON f.entry_seq = p.entry_seq AND f.line = 1
    WHERE p.customer_id IS NOT NULL AND (f.customer_id IS NULL OR f.customer_id <> p.customer_id)
    LIMIT 1
"""


def upgrade() -> None:
    """Make the index anew. Raises: ValueError, with nothing changed, where an entry has several."""
    entry_seq = op.get_bind().execute(sa.text(_OF_SEVERAL)).scalar()
    if entry_seq is not None:
        # No business ever posted one.
        raise ValueError(f"entry {entry_seq} concerns several customers, and would not be found")
    op.drop_index("postings_customer_id_index", table_name="postings")
    op.create_index(
        "postings_customer_id_index",
        "postings",
        ["customer_id", "entry_seq"],
        postgresql_where=sa.text(_NAMES_CUSTOMER),
        sqlite_where=sa.text(_NAMES_CUSTOMER),
    )
