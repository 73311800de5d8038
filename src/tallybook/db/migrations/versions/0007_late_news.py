"""An index for news that came late: the daily report finds transfers by when it was learned."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
changes_rows = False
"""Nothing is to be sealed anew."""


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "transfers_resolved_at_index",
        "transfers",
        ["resolved_at"],
        postgresql_where=sa.text("resolved_at IS NOT NULL"),
        sqlite_where=sa.text("resolved_at IS NOT NULL"),
    )
