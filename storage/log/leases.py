"""Leases of running attempts: prolonged by heartbeats, and looked through for those that have run out."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from models import clock
from models.claims import Lease, judge_lease
from models.job import Job, Phase
from storage.log.tables import NOT_HELD, JobRow, LeaseRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_LEASE: Any = LeaseRow.__table__  # type: ignore[attr-defined]

_LEASES = (
    select(_JOB.c.fold, _LEASE.c.lease_until)
    .select_from(_JOB.outerjoin(_LEASE, (_LEASE.c.job_id == _JOB.c.job_id) & (_LEASE.c.attempt == _JOB.c.attempt)))
    .where(_JOB.c.phase == Phase.RUNNING.value, NOT_HELD)
)
_LOCK_RUNNING = (
    select(_JOB.c.job_id)
    .where(_JOB.c.job_id.in_(bindparam("job_ids", expanding=True)), _JOB.c.phase == Phase.RUNNING.value)
    .order_by(_JOB.c.job_id)
    .with_for_update(skip_locked=True)
)


def overdue(
    connection: Connection, now: datetime, held: Collection[str], job_ids: Collection[str] | None = None
) -> list[tuple[Job, Lease]]:
    """Return the running jobs whose lease has run out, or lies too far ahead.

    Args:
        held: holders whose jobs are left out.
        job_ids: look at these jobs only; None for all.
    """
    query = _LEASES if job_ids is None else _LEASES.where(_JOB.c.job_id.in_(job_ids))
    found: list[tuple[Job, Lease]] = []
    for fold, heartbeat in connection.execute(query):
        job = Job.model_validate_json(fold)
        lease = judge_lease(job, datetime.fromisoformat(heartbeat) if heartbeat else None, now)
        if lease is not Lease.GOOD and (job.holder is None or job.holder not in held):
            found.append((job, lease))
    return found


def lock_running(connection: Connection, job_ids: Collection[str]) -> Sequence[str]:
    """Lock the rows of those of the jobs that still run, but for rows that others have locked; return their ids."""
    return connection.scalars(_LOCK_RUNNING, {"job_ids": job_ids}).all()


def put(connection: Connection, job_id: str, attempt: int, until: datetime) -> None:
    """Record until when the lease of an attempt lasts."""
    row = {"attempt": attempt, "lease_until": clock.to_text(until)}
    done = connection.execute(update(_LEASE).where(_LEASE.c.job_id == job_id).values(**row))
    if done.rowcount == 0:
        connection.execute(insert(_LEASE).values(job_id=job_id, **row))


def remove(connection: Connection, job_id: str) -> None:
    """Forget the heartbeats of a job: the lease in its newest claim counts."""
    connection.execute(delete(_LEASE).where(_LEASE.c.job_id == job_id))
