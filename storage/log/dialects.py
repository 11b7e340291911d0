"""What the two databases do differently, behind one interface; the rest of this package treats both alike."""

import contextlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, Row, Select

from storage.log.postgres import Postgres
from storage.log.sqlite import Sqlite


class Turn(IntEnum):
    """What only one transaction at a time may do, in whatever process. The numbers are known to other versions."""

    MIGRATION = 1
    CLAIM = 2
    CONTROL = 3
    HEALTH = 4


class Dialect(Protocol):
    """One kind of database.

    Attributes:
        writing: execution options of a transaction that writes.
        reading: execution options of a transaction that sees one state of the database.
    """

    writing: Mapping[str, Any]
    reading: Mapping[str, Any]

    def engine(self, url: URL, busy_seconds: float, *, existing: bool) -> Engine:
        """Return an engine that waits so long for a lock; nothing need be connected yet.

        Raises:
            BadSetting: the URL is of no database that is supported.
            LogUnavailable: it is plain already that there is none.
        """

    def check(self, connection: Connection) -> None:
        """Make sure that the database can hold a log.

        Raises:
            LogUnavailable: it cannot.
        """

    def in_turn(self, connection: Connection, turn: Turn) -> None:
        """Wait until no other transaction does the same; held to the end of this one."""

    def lock_soon(self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]) -> Row[Any] | None:
        """Return the one row of a statement, locked; None where somebody else holds it for longer than a moment."""

    def exclusive(self, connection: Connection) -> None:
        """Wait until nobody else writes; held to the end of the transaction, however long that takes."""

    def tolerate_corruption(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """Let an audit read what is broken, and take its time."""

    def read_only(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """Refuse whatever would change something, and whatever would switch that off."""

    def append_only(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """Refuse, by the driver's own error, whatever touches an event or a trigger, and would switch that off."""

    def bounded(self, connection: Connection, seconds: float) -> contextlib.AbstractContextManager[None]:
        """Have a statement that takes longer ended."""

    def ran_out(self, error: BaseException) -> bool:
        """Say whether the driver's error is that end."""

    def run_alone(self, connection: Connection, statement: str) -> Any:
        """Return the driver's cursor for one statement to the letter; several at once are refused by its own error."""

    def was_disturbed(self, error: BaseException) -> bool:
        """Say whether a transaction failed only because of another one that ran at the same time."""

    def words(self, error: BaseException) -> str:
        """Return the driver's error as advice to the operator: no password, one line."""


_SQLITE = Sqlite()
_POSTGRES = Postgres()
_DIALECTS: dict[str, Dialect] = {
    "sqlite": _SQLITE,
    "sqlite+pysqlite": _SQLITE,
    "postgresql": _POSTGRES,
    "postgresql+psycopg": _POSTGRES,
}


def dialect_named(name: str) -> Dialect | None:
    """Return the dialect of a URL's first part, None where it is not supported."""
    return _DIALECTS.get(name)


def dialect_of(source: Engine | Connection) -> Dialect:
    """Return the dialect that an engine or a connection speaks."""
    return _DIALECTS[source.dialect.name]
