"""The event log on SQLite: one file, one writer at a time."""

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Row, Select, create_engine, event
from sqlalchemy.exc import DisconnectionError

from models.errors import BadSetting, LogUnavailable
from storage.log.no_log import NoLog
from storage.log.tables import EVENT_TABLES

POOL = 40

STEPS = 100_000
"""Instructions of SQLite, some milliseconds of work, after which it asks whether the time is up."""

_PUT_ASIDE = "; put it aside, and `quledger restore` makes it anew from the storage"

_ADVICE = {
    "file is not a database": f"the file is not a database{_PUT_ASIDE}",
    "database disk image is malformed": f"its file is damaged{_PUT_ASIDE}",
    "database is locked": "another process holds it; end that process or wait",
    "database or disk is full": "the disk is full; free some space",
    "attempt to write a readonly database": "it may only be read; check the file's owner and mode",
    "unable to open database file": "it cannot be opened; check that the folder exists and may be written",
    "disk I/O error": "the disk is full or does not answer; free some space or check it",
}


class Sqlite:
    """SQLite as `storage.log.dialects.Dialect`. A transaction that writes has the one write lock from its beginning."""

    def __init__(self) -> None:
        self.writing: Mapping[str, Any] = {"quledger_begin": "IMMEDIATE"}
        self.reading: Mapping[str, Any] = {}

    def engine(self, url: URL, busy_seconds: float, *, existing: bool) -> Engine:
        """Return the engine of a file, whose folder is made."""
        if url.database in (None, "", ":memory:"):
            msg = f"the database {url.drivername}:// is not supported; write sqlite:////the/file.db"
            raise BadSetting(msg)
        path = Path(str(url.database))
        if existing and not file_size(path):
            msg = f"there is no event log at sqlite:///{path}; one that was lost comes back by `quledger restore`"
            raise NoLog(msg)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            named = "QULEDGER_HOME or QULEDGER_DATABASE names it"
            msg = f"the folder of the database cannot be made: {error.strerror}; {named}"
            raise LogUnavailable(msg) from None
        # More connections than threads, and more patience than for the lock: the pool is never what fails.
        engine = create_engine(
            url,
            connect_args={"timeout": busy_seconds, "check_same_thread": False},
            pool_size=POOL,
            max_overflow=POOL,
            pool_timeout=2 * busy_seconds,
        )

        def prepare(connection: Any, _record: object) -> None:
            # The driver would begin transactions on its own and late: `_begin` says when and how instead.
            connection.isolation_level = None
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                _patiently(connection, f"PRAGMA {pragma}", busy_seconds)

        file = _File(path)
        event.listen(engine, "do_connect", file.expect)
        event.listen(engine, "connect", prepare)
        event.listen(engine, "connect", file.opened)
        event.listen(engine, "checkout", file.check)
        event.listen(engine, "begin", _begin)
        return engine

    def check(self, connection: Connection) -> None:
        """Any file will do that SQLite can open."""

    def in_turn(self, connection: Connection, turn: object) -> None:
        """Do nothing: whoever writes, writes alone."""

    def lock_soon(self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]) -> Row[Any] | None:
        """Return the row: whoever writes, writes alone."""
        return connection.execute(statement, values).one()

    def exclusive(self, connection: Connection) -> None:
        """Do nothing: whoever writes, writes alone."""

    @contextlib.contextmanager
    def tolerate_corruption(self, connection: Connection) -> Iterator[None]:
        """Read text that is not UTF-8 any more, so that a broken byte is found and named, not stumbled over."""
        raw: Any = connection.connection.dbapi_connection
        raw.text_factory = lambda stored: stored.decode("utf-8", "replace")
        try:
            yield
        finally:
            raw.text_factory = str

    @contextlib.contextmanager
    def read_only(self, connection: Connection) -> Iterator[None]:
        """Have SQLite refuse what writes, attaches another file or would switch that off."""
        raw: Any = connection.connection.dbapi_connection
        raw.set_authorizer(_only_reads)
        try:
            yield
        finally:
            raw.set_authorizer(None)

    @contextlib.contextmanager
    def append_only(self, connection: Connection) -> Iterator[None]:
        """Have SQLite refuse what touches an event, a trigger or another file, or would switch that off."""
        raw: Any = connection.connection.dbapi_connection
        raw.set_authorizer(_keeps_events)
        try:
            yield
        finally:
            raw.set_authorizer(None)

    @contextlib.contextmanager
    def bounded(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Have SQLite ask now and then whether the time is up."""
        raw: Any = connection.connection.dbapi_connection
        until = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        try:
            yield
        finally:
            raw.set_progress_handler(None, 0)

    def ran_out(self, error: BaseException) -> bool:
        """Say whether it was ended in its midst."""
        return str(error) == "interrupted"

    def run_alone(self, connection: Connection, statement: str) -> Any:
        """Run it; SQLite takes one statement at a time."""
        return connection.connection.cursor().execute(statement)

    def was_disturbed(self, error: BaseException) -> bool:  # noqa: ARG002 - whoever writes, writes alone
        """Say no: whoever writes, writes alone."""
        return False

    def words(self, error: BaseException) -> str:
        """Return what SQLite's error means."""
        return _ADVICE.get(str(error), str(error))


def file_size(path: Path) -> int | None:
    """Return the bytes of the file at a path; None where there is none.

    Raises:
        LogUnavailable: this process may not look there.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        msg = f"the event log cannot be used now: its file cannot be looked at: {error.strerror}"
        raise LogUnavailable(msg) from None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def is_open_to_others(path: Path) -> bool:
    """Return whether users of this machine beside the owner and his group may read the file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH and path.parent.stat().st_mode & stat.S_IXOTH)
    except OSError:
        return False


