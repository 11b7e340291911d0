"""One job is one flow run: four tasks in order, each beginning where the log says the job stopped.

Two flows carry the name `run-job`, so that people find every job under one name, through whichever door it came:
`run_attempt` runs a job that a drain has claimed, `run_job` is what people launch.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any

from prefect import flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.objects import State as PrefectState
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed, Running
from pydantic import Field

from flows.artifacts.job_report import report
from flows.prefect_api.engine import run_task
from flows.prefect_api.names import JOB, end_state, name_run
from flows.prefect_api.waiting_runs import was_cancelled
from models.errors import JobHeld, LogError, NotCancellable, QuledgerError, StorageError
from models.job import FINAL, Job, Phase
from models.requests import JobRequest
from models.storable import LINE, WHOLE_NUMBER
from models.submissions import Submission
from storage import failpoints
from storage.log.pauses import pauses
from tasks.backends import registry
from tasks.jobs.attempt import Attempt, hold
from tasks.jobs.submission import cancel, submit_document
from tasks.services import Services, current
from tasks.steps import compilation, execution, upload, validation

_LOG = logging.getLogger("quledger.launches")

FOLLOW_SECONDS = 0.5


@flow(name=JOB, persist_result=False, log_prints=False, validate_parameters=False)
async def run_attempt(
    job_id: Annotated[str, Field(max_length=200, json_schema_extra=dict(LINE))],
    attempt: Annotated[int, Field(json_schema_extra=dict(WHOLE_NUMBER))],
) -> PrefectState:
    """Run one attempt of a claimed job to its end.

    Args:
        job_id: the job.
        attempt: the number of the attempt that was claimed. Only one run of it may begin: that of the process that has
            claimed it, or the first one of any other where it was claimed for another process.
    """
    services = current()
    claimed = await asyncio.to_thread(services.claims.begin, job_id, attempt)
    if claimed is None:
        job = await asyncio.to_thread(services.log.get, job_id)
        whose = ", in the hands of another worker" if job.attempt == attempt and job.phase is Phase.RUNNING else ""
        return Completed(message=f"nothing to do: job {job_id} is {job.state} in attempt {job.attempt}{whose}")
    client, run = _this_run()
    failpoints.point("run.begun")
    async with (
        hold(services, claimed, str(run.id)) as held,
        _beside(name_run(client, run, claimed.job), _heed_cancel(client, run, held)) as prefect,
    ):
        try:
            if not await held.take():
                return Completed(message="the document was gone from the queue: somebody else has the job")
        except StorageError as error:
            await held.fail(error, "submission")
            return Failed(message=str(error))
        state: PrefectState = Completed()
        for task in (validation, compilation, execution, upload):
            if task is execution:
                await prefect  # a run that was cancelled is not executed
            # A task returns its own state, which Prefect takes for the state of the task run.
            state = await run_task(task, job_id)
            if not state.is_completed():
                break
    await report(held)
    failpoints.point("run.ended")
    # A state of the run's own: Prefect words the state of a task run anew.
    return PrefectState(type=state.type, name=state.name, message="DONE" if state.is_completed() else state.message)


@contextlib.asynccontextmanager
async def _beside(*calls: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Future[list[None]]]:
    """Make calls while the block runs, which may wait for them; none outlives it."""
    made = asyncio.gather(*calls)
    try:
        yield made
        await made
    finally:
        made.cancel()


async def _heed_cancel(client: PrefectClient, run: FlowRun, held: Attempt) -> None:
    """Cancel the job of a run that somebody had cancelled just before it was set to Running."""
    # A run that was created as running, by whoever claimed the job, was never anything else.
    is_launched = held.job.source == "prefect" and held.job.flow_run_id == str(run.id)
    if is_launched and not held.is_cancelled() and await was_cancelled(client, run.id):
        # Somebody else has asked for it, or the log does not answer.
        with contextlib.suppress(LogError, NotCancellable, JobHeld):
            await asyncio.to_thread(
                cancel, held.services, held.job.job_id, by="prefect", reason="cancelled in Prefect before it began"
            )
        await held.cancel()


def _this_run() -> tuple[PrefectClient, FlowRun]:
    """Return the run that is under way here, and its client."""
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None  # noqa: S101, PT018 - it is asked within a flow
    assert isinstance(context.client, PrefectClient)  # noqa: S101 - that of an async flow
    return context.client, context.flow_run


class JobForm(JobRequest):
    """The job that is to be run."""

    backend: Annotated[
        str,
        Field(
            description="Which backend runs it.", json_schema_extra=lambda schema: schema.update(enum=registry.usable())
        ),
    ] = "singlequdit"


@flow(name=JOB, persist_result=False, log_prints=False, validate_parameters=False)
async def run_job(job: JobForm) -> PrefectState:
    """Hand in a job and run it.

    Args:
        job: what is to be run, and on which backend.
    """
    services = current()
    client, run = _this_run()
    try:
        # Not validated by Prefect: what is wrong is to be said in words.
        request = JobRequest.read(dict(job))
        submitted = await asyncio.to_thread(submit_request, services, request, str(run.id))
    except QuledgerError as error:
        return Failed(message=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in one line
        return Failed(message=untaken(error))
    await name_run(client, run, submitted)
    said = ""
    while True:
        claimed = None
        # A log that does not answer now has the job all the same.
        with contextlib.suppress(LogError):
            await asyncio.to_thread(services.claims.give_back_owed)
            now = await asyncio.to_thread(services.log.get, submitted.job_id)
            if now.state in FINAL:
                return end_state(now)
            # Somebody else may have it, or it has to wait: for its next attempt, or for a backend that is busy.
            if not registry.served_outside(now.backend):
                claimed = await asyncio.to_thread(services.claims.claim_job, now.job_id)
            if claimed is None:
                pause = (await asyncio.to_thread(pauses, services.log.engine)).get(now.backend)
                said = await _say_waiting(client, run, str(pause or ""), said)
        if claimed is None:
            await asyncio.sleep(FOLLOW_SECONDS)
            continue
        with contextlib.suppress(LogError):
            attempt = run_attempt.fn(claimed.job.job_id, claimed.job.attempt)
            await services.claims.run_to_end(claimed, attempt)


async def _say_waiting(client: PrefectClient, run: FlowRun, why: str, said: str) -> str:
    """Show in Prefect why a run waits, where that is not said yet; return what is said then."""
    if why != said:
        # Not forced: a run that somebody is just cancelling goes on being cancelled.
        await client.set_flow_run_state(run.id, Running(message=f"waits: {why}" if why else "waits for its turn"))
    return why


def untaken(error: Exception) -> str:
    """Return in one line why a launch cannot be taken, where nobody has foreseen it."""
    _LOG.error("launch_broke action=fail", exc_info=error)
    return f"the job cannot be submitted: reading it failed ({type(error).__name__})"


def submit_request(services: Services, request: JobRequest, run_id: str) -> Job:
    """Append a launched job to the log; a run that is begun again is the same job."""
    return submit_document(services, submission_of(request, run_id))


def submission_of(request: JobRequest, run_id: str) -> Submission:
    """Return what is handed in by a launch."""
    return Submission(
        backend=request.backend,
        document=request.job_document(),
        user=request.user,
        project=request.project,
        priority=request.priority,
        key=request.key,
        storage=request.storage,
        source="prefect",
        run_id=run_id,
    )
