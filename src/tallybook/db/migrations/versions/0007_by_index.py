"""What got slow: the report of news that came late, and the balance of many entries at once."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards

revision = "0007"
down_revision = "0006"
changes_rows = False
"""Nothing is to be sealed anew."""


def upgrade() -> None:
    """Find transfers by when their news was learned; check balances by index."""
    op.create_index(
        "transfers_resolved_at_index",
        "transfers",
        ["resolved_at"],
        postgresql_where=sa.text("resolved_at IS NOT NULL"),
        sqlite_where=sa.text("resolved_at IS NOT NULL"),
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        guards.renew_balance_check(connection)
