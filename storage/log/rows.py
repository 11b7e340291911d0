"""Events and jobs as rows: an event is written together with the view of its job, and a job is read back from it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from models import clock
from models.errors import AppendConflict, LogBroken, UnknownJob
from models.events import Event, seal
from models.facts import Executed, Fact
from models.job import Job, Phase, apply
from models.notices import job_ended
from models.submissions import owner_of
from storage.log import labels, outbox, usage
from storage.log.tables import EventRow, JobRow, MirrorRow

_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_MIRROR: Any = MirrorRow.__table__  # type: ignore[attr-defined]

_ADD_EVENT = insert(_EVENT)
_ADD_JOB = insert(_JOB)
_ADD_CURSOR = insert(_MIRROR)
_PUT_JOB = update(_JOB).where(_JOB.c.job_id == bindparam("_job_id"), _JOB.c.seq == bindparam("_seq"))
_PUT_BEHIND = update(_MIRROR).where(_MIRROR.c.job_id == bindparam("_job_id"))
_UNMIRRORED = {"seq": -1, "place": "", "behind": True}
GET_JOB = select(_JOB.c.fold).where(_JOB.c.job_id == bindparam("job_id"))
LOCK_JOB = GET_JOB.with_for_update()


def find_job(connection: Connection, job_id: str, query: Any = GET_JOB) -> Job | None:
    """Return the job that `query` selects, None where it selects none.

    Raises:
        LogBroken: its row is damaged.
    """
    fold = connection.execute(query, {"job_id": job_id}).scalar()
    try:
        return None if fold is None else Job.model_validate_json(fold)
    except ValidationError:
        msg = f"the view of job {job_id} is damaged; run `quledger verify`"
        raise LogBroken(msg) from None


def get_job(connection: Connection, job_id: str, query: Any = GET_JOB) -> Job:
    """Return the job that `query` selects.

    Raises:
        UnknownJob: it selects none.
        LogBroken: its row is damaged.
    """
    job = find_job(connection, job_id, query)
    if job is None:
        raise UnknownJob(job_id)
    return job


def add_jobs(connection: Connection, begun: Sequence[tuple[Job, Event]]) -> None:
    """Insert jobs together with their first events.

    Raises:
        AppendConflict: another writer has begun one of them.
    """
    if not begun:
        return
    try:
        # The jobs before their events: in this order every writer comes upon the tables.
        connection.execute(_ADD_JOB, [job_row(job) for job, _ in begun])
        connection.execute(_ADD_EVENT, [event_row(event) for _, event in begun])
        connection.execute(_ADD_CURSOR, [{"job_id": job.job_id, **_UNMIRRORED} for job, _ in begun])
    except IntegrityError:
        msg = "one of the jobs was begun by another writer"
        raise AppendConflict(msg) from None


def write_event(  # noqa: PLR0913 - an event has that many fields
    connection: Connection,
    job: Job,
    fact: Fact,
    *,
    attempt: int,
    actor: str,
    recorded_at: datetime,
    flow_run_id: str | None = None,
) -> Job:
    """Insert one event and rewrite the view; the caller has asked whether the event may follow.

    Args:
        job: as of the event before.

    Raises:
        AppendConflict: another writer was quicker.
    """
    event = seal(
        fact,
        job_id=job.job_id,
        seq=job.seq + 1,
        attempt=attempt,
        recorded_at=recorded_at,
        actor=actor,
        flow_run_id=flow_run_id,
        prev_hash=job.last_hash,
    )
    after = apply(job, event)
    msg = f"job {after.job_id} was changed by another writer"
    try:
        connection.execute(_ADD_EVENT, event_row(event))
        changed = connection.execute(_PUT_JOB, job_row(after) | {"_job_id": after.job_id, "_seq": job.seq})
        connection.execute(_PUT_BEHIND, {"_job_id": after.job_id, "behind": True})
    except IntegrityError:
        raise AppendConflict(msg) from None
    if changed.rowcount != 1:
        raise AppendConflict(msg)
    if isinstance(fact, Executed):
        usage.add(connection, usage.sum_up([(owner_of(after), after.project, recorded_at, fact)]))
    if after.phase is Phase.FINAL and job.phase is not Phase.FINAL:
        outbox.put(connection, job_ended(after, event))
    return after


def event_row(event: Event) -> dict[str, Any]:
    """Return the event as a row of the table."""
    return event.model_dump() | {"recorded_at": clock.to_text(event.recorded_at)}


def job_row(job: Job) -> dict[str, Any]:
    """Return the job as a row of the view."""
    return {
        "job_id": job.job_id,
        "backend": job.backend,
        "user": job.user,
        "project": job.project,
        "phase": job.phase.value,
        "state": job.state.value,
        "priority": job.priority,
        "received_at": clock.to_text(job.received_at),
        "submitted_at": clock.to_text(job.submitted_at),
        "not_before": clock.to_text(job.not_before) if job.not_before else "",
        "attempt": job.attempt,
        "seq": job.seq,
        "fold": job.model_dump_json(),
        "storage": job.storage,
        "owner": (owner := owner_of(job)),
        "hidden": job.is_hidden,
        "ended": job.state.value if job.phase is Phase.FINAL else "",
        "document_sha256": job.document_sha256 if owner else "",
        "labels": labels.written(job.labels),
        "group_name": job.group,
        "calibration": job.executed.stands_on if job.executed else "",
    }


def event_of(row: Any) -> Event:
    """Return the event that a row of the table holds."""
    return Event.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
