"""Who may write what: the holder of an attempt, and nobody in its place."""

import pytest

from models.audit import check_history
from models.claims import holder_of, new_token
from models.events import Event, event_hash
from models.facts import Cancelled, Fact
from models.job import State, fold, not_the_holder, why_not
from tests.unit.histories import (
    BY_HOLDER,
    CANCEL_REQUESTED,
    CLAIMED,
    CLAIMED_FOR_ANOTHER,
    CLAIMED_OF_OLD,
    COMPILED,
    EXECUTED,
    EXPIRED,
    GAVE_UP,
    HANDED_OVER,
    MINE,
    NOW,
    OTHERS,
    RETRIED,
    REVIVED,
    SUBMITTED,
    VALIDATED,
    history,
    job_after,
)


def test_a_token_is_long_random_and_known_by_its_hash_alone():
    """Two tokens differ, hold 256 bits, and the log's name of one is its SHA-256."""
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) == 43
    assert holder_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("fact", BY_HOLDER, ids=lambda fact: fact.kind)
def test_what_is_the_holders_word_comes_from_nobody_else(fact: Fact):
    """Without its token, or with another one, nothing of an attempt is written."""
    job = job_after(SUBMITTED, CLAIMED)
    assert not_the_holder(job, fact, MINE) is None
    for holder in (None, OTHERS, ""):
        assert not_the_holder(job, fact, holder) == "attempt 1 is in the hands of another worker"


@pytest.mark.parametrize("fact", [CANCEL_REQUESTED, REVIVED, CLAIMED, EXPIRED, HANDED_OVER], ids=lambda fact: fact.kind)
def test_what_is_anybodys_word_needs_no_token(fact: Fact):
    """Users, operators and housekeeping write without one; whether they may is asked by `why_not`."""
    assert not_the_holder(job_after(SUBMITTED, CLAIMED), fact, None) is None


@pytest.mark.parametrize("fact", BY_HOLDER, ids=lambda fact: fact.kind)
def test_a_claim_of_the_first_version_asks_for_the_attempt_alone(fact: Fact):
    """Jobs that were claimed before there were holders are finished by whoever claimed them."""
    assert not_the_holder(job_after(SUBMITTED, CLAIMED_OF_OLD), fact, None) is None


def test_nobody_holds_a_job_that_waits():
    """After a retry, and before the first claim, a cancellation needs no token."""
    for facts in ((SUBMITTED,), (SUBMITTED, CLAIMED, RETRIED), (SUBMITTED, CLAIMED, EXPIRED, RETRIED)):
        job = job_after(*facts)
        assert (job.holder, job.worker, job.lease_seconds, job.handed_on) == (None, None, None, False)
        assert not_the_holder(job, Cancelled(), None) is None


def test_after_the_end_of_a_lease_the_attempt_can_only_be_ended():
    """Whoever saw the lease run out ends the attempt, without a token; its holder brings nothing in any more."""
    job = job_after(SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXPIRED)
    allowed = {fact.kind for fact in BY_HOLDER if why_not(job, fact, 1) is None}
    assert allowed == {"retried", "failed", "cancelled"}
    assert all(not_the_holder(job, fact, None) is None for fact in (RETRIED, GAVE_UP, Cancelled()))
    # An old history has no holders, and is judged as it was when it was written.
    assert why_not(job_after(SUBMITTED, CLAIMED_OF_OLD, VALIDATED, COMPILED, EXPIRED), EXECUTED, 1) is None


def test_a_job_that_was_claimed_for_another_process_is_taken_over_once():
    """The first process that begins it holds it, and the claimer does no longer; nobody takes it a second time."""
    claimed = job_after(SUBMITTED, CLAIMED_FOR_ANOTHER)
    assert why_not(claimed, HANDED_OVER, 1) is None
    assert why_not(claimed, HANDED_OVER, 2) == "attempt 2 is over; the job is in attempt 1"
    job = job_after(SUBMITTED, CLAIMED_FOR_ANOTHER, HANDED_OVER)
    assert (job.state, job.worker, job.holder, job.handed_on) == (State.CLAIMED, "p", OTHERS, False)
    assert not_the_holder(job, RETRIED, MINE) == "attempt 1 is in the hands of another worker"
    assert why_not(job, HANDED_OVER, 1) == "the job is in the hands of another worker"


def test_a_job_that_a_drain_runs_is_not_taken_over():
    """Only one that was claimed for another process is; in a claim of the first version the worker's name says so."""
    assert why_not(job_after(SUBMITTED, CLAIMED), HANDED_OVER, 1) == "the job is in the hands of another worker"
    assert why_not(job_after(SUBMITTED, CLAIMED_OF_OLD), HANDED_OVER, 1) == "the job is in the hands of another worker"
    old = CLAIMED_OF_OLD.model_copy(update={"worker": "w/pool"})
    assert why_not(job_after(SUBMITTED, old), HANDED_OVER, 1) is None


def test_a_claim_of_the_first_version_is_read_as_it_was_written():
    """Its stored text and hash stay; the view of its job says nothing that it did not say then."""
    data = '{"kind":"claimed","version":1,"worker":"w","lease_until":"2026-11-21T09:01:00.000000+00:00"}'
    first = history(SUBMITTED)[0]
    fields = {"job_id": "j", "seq": 1, "attempt": 1, "data": data, "recorded_at": NOW, "actor": "w"}
    digest = event_hash(**fields, flow_run_id=None, prev_hash=first.hash)
    event = Event(**fields, kind="claimed", prev_hash=first.hash, hash=digest)
    found = check_history("j", [first.model_dump(mode="json"), event.model_dump(mode="json")])
    assert found.fault is None
    job = fold([first, event])
    assert job is not None
    assert (job.worker, job.holder) == ("w", None)
    assert not {"holder", "handed_on", "lease_seconds"} & set(job.model_dump())
