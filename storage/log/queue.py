"""Whose turn it is: the order in which waiting jobs are claimed.

Each user's queue at a backend has a head: the first job by priority, then by the time it was received. The head whose
user has the fewest running jobs is next (`models.job.fairest`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text

from models import clock
from models.claims import Waiting, fairest
from models.job import Job, Phase
from models.retry import LONGEST
from storage.log.rows import GET_JOB, find_job
from storage.log.tables import NOT_HELD, JobRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]

# A job that somebody else is just writing to is not waited for.
LOCK_WAITING = GET_JOB.where(_JOB.c.phase == Phase.WAITING.value, NOT_HELD).with_for_update(skip_locked=True)

# The head of each user's queue at a backend: two index steps for each user, however long the queues are.
_HEADS_OF = """
    WITH RECURSIVE waiting(name) AS (
        SELECT min("user") FROM job WHERE phase = 'waiting' AND backend = :backend
        UNION ALL
        SELECT (SELECT min("user") FROM job WHERE phase = 'waiting' AND backend = :backend AND "user" > waiting.name)
        FROM waiting WHERE waiting.name IS NOT NULL
    )
    SELECT (
        SELECT head.job_id FROM job AS head
        WHERE head.phase = 'waiting' AND head.backend = :backend AND head."user" = waiting.name
            AND (head.not_before <= :now OR head.not_before > :beyond) {}
            AND NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = head.job_id)
        ORDER BY head.priority DESC, head.received_at, head.job_id LIMIT 1
    ) FROM waiting WHERE waiting.name IS NOT NULL
"""
_HEADS = text(_HEADS_OF.format(""))
_HEADS_IN = text(_HEADS_OF.format("AND head.storage IN :storages")).bindparams(bindparam("storages", expanding=True))
_GET_WAITING = select(_JOB.c.user, _JOB.c.priority, _JOB.c.received_at, _JOB.c.job_id).where(
    _JOB.c.job_id.in_(bindparam("job_ids", expanding=True))
)
_RUNNING_BY_BACKEND = (
    select(_JOB.c.backend, func.count()).where(_JOB.c.phase == Phase.RUNNING.value, NOT_HELD).group_by(_JOB.c.backend)
)
_RUNNING_BY_USER = (
    select(_JOB.c.user, func.count()).where(_JOB.c.phase == Phase.RUNNING.value, NOT_HELD).group_by(_JOB.c.user)
)


def with_capacity(connection: Connection, backends: Sequence[str], most: Mapping[str, int] | None) -> Sequence[str]:
    """Return those of the backends that may run one more job."""
    if not most:
        return backends
    running = {backend: count for backend, count in connection.execute(_RUNNING_BY_BACKEND)}  # noqa: C416
    return [name for name in backends if name not in most or running.get(name, 0) < most[name]]


def next_job(
    connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None
) -> Job | None:
    """Return the job whose turn it is, its row locked; None where nothing may be claimed now."""
    running = {user: count for user, count in connection.execute(_RUNNING_BY_USER)}  # noqa: C416
    job_ids = queue_heads(connection, backends, now, storages)
    candidates = [Waiting(*row) for row in connection.execute(_GET_WAITING, {"job_ids": job_ids})]
    while (head := fairest(candidates, running)) is not None:
        job = find_job(connection, head.job_id, LOCK_WAITING)
        if job is not None:
            return job
        candidates.remove(head)
    return None


def queue_heads(
    connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None
) -> list[str]:
    """Return the ids of the first job in the queue of each user at each backend."""
    query, more = (_HEADS, {}) if storages is None else (_HEADS_IN, {"storages": list(storages)})
    # As `models.retry.is_due` says.
    times = {"now": clock.to_text(now), "beyond": clock.to_text(now + timedelta(seconds=LONGEST))}
    found = (connection.scalars(query, {"backend": backend} | times | more) for backend in backends)
    return [job_id for heads in found for job_id in heads if job_id is not None]
