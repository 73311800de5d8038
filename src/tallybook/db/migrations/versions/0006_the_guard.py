"""The guard: seals of all rows, API keys, and whether anything may be sent."""

import sqlalchemy as sa
from alembic import op

from tallybook.db import guards
from tallybook.db.metadata import HexId, Instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables. The seals are empty until the program that owns the rows sums them up."""
    op.create_table(
        "row_seals",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("rows_count", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.CHAR(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="row_seals_pkey"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", HexId(), nullable=False),
        sa.Column("client_id", HexId(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("key_hash", sa.CHAR(64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant()),
        sa.Column("revoked_at", Instant()),
        sa.Column("last_used_at", Instant()),
        sa.CheckConstraint("scope IN ('read', 'operate', 'money')", name="api_keys_scope_known"),
        sa.PrimaryKeyConstraint("id", name="api_keys_pkey"),
        sa.UniqueConstraint("key_hash", name="api_keys_key_hash_unique"),
    )
    op.create_table(
        "sending_states",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("lost_from", sa.Date()),
        sa.Column("lost_until", sa.Date()),
        sa.CheckConstraint(
            "state IN ('open', 'stopped', 'reconciling')", name="sending_states_state_known"
        ),
        sa.PrimaryKeyConstraint("name", name="sending_states_pkey"),
    )
    connection = op.get_bind()
    for table in ("row_seals", "api_keys", "sending_states"):
        guards.refuse_deletes(connection, table)
    # A key may be revoked and never comes back; what it may do, and whose it is, never changes.
    guards.refuse_updates_when(
        connection,
        "api_keys",
        "api_keys_kept",
        "OLD.revoked_at IS NOT NULL OR OLD.scope <> NEW.scope OR OLD.key_hash <> NEW.key_hash"
        " OR OLD.client_id <> NEW.client_id",
    )
