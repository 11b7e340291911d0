"""Handing in a job and reading its result, without Prefect: the log and the storage are enough."""

import contextlib
import json
from typing import Any

from models import clock
from models.errors import (
    MAX_ECHO,
    BadName,
    DocumentMissing,
    Fault,
    JobRejected,
    LogError,
    NotAllowed,
    NotRevivable,
    ResultMissing,
    StorageError,
    UnknownBackend,
    echo,
    printable,
)
from models.events import Revived, Submitted
from models.job import Job, State
from models.names import job_id_for, new_job_id
from storage import crash, layout
from tasks import backends
from tasks.services import current

MOST_PRIORITY = 1_000_000


def submit_document(  # noqa: PLR0913 - what may be said of a job
    backend: str, document: bytes, *, user: str = "", project: str = "", priority: int = 0, key: str | None = None
) -> Job:
    """Append the job to the log, and put its documents into the storage.

    Raises:
        UnknownBackend: no backend has this name.
        BadName: user, project, key or priority cannot be used.
        JobRejected: the document is larger than the limit.
        IdempotencyConflict: the key was used for another document.
        LogUnavailable: nothing was submitted.
    """
    known = backends.names()
    if backend not in known:
        raise UnknownBackend(backend, known)
    for what, text in (("user", user), ("project", project), ("key", key or "")):
        if text != printable(text):
            msg = f"the {what} {echo(text)} has to be printable, at most {MAX_ECHO} characters"
            raise BadName(msg)
    if abs(priority) > MOST_PRIORITY:
        msg = f"the priority {echo(priority)} is not a number from -{MOST_PRIORITY} to {MOST_PRIORITY}"
        raise BadName(msg)
    services = current()
    limit = services.settings.max_document_bytes
    if len(document) > limit:
        message = f"the document has {len(document) / 1e6:.1f} MB; at most {limit / 1e6:g} MB are accepted"
        raise JobRejected(Fault(message=message))
    fact = Submitted.of(
        document,
        keep_up_to=limit,
        backend=backend,
        user=user,
        project=project,
        priority=priority,
        source="cli",
        idempotency_key=key,
        received_at=clock.now(),
    )
    job_id = new_job_id() if key is None else job_id_for(backend, key)
    job, _ = services.log.submit(job_id, fact, services.worker)
    crash.point("submission.appended")
    # The log has the job, so it will run; should its documents not be written now, the next drain writes them.
    with contextlib.suppress(StorageError, LogError):
        services.mirror.relay(job.job_id)
    return job


def revive(job_id: str) -> Job:
    """Let a job in ERROR wait again, its failed attempts forgiven.

    Raises:
        UnknownJob: there is no such job.
        NotRevivable: it is not in ERROR, or ended through a fault of its document.
    """
    services = current()
    job = services.log.get(job_id)
    try:
        job = services.log.append(job, Revived(by=services.worker), attempt=job.attempt, actor=services.worker)
    except NotAllowed as error:
        raise NotRevivable(job_id, str(error)) from None
    with contextlib.suppress(StorageError, LogError):
        services.mirror.relay(job_id)
    return job


def result_document(job_id: str) -> dict[str, Any]:
    """Return the result of a job that is DONE.

    Raises:
        UnknownJob: there is no such job.
        ResultMissing: it has no result (yet); the message says why.
    """
    services = current()
    job = services.log.get(job_id)
    if job.state is State.ERROR:
        raise ResultMissing(f"job {job_id} ended in ERROR: {job.reason}")
    if job.state is not State.DONE:
        raise ResultMissing(f"job {job_id} is {job.state}; it has no result yet")
    try:
        document: dict[str, Any] = json.loads(services.storage.get(layout.result(job.backend, job_id)))
    except DocumentMissing:
        raise ResultMissing(f"the result of job {job_id} is not in the storage any more") from None
    return document
