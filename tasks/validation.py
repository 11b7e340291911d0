"""The first task: job document -> typed experiments, or all of its faults at once."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import Fault, JobRejected
from models.facts import Validated
from models.job import State
from storage import failpoints
from tasks.jobs.attempt import Attempt
from tasks.jobs.step import step


@task(name="validation", cache_policy=NO_CACHE, persist_result=False)
@step("validation", when=State.CLAIMED)
async def validation(attempt: Attempt) -> str:
    """Check the document, and its predicted cost against the limits of the backend."""
    if attempt.document is None:
        limit = attempt.services.settings.max_document_mb
        size = attempt.job.document_bytes / 1e6
        raise JobRejected(Fault(message=f"the document has {size:.1f} MB; at most {limit:g} MB are accepted"))
    summary = await attempt.process.call("validate")
    await attempt.record(
        Validated(experiments=summary["experiments"], shots=summary["shots"], cost=summary.get("cost"))
    )
    failpoints.point("validation.appended")
    return f"validated: {summary['experiments']} experiments, {summary['shots']} shots"
