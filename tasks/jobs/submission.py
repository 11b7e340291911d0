"""What may be asked about a job from outside: that it is checked, run, run again, or not run.

The log is enough for it.
"""

import asyncio
import contextlib
from collections.abc import Callable

from models import clock
from models.errors import (
    MAX_ECHO,
    AppendConflict,
    BadName,
    Fault,
    JobHeld,
    JobRejected,
    LimitExceeded,
    LogError,
    NotAllowed,
    NotCancellable,
    NotRevivable,
    SandboxError,
    StaleAttempt,
    StorageError,
    UnknownBackend,
    echo,
    printable,
)
from models.facts import Cancelled, CancelRequested, Fact, Revived, Source, Submitted
from models.job import Job, Phase, State
from models.names import job_id_for, new_job_id, one_spelling
from storage import failpoints
from storage.documents.mended import mended
from storage.log.idempotency import submit_once
from tasks.backends import registry
from tasks.jobs.leases import expire_leases
from tasks.services import Services

MAX_PRIORITY = 1_000_000


def check_document(services: Services, backend: str, document: bytes) -> str:
    """Validate a document as its run will, in a process with walls and limits, and store nothing.

    Returns:
        Why it could not be checked here; empty if it was, and is good.

    Raises:
        JobRejected: it has faults, all of which are listed, or takes more than a job may to be read.
    """
    try:
        asyncio.run(_validate(services, backend, document))
    except LimitExceeded as error:
        raise JobRejected(Fault(message=str(error), code="cost")) from None
    except SandboxError as error:
        return str(error)
    return ""


async def _validate(services: Services, backend: str, document: bytes) -> None:
    async with (
        services.sandbox.for_checks() as sandbox,
        sandbox.job(backend, document, job_id="", limits=services.limits) as process,
    ):
        await process.call("validate")


def submit_document(  # noqa: PLR0913 - what may be said of a job
    services: Services,
    backend: str,
    document: bytes,
    *,
    user: str = "",
    project: str = "",
    priority: int = 0,
    key: str | None = None,
    source: Source = "cli",
    storage: str = "",
    run_id: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> Job:
    """Append the job to the log, and put its documents into the storage.

    Args:
        key: idempotency key: the same key of a user in a project, with the same document, is the same job.
        storage: name of the one that holds its documents; empty for the first one.
        run_id: the flow run that submits it; without a key, one flow run is one job.
        check: is called before anything is stored; nothing is if it raises.

    Raises:
        UnknownBackend: no backend has this name.
        BadName: user, project, key, priority or storage cannot be used.
        JobRejected: the document is larger than the limit.
        IdempotencyConflict: the user has used the key in this project for another document.
        JobHeld: the mirror knows a job of this key, and the log does not.
        LogUnavailable: nothing was submitted.
    """
    known = registry.names()
    if backend not in known:
        raise UnknownBackend(backend, known)
    user, project = one_spelling(user), one_spelling(project)
    for what, text in (("user", user), ("project", project), ("key", key or "")):
        if text != printable(text):
            msg = f"the {what} {echo(text)} has to be printable, at most {MAX_ECHO} characters"
            raise BadName(msg)
    if key == "":
        raise BadName("the key is empty; give it a value, or leave it out")
    if abs(priority) > MAX_PRIORITY:
        msg = f"the priority {echo(priority)} is not a number from -{MAX_PRIORITY} to {MAX_PRIORITY}"
        raise BadName(msg)
    if storage:
        services.stores.expect(storage)
    limit = services.settings.max_document_bytes
    if len(document) > limit:
        message = f"the document has {len(document) / 1e6:.1f} MB; at most {limit / 1e6:g} MB are accepted"
        raise JobRejected(Fault(message=message))
    check()
    fact = Submitted.of(
        document,
        keep_up_to=limit,
        backend=backend,
        user=user,
        project=project,
        priority=priority,
        source=source,
        storage=storage or services.stores.names[0],
        idempotency_key=key,
        received_at=clock.now(),
    )
    if key is not None:
        job = submit_once(
            services.log,
            fact,
            key,
            services.worker,
            flow_run_id=run_id,
            before=lambda job_id: refuse_held(services, job_id),
        )
    else:
        job_id = new_job_id() if run_id is None else job_id_for("prefect", run_id)
        refuse_held(services, job_id)
        job, _ = services.log.submit(job_id, fact, services.worker, flow_run_id=run_id)
    failpoints.point("submission.appended")
    # The log has the job, so it will run; should its documents not be written now, the next drain writes them.
    with contextlib.suppress(StorageError, LogError):
        services.relay.update(job.job_id)
    return job


def revive(services: Services, job_id: str) -> Job:
    """Let a job in ERROR wait again, its failed attempts forgiven, or one that pauses after an attempt pause no longer.

    A job that ended because its document was half written is run with the whole one, if that has come since.

    Raises:
        UnknownJob: there is no such job.
        NotRevivable: it neither is in ERROR nor pauses, or it ended through a fault of its document.
        JobHeld: the mirror knows more of it than the log.
    """
    refuse_held(services, job_id)
    job = _without_silent_worker(services, services.log.get(job_id))
    if job.state not in (State.QUEUED, State.ERROR, State.WITHDRAWN):
        raise NotRevivable(job_id, f"it is {job.state}; that is for jobs that ended in ERROR or pause after an attempt")
    fact: Fact | None = None
    with contextlib.suppress(StorageError):
        fact = mended(services.log, services.stores.of(job.storage), job, services.settings.max_document_bytes)
    fact = fact or Revived(by=services.worker)
    try:
        job = services.log.append(job, fact, attempt=job.attempt, actor=services.worker)
    except NotAllowed as error:
        raise NotRevivable(job_id, str(error)) from None
    with contextlib.suppress(StorageError, LogError):
        services.relay.update(job_id)
    return job


def cancel(services: Services, job_id: str, *, by: str, reason: str = "") -> Job:
    """Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.

    Args:
        by: who wants it.

    Raises:
        UnknownJob: there is no such job.
        NotCancellable: it has ended.
        JobHeld: the mirror knows more of it than the log.
    """
    refuse_held(services, job_id)
    asked = CancelRequested(by=printable(by), reason=printable(reason))
    while True:
        job = services.log.get(job_id)
        if job.cancel_requested and job.phase is Phase.RUNNING:
            return _without_silent_worker(services, job)
        facts: list[Fact] = [] if job.cancel_requested and job.phase is Phase.WAITING else [asked]
        if job.phase is Phase.WAITING:
            facts.append(Cancelled())
        try:
            job = services.log.append(job, *facts, attempt=job.attempt, actor=services.worker)
        except (AppendConflict, StaleAttempt):
            continue
        except NotAllowed:
            raise NotCancellable(job_id, job.state) from None
        job = _without_silent_worker(services, job)
        with contextlib.suppress(StorageError, LogError):
            services.relay.update(job_id)
        return job


def _without_silent_worker(services: Services, job: Job) -> Job:
    """End the attempt of a job whose worker has fallen silent: nobody need come by for that."""
    if job.phase is not Phase.RUNNING:
        return job
    ended = expire_leases(services, job.job_id)
    return ended[0] if ended else job


def refuse_held(services: Services, job_id: str) -> None:
    """Make sure that the mirror does not know more of a job than the log: whatever is appended then is lost again.

    Raises:
        JobHeld: it does.
    """
    if why := services.holds.why(job_id):
        raise JobHeld(job_id, why)
