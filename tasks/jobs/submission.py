"""What may be asked about a job from outside: that it is checked, run, run again, or not run.

The log is enough for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from models import clock
from models.errors import (
    AppendConflict,
    Fault,
    InputError,
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
    printable,
)
from models.facts import Cancelled, CancelRequested, Fact, Hidden, Revived, Submitted
from models.job import Job, Phase, State
from models.names import job_id_for
from models.submissions import Begun, Submission, fault_of
from models.usage import Bounds
from storage import failpoints
from storage.documents.mended import mended
from storage.log.submissions import NO_LIMITS, Entry, begin_all
from tasks.backends import registry
from tasks.jobs.leases import expire_leases
from tasks.services import Services


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


def submit_all(
    services: Services, submissions: Sequence[Submission], limits: Mapping[str, Bounds] = NO_LIMITS
) -> list[Begun | InputError]:
    """Append jobs to the log in one transaction, each as if it were alone; their documents are written by a drain.

    Args:
        limits: `user/NAME` or `project/NAME` -> what their jobs may use together.

    Returns:
        One answer for each, in their order: its job, or why there is none. `UnknownBackend`, `BadName`, `BadSetting`:
        it cannot be handed in like this. `JobRejected`: the document is larger than the limit. `IdempotencyConflict`:
        its key or id is another document's. `JobHeld`: the mirror knows the job, and the log does not.
        `LimitReached`: it would exceed a limit.

    Raises:
        LogUnavailable: nothing was submitted.
    """
    settings = services.settings
    received = clock.ascending()
    answers: dict[int, Begun | InputError] = {}
    entries: dict[int, Entry] = {}
    for place, submission in enumerate(submissions):
        fault = why_refused(services, submission)
        if fault is None:
            storage = submission.storage or services.stores.names[0]
            entries[place] = _entry(submission, storage, settings.max_document_bytes, next(received))
        else:
            answers[place] = fault
    begun = begin_all(services.log.engine, list(entries.values()), services.worker, limits=limits)
    answers |= dict(zip(entries, begun, strict=True))
    return [answers[place] for place in range(len(submissions))]


def submit_document(services: Services, submission: Submission, check: Callable[[], None] = lambda: None) -> Job:
    """Append a job to the log, and put its documents into the storage.

    Args:
        check: is called before anything is stored; nothing is if it raises.

    Raises:
        InputError: it cannot be handed in; see `submit_all`.
        LogUnavailable: nothing was submitted.
    """
    if (fault := why_refused(services, submission)) is not None:
        raise fault
    check()
    (answer,) = submit_all(services, [submission])
    if isinstance(answer, InputError):
        raise answer
    failpoints.point("submission.appended")
    # The log has the job, so it will run; should its documents not be written now, the next drain writes them.
    with contextlib.suppress(StorageError, LogError):
        services.relay.update(answer.job.job_id)
    return answer.job


def why_refused(services: Services, submission: Submission) -> InputError | None:
    """Return why a job cannot be handed in like this; None where it can."""
    if not registry.knows(submission.backend):
        return registry.unknown(submission.backend)
    if (fault := fault_of(submission, services.settings.max_document_bytes)) is not None:
        return fault
    try:
        if submission.storage:
            services.stores.expect(submission.storage)
    except InputError as error:
        return error
    return None


def _entry(submission: Submission, storage: str, keep_up_to: int, received_at: datetime) -> Entry:
    fact = Submitted.of(
        submission.document,
        keep_up_to=keep_up_to,
        backend=submission.backend,
        user=submission.user,
        project=submission.project,
        priority=submission.priority,
        source=submission.source,
        storage=storage,
        idempotency_key=submission.key,
        received_at=received_at,
        derived_from=submission.derived_from,
        shots=submission.shots,
        seed=submission.seed,
        labels=submission.labels,
        group=submission.group,
        parameters=submission.parameters,
    )
    of_run = None if submission.run_id is None or submission.key else job_id_for("prefect", submission.run_id)
    return Entry(fact, submission.job_id or of_run, submission.run_id)


def revive(services: Services, job_id: str, *, by: str = "") -> Job:
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
    fact = fact or Revived(by=by or services.worker)
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


class NotEnded(InputError):
    """The job has not ended, so that its owner goes on seeing it."""

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"job {job_id} cannot be hidden: it is {state}; cancel it, or wait for its end")


def hide(services: Services, job_id: str, *, by: str) -> Job:
    """Leave a job that has ended out of what its owner sees, once; log and storage keep all of it.

    Args:
        by: who wants it.

    Raises:
        UnknownJob: there is no such job.
        NotEnded: it may still change.
        JobHeld: the mirror knows more of it than the log.
    """
    refuse_held(services, job_id)
    while not (job := services.log.get(job_id)).is_hidden:
        with contextlib.suppress(AppendConflict):
            try:
                services.log.append(job, Hidden(by=printable(by)), attempt=job.attempt, actor=services.worker)
            except NotAllowed:
                raise NotEnded(job_id, job.state) from None
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
