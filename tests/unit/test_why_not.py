"""What is forbidden, and in which words: the fence around an attempt, and the order of a job's life."""

import pytest

from models.claims import Waiting, fairest
from models.facts import Cancelled, Completed, Fact, Withdrawn
from models.job import State, may_be_taken_over, not_the_holder, why_not
from tests.unit.histories import (
    BY_HOLDER,
    CANCEL_REQUESTED,
    CLAIMED,
    CLAIMED_FOR_ANOTHER,
    CLAIMED_OF_OLD,
    COMPILED,
    DONE,
    EXECUTED,
    EXPIRED,
    FAILED,
    GAVE_UP,
    HANDED_OVER,
    MINE,
    OTHERS,
    REFUSED,
    RETRIED,
    REVIVED,
    SUBMITTED,
    VALIDATED,
    job_after,
)

IN_OTHER_HANDS = "the job is in the hands of another worker"


@pytest.mark.parametrize(
    ("before", "fact", "attempt", "reason"),
    [
        ((SUBMITTED,), SUBMITTED, 0, "submitted cannot follow: the job exists"),
        ((SUBMITTED,), CLAIMED, 1, None),
        ((SUBMITTED,), CLAIMED, 0, "the next attempt is 1, not 0"),
        ((SUBMITTED,), CLAIMED, 2, "the next attempt is 1, not 2"),
        ((SUBMITTED, CLAIMED, RETRIED), CLAIMED, 2, None),
        ((SUBMITTED, CLAIMED, RETRIED), CLAIMED, 1, "the next attempt is 2, not 1"),
        (DONE[:2], CLAIMED, 2, "claimed cannot follow CLAIMED"),
        (DONE[:2], EXECUTED, 1, "executed cannot follow CLAIMED"),
        (DONE[:2], VALIDATED, 1, None),
        (DONE[:2], VALIDATED, 0, "attempt 0 is over; the job is in attempt 1"),
        (DONE[:2], VALIDATED, 2, "attempt 2 is over; the job is in attempt 1"),
        (DONE[:2], CANCEL_REQUESTED, 0, None),
        (DONE[:2], EXPIRED, 1, None),
        (DONE[:2], EXPIRED, 2, "attempt 2 is over; the job is in attempt 1"),
        (DONE[:2], REFUSED, 0, None),
        ((*DONE[:2], EXPIRED), VALIDATED, 1, "validated cannot follow the end of the lease"),
        ((*DONE[:2], EXPIRED), RETRIED, 1, None),
        ((*DONE[:2], EXPIRED), GAVE_UP, 1, None),
        ((*DONE[:2], EXPIRED), Cancelled(), 1, None),
        ((*DONE[:2], EXPIRED), CANCEL_REQUESTED, 0, None),
        ((*DONE[:2], FAILED), REVIVED, 0, "the job ended through a fault of its document; it would end so again"),
        ((*DONE[:2], GAVE_UP), REVIVED, 0, None),
        (DONE, REVIVED, 0, "revived cannot follow DONE"),
        (DONE, Completed(), 1, "completed cannot follow DONE"),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER), HANDED_OVER, 1, None),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER), HANDED_OVER, 2, "attempt 2 is over; the job is in attempt 1"),
        (DONE[:2], HANDED_OVER, 1, IN_OTHER_HANDS),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER, HANDED_OVER), HANDED_OVER, 1, IN_OTHER_HANDS),
        (
            (SUBMITTED, CLAIMED_FOR_ANOTHER, EXPIRED),
            HANDED_OVER,
            1,
            "handed_over cannot follow the end of the lease",
        ),
    ],
)
def test_the_reason_why_a_fact_may_not_follow(before: tuple[Fact, ...], fact: Fact, attempt: int, reason: str | None):
    """Each rule has its own words, which workers and operators read; None is permission."""
    assert why_not(job_after(*before), fact, attempt) == reason


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ((SUBMITTED,), "QUEUED"),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER, VALIDATED), "VALIDATED"),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER, VALIDATED, COMPILED), "COMPILED"),
        (DONE[:6], "UPLOADED"),
        (DONE, "DONE"),
        ((*DONE[:2], GAVE_UP), "ERROR"),
        ((SUBMITTED, Cancelled()), "CANCELLED"),
        ((*DONE[:2], Withdrawn()), "WITHDRAWN"),
    ],
)
def test_a_job_is_handed_over_at_the_beginning_of_an_attempt(facts: tuple[Fact, ...], state: str):
    """That is as it was claimed, or with the result that an earlier attempt has staged."""
    job = job_after(*facts)
    assert why_not(job, HANDED_OVER, job.attempt) == f"handed_over cannot follow {state}"
    staged = job_after(*DONE[:5], RETRIED, CLAIMED_FOR_ANOTHER)
    assert staged.state is State.EXECUTED
    assert why_not(staged, HANDED_OVER, 2) is None


