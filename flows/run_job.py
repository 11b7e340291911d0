"""One job is one flow run: four tasks in order, each beginning where the log says the job stopped.

Two flows carry the name `run-job`: `run_attempt` runs a job that a drain has claimed, `run_job` is what people launch.
"""

import asyncio
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State as PrefectState
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from pydantic import Field

from flows.report import report
from flows.warm import run_task
from models.errors import MirrorAhead, QuledgerError, StorageError
from models.job import FINAL, Job, Phase, State
from models.requests import JobRequest
from storage import crash
from tasks import backends
from tasks.attempt import claim, hold
from tasks.compilation import compilation
from tasks.execution import execution
from tasks.services import current
from tasks.submission import submit_document
from tasks.upload import upload
from tasks.validation import validation

NAME = "run-job"
FOLLOW_SECONDS = 0.5


def end_state(job: Job) -> PrefectState:
    """Return the state in Prefect of a run whose job has ended."""
    if job.state is State.ERROR:
        return Failed(message=job.reason)
    if job.state is State.CANCELLED:
        return Cancelled(message="the job was cancelled")
    return Completed(message=job.state.value)


@flow(name=NAME, persist_result=False, log_prints=False, validate_parameters=False)
async def run_attempt(job_id: str, attempt: int) -> PrefectState:
    """Run one attempt of a claimed job to its end.

    Args:
        job_id: the job.
        attempt: the number of the attempt that was claimed; it alone may write.
    """
    services = current()
    job = await asyncio.to_thread(services.log.get, job_id)
    if job.attempt != attempt or job.phase is not Phase.RUNNING:
        return Completed(message=f"nothing to do: the job is {job.state} in attempt {job.attempt}")
    crash.point("run.begun")
    async with hold(services, job, flow_run.get_id()) as held:
        try:
            if not await held.take():
                return Completed(message="the document was gone from the queue: somebody else has the job")
        except MirrorAhead as error:
            await held.hold_back(error)
            return Failed(message=str(error))
        except StorageError as error:
            await held.give_way(error, "the storage did not answer when the job was taken", "submission")
            return Failed(message=str(error))
        state: PrefectState = Completed()
        for task in (validation, compilation, execution, upload):
            # A task returns its own state, which Prefect takes for the state of the task run.
            state = await run_task(task, job_id)
            if not state.is_completed():
                break
    await report(held)
    crash.point("run.ended")
    # A state of the run's own: Prefect words the state of a task run anew.
    return PrefectState(type=state.type, name=state.name, message="DONE" if state.is_completed() else state.message)


class JobForm(JobRequest):
    """The job that is to be run."""

    backend: Annotated[
        str,
        Field(
            description="Which backend runs it.", json_schema_extra=lambda schema: schema.update(enum=backends.usable())
        ),
    ] = "singlequdit"


@flow(name=NAME, persist_result=False, log_prints=False, validate_parameters=False)
async def run_job(job: JobForm) -> PrefectState:
    """Hand in a job and run it.

    Args:
        job: what is to be run, and on which backend.
    """
    services = current()
    run_id = str(flow_run.get_id())
    try:
        # Not validated by Prefect: what is wrong is to be said in words.
        request = JobRequest.read(dict(job))
        submitted = await asyncio.to_thread(submit_request, request, run_id)
    except QuledgerError as error:
        return Failed(message=str(error))
    while True:
        now = await asyncio.to_thread(services.log.get, submitted.job_id)
        if now.state in FINAL:
            return end_state(now)
        # Somebody else may have it, or it has to wait: for its next attempt, or for a backend that is busy.
        claimed = await asyncio.to_thread(claim, services, [now.backend], now.job_id)
        if claimed is None:
            await asyncio.sleep(FOLLOW_SECONDS)
        else:
            await run_attempt.fn(claimed.job_id, claimed.attempt)
            services.claimed.pop(claimed.job_id, None)


def submit_request(request: JobRequest, run_id: str) -> Job:
    """Append a launched job to the log; a run that is begun again is the same job."""
    return submit_document(
        request.backend,
        request.job_document(),
        user=request.user,
        project=request.project,
        priority=request.priority,
        key=request.key,
        storage=request.storage,
        source="prefect",
        run_id=run_id,
    )
