"""One job is one flow run: four tasks in order, each beginning where the log says the job stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from prefect import flow
from prefect.client.schemas.objects import State as PrefectState
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from models.errors import StorageError
from models.job import Phase
from storage import crash
from tasks.attempt import hold
from tasks.compilation import compilation
from tasks.execution import execution
from tasks.services import current
from tasks.upload import upload
from tasks.validation import validation


@flow(name="run-job", flow_run_name="{job_id}", persist_result=False, log_prints=False)
async def run_job(job_id: str, attempt: int) -> PrefectState:
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
        except StorageError as error:
            await held.give_way("the storage did not answer when the job was taken", "submission")
            return Failed(message=str(error))
        for task in (validation, compilation, execution, upload):
            # A task returns its own state, which Prefect takes for the state of the task run.
            state = await cast("Coroutine[Any, Any, PrefectState]", task(job_id, return_state=True))
            if not state.is_completed():
                # A state of the run's own: Prefect words the state of a task run anew.
                return Failed(message=state.message)
    crash.point("run.ended")
    return Completed(message="DONE")
