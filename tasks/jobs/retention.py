"""Removes results that are older than they are kept: an event of each job says so, then its document goes."""

from datetime import datetime, timedelta

from models.errors import AppendConflict, NotAllowed
from models.facts import ResultRemoved
from models.job import Job
from storage.log.expiry import Sum, done_before
from tasks.services import Services


def old_results(services: Services, before: datetime) -> Sum:
    """Return how many results are of jobs that were DONE before a moment, and their bytes."""
    sizes = [job.uploaded.bytes for job in done_before(services.log.engine, before) if job.uploaded is not None]
    return Sum(len(sizes), sum(sizes))


def remove_results(services: Services, before: datetime, kept: timedelta, by: str) -> Sum:
    """Remove them; return how many, and their bytes.

    Whoever dies in between leaves jobs whose mirror is behind: the next relay removes their documents.

    Raises:
        LogError: the log does not answer; what was done stays done.
    """
    number = size = 0
    for job in done_before(services.log.engine, before):
        if _append(services, job, kept, by):
            number, size = number + 1, size + (job.uploaded.bytes if job.uploaded else 0)
            services.relay.update(job.job_id)
    return Sum(number, size)


def _append(services: Services, job: Job, kept: timedelta, by: str) -> bool:
    fact = ResultRemoved(kept_days=kept / timedelta(days=1))
    try:
        services.log.append(job, fact, attempt=job.attempt, actor=by)
    except (AppendConflict, NotAllowed):
        return False  # it has moved on meanwhile; the next time sees what became of it
    return True
