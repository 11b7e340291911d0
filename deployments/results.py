"""Reading the result of a job, without Prefect: the log and the storage are enough."""

import json
from typing import Any

from models.errors import DocumentMissing, ResultMissing
from models.job import State
from storage import layout
from tasks.services import current


def result_document(job_id: str) -> dict[str, Any]:
    """Return the result of a job that is DONE.

    Raises:
        UnknownJob: there is no such job.
        ResultMissing: it has no result (yet); the message says why.
    """
    services = current()
    job = services.log.get(job_id)
    if job.state is State.ERROR:
        raise ResultMissing(f"job {job_id} ended in ERROR: {job.reason}")
    if job.state is not State.DONE:
        raise ResultMissing(f"job {job_id} is {job.state}; it has no result yet")
    try:
        document: dict[str, Any] = json.loads(services.stores.of(job.storage).get(layout.result(job.backend, job_id)))
    except DocumentMissing:
        raise ResultMissing(f"the result of job {job_id} is not in the storage any more") from None
    return document
