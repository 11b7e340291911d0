"""The status document of a job, in the words of the storage contract (sqooler 0.9.0)."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from models.job import FINAL, Job, State

DETAIL_RECEIVED = "Got your json."
DETAIL_DONE = DETAIL_RECEIVED + "; Passed json sanity check; Compilation done." + 21 * " " + "Shots sent to solver."
"""The peer's literal, blanks included: its own tests compare it."""

NO_ERROR = "None"
"""The contract writes "no error" as this string, not as null."""

StatusWord = Literal["INITIALIZING", "QUEUED", "DONE", "ERROR"]

_SANITY = "; Failed json sanity check. File will be deleted. Error message : "
_DIMENSION = "; Failed dimensionality test. Too many atoms. File will be deleted. Error message :  "


class StatusDocument(BaseModel):
    """What a front end shows of a job: these four fields and no others."""

    job_id: str
    status: StatusWord
    detail: str = DETAIL_RECEIVED
    error_message: str = NO_ERROR


def is_first_status(document: Any) -> bool:
    """Return whether a parsed status is one that a front end writes for a job that nobody has run."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("job_id"), str)
        and document.get("status") in ("INITIALIZING", "QUEUED")
    )


def first_status_wait(job: Job, now: datetime, seconds: float) -> float:
    """Return how long, in seconds, the final status of a job still waits for the first one; 0 where it does not.

    Only a job that came by the inbox has one from its front end, which may write it a moment after the document.

    Args:
        seconds: so long after the job was found it waits.
    """
    if job.source != "inbox" or job.state not in FINAL or job.state is State.WITHDRAWN:
        return 0.0
    passed = (now - job.submitted_at).total_seconds()
    # A clock that was set back makes nobody wait.
    return seconds - passed if 0 <= passed < seconds else 0.0


def status_document(job: Job) -> StatusDocument:
    """Return the status that front ends read."""
    if job.adopted is not None and job.state in (State.DONE, State.ERROR):
        word: StatusWord = "DONE" if job.state is State.DONE else "ERROR"
        said = job.adopted.model_dump(include={"detail", "error_message"})
        return StatusDocument(job_id=job.job_id, status=word, **said)
    if job.state is State.DONE:
        return StatusDocument(job_id=job.job_id, status="DONE", detail=DETAIL_DONE)
    if job.state not in FINAL:
        return StatusDocument(job_id=job.job_id, status="INITIALIZING")
    if job.state is State.CANCELLED:
        text = "; The job was cancelled."
    else:
        message = job.reason
        if job.faults and all(fault.code == "cost" for fault in job.faults):
            text = _DIMENSION + message
        elif job.stage == "validation" and job.blame == "user":
            text = _SANITY + message
        else:
            text = "; " + message
    return StatusDocument(
        job_id=job.job_id, status="ERROR", detail=DETAIL_RECEIVED + text, error_message=NO_ERROR + text
    )
