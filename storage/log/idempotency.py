"""One idempotency key of one user in one project is one job, whoever else uses the same key.

The id of the job follows from the key, so that of several who use it at once one begins the job. Front ends choose the
ids of their jobs themselves: where one of theirs has an id that a key leads to, the next id of that key is tried.
"""

from collections.abc import Callable
from itertools import chain

from models.errors import IdempotencyConflict, UnknownJob
from models.facts import Submitted
from models.job import Job
from models.names import job_id_for, job_id_of_key
from storage.log.event_log import EventLog

MAX_TAKEN = 100
"""So many jobs of others may bear the ids to which one key leads."""


def submit_once(  # noqa: PLR0913 - what a submission is told with
    log: EventLog,
    fact: Submitted,
    key: str,
    actor: str,
    *,
    flow_run_id: str | None = None,
    before: Callable[[str], None] = lambda _job_id: None,
) -> Job:
    """Begin the job of a key, or return the one that the same user has begun with it.

    Args:
        before: is called with each id before a job of it is begun; what it raises ends the search.

    Raises:
        IdempotencyConflict: the user has used the key for another document.
    """
    # Keys were everybody's until release 0.1.0: a job that its user has begun with one is found by the id of that time.
    old = job_id_for(fact.backend, key)
    ids = (job_id_of_key(fact.backend, fact.user, fact.project, key, nth) for nth in range(MAX_TAKEN))
    for job_id in chain([old] if _is_of(log, old, fact) else [], ids):
        before(job_id)
        try:
            job, begun = log.submit(job_id, fact, actor, flow_run_id=flow_run_id)
        except IdempotencyConflict:
            if _is_of(log, job_id, fact):
                raise
        else:
            if begun or _is_of(log, job_id, fact):
                return job
    msg = "the idempotency key cannot be used, since other jobs bear the ids to which it leads; use another key"
    raise IdempotencyConflict(msg)


def _is_of(log: EventLog, job_id: str, fact: Submitted) -> bool:
    """Say whether this job was begun with the same key by the same user."""
    try:
        begun = log.submission(job_id)
    except UnknownJob:
        return False
    return all(
        getattr(begun, name) == getattr(fact, name) for name in ("backend", "user", "project", "idempotency_key")
    )
