"""In what two jobs differ, as commands and API say it."""

from collections.abc import Sequence
from typing import Any

from deployments.comparison import compare_results
from models.comparison import compare
from models.job import Job, State
from tasks.jobs.records import record_of
from tasks.jobs.results import result_document
from tasks.services import Services


def have_results(jobs: Sequence[Job]) -> bool:
    """Return whether there are results of all jobs that can be compared."""
    return all(job.state is State.DONE and not job.is_result_removed for job in jobs)


def difference_of(services: Services, one: Job, other: Job, *, with_results: bool = True) -> dict[str, Any]:
    """Return in what two jobs differ.

    Args:
        with_results: compare their results too, where both have one.

    Returns:
        `jobs`, their ids; `same`; `changes`, by `models.comparison.compare`; `results`, a row for each experiment by
        `deployments.comparison.compare_results`, None where they were not compared.

    Raises:
        ResultMissing, NotAuthentic: a result is not there, or not the one that was accepted.
    """
    jobs = (one, other)
    changes = compare(*(record_of(services, job) for job in jobs))
    results: list[dict[str, Any]] | None = None
    if with_results and have_results(jobs):
        results = compare_results(*(result_document(services, job.job_id) for job in jobs))
    is_same = not changes and all(row["same"] for row in results or ())
    return {"jobs": [job.job_id for job in jobs], "same": is_same, "changes": changes, "results": results}
