"""SQL that an operator asks the log's database by himself; read only, unless he says otherwise."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from models.errors import InputError, printable
from storage.log.database import unavailable, writing
from storage.log.dialects import dialect_of

MOST_ROWS = 1000

READS = ("SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "PRAGMA")
"""What a statement begins with that reads: others, such as COPY and LOCK, do more even where nothing may be changed."""


class BadQuery(InputError):
    """A statement that the database refuses."""


class Rows(NamedTuple):
    """What a statement found: at most `MOST_ROWS` rows, whether there are more, and the seconds that it took."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool
    seconds: float


def ask(engine: Engine, statement: str, *, write: bool = False, seconds: float = 0.0) -> Rows:
    """Run one statement in a transaction of its own.

    Args:
        write: it may change something, but no event, and nothing that guards them.
        seconds: that it may take; 0 for any number.

    Raises:
        BadQuery: the database refuses it, it takes longer, or without `write` it is none that reads.
        LogUnavailable: the database does not answer.
    """
    if not write and not statement.lstrip(" \t\r\n(").upper().startswith(READS):
        raise BadQuery(f"without --write a statement begins with {', '.join(READS[:-1])} or {READS[-1]}")
    began = time.monotonic()
    with _transaction(engine, write=write) as connection:
        dialect = dialect_of(connection)
        try:
            with (
                dialect.append_only(connection) if write else nullcontext(),
                dialect.bounded(connection, seconds) if seconds else nullcontext(),
            ):
                cursor = dialect.run_alone(connection, statement)
                columns = [each[0] for each in cursor.description or ()]
                rows = cursor.fetchmany(MOST_ROWS + 1) if columns else []
        except connection.dialect.loaded_dbapi.Error as error:
            if seconds and dialect.ran_out(error):
                raise BadQuery(
                    f"the statement was ended after {seconds:g} s; --seconds says how many it may take"
                ) from None
            raise BadQuery(_words(str(error), write=write)) from None
    found = [[_plain(value) for value in row] for row in rows[:MOST_ROWS]]
    return Rows(columns, found, len(rows) > MOST_ROWS, time.monotonic() - began)


@contextmanager
def _transaction(engine: Engine, *, write: bool) -> Iterator[Connection]:
    if write:
        with writing(engine) as connection:
            yield connection
        return
    dialect = dialect_of(engine)
    with unavailable(dialect), engine.connect() as plain:
        connection = plain.execution_options(**dialect.reading)
        with connection.begin() as transaction:
            with dialect.read_only(connection):
                yield connection
            transaction.rollback()


def _words(said: str, *, write: bool) -> str:
    if said.startswith("not authorized"):
        return (
            "events, triggers and other files are not changed, whoever asks"
            if write
            else "it would change something, or go outside of the database; --write lets it change what is no event"
        )
    return printable(said.partition("\n")[0])


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)
