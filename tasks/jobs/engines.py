"""Jobs in the hands of an engine outside, which keeps no token of a claim: it is made anew whenever the engine writes.

So every server of a log can take the next word of an engine, and no engine can write to a job of another one.
"""

import asyncio
import contextlib
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import NamedTuple

from models import clock
from models.claims import holder_of
from models.errors import JobRejected, QuledgerError, SandboxError, SigningError, StorageError
from models.facts import Cancelled, CancelRequested, Compiled, Executed, Validated
from models.job import Job, Phase, State
from storage import failpoints, layout
from storage.uploads.secrets import shared_secret
from tasks.calibrating import stood_on
from tasks.jobs.attempt import Hold
from tasks.jobs.checking import Verdict
from tasks.jobs.claims import Claim
from tasks.jobs.delivery import deliver, staged_result
from tasks.services import Services

PATIENCE = 2.0
"""How long a log that does not answer is asked again, in seconds: whoever asks here waits for the answer."""


class Ran(NamedTuple):
    """What an engine brought.

    Attributes:
        result: the result document.
        seconds: how long it ran on the device.
        config_sha256: of the published configuration of the device.
    """

    result: bytes
    seconds: float
    config_sha256: str


class Engine:
    """The engine of a device, as one of the device's tokens names it.

    Args:
        token_id: two engines of one device with a token each have nothing to do with each other's jobs.
    """

    def __init__(self, services: Services, device: str, token_id: str) -> None:
        self._services, self.device, self.token_id = services, device, token_id
        self.worker = f"device/{device}"
        key = shared_secret(services.log.engine, "engine")
        self._token = hmac.new(key, f"{device}\n{token_id}".encode(), hashlib.sha256).hexdigest()

    def has(self, job: Job) -> bool:
        """Return whether this engine has the job."""
        return job.phase is Phase.RUNNING and job.holder == holder_of(self._token)

    def claim(self, job_id: str) -> Hold | None:
        """Claim a job; None where somebody else has it, or it may not be claimed now."""
        most = self._services.settings.most_at_once
        return self._claimed(self._services.log.claim_job(job_id, self.worker, self._until(), most, token=self._token))

    def claim_next(self) -> Hold | None:
        """Claim the job whose turn it is; None where there is none."""
        most = self._services.settings.most_at_once
        return self._claimed(
            self._services.log.claim([self.device], self.worker, self._until(), most, token=self._token)
        )

    def _claimed(self, job: Job | None) -> Hold | None:
        failpoints.point("claim.appended")
        return None if job is None else self.hold(job)

    def hold(self, job: Job) -> Hold:
        """Return the hold on a job that this engine has."""
        return Hold(self._services, Claim(job, self._token), self.worker, patience=PATIENCE)

    def beat(self, job: Job) -> bool:
        """Prolong the lease: the engine was heard of. Return whether it still has the job."""
        attempt, token = {job.job_id: job.attempt}, {job.job_id: self._token}
        return bool(self._services.log.heartbeat(attempt, self._until(), token))

    def _until(self) -> datetime:
        return clock.now() + timedelta(seconds=self._services.settings.engine_lease_seconds)


async def begin(held: Hold, verdict: Verdict) -> None:
    """Bring a job that was claimed to where it can run, or to its end: its document has faults, or it has run before.

    A job whose document could not be checked is given back.

    Raises:
        StorageError: it waits for its storage.
    """
    try:
        if not await held.take():
            return
    except QuledgerError as error:
        await held.fail(error, "submission")
        raise
    if held.job.state is State.EXECUTED:
        await _upload(held)
    elif isinstance(verdict, JobRejected | SandboxError):
        await held.fail(verdict, "validation")
    else:
        await held.record(Validated(experiments=verdict.experiments, shots=verdict.shots))
        failpoints.point("validation.appended")


async def run(held: Hold, program: bytes) -> None:
    """Record what runs on the device from now on; that it was recorded before changes nothing.

    An engine does not say what seeds it draws.
    """
    if held.job.state is State.VALIDATED:
        sha256 = hashlib.sha256(program).hexdigest()
        await held.record(Compiled(program_sha256=sha256, program_bytes=len(program), seed=0))


async def finish(held: Hold, ran: Ran) -> None:
    """Bring a job that has run to its end.

    Once the result is staged the engine has done its part: if it cannot be uploaded now, the job waits for that alone.

    Raises:
        StaleAttempt: the attempt is over.
        StorageError: the storage does not take the result now; the job is still under way.
    """
    if held.job.state is State.COMPILED:
        await asyncio.to_thread(_stage, held, ran)
    with contextlib.suppress(StorageError, SigningError):
        await _upload(held)


async def cancel(held: Hold, reason: str) -> None:
    """End a job as somebody wants it to end: its user, or else whoever runs the engine, who then says so."""
    if not held.job.cancel_requested:
        await held.record(CancelRequested(by=held.worker, reason=reason))
    await held.record(Cancelled())


def _stage(held: Hold, ran: Ran) -> None:
    """Stage a result and record what it is, while nobody else does: an engine may say the same twice at once."""
    with held.services.relay.exclusive(held.job.job_id):
        held.check_now()
        held.job = held.services.log.get(held.job.job_id)
        if held.job.state is not State.COMPILED:
            return
        staged = layout.staged(held.job.job_id, held.number, held.holder)
        held.storage.put(staged, ran.result)
        failpoints.point("execution.staged")
        held.record_now(
            Executed(
                seconds=ran.seconds,
                cpu_seconds=0.0,
                seed=0,
                versions={},
                backend_config_sha256=ran.config_sha256,
                result_sha256=hashlib.sha256(ran.result).hexdigest(),
                result_bytes=len(ran.result),
                staged=staged,
                calibration_sha256=stood_on(held.services, held.job.backend),
            )
        )
    failpoints.point("execution.appended")


async def _upload(held: Hold) -> None:
    executed = held.job.executed
    assert executed is not None  # noqa: S101 - the state machine reaches EXECUTED by no other way
    try:
        result = await asyncio.to_thread(staged_result, held, executed)
        await asyncio.to_thread(deliver, held, result)
    except QuledgerError as error:
        await held.fail(error, "upload")
        raise
    failpoints.point("upload.appended")
