"""The status document: what front ends are told of a job, word for word."""

from datetime import timedelta
from typing import Any

import pytest

from models.facts import Cancelled, Fact, Failed, Withdrawn
from models.job import Job
from models.status import StatusDocument, first_status_wait, is_first_status, status_document
from tests.unit.histories import CANCEL_REQUESTED, CLAIMED, DONE, EXPIRED, GAVE_UP, RETRIED, SUBMITTED, WRONG, job_after

SANITY = "; Failed json sanity check. File will be deleted. Error message : "
DIMENSION = "; Failed dimensionality test. Too many atoms. File will be deleted. Error message :  "
COST = WRONG.model_copy(update={"code": "cost", "message": "too\nmany"})


@pytest.mark.parametrize(
    "facts",
    [
        *(DONE[:length] for length in range(1, 7)),
        (SUBMITTED, CANCEL_REQUESTED),
        (*DONE[:2], EXPIRED),
        (*DONE[:2], RETRIED),
    ],
)
def test_a_job_that_is_not_over_is_initializing(facts: tuple[Fact, ...]):
    """Whatever we know of it, front ends have one word for it."""
    assert status_document(job_after(*facts)).model_dump() == {
        "job_id": "j",
        "status": "INITIALIZING",
        "detail": "Got your json.",
        "error_message": "None",
    }


def test_a_done_job_has_the_peers_sentence():
    """With its 21 blanks, and without an error."""
    detail = "Got your json.; Passed json sanity check; Compilation done.                     Shots sent to solver."
    assert status_document(job_after(*DONE)).model_dump() == {
        "job_id": "j",
        "status": "DONE",
        "detail": detail,
        "error_message": "None",
    }


def failed(**changes: Any) -> Job:
    """Return a job that a fault of the user ended."""
    fact = Failed(stage="validation", blame="user", faults=(WRONG,), fault_count=1)
    return job_after(SUBMITTED, CLAIMED, fact.model_copy(update=changes))


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (failed(), SANITY + "experiment_0: wrong"),
        (failed(blame="infrastructure"), "; experiment_0: wrong"),
        (failed(stage="execution"), "; experiment_0: wrong"),
        (
            failed(faults=(COST, COST), fault_count=2),
            DIMENSION + "experiment_0: too..many; experiment_0: too..many",
        ),
        (
            failed(faults=(COST, WRONG), fault_count=2),
            SANITY + "experiment_0: too..many; experiment_0: wrong",
        ),
        (failed(faults=(), fault_count=0), SANITY),
        (job_after(*DONE[:2], GAVE_UP), "; experiment_0: wrong"),
        (job_after(SUBMITTED, Cancelled()), "; The job was cancelled."),
        (job_after(*DONE[:2], Withdrawn()), "; "),
    ],
)
def test_a_job_that_failed_says_why_in_both_fields(job: Job, text: str):
    """The sentence of its stage and its reason follow the words of the contract."""
    assert status_document(job) == StatusDocument(
        job_id="j", status="ERROR", detail="Got your json." + text, error_message="None" + text
    )


def test_a_line_break_in_a_message_is_none_in_a_status():
    """A message is one line from the moment that a fault is made, or read from the log."""
    old = WRONG.model_copy(update={"message": "a\nb"})
    assert status_document(failed(stage="upload", faults=(old,))).detail == "Got your json.; experiment_0: a..b"


@pytest.mark.parametrize(
    ("document", "right"),
    [
        ({"job_id": "j", "status": "INITIALIZING"}, True),
        ({"job_id": "j", "status": "QUEUED", "detail": "x"}, True),
        ({"job_id": "j", "status": "DONE"}, False),
        ({"job_id": "j"}, False),
        ({"job_id": 1, "status": "QUEUED"}, False),
        ({"status": "QUEUED"}, False),
        (["job_id", "status"], False),
        (None, False),
    ],
)
def test_what_a_front_end_writes_first_is_known(document: Any, right: bool):  # noqa: FBT001 - a case
    """An id and one of the two first states; anything else was written by a spooler, or by nobody we know."""
    assert is_first_status(document) is right


@pytest.mark.parametrize(
    ("seconds", "right"),
    [(0, 2.0), (1.5, 0.5), (2, 0.0), (7200, 0.0), (-1, 0.0)],
    ids=["now", "1.5", "2", "ahead", "back"],
)
def test_a_final_status_waits_for_the_first_one_for_a_moment(seconds: float, right: float):
    """So long after the job was found, and never for a clock that was set."""
    inbox = SUBMITTED.model_copy(update={"source": "inbox"})
    job = job_after(inbox, CLAIMED, GAVE_UP)
    assert first_status_wait(job, job.submitted_at + timedelta(seconds=seconds), 2) == right
    for other in (job_after(inbox, CLAIMED), job_after(inbox, CLAIMED, Withdrawn()), job_after(*DONE)):
        assert first_status_wait(other, other.submitted_at, 2) == 0