@pytest.mark.parametrize(
    ("facts", "right"),
    [
        ((SUBMITTED,), False),
        ((SUBMITTED, CLAIMED), False),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER), True),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER, HANDED_OVER), False),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER, Cancelled()), False),
        ((SUBMITTED, CLAIMED_OF_OLD), False),
        ((SUBMITTED, CLAIMED_OF_OLD.model_copy(update={"worker": "w/pool"})), True),
        ((SUBMITTED, CLAIMED_OF_OLD.model_copy(update={"worker": "w/pool/1"})), False),
        ((SUBMITTED, CLAIMED.model_copy(update={"worker": "w/pool"})), False),
    ],
)
def test_only_a_running_job_that_was_claimed_for_another_process_is_taken_over(
    facts: tuple[Fact, ...],
    right: bool,  # noqa: FBT001 - a case
):
    """A claim says so; in one of the first version the name of the worker does."""
    assert may_be_taken_over(job_after(*facts)) is right


@pytest.mark.parametrize("fact", [*BY_HOLDER, SUBMITTED, CLAIMED, CANCEL_REQUESTED, EXPIRED, HANDED_OVER, REFUSED])
def test_the_holders_facts_need_its_token_and_no_others_do(fact: Fact):
    """In another hand, or in none, the facts of an attempt are refused; users and operators need no token."""
    job = job_after(*DONE[:2], RETRIED, CLAIMED)
    refusal = "attempt 2 is in the hands of another worker" if fact in BY_HOLDER else None
    assert not_the_holder(job, fact, MINE) is None
    assert not_the_holder(job, fact, OTHERS) == refusal
    assert not_the_holder(job, fact, None) == refusal


def test_an_attempt_that_nobody_holds_needs_no_token():
    """A claim of the first version has no holder, and an attempt whose lease ran out has lost it."""
    for facts in ((SUBMITTED, CLAIMED_OF_OLD), (SUBMITTED, CLAIMED, EXPIRED), (SUBMITTED,)):
        assert not_the_holder(job_after(*facts), Cancelled(), OTHERS) is None


def test_the_states_are_stored_by_their_names():
    """Tables and documents hold these words."""
    assert [str(state) for state in State] == [
        "QUEUED", "CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED", "DONE", "ERROR", "CANCELLED", "WITHDRAWN",
    ]  # fmt: skip


def test_the_turn_of_a_job():
    """Each rule decides where those before it do not: running jobs, submission, id."""
    first = Waiting("ann", "2026-01-02", "b")
    for other in (
        first._replace(user="bob", received_at="2026-01-01", job_id="a"),
        first._replace(received_at="2026-01-03", job_id="a"),
        first._replace(job_id="c"),
    ):
        for heads in ([first, other], [other, first]):
            assert fairest(heads, {"bob": 1}) == first
    assert fairest([first, first._replace(user="bob")], {"ann": 2, "bob": 1}) == first._replace(user="bob")
    assert fairest([], {}) is None
