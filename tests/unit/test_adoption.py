"""What becomes of a job of a store that another spooler has left."""

import pytest

from models.adoption import Found, Plan, plan_for
from models.job import State, why_not
from models.status import status_document
from tests.unit.histories import (
    ADOPTED,
    ADOPTED_ERROR,
    CLAIMED,
    NOW,
    RETRIED,
    REVIVED,
    SUBMITTED,
    job_after,
)

UNFINISHED = "its result is there, and it was not brought to its end"


@pytest.mark.parametrize(
    ("places", "status", "has_result", "plan", "why"),
    [
        (("finished",), "DONE", True, Plan.DONE, "it is DONE"),
        (("deleted",), "ERROR", False, Plan.ERROR, "it ended in ERROR"),
        (("queued",), "ERROR", True, Plan.ERROR, "it ended in ERROR"),
        (("running",), "INITIALIZING", True, Plan.FINISH, UNFINISHED),
        (("finished",), "INITIALIZING", True, Plan.FINISH, UNFINISHED),
        (("running", "finished"), "DONE", True, Plan.FINISH, UNFINISHED),
        (("queued",), "", False, Plan.RUN, "it waits"),
        (("running",), "INITIALIZING", False, Plan.RUN, "it was left in running"),
        (("queued", "deleted"), "INITIALIZING", False, Plan.RUN, "it was left in queued, deleted"),
        (("finished",), "DONE", False, Plan.LEFT, "it is DONE, and its result is missing or cannot be read"),
        ((), "DONE", True, Plan.LEFT, "its document is nowhere"),
    ],
)
def test_the_status_decides(places: tuple[str, ...], status: str, has_result: bool, plan: Plan, why: str):  # noqa: FBT001 - a case
    """It is what the other spooler writes last."""
    found = Found("j", "rydberg", is_served=True, places=places, since=NOW, status=status, has_result=has_result)
    assert plan_for(found) == (plan, why)


def test_what_has_ended_needs_no_backend_here():
    """What is to be run does; what is of no backend at all is left."""
    done = Found("j", "theirs", is_served=False, places=("finished",), since=NOW, status="DONE", has_result=True)
    assert plan_for(done)[0] is Plan.DONE
    waits = done._replace(places=("queued",), status="", has_result=False)
    assert plan_for(waits) == (Plan.LEFT, "this installation has no backend theirs")
    failed = waits._replace(status="ERROR")
    assert plan_for(failed)[0] is Plan.ERROR
    assert plan_for(done._replace(backend="")) == (Plan.LEFT, "nothing says of which backend it is")


def test_an_adopted_job_says_what_the_other_said():
    """Until it is run here; a job that was begun here is nobody else's."""
    done, failed = job_after(SUBMITTED, ADOPTED), job_after(SUBMITTED, ADOPTED_ERROR)
    assert (done.state, done.uploaded and done.uploaded.sha256) == (State.DONE, "r")
    assert status_document(done).model_dump() == {
        "job_id": "j", "status": "DONE", "detail": "Got", "error_message": "None"
    }  # fmt: skip
    assert (failed.state, failed.reason) == (State.ERROR, "None; bad")
    assert status_document(failed).detail == "Got; bad"
    again = job_after(SUBMITTED, ADOPTED_ERROR, REVIVED)
    assert (again.state, again.adopted, again.faults) == (State.QUEUED, None, ())
    assert why_not(job_after(SUBMITTED, CLAIMED, RETRIED), ADOPTED, 1) == "the job was begun here"
