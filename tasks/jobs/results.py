"""Reads the result of a job: the one that was accepted, and none that is not to be trusted."""

from typing import Any

from models.errors import DocumentMissing, ResultMissing
from models.events import uploaded_at
from models.job import FINAL, Job, State
from storage import layout
from tasks.jobs.accepted import Accepted
from tasks.services import Services


def result_document(services: Services, job_id: str) -> dict[str, Any]:
    """Return the result of a job that is DONE: the one that was accepted; if it was signed, its signature holds.

    Raises:
        UnknownJob: there is no such job.
        ResultMissing: it has no result (yet); the message says why.
        NotAuthentic: what lies there is not what was accepted or signed.
    """
    job = services.log.get(job_id)
    content = result_bytes(services, job)
    return accepted_of(services, job).document(content)


def result_bytes(services: Services, job: Job) -> bytes:
    """Return what lies where the result of a job belongs; nothing is checked.

    Raises:
        ResultMissing: it has no result (yet); the message says why.
    """
    job_id = job.job_id
    if job.state is State.ERROR:
        raise ResultMissing(f"job {job_id} ended in ERROR: {job.reason}")
    if job.state not in FINAL:
        why = f"`quledger why {job_id}` says what it waits for"
        raise ResultMissing(f"job {job_id} is {job.state}; it has no result yet, and {why}")
    if job.state is not State.DONE:
        raise ResultMissing(f"job {job_id} is {job.state}; it has no result")
    if job.is_result_removed:
        raise ResultMissing(
            f"the result of job {job_id} was removed: results are kept for so long; its hash is in the log"
        )
    try:
        return services.stores.of(job.storage).get(layout.result(job.backend, job_id))
    except DocumentMissing:
        raise ResultMissing(f"the result of job {job_id} is not in the storage any more") from None


def accepted_of(services: Services, job: Job) -> Accepted:
    """Return what log and keys say of the result of a job that is DONE.

    Raises:
        StorageUnavailable: the key could not be read.
    """
    uploaded = job.uploaded
    if uploaded is None or uploaded.kid is None:
        return Accepted(job_id=job.job_id, sha256=uploaded.sha256 if uploaded else None)
    return Accepted(
        job_id=job.job_id,
        sha256=uploaded.sha256,
        kid=uploaded.kid,
        key=services.signers.signatures(job.storage).key(uploaded.kid),
        signed_at=uploaded_at(services.log.history(job.job_id)),
    )
