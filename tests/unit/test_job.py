"""The state machine: what may follow what, and where it leads."""

from typing import get_args

import pytest

from models.facts import Cancelled, Fact, Withdrawn
from models.job import TRANSITIONS, State, why_not
from tests.unit.histories import (
    ADOPTED,
    ADOPTED_ERROR,
    BY_HOLDER,
    CANCEL_REQUESTED,
    CLAIMED,
    CLAIMED_FOR_ANOTHER,
    COMPILED,
    DONE,
    EXECUTED,
    EXPIRED,
    FAILED,
    GAVE_UP,
    HANDED_OVER,
    HIDDEN,
    LABELLED,
    REFUSED,
    REMOVED,
    REPLACED,
    RETRIED,
    REVIVED,
    SUBMITTED,
    VALIDATED,
    job_after,
)

EVERY_FACT = (
    SUBMITTED,
    CLAIMED,
    HANDED_OVER,
    *BY_HOLDER,
    CANCEL_REQUESTED,
    EXPIRED,
    REVIVED,
    REPLACED,
    HIDDEN,
    LABELLED,
    REMOVED,
    REFUSED,
    ADOPTED,
    ADOPTED_ERROR,
)
HISTORIES: dict[str, tuple[Fact, ...]] = {
    "QUEUED": DONE[:1],
    "CLAIMED": DONE[:2],
    "VALIDATED": DONE[:3],
    "COMPILED": DONE[:4],
    "EXECUTED": DONE[:5],
    "UPLOADED": DONE[:6],
    "DONE": DONE,
    "ERROR": (SUBMITTED, CLAIMED, GAVE_UP),
    "CANCELLED": (SUBMITTED, Cancelled()),
    "WITHDRAWN": (SUBMITTED, CLAIMED, Withdrawn()),
    "CLAIMED for the pool": (SUBMITTED, CLAIMED_FOR_ANOTHER),
    "QUEUED after an attempt": (SUBMITTED, CLAIMED, RETRIED),
    "ERROR of the document": (SUBMITTED, CLAIMED, FAILED),
    "DONE and hidden": (*DONE, HIDDEN),
    "DONE without its result": (*DONE, REMOVED),
}
ENDS_OF_AN_ATTEMPT = {"failed", "cancelled", "lease_expired", "retried"}
MAY_FOLLOW = {
    "QUEUED": {"adopted", "adopted_error", "claimed", "cancel_requested", "cancelled", "labelled", "refused"},
    "CLAIMED": {"validated", "withdrawn", "cancel_requested", "labelled", "refused"} | ENDS_OF_AN_ATTEMPT,
    "VALIDATED": {"compiled", "cancel_requested", "labelled", "refused"} | ENDS_OF_AN_ATTEMPT,
    "COMPILED": {"executed", "cancel_requested", "labelled", "refused"} | ENDS_OF_AN_ATTEMPT,
    "EXECUTED": {"uploaded", "cancel_requested", "labelled", "refused"} | ENDS_OF_AN_ATTEMPT,
    "UPLOADED": {"completed", "cancel_requested", "labelled", "refused"} | ENDS_OF_AN_ATTEMPT,
    "DONE": {"hidden", "labelled", "result_removed", "refused"},
    "ERROR": {"revived", "hidden", "labelled", "refused"},
    "CANCELLED": {"hidden", "labelled", "refused"},
    "QUEUED after an attempt": {"claimed", "cancel_requested", "cancelled", "revived", "labelled", "refused"},
    "ERROR of the document": {"replaced", "hidden", "labelled", "refused"},
    "WITHDRAWN": {"revived", "hidden", "labelled", "refused"},
    "DONE and hidden": {"labelled", "result_removed", "refused"},
    "DONE without its result": {"hidden", "labelled", "refused"},
    "CLAIMED for the pool": {"handed_over", "validated", "withdrawn", "cancel_requested", "labelled", "refused"}
    | ENDS_OF_AN_ATTEMPT,
}


@pytest.mark.parametrize("state", MAY_FOLLOW)
def test_only_these_facts_may_follow_in_each_state(state: str):
    """A job in each state, and the facts that its holder, or anybody, may write next."""
    job = job_after(*HISTORIES[state])
    assert job.state == state.split(maxsplit=1)[0]
    attempts = {"claimed": job.attempt + 1}
    allowed = {fact.kind for fact in EVERY_FACT if why_not(job, fact, attempts.get(fact.kind, job.attempt)) is None}
    assert allowed == MAY_FOLLOW[state]


