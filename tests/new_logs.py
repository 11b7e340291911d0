"""A new log on SQLite gets the tables that the migrations made in another one: that takes a fifth of the time."""

import functools
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect

from storage.log import database
from storage.log.database import HEAD, open_database, writing
from storage.log.dialects import Dialect

_migrate = database._migrate


@contextmanager
def quickly_made() -> Iterator[None]:
    """Make new logs of this process so while the block runs; what is old, or on PostgreSQL, is migrated as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_migrate", _made)
        yield


@contextmanager
def by_migrations() -> Iterator[None]:
    """Have the migrations run in every new log while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_migrate", _migrate)
        yield


def _made(engine: Engine, dialect: Dialect) -> None:
    if engine.dialect.name == "sqlite" and _is_empty(engine):
        statements = _statements()
        with writing(engine) as connection:
            if not inspect(connection).get_table_names():  # nobody else has made it meanwhile
                for statement in statements:
                    connection.exec_driver_sql(statement)
                connection.exec_driver_sql("INSERT INTO log_mark VALUES (?, 0, '')", (uuid.uuid4().hex,))
                connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))
    _migrate(engine, dialect)


def _is_empty(engine: Engine) -> bool:
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


@functools.cache
def _statements() -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder, by_migrations():
        url = f"sqlite:///{Path(folder) / 'log.db'}"
        open_database(url).dispose()
        engine = create_engine(url)
        with engine.connect() as connection:
            query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'table' DESC, rowid"
            statements = tuple(connection.exec_driver_sql(query).scalars())
        engine.dispose()
    return statements
