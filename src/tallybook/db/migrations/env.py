"""Alembic's entry: runs the migrations on the connection that db/migrate.py opened."""

from alembic import context

from tallybook.db.metadata import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