@pytest.mark.parametrize("length", range(2, 7))
def test_once_its_lease_is_over_an_attempt_can_only_be_ended(length: int):
    """Whatever state it had come to; users may still wish it cancelled."""
    job = job_after(*DONE[:length], EXPIRED)
    allowed = {fact.kind for fact in EVERY_FACT if why_not(job, fact, 1) is None}
    assert allowed == {"retried", "failed", "cancelled", "cancel_requested", "labelled", "refused"}


def test_every_fact_has_its_turn():
    """No kind of fact but the first, and no state, is left out of the tests above, or of the table of transitions."""
    union, _ = get_args(Fact)
    kinds = {fact.model_fields["kind"].default for fact in get_args(union)}
    assert kinds == {fact.kind for fact in EVERY_FACT} == {"submitted", *TRANSITIONS}
    assert {kind for may in MAY_FOLLOW.values() for kind in may} == set(TRANSITIONS)
    assert {state for state in MAY_FOLLOW if " " not in state} == set(State)


def test_only_a_job_that_failed_without_guilt_is_revived():
    """A dead letter waits again with its failures forgiven; a job with a bad document does not."""
    guilty = job_after(SUBMITTED, CLAIMED, FAILED)
    assert "fault of its document" in (why_not(guilty, REVIVED, 1) or "")
    facts = (SUBMITTED, CLAIMED, RETRIED, CLAIMED, GAVE_UP)
    assert why_not(job_after(*facts), REVIVED, 2) is None
    job = job_after(*facts, REVIVED)
    assert (job.state, job.failures, job.reason, job.attempt) == (State.QUEUED, 0, "", 2)


def test_a_job_that_pauses_may_be_told_to_go_on():
    """Its pause ends, whatever a clock has written; one that waits for its turn alone waits on."""
    job = job_after(SUBMITTED, CLAIMED, RETRIED, REVIVED)
    assert (job.state, job.not_before) == (State.QUEUED, None)
    assert why_not(job, REVIVED, 1) == "the job waits for its turn already"


def test_a_whole_document_takes_the_place_of_a_half_one():
    """The job waits again with the new document's hash and size, its failures forgiven."""
    job = job_after(SUBMITTED, CLAIMED, FAILED, REPLACED)
    assert (job.state, job.reason, job.failures, job.attempt) == (State.QUEUED, "", 0, 1)
    assert (job.document_bytes, job.document_sha256) == (8, REPLACED.document_sha256)


def test_only_refusals_and_what_people_say_of_it_follow_the_end():
    """A job that was answered stays as it is, whoever writes, and whatever attempt is named."""
    for end in (DONE, (SUBMITTED, Cancelled())):
        job = job_after(*end)
        for attempt in (0, 1, 2):
            allowed = {fact.kind for fact in EVERY_FACT if why_not(job, fact, attempt) is None}
            assert allowed - {"result_removed"} == {"hidden", "labelled", "refused"}
            assert ("result_removed" in allowed) is (end is DONE)


def test_an_old_attempt_may_not_write():
    """A worker of attempt 1 is refused once attempt 2 is under way."""
    job = job_after(SUBMITTED, CLAIMED, RETRIED, CLAIMED, VALIDATED, COMPILED)
    assert why_not(job, EXECUTED, 1) == "attempt 1 is over; the job is in attempt 2"
    assert why_not(job, EXECUTED, 2) is None


def test_a_staged_result_is_not_computed_again():
    """A claim after an attempt that had executed goes on with the upload."""
    job = job_after(SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXECUTED, RETRIED, CLAIMED)
    assert (job.state, job.executed) == (State.EXECUTED, EXECUTED)


def test_a_lost_staged_result_is_computed_again():
    """A retry that says so drops the staged result."""
    lost = RETRIED.model_copy(update={"run_again": True})
    job = job_after(SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXECUTED, lost, CLAIMED)
    assert (job.state, job.executed) == (State.CLAIMED, None)


def test_a_job_may_be_given_back_as_often_as_it_must():
    """A worker that stops in good order uses up none of the job's attempts."""
    given_back = RETRIED.model_copy(update={"counted": False})
    job = job_after(SUBMITTED, *(CLAIMED, given_back) * 20)
    assert (job.state, job.attempt, job.failures) == (State.QUEUED, 20, 0)