class _File:
    """Keeps connections to the file that lies there now.

    Whoever puts another file in its place leaves old connections with one that has no name any more: what is written
    there is gone with the last of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was_opened = False

    def expect(self, *_driver: object) -> None:
        """Make no new file where there was one: somebody is about to put another one there.

        A first one is for its owner alone, as are the files that SQLite puts beside it: it will hold secrets.
        """
        if self._was_opened:
            self._now()
            return
        # One that is there is not opened: to close it again would take back SQLite's locks on it.
        with contextlib.suppress(OSError):  # whoever cannot make it is told so by SQLite
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def opened(self, _connection: object, record: Any) -> None:
        """Remember which file a connection is to."""
        record.info["file"] = self._now()
        self._was_opened = True

    def check(self, _connection: object, record: Any, _lent: object) -> None:
        """Open the file anew if another one lies there now."""
        if record.info["file"] != self._now():
            raise DisconnectionError

    def _now(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except OSError as error:
            msg = f"the event log cannot be used now: its file cannot be found: {error.strerror}"
            raise LogUnavailable(msg) from None
        return found.st_dev, found.st_ino


def _patiently(connection: Any, statement: str, seconds: float) -> None:
    """Run a statement that SQLite does not make wait for a lock by itself (the change to WAL)."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_TOLD = frozenset({"table_info", "table_list", "index_list", "index_info", "integrity_check", "quick_check"})
"""Pragmas that only tell."""


def _only_reads(action: int, what: str | None, *_about: str | None) -> int:
    if action in _READS and what != "load_extension":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action == sqlite3.SQLITE_PRAGMA and what in _TOLD else sqlite3.SQLITE_DENY


_CHANGES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_TABLE})
_NEVER = frozenset(
    {
        *(sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_CREATE_TEMP_TRIGGER, sqlite3.SQLITE_CREATE_VTABLE),
        *(sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_DROP_TEMP_TRIGGER, sqlite3.SQLITE_DROP_VTABLE),
        *(sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT),
    }
)


def _keeps_events(action: int, what: str | None, about: str | None, *_where: str | None) -> int:
    if action in _READS or action == sqlite3.SQLITE_PRAGMA:
        return _only_reads(action, what)
    table = what if action in _CHANGES else about if action == sqlite3.SQLITE_ALTER_TABLE else None
    return sqlite3.SQLITE_DENY if action in _NEVER or table in EVENT_TABLES else sqlite3.SQLITE_OK


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("quledger_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
