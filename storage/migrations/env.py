"""Runs migrations on the connection that `storage.log.database` hands over, inside its transaction."""

from alembic import context
from sqlmodel import SQLModel

from storage.log import tables

assert tables.EventRow.metadata is SQLModel.metadata  # noqa: S101 - importing it registers the tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    # The caller's transaction covers all steps: a killed migration leaves nothing behind.
    transactional_ddl=False,
)
context.run_migrations()
