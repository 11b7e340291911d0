"""What an audit finds in a stored history, and in what Prefect says of a job."""

from typing import Any

import pytest

from models.audit import Finding, Run, check_history, contradiction
from models.events import Event, seal
from models.facts import Cancelled, Completed, Fact, Withdrawn
from models.job import Job, fold
from tests.unit.histories import CLAIMED, DONE, GAVE_UP, NOW, RETRIED, SUBMITTED, VALIDATED, history, job_after

Row = dict[str, Any]


def rows(*facts: Fact) -> list[Row]:
    """Return the stored fields of a history."""
    return [event.model_dump(mode="json") for event in history(*facts)]


def resealed(row: Row, **changes: Any) -> Row:
    """Return an event with other fields, whose hash fits them."""
    event = Event.model_validate(row | changes)
    return event.model_copy(update={"hash": event.digest()}).model_dump(mode="json")


def test_a_history_as_it_was_written_has_no_fault():
    """The job, its events, and nothing wrong; rows of a database are as good as those of a file."""
    found = check_history("j", rows(*DONE))
    assert found == (fold(history(*DONE)), history(*DONE), None)


GOOD = rows(SUBMITTED, CLAIMED, VALIDATED)
EARLY = seal(
    Completed(), job_id="j", seq=2, attempt=1, recorded_at=NOW, actor="w", flow_run_id=None, prev_hash=GOOD[1]["hash"]
).model_dump(mode="json")
NOT_WRITTEN = "event 2 is not what was written: its hash does not fit"
NO_FACT = "the data of event 2 are not what was written: they hold no fact"


@pytest.mark.parametrize(
    ("third", "fault"),
    [
        ({}, "event 2 is no event"),
        (GOOD[2] | {"seq": "two"}, "event 2 is no event"),
        (GOOD[2] | {"seq": 3}, "event 2 is missing"),
        (GOOD[1], "event 1 comes twice"),
        (GOOD[2] | {"data": "{}"}, NO_FACT),
        (GOOD[2] | {"data": "["}, NO_FACT),
        (GOOD[2] | {"data": "[]"}, NO_FACT),
        (GOOD[2] | {"data": "[" * 100_000}, NO_FACT),
        (resealed(GOOD[2], job_id="k"), "event 2 belongs to job 'k'"),
        (GOOD[2] | {"actor": "x"}, NOT_WRITTEN),
        (GOOD[2] | {"kind": "compiled"}, NOT_WRITTEN),
        (GOOD[2] | {"recorded_at": GOOD[2]["recorded_at"].replace("+00:00", "Z")}, NOT_WRITTEN),
        (GOOD[2] | {"hash": "0" * 64}, NOT_WRITTEN),
        (resealed(GOOD[2], prev_hash=GOOD[0]["hash"]), "event 2 does not carry the hash of the one before it"),
        (resealed(GOOD[2], attempt=2), "event 2 was not allowed: attempt 2 is over; the job is in attempt 1"),
        (EARLY, "event 2 was not allowed: completed cannot follow CLAIMED"),
    ],
)
def test_the_first_fault_is_named_and_what_comes_before_it_counts(third: Row, fault: str):
    """Two good events are kept; what follows a fault means nothing."""
    found = check_history("j", [*GOOD[:2], third, GOOD[2]])
    assert found == (fold(history(SUBMITTED, CLAIMED)), history(SUBMITTED, CLAIMED), fault)


@pytest.mark.parametrize(
    ("first", "fault"),
    [
        (GOOD[1], "event 0 is missing"),
        (resealed(GOOD[0], prev_hash="1" * 64), "event 0 does not carry the hash of the one before it"),
        (
            resealed(GOOD[1], seq=0, prev_hash="0" * 64),
            "event 0 was not allowed: a history begins with submitted at 0, not with claimed at 0",
        ),
        ({"job_id": "\ud800"}, "event 0 is no event"),
    ],
)
def test_a_history_that_begins_wrongly_tells_of_no_job(first: Row, fault: str):
    """Nothing of it is believed."""
    assert check_history("j", [first, *GOOD[1:]]) == (None, [], fault)


