"""The database of the event log: opened, migrated and guarded in one place."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from models.errors import BadSetting, LogUnavailable
from models.settings import redact_url

HEAD = "0001"
"""The newest migration; a database of another version is migrated or refused."""

BUSY_SECONDS = 60
"""How long a writer waits for the database before it says that it is locked."""

POOL = 40

_MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(url: str, *, existing: bool = False) -> Engine:
    """Return the engine of a database that has today's tables, made or migrated as needed.

    Args:
        existing: make and migrate nothing; a database that is missing, empty or old is refused.

    Raises:
        BadSetting: the URL is of no database that is supported.
        LogUnavailable: the database cannot be reached, is no database, or belongs to a newer Quledger.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        msg = "the database is no URL; write sqlite:////the/file.db"
        raise BadSetting(msg) from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite") or parsed.database in (None, "", ":memory:"):
        msg = f"the database {redact_url(url)} is not supported; write sqlite:////the/file.db"
        raise BadSetting(msg)
    if existing and not (parsed.database and Path(parsed.database).is_file() and Path(parsed.database).stat().st_size):
        msg = f"there is no event log at {redact_url(url)}"
        raise LogUnavailable(msg)
    try:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder of the database cannot be made: {error.strerror}"
        raise LogUnavailable(msg) from None
    # More connections than threads, and more patience than for the lock: the pool is never what fails.
    engine = create_engine(
        parsed,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=2 * BUSY_SECONDS,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    with unavailable():
        if existing:
            _expect_today(engine)
        else:
            _migrate(engine)
    return engine


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that holds the write lock from its first statement on, and commit it at the end."""
    with unavailable(), engine.connect() as plain:
        connection = plain.execution_options(quledger_begin="IMMEDIATE")
        with connection.begin():
            yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that sees one state of the database."""
    with unavailable(), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Turn a database that does not answer into `LogUnavailable`, which says what to do."""
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        advice = {
            "database is locked": "another process holds it; end that process or wait",
            "database or disk is full": "the disk is full; free some space",
            "attempt to write a readonly database": "it may only be read; check the file's owner and mode",
            "unable to open database file": "it cannot be opened; check that the folder exists and may be written",
            "disk I/O error": "the disk is full or does not answer; free some space or check it",
        }.get(reason, reason)
        msg = f"the event log cannot be used now: {advice}"
        raise LogUnavailable(msg) from None
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.IntegrityError):
            raise
        msg = f"the event log cannot be used: {error.orig}"
        raise LogUnavailable(msg) from None
    except SQLAlchemyError as error:
        msg = f"the event log cannot be used now: {type(error).__name__}"
        raise LogUnavailable(msg) from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions on its own and late: `_begin_sqlite` says when and how instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        _patiently(connection, f"PRAGMA {pragma}")


def _patiently(connection: Any, statement: str) -> None:
    """Run a statement that SQLite does not make wait for a lock by itself (the change to WAL)."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("quledger_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _expect_today(engine: Engine) -> None:
    with engine.connect() as connection:
        version = _version(connection)
    if version != HEAD:
        found = f"is of version {version}" if version else "holds no event log"
        msg = f"the database {found}, and this Quledger needs version {HEAD}; nothing was changed"
        raise LogUnavailable(msg)


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        if _version(connection) == HEAD:
            return
    # Imported here: 0.2 s that only a new or an old database costs.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with writing(engine) as connection:
        version = _version(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if version is not None and version not in known:
            msg = f"the event log was made by a newer Quledger (version {version}); update this one"
            raise LogUnavailable(msg)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
