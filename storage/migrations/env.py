"""Runs migrations on the connection that `storage.log.database` hands over, inside its transaction.

The program `alembic` is handed none: it looks at the log that the settings name (`alembic check`, `alembic current`),
and `make migration` at one made for it.
"""

from typing import Any

from alembic import context
from sqlalchemy import Column, Connection

from models.settings import Settings
from storage.log.database import open_database
from storage.schema import SCHEMA

_UNSEEN = {
    index.name
    for table in SCHEMA.tables.values()
    for index in table.indexes
    if not all(isinstance(expression, Column) for expression in index.expressions)
}
"""Indexes with a direction, which SQLite does not tell: a test compares them to the letter."""


def _run(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=SCHEMA,
        include_object=lambda _item, name, *_: not (sqlite and name in _UNSEEN),
        process_revision_directives=_number,
        # The caller's transaction covers all steps: a killed migration leaves nothing behind.
        transactional_ddl=False,
    )
    context.run_migrations()


def _number(_context: object, _revision: object, directives: list[Any]) -> None:
    """Give a new migration the next number."""
    for directive in directives:
        directive.rev_id = f"{int(context.script.get_current_head() or 0) + 1:04}"


_given = context.config.attributes.get("connection")
if _given is not None:
    _run(_given)
else:
    with open_database(Settings.read().database_url, existing=True).connect() as _own:
        _run(_own)
