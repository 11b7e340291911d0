"""The event log on PostgreSQL: one server, writers on any number of machines.

Who writes locks the rows that it decides about (`FOR UPDATE`), always in this order, so that no two wait for
each other: a turn, then rows of `job` by id, then `event`, `mirror`, `lease`, `usage`, and `queue`, of which nobody but
who has the turn holds several. Who has the turn may begin elsewhere: a claim with the queues, of which it waits for
none longer than a moment; a submission with `usage`, since it waits for no job that there is.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, Row, Select, create_engine, event, text
from sqlalchemy.exc import OperationalError

from models.errors import BadSetting, LogUnavailable, printable
from storage.log.tables import EVENT_TABLES

CONNECT_SECONDS = 10
IDLE_SECONDS = 20
"""A process that stops in the midst of writing loses its transaction after so long, and its locks with it."""

MOMENT = "200ms"
"""So long a claim waits for the queue of a user whose jobs are just coming in."""

KEPT, MAX_CONNECTIONS = 5, 80
"""Connections of one process: so many stay open, and so many there may be, which is more than it has threads."""

_TURNS = 0x51_4C  # our own among the advisory locks of the database
_MAY_TOO_MUCH = text(
    "SELECT rolsuper AND to_regrole('pg_read_all_data') IS NOT NULL FROM pg_roles WHERE rolname = current_user"
)
_SET_PATIENCE = text("SELECT set_config('lock_timeout', :patience, true)")
_GUARDED = text(
    "WITH guarded AS (SELECT tg.oid, tg.xmin, tg.tgfoid FROM pg_trigger tg JOIN pg_class c ON c.oid = tg.tgrelid"
    " WHERE NOT tg.tgisinternal AND c.relnamespace = current_schema()::regnamespace)"
    " SELECT c.oid, c.xmin::text, n_tup_ins + n_tup_upd + n_tup_del FROM pg_class c"
    " LEFT JOIN pg_stat_xact_user_tables s ON s.relid = c.oid"
    " WHERE c.relname = ANY(:tables) AND c.relnamespace = current_schema()::regnamespace"
    " UNION ALL SELECT oid, xmin::text, 0 FROM guarded"
    " UNION ALL SELECT oid, xmin::text, 1 FROM pg_proc WHERE oid IN (SELECT tgfoid FROM guarded) ORDER BY 1, 3"
)
"""The versions of the tables of events, of triggers and of what these call; how many rows were written so far."""

MAX_LIMIT = 2**31 - 1
"""The server counts no more milliseconds."""

_HELD = "55P03"
_CANCELLED = "57014"
_DISTURBED = "another process was in the way; try again"
_GONE = "the server went away; wait until it is back"
_BY_STATE = {
    "25006": "it may only be read; connect to the primary server, with a role that may write",
    "25P03": "this process stood still in the midst of writing, and the server took its turn away; try again",
    "3F000": "there is no schema to make the tables in; check the search_path of the role",
    "40001": _DISTURBED,
    "40P01": _DISTURBED,
    "42501": "the role lacks a permission; grant it all on the log's tables, and CREATE on the schema to make them",
    "53100": "the disk of the server is full; free some space",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left; raise its max_connections or end other clients",
    _HELD: "another process holds it; end that process or wait",
    _CANCELLED: "the server cancelled the statement; check its statement_timeout",
    "57P01": _GONE,
    "57P02": _GONE,
    "57P03": "the server is just starting or stopping; wait until it is ready",
}
# While a connection is made there are only words, and most servers speak English.
_BY_WORDS = {
    "password authentication failed": "the user or the password is wrong",
    "no password supplied": "the server asks for a password",
    "no pg_hba.conf entry": "the server does not let this user in from here; check its pg_hba.conf",
    "too many clients": _BY_STATE["53300"],
    "remaining connection slots": _BY_STATE["53300"],
    "starting up": _BY_STATE["57P03"],
    "shutting down": _BY_STATE["57P03"],
    "permission denied for database": "the user may not connect to this database",
    'role "': "the server does not know this user",
    'database "': "the server has no such database; make it with createdb",
    "resolve host": "there is no such host",
    "refused": "no server answers there; check that it runs and listens on that address",
    "timeout": f"no server answered within {CONNECT_SECONDS} s; check host, port and firewall",
    "invalid": "an option in the URL cannot be used",
    "server closed the connection": _GONE,
    "connection is lost": _GONE,
    "terminating connection": _GONE,
}
_CHECK = "check host, port, user, password and database name in QULEDGER_DATABASE"


class Postgres:
    """PostgreSQL as `storage.log.dialects.Dialect`."""

    def __init__(self) -> None:
        # Each statement sees what is committed: after a lock was waited for, what its last holder wrote.
        self.writing: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}
        self.reading: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def engine(self, url: URL, busy_seconds: float, *, existing: bool = True, kept: int = KEPT) -> Engine:  # noqa: ARG002 - a server is there or not
        """Return an engine; the server is asked at the first connection."""
        if not url.database:
            msg = "the database has no name; write postgresql://user:password@host:port/name"
            raise BadSetting(msg)
        arguments: dict[str, Any] = {
            "application_name": "quledger",
            "connect_timeout": CONNECT_SECONDS,
            # A server that is gone without a word is noticed within half a minute.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
        given = {name: value for name, value in arguments.items() if name not in url.query}
        try:
            engine = create_engine(
                url.set(drivername="postgresql+psycopg"),
                connect_args=given | {"client_encoding": "utf8"},
                pool_pre_ping=True,
                pool_size=kept,
                max_overflow=MAX_CONNECTIONS - kept,
                pool_timeout=2 * busy_seconds,
            )
        except ImportError:
            msg = "the driver of PostgreSQL is missing; install it with: pip install 'psycopg[binary]'"
            raise LogUnavailable(msg) from None

        session = {
            "lock_timeout": f"{busy_seconds * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS * 1000}",
            # A machine that is gone without a word gives its locks back within half a minute, not after hours.
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }

        def prepare(connection: Any, _record: object) -> None:
            connection.autocommit = True
            for name, value in session.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            # What is committed survives a power cut, whatever the server's habit; stricter habits are kept.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            connection.autocommit = False

        event.listen(engine, "connect", prepare)
        return engine

    def check(self, connection: Connection) -> None:
        """Refuse a database that cannot hold every character."""
        encoding = connection.execute(text("SELECT current_setting('server_encoding')")).scalar()
        if encoding != "UTF8":
            msg = f"the database has the encoding {encoding}; make one with createdb --encoding=UTF8 -T template0"
            raise LogUnavailable(msg)

    def in_turn(self, connection: Connection, turn: int) -> None:
        """Wait for an advisory lock that ends with the transaction."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:ours, :turn)"), {"ours": _TURNS, "turn": int(turn)})

    def lock_soon(self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]) -> Row[Any] | None:
        """Return the row; wait in line where it is held, but not for a writer that stands still."""
        row = connection.execute(statement.with_for_update(skip_locked=True), values).one_or_none()
        if row is not None:
            return row
        patience = connection.execute(text("SELECT current_setting('lock_timeout')")).scalar_one()
        try:
            with connection.begin_nested():
                connection.execute(_SET_PATIENCE, {"patience": MOMENT})
                row = connection.execute(statement.with_for_update(), values).one_or_none()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _HELD:
                raise
            return None
        connection.execute(_SET_PATIENCE, {"patience": patience})
        return row

    def exclusive(self, connection: Connection) -> None:
        """Lock all tables against writers, in the order in which these lock them."""
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("LOCK TABLE job, event, mirror, lease, queue, usage IN EXCLUSIVE MODE"))

    @contextlib.contextmanager
    def tolerate_corruption(self, connection: Connection) -> Iterator[None]:
        """Allow pauses within the transaction; text that is no UTF-8 cannot be stored here."""
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield

    @contextlib.contextmanager
    def read_only(self, connection: Connection) -> Iterator[None]:
        """Rely on the transaction, which was begun as one that only reads, and cannot become another after a query.

        A superuser's would still run programs and read and write files of the server: he becomes one who reads tables.
        """
        if connection.execute(_MAY_TOO_MUCH).scalar():
            connection.execute(text("SET LOCAL ROLE pg_read_all_data"))
        yield

    @contextlib.contextmanager
    def append_only(self, connection: Connection) -> Iterator[None]:
        """Look afterwards whether an event, its table or what guards it was touched, and refuse that."""
        before = connection.execute(_GUARDED, {"tables": list(EVENT_TABLES)}).all()
        yield
        if connection.execute(_GUARDED, {"tables": list(EVENT_TABLES)}).all() != before:
            raise connection.dialect.loaded_dbapi.IntegrityError("events are append-only")

    @contextlib.contextmanager
    def bounded(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Have the server end what takes longer, to the end of the transaction."""
        limit = min(max(1.0, seconds * 1000), MAX_LIMIT)
        connection.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": f"{limit:.0f}"})
        yield

    def ran_out(self, error: BaseException) -> bool:
        """Say whether the server ended it because of that."""
        return getattr(error, "sqlstate", None) == _CANCELLED

    def run_alone(self, connection: Connection, statement: str) -> Any:
        """Run it as a prepared one, of which the server takes no two in one text: the second might begin anew."""
        cursor: Any = connection.connection.cursor()
        return cursor.execute(statement, prepare=True)

    def was_disturbed(self, error: BaseException) -> bool:
        """Say whether the server ended the transaction in favour of another one."""
        return _BY_STATE.get(getattr(error, "sqlstate", None) or "") == _DISTURBED

    def words(self, error: BaseException) -> str:
        """Return what PostgreSQL's error means: by its code, or by its words where nothing is connected yet."""
        state = getattr(error, "sqlstate", None)
        said = str(error)
        if state in _BY_STATE:
            return _BY_STATE[state]
        if state is not None:
            return printable(said.partition("\n")[0])
        meant = next((meaning for words, meaning in _BY_WORDS.items() if words in said), "it cannot be reached")
        return f"{meant}; {_CHECK}" if meant is not _GONE else meant
