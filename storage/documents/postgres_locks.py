"""Locks of jobs that span machines: advisory locks of the PostgreSQL server that holds the log."""

import contextlib
import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from models.errors import StorageUnavailable
from storage.log.database import BUSY_SECONDS, unavailable
from storage.log.postgres import Postgres

_TAKE = text("SELECT pg_advisory_lock(:key)")
_TRY = text("SELECT pg_try_advisory_lock(:key)")
_GIVE = text("SELECT pg_advisory_unlock(:key)")
_TIMED_OUT = "55P03"


class PostgresJobLocks:
    """One lock for each job, held by a session of the server, which gives it back when its process dies.

    Each lock that is held or waited for has a connection of its own, apart from those of the log: whoever holds
    a lock never waits for a connection that somebody else needs to get one. No transaction is open meanwhile, so
    a storage that hangs holds up this job and nothing else.

    Args:
        log: the engine of the log, of which only the address is used.
        busy_seconds: how long a lock is waited for.
    """

    def __init__(self, log: Engine, busy_seconds: float = BUSY_SECONDS) -> None:
        self._dialect = Postgres()
        engine = self._dialect.engine(log.url, busy_seconds, kept=1)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextlib.contextmanager
    def held(self, job_id: str) -> Iterator[None]:
        """Hold the lock of a job while the block runs."""
        key = lock_key(job_id)
        with unavailable(self._dialect):
            connection = self._engine.connect()
        try:
            self._take(connection, key, job_id)
            yield
        finally:
            _give(connection, key)

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[bool]:
        """Hold the right to do something that no two should do at once; yield False where somebody else has it."""
        key, is_alone = lock_key(f"alone: {what}"), False
        with unavailable(self._dialect):
            connection = self._engine.connect()
        try:
            with unavailable(self._dialect):
                is_alone = bool(connection.execute(_TRY, {"key": key}).scalar())
            yield is_alone
        finally:
            if is_alone:
                _give(connection, key)
            else:
                connection.close()

    def close(self) -> None:
        """Close the connections that wait for another use."""
        self._engine.dispose()

    def _take(self, connection: Connection, key: int, job_id: str) -> None:
        with unavailable(self._dialect):
            try:
                connection.execute(_TAKE, {"key": key})
            except OperationalError as error:
                connection.invalidate()
                if getattr(error.orig, "sqlstate", None) != _TIMED_OUT:
                    raise
                msg = f"another process has been writing the documents of job {job_id} for too long"
                raise StorageUnavailable(msg) from None


def lock_key(job_id: str) -> int:
    """Return the number of a job's lock: 64 bits, as the server counts them."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:8], signed=True)


def _give(connection: Connection, key: int) -> None:
    """Give a lock back; with a session that does not answer, the server does it."""
    try:
        if not connection.invalidated:
            connection.execute(_GIVE, {"key": key})
    except SQLAlchemyError:
        connection.invalidate()
    finally:
        connection.close()
