"""The jobs that are held: claimed by nobody, relayed by nobody, until a restore or a new comparison releases them."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, text

from models import clock
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.tables import HeldRow

_HELD: Any = HeldRow.__table__  # type: ignore[attr-defined]
_PUT = text(
    "INSERT INTO held (job_id, storage, why, since) VALUES (:job_id, :storage, :why, :since)"
    " ON CONFLICT (job_id) DO UPDATE SET storage = excluded.storage, why = excluded.why"
)
_DROP = delete(_HELD).where(_HELD.c.job_id.in_(bindparam("job_ids", expanding=True)))
_REASONS = select(_HELD.c.job_id, _HELD.c.why).where(_HELD.c.job_id.in_(bindparam("job_ids", expanding=True)))
_IDS = select(_HELD.c.job_id).where(_HELD.c.job_id.in_(bindparam("job_ids", expanding=True)))

BATCH = 500
"""Ids that one statement names."""


class Held(NamedTuple):
    """A job that is held, the name of its storage as the settings have it, and why."""

    job_id: str
    storage: str
    why: str


class Holds:
    """The table of them, in the log's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, *held: Held) -> None:
        """Hold jobs; why one is held already is said anew."""
        if held:
            with _in_turn(self._engine) as connection:
                put(connection, held)

    def release(self, *job_ids: str) -> None:
        """Let jobs go."""
        if job_ids:
            with _in_turn(self._engine) as connection:
                release(connection, job_ids)

    def why(self, job_id: str) -> str:
        """Return why a job is held; empty if it is not."""
        with reading(self._engine) as connection:
            return connection.execute(select(_HELD.c.why).where(_HELD.c.job_id == job_id)).scalar() or ""

    def among(self, job_ids: Iterable[str]) -> set[str]:
        """Return those of the ids whose jobs are held."""
        wanted = list(job_ids)
        if not wanted:
            return set()
        with reading(self._engine) as connection:
            parts = (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))
            return {job_id for part in parts for job_id in connection.scalars(_IDS, {"job_ids": part})}

    def count(self) -> int:
        """Return how many jobs are held."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(_HELD)).scalar() or 0

    def all(self, *, storage: str | None = None, after: str = "", limit: int = BATCH) -> list[Held]:
        """Return the first jobs that are held behind an id, in the order of their ids."""
        query = select(_HELD.c.job_id, _HELD.c.storage, _HELD.c.why).where(_HELD.c.job_id > after)
        if storage is not None:
            query = query.where(_HELD.c.storage == storage)
        with reading(self._engine) as connection:
            return [Held(*row) for row in connection.execute(query.order_by(_HELD.c.job_id).limit(limit))]


def reasons(connection: Connection, job_ids: Sequence[str]) -> dict[str, str]:
    """Return why those of the jobs are held that are, within a transaction."""
    parts = (job_ids[start : start + BATCH] for start in range(0, len(job_ids), BATCH))
    return {job_id: why for part in parts for job_id, why in connection.execute(_REASONS, {"job_ids": part})}


@contextlib.contextmanager
def _in_turn(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that writes while nobody claims: a release enters jobs into the queues of several users."""
    with writing(engine) as connection:
        dialect_of(connection).in_turn(connection, Turn.CLAIM)
        yield connection


def put(connection: Connection, held: Iterable[Held]) -> None:
    """Hold jobs, within a transaction."""
    since = clock.to_text(clock.now())
    # In the order of their ids, so that no two who hold the same jobs wait for each other.
    rows = [each._asdict() | {"since": since} for each in sorted(held)]
    if rows:
        connection.execute(_PUT, rows)


def release(connection: Connection, job_ids: Iterable[str]) -> None:
    """Let jobs go, within a transaction."""
    wanted = list(job_ids)
    for start in range(0, len(wanted), BATCH):
        connection.execute(_DROP, {"job_ids": wanted[start : start + BATCH]})
