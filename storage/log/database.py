"""The database of the event log: opened, migrated and guarded in one place."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from models.errors import BadSetting, LogUnavailable
from models.settings import redact_url
from storage.log.dialects import Dialect, Turn, dialect_named, dialect_of
from storage.log.no_log import NoLog

HEAD = "0012"
"""The newest migration; a database of another version is migrated or refused."""

BUSY_SECONDS = 60
"""How long a writer waits for the database before it says that it is locked."""

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_WRITE = "write sqlite:////the/file.db or postgresql://user:password@host:port/name"


class LogDisturbed(LogUnavailable):
    """Another writer was in the way of a transaction: nothing of it was done, and it may be tried again at once."""


def open_database(url: str, *, existing: bool = False, begins: bool = True, patience: float = BUSY_SECONDS) -> Engine:
    """Return the engine of a database that has today's tables, made or migrated as needed.

    Args:
        begins: make a log where there is none; else only one of another version is migrated.
        existing: make and migrate nothing; a database that is missing, empty or old is refused.
        patience: seconds that a writer waits for the database before it says that it is locked.

    Raises:
        BadSetting: the URL is of no database that is supported.
        NoLog: there is none, and none is to be begun.
        LogUnavailable: the database cannot be reached, is no database, or belongs to a newer Quledger.
    """
    engine, dialect = _engine(url, existing=existing or not begins, patience=patience)
    try:
        with unavailable(dialect):
            if existing:
                _expect_today(engine)
            else:
                _expect_log(engine, begins=begins)
                _migrate(engine, dialect)
    except BaseException:
        engine.dispose()
        raise
    return engine


def engine_of(url: str) -> Engine:
    """Return the engine of a database that is there, of whatever version; nothing is made or migrated.

    Raises:
        BadSetting: the URL is of no database that is supported.
        LogUnavailable: there is none, as is plain already.
    """
    return _engine(url, existing=True, patience=BUSY_SECONDS)[0]


def version_of(engine: Engine) -> str | None:
    """Return the migration at which a database stands; None if it holds no log.

    Raises:
        LogUnavailable: it does not answer.
    """
    with unavailable(dialect_of(engine)), engine.connect() as connection:
        return _version(connection)


def _engine(url: str, *, existing: bool, patience: float) -> tuple[Engine, Dialect]:
    parsed, dialect = parsed_url(url)
    return dialect.engine(parsed, patience, existing=existing), dialect


def parsed_url(url: str) -> tuple[URL, Dialect]:
    """Return the parts of the URL of a database, and of which kind it is.

    Raises:
        BadSetting: it is of no database that is supported.
    """
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):  # the latter for a port that is no number
        msg = f"the database is no URL; {_WRITE}"
        raise BadSetting(msg) from None
    dialect = dialect_named(parsed.drivername)
    if dialect is None:
        msg = f"the database {redact_url(url)} is not supported; {_WRITE}"
        raise BadSetting(msg)
    if parsed.drivername.startswith("sqlite") and "?" in url:
        msg = "the database goes on after its path; write %3F where ? belongs to a name, and no options"
        raise BadSetting(msg)
    return parsed, dialect


@contextlib.contextmanager
def writing(engine: Engine, *, exclusive: bool = False) -> Iterator[Connection]:
    """Begin a transaction that writes, and commit it at the end.

    On SQLite it holds the write lock from its first statement on. On PostgreSQL it sees whatever others commit,
    so that it has to lock the rows that it decides about.

    Args:
        exclusive: nobody else may write meanwhile.
    """
    dialect = dialect_of(engine)
    with unavailable(dialect), engine.connect() as plain:
        connection = plain.execution_options(**dialect.writing)
        with connection.begin():
            if exclusive:
                dialect.in_turn(connection, Turn.CLAIM)  # a claim locks the tables in an order of its own
                dialect.exclusive(connection)
            yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that sees one state of the database."""
    dialect = dialect_of(engine)
    with unavailable(dialect), engine.connect() as plain:
        connection = plain.execution_options(**dialect.reading)
        with connection.begin():
            yield connection


@contextlib.contextmanager
def unavailable(dialect: Dialect) -> Iterator[None]:
    """Turn a database that does not answer into `LogUnavailable`, which says what to do."""
    try:
        yield
    except IntegrityError:
        raise
    except OperationalError as error:
        msg = f"the event log cannot be used now: {dialect.words(_cause(error))}"
        raise (LogDisturbed if dialect.was_disturbed(_cause(error)) else LogUnavailable)(msg) from None
    except DBAPIError as error:
        msg = f"the event log cannot be used: {dialect.words(_cause(error))}"
        raise LogUnavailable(msg) from None
    except SQLAlchemyError as error:
        msg = f"the event log cannot be used now: {type(error).__name__}"
        raise LogUnavailable(msg) from None


def _cause(error: DBAPIError) -> BaseException:
    return error.orig or error


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


def _expect_log(engine: Engine, *, begins: bool) -> None:
    if begins:
        return
    with engine.connect() as connection:
        if _version(connection) is None:
            msg = f"the database {redact_url(str(engine.url))} holds no event log"
            raise NoLog(msg)


def _migrate(engine: Engine, dialect: Dialect) -> None:
    with engine.connect() as connection:
        if _version(connection) == HEAD:
            return
        dialect.check(connection)
    # Imported here: 0.2 s that only a new or an old database costs.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        dialect.in_turn(connection, Turn.MIGRATION)
        version = _version(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if version is not None and version not in known:
            msg = f"the event log was made by a newer Quledger (version {version}); update this one"
            raise LogUnavailable(msg)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
