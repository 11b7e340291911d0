"""The names of our flows, deployments and runs in Prefect, and the state in which it shows a job that has ended."""

import logging

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Cancelled, Completed, Failed

from models.job import Job, State

_LOG = logging.getLogger("quledger.prefect")

JOB = "run-job"
"""The flow of a job; its runs bear the id of the job."""

JOBS = f"{JOB}/{JOB}"
"""The deployment that people launch jobs with."""

CLAIMED_JOBS = f"{JOB}/run-claimed-job"
"""The deployment that runs a job which a drain has claimed."""

FLOWS = (JOB, "drain-queue", "reconcile", "verify", "publish-backends", "health")


def tags_of(job: Job) -> list[str]:
    """Return the tags of a job's flow run."""
    return [tag for tag in dict.fromkeys((job.backend, job.user, job.project)) if tag]


async def name_run(client: PrefectClient, run: FlowRun, job: Job) -> None:
    """Give a run, here and in Prefect, its job's id as name and its job's tags; nothing is asked where it has them."""
    tags = list(dict.fromkeys([*run.tags, *tags_of(job)]))
    if run.name == job.job_id and tags == run.tags:
        return
    try:
        await client.update_flow_run(run.id, name=job.job_id, tags=tags)
    except Exception as error:  # noqa: BLE001 - Prefect only displays: the job is run under whatever name
        _LOG.warning("run_unnamed action=none job_id=%s: %s", job.job_id, type(error).__name__)
    else:
        run.name, run.tags = job.job_id, tags


def end_state(job: Job) -> PrefectState:
    """Return the state in Prefect of a run whose job has ended."""
    if job.state is State.ERROR:
        return Failed(message=job.reason)
    if job.state is State.CANCELLED:
        return Cancelled(message="the job was cancelled")
    return Completed(message=job.state.value)