def test_no_events_and_no_job_id_are_faults():
    """An id that may not become part of a path is not even looked at."""
    assert check_history("j", []) == (None, [], "it has no events")
    assert check_history("../j", GOOD) == (None, [], "'../j' is not a job id")


@pytest.mark.parametrize(("job_id", "text"), [("j", "j chain: bad"), ("", "- chain: bad")])
def test_a_finding_is_one_line(job_id: str, text: str):
    """With a dash where there is no job."""
    assert str(Finding(job_id=job_id, what="chain", message="bad")) == text


def ended(*facts: Fact) -> Job:
    """Return a job whose last run is `last`."""
    job = fold(history(*facts, flow_run_id="last"))
    assert job is not None
    return job


DONE_JOB, ERROR_JOB = ended(*DONE), ended(*DONE[:2], GAVE_UP)
CANCELLED_JOB, WITHDRAWN_JOB = ended(SUBMITTED, Cancelled()), ended(*DONE[:2], Withdrawn())


@pytest.mark.parametrize(
    ("job", "run", "state", "said"),
    [
        (DONE_JOB, "last", "COMPLETED", None),
        (DONE_JOB, "last", "FAILED", "the job is DONE, and Prefect says that its last run last is FAILED"),
        (DONE_JOB, "last", "CANCELLED", "the job is DONE, and Prefect says that its last run last is CANCELLED"),
        (DONE_JOB, "last", "CRASHED", "the job is DONE, and Prefect says that its last run last is CRASHED"),
        (DONE_JOB, "last", "RUNNING", "the job is DONE, and Prefect says that run last is RUNNING"),
        (DONE_JOB, "earlier", "FAILED", None),
        (DONE_JOB, "earlier", "RUNNING", "the job is DONE, and Prefect says that run earlier is RUNNING"),
        (DONE_JOB, "last", "SCHEDULED", "the job is DONE, and Prefect says that run last is SCHEDULED"),
        (DONE_JOB, "last", "PENDING", "the job is DONE, and Prefect says that run last is PENDING"),
        (DONE_JOB, "last", "PAUSED", "the job is DONE, and Prefect says that run last is PAUSED"),
        (DONE_JOB, "last", "CANCELLING", "the job is DONE, and Prefect says that run last is CANCELLING"),
        (ERROR_JOB, "last", "FAILED", None),
        (ERROR_JOB, "last", "CRASHED", None),
        (ERROR_JOB, "last", "COMPLETED", "the job is ERROR, and Prefect says that its last run last is COMPLETED"),
        (ERROR_JOB, "last", "PENDING", "the job is ERROR, and Prefect says that run last is PENDING"),
        (ERROR_JOB, "earlier", "COMPLETED", None),
        (CANCELLED_JOB, "last", "CANCELLED", None),
        (
            CANCELLED_JOB,
            "last",
            "COMPLETED",
            "the job is CANCELLED, and Prefect says that its last run last is COMPLETED",
        ),
        (WITHDRAWN_JOB, "last", "COMPLETED", None),
        (WITHDRAWN_JOB, "last", "CANCELLED", None),
        (WITHDRAWN_JOB, "last", "RUNNING", "the job is WITHDRAWN, and Prefect says that run last is RUNNING"),
        (job_after(*DONE[:2]), "last", "COMPLETED", None),
        (ended(*DONE[:2]), "last", "RUNNING", None),
        (ended(*DONE[:2]), "last", "CRASHED", None),
        (job_after(*DONE[:2], RETRIED), "last", "RUNNING", None),
    ],
)
def test_what_prefect_cannot_rightly_say_of_a_job_that_is_over(job: Job, run: str, state: str, said: str | None):
    """Beside the log a final job has no run under way, and its last run ended as it did."""
    harmless = Run("earlier", "j", "CRASHED")
    assert contradiction(job, [harmless, Run(run, "j", state), harmless]) == said
    assert contradiction(job, []) is None
