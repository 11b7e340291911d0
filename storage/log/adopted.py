"""Jobs that begin and end in one transaction: what another spooler had brought to its end is never seen waiting."""

from sqlalchemy import Engine

from models import clock
from models.errors import IdempotencyConflict
from models.events import GENESIS, seal
from models.facts import Fact, Submitted
from models.job import Job, begin
from storage.log.database import writing
from storage.log.rows import add_jobs, find_job, write_event


def begin_ended(engine: Engine, job_id: str, submitted: Submitted, end: Fact, actor: str) -> Job:
    """Begin a job and append its end.

    Raises:
        IdempotencyConflict: the log knows the job.
        AppendConflict: another writer has just begun it.
    """
    now = clock.now()
    event = seal(
        submitted,
        job_id=job_id,
        seq=0,
        attempt=0,
        recorded_at=now,
        actor=actor,
        flow_run_id=None,
        prev_hash=GENESIS,
    )
    with writing(engine) as connection:
        if find_job(connection, job_id) is not None:
            raise IdempotencyConflict(f"the log knows a job {job_id} already")
        job = begin(event)
        add_jobs(connection, [(job, event)])
        return write_event(connection, job, end, attempt=0, actor=actor, recorded_at=now)
