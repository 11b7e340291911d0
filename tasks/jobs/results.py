"""Reads the result of a job: the one that was accepted, and none that is not to be trusted."""

import hashlib
import json
from typing import Any

from models.errors import DocumentMissing, NotAuthentic, ResultMissing, printable
from models.events import uploaded_at
from models.job import Job, State
from models.results import fault_of_document
from models.signing import unwrapped
from storage import layout
from tasks.services import Services


def result_document(services: Services, job_id: str) -> dict[str, Any]:
    """Return the result of a job that is DONE: the one that was accepted; if it was signed, its signature holds.

    Raises:
        UnknownJob: there is no such job.
        ResultMissing: it has no result (yet); the message says why.
        NotAuthentic: what lies there is not what was accepted or signed.
    """
    job = services.log.get(job_id)
    if job.state is State.ERROR:
        raise ResultMissing(f"job {job_id} ended in ERROR: {job.reason}")
    if job.state is not State.DONE:
        raise ResultMissing(f"job {job_id} is {job.state}; it has no result yet")
    if job.is_result_removed:
        raise ResultMissing(
            f"the result of job {job_id} was removed: results are kept for so long; its hash is in the log"
        )
    try:
        content = services.stores.of(job.storage).get(layout.result(job.backend, job_id))
    except DocumentMissing:
        raise ResultMissing(f"the result of job {job_id} is not in the storage any more") from None
    try:
        document = _accepted(services, job, content)
    except NotAuthentic as error:
        raise NotAuthentic(f"the result of job {job_id} is not to be trusted: {error}") from None
    if (fault := fault_of_document(document)) is not None:
        raise NotAuthentic(f"the result of job {job_id} cannot be shown: {printable(fault)}")
    return dict(document)


def _accepted(services: Services, job: Job, content: bytes) -> dict[str, Any]:
    """Return the result in a document, if it is the one that the log has accepted.

    Raises:
        NotAuthentic: says why not.
    """
    uploaded = job.uploaded
    document: Any
    if uploaded is not None and uploaded.kid is not None:
        when = uploaded_at(services.log.history(job.job_id))
        document = services.signers.signatures(job.storage).check(content, uploaded.kid, when)
    else:
        try:
            document = unwrapped(json.loads(content))
        except (ValueError, RecursionError):
            raise NotAuthentic("it is not JSON") from None
    if uploaded is None or hashlib.sha256(content).hexdigest() != uploaded.sha256:
        raise NotAuthentic("it is not the one that was accepted, by its hash in the log")
    if not isinstance(document, dict) or document.get("job_id") != job.job_id:
        raise NotAuthentic("it is of another job")
    return document
