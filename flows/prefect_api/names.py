"""The names of our flows and deployments in Prefect, and the state in which it shows a job that has ended."""

from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Cancelled, Completed, Failed

from models.job import Job, State

JOB = "run-job"
"""The flow of a job; its runs bear the id of the job."""

JOBS = f"{JOB}/{JOB}"
"""The deployment that people launch jobs with."""

CLAIMED_JOBS = f"{JOB}/run-claimed-job"
"""The deployment that runs a job which a drain has claimed."""

FLOWS = (JOB, "drain-queue", "reconcile", "verify", "publish-backends")


def end_state(job: Job) -> PrefectState:
    """Return the state in Prefect of a run whose job has ended."""
    if job.state is State.ERROR:
        return Failed(message=job.reason)
    if job.state is State.CANCELLED:
        return Cancelled(message="the job was cancelled")
    return Completed(message=job.state.value)
