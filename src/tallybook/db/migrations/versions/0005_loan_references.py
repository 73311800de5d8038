"""The lender's own numbers of loans, by which payments are brought in."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Give loans a reference that no two have, and that never changes."""
    op.add_column("loans", sa.Column("reference", sa.String(length=64), nullable=True))
    op.create_index(
        "loans_reference_unique",
        "loans",
        ["reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
        sqlite_where=sa.text("reference IS NOT NULL"),
    )
    guards.refuse_updates_when(
        op.get_bind(),
        "loans",
        "loans_reference_fixed",
        "COALESCE(OLD.reference, '') <> COALESCE(NEW.reference, '')",
    )
