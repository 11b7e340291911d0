"""OQTOPUS, provider side: what an engine says of a job becomes what the log says, or is refused."""

import asyncio

from deployments.api.dialects.oqtopus_brought import result_document, said_of
from deployments.api.dialects.oqtopus_provider_files import ProviderFiles, parts_of
from deployments.api.dialects.oqtopus_provider_views import StatusUpdate, wanted_of
from deployments.api.dialects.oqtopus_uploads import BadSignature
from deployments.api.dialects.oqtopus_views import status_of
from deployments.api.engines import Engines, NotNow, config_of, config_sha256
from models import clock
from models.errors import BackendFailed, InputError, NotAllowed, StaleAttempt
from models.job import FINAL, Job, Phase, State
from tasks.jobs import engines as doing
from tasks.jobs.attempt import Hold
from tasks.jobs.engines import Engine, Ran

UPDATED = "Job status updated"


class Statuses:
    """The words of engines about jobs."""

    def __init__(self, engines: Engines, files: ProviderFiles) -> None:
        self._engines, self._files = engines, files

    async def update(self, engine: Engine, job: Job, said: StatusUpdate) -> str:
        """Take what an engine says; return what is answered.

        Raises:
            NotNow: the job does not stand so that it could be so.
            InputError: what is said, or was brought, has faults.
        """
        _check_files(job, said)
        if job.state in FINAL:
            if not self._said_before(engine, job, said):
                raise NotNow(f"the job is {status_of(job)}")
            return UPDATED
        if said.status == "ready":
            await self._claim(engine, job)
            return UPDATED
        held = await self._engines.held(engine, job)
        try:
            return await self._go_on(held, said)
        except (StaleAttempt, NotAllowed):
            raise NotNow(
                "this attempt is over, or the same was said at the same time; ask how the job stands"
            ) from None
        finally:
            if held.job.phase is not Phase.RUNNING:
                await self._engines.ended(held)

    def _said_before(self, engine: Engine, job: Job, said: StatusUpdate) -> bool:
        """Return whether this engine's device ended the job so: the answer was lost, and the same is said again."""
        return status_of(job) == said.status and self._engines.history(job)[-1].actor == engine.worker

    async def _claim(self, engine: Engine, job: Job) -> None:
        if job.phase is not Phase.WAITING:
            raise NotNow(f"the job is {status_of(job)}")
        claimed = await self._engines.claim(engine, job)
        if claimed is None:
            raise NotNow("somebody else has the job, or it may not be claimed now")
        if claimed.state is not State.VALIDATED:
            raise NotNow(f"there is nothing to run: the job is {status_of(claimed)}")

    async def _go_on(self, held: Hold, said: StatusUpdate) -> str:
        if held.job.cancel_requested:
            await doing.cancel(held, "")
            if said.status == "running":
                raise NotNow("its user has cancelled the job; do not run it")
            return UPDATED if said.status == "cancelled" else "its user has cancelled the job, nothing else is taken"
        match said.status:
            case "running":
                await self._run(held)
            case "succeeded":
                await self._finish(held, said)
            case "failed":
                if held.job.state is State.EXECUTED:
                    raise NotNow("the job has its result already")
                await held.fail(BackendFailed("an error of its engine", said_of(said.message or "")), "execution")
            case "cancelled":
                await doing.cancel(held, said_of(said.message or ""))
        return UPDATED

    async def _run(self, held: Hold) -> None:
        await self._engines.go_on(held)
        if held.job.state not in (State.VALIDATED, State.COMPILED):
            raise NotNow(f"there is nothing to run: the job is {status_of(held.job)}")
        files = await asyncio.to_thread(self._engines.files.of, held.job.job_id, held.number)
        program = files.get("transpile_result") or files.get("combined_program")
        if program is None:
            program = await asyncio.to_thread(self._engines.document, held.job) or b""
        await doing.run(held, program)

    async def _finish(self, held: Hold, said: StatusUpdate) -> None:
        if held.job.state not in (State.COMPILED, State.EXECUTED):
            raise NotNow(f"the job is {status_of(held.job)}, and was never said to be running")
        await doing.finish(held, await asyncio.to_thread(self._ran, held, said))

    def _ran(self, held: Hold, said: StatusUpdate) -> Ran:
        """Return what was brought, as the result of the job; of one that has it already nothing is read."""
        job = held.job
        config = config_of(job.backend)
        if job.state is State.EXECUTED:
            return Ran(b"", 0.0, "")
        wanted = wanted_of(job.backend, self._engines.document(job))
        files = self._engines.files.of(job.job_id, held.number)
        if "result" not in files:
            held.check_now()  # whoever has just ended the attempt has removed them
        document = result_document(job.job_id, job.backend, config.version, wanted.asked, files)
        seconds = said.execution_time
        if seconds is None:
            seconds = max(0.0, (clock.now() - job.updated_at).total_seconds())
        return Ran(document, round(seconds, 6), config_sha256(config))


def _check_files(job: Job, said: StatusUpdate) -> None:
    """Refuse files of other jobs and of earlier attempts: whoever names them speaks of something that is over.

    Raises:
        InputError: they are none of this job.
        NotNow: they are of an earlier attempt.
    """
    for key in said.output_files or ():
        try:
            job_id, attempt, _ = parts_of(key)
        except BadSignature:
            raise InputError("output_files: there is a name in it that was never given out") from None
        if job_id != job.job_id:
            raise InputError("output_files: there is a file of another job among them")
        if attempt != job.attempt:
            raise NotNow(f"output_files: they are of attempt {attempt}; the job is in attempt {job.attempt}")
