"""Who may write what: the holder of an attempt, and nobody in its place; and what a clock that is wrong can hold up."""

from datetime import UTC, datetime, timedelta

import pytest

from models.audit import check_history
from models.events import Event, event_hash, seal
from models.facts import (
    Cancelled,
    CancelRequested,
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    HandedOver,
    LeaseExpired,
    Retried,
    Revived,
    Submitted,
    Uploaded,
    Validated,
    Withdrawn,
)
from models.holders import holder_of, new_token
from models.job import Job, State, apply, fold, not_the_holder, why_not
from models.lease import Lease, judged
from models.retry import failure, is_due

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MINE, OTHERS = holder_of("mine"), holder_of("another's")
SUBMITTED = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=NOW)
LATER = NOW + timedelta(seconds=60)
CLAIMED = Claimed(worker="w", lease_until=LATER, lease_seconds=60, holder=MINE)
HANDED_ON = Claimed(worker="w/pool", lease_until=LATER, lease_seconds=60, holder=MINE, handed_on=True)
OLD = Claimed(worker="w", lease_until=LATER)
HANDED_OVER = HandedOver(worker="p", lease_until=LATER, lease_seconds=60, holder=OTHERS)
EXPIRED = LeaseExpired(worker="w", lease_until=LATER)
RETRIED = Retried(reason="storm", after_seconds=0, not_before=NOW)
FAILED = failure("lease", "infrastructure", ())
EXECUTED = Executed(
    seconds=1,
    cpu_seconds=1,
    seed=1,
    versions={},
    backend_config_sha256="c",
    result_sha256="r",
    result_bytes=1,
    staged="s",
)
RUN: tuple[Fact, ...] = (Validated(experiments=1, shots=1), Compiled(program_sha256="p", program_bytes=1, seed=1))
BY_HOLDER: tuple[Fact, ...] = (
    *RUN,
    EXECUTED,
    Uploaded(path="p", bytes=1, sha256="r"),
    Completed(),
    FAILED,
    RETRIED,
    Cancelled(),
    Withdrawn(),
)
BY_ANYBODY: tuple[Fact, ...] = (CancelRequested(by="ann"), Revived(by="op"), CLAIMED)


def sealed(job: Job | None, fact: Fact) -> Event:
    """Return the event that appends a fact to a job."""
    attempt = 0 if job is None else job.attempt + (fact.kind == "claimed")
    seq, last = (0, "0" * 64) if job is None else (job.seq + 1, job.last_hash)
    return seal(
        fact, job_id="j", seq=seq, attempt=attempt, recorded_at=NOW, actor="w", flow_run_id=None, prev_hash=last
    )


def job_after(*facts: Fact) -> Job:
    """Return the job that the facts fold to."""
    job: Job | None = None
    for fact in facts:
        job = apply(job, sealed(job, fact))
    assert job is not None
    return job


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


@pytest.mark.parametrize("fact", [*BY_ANYBODY, EXPIRED, HANDED_OVER], ids=lambda fact: fact.kind)
def test_what_is_anybodys_word_needs_no_token(fact: Fact):
    """Users, operators and housekeeping write without one; whether they may is asked by `why_not`."""
    assert not_the_holder(job_after(SUBMITTED, CLAIMED), fact, None) is None


@pytest.mark.parametrize("fact", BY_HOLDER, ids=lambda fact: fact.kind)
def test_a_claim_of_the_first_version_asks_for_the_attempt_alone(fact: Fact):
    """Jobs that were claimed before there were holders are finished by whoever claimed them."""
    assert not_the_holder(job_after(SUBMITTED, OLD), fact, None) is None


def test_nobody_holds_a_job_that_waits():
    """After a retry, and before the first claim, a cancellation needs no token."""
    for facts in ((SUBMITTED,), (SUBMITTED, CLAIMED, RETRIED), (SUBMITTED, CLAIMED, EXPIRED, RETRIED)):
        job = job_after(*facts)
        assert (job.holder, job.worker, job.lease_seconds, job.handed_on) == (None, None, None, False)
        assert not_the_holder(job, Cancelled(), None) is None


def test_after_the_end_of_a_lease_the_attempt_can_only_be_ended():
    """Whoever saw the lease run out ends the attempt, without a token; its holder brings nothing in any more."""
    job = job_after(SUBMITTED, CLAIMED, *RUN, EXPIRED)
    allowed = {fact.kind for fact in BY_HOLDER if why_not(job, fact, 1) is None}
    assert allowed == {"retried", "failed", "cancelled"}
    assert all(not_the_holder(job, fact, None) is None for fact in (RETRIED, FAILED, Cancelled()))
    # An old history has no holders, and is judged as it was when it was written.
    assert why_not(job_after(SUBMITTED, OLD, *RUN, EXPIRED), EXECUTED, 1) is None


def test_a_job_that_was_claimed_for_another_process_is_taken_over_once():
    """The first process that begins it holds it, and the claimer does no longer; nobody takes it a second time."""
    claimed = job_after(SUBMITTED, HANDED_ON)
    assert why_not(claimed, HANDED_OVER, 1) is None
    assert why_not(claimed, HANDED_OVER, 2) == "attempt 2 is over; the job is in attempt 1"
    job = job_after(SUBMITTED, HANDED_ON, HANDED_OVER)
    assert (job.state, job.worker, job.holder, job.handed_on) == (State.CLAIMED, "p", OTHERS, False)
    assert not_the_holder(job, RETRIED, MINE) == "attempt 1 is in the hands of another worker"
    assert why_not(job, HANDED_OVER, 1) == "the job is in the hands of another worker"


def test_a_job_that_a_drain_runs_is_not_taken_over():
    """Only one that was claimed for another process is; in a claim of the first version the worker's name says so."""
    assert why_not(job_after(SUBMITTED, CLAIMED), HANDED_OVER, 1) == "the job is in the hands of another worker"
    assert why_not(job_after(SUBMITTED, OLD), HANDED_OVER, 1) == "the job is in the hands of another worker"
    old = OLD.model_copy(update={"worker": "w/pool"})
    assert why_not(job_after(SUBMITTED, old), HANDED_OVER, 1) is None


def test_a_claim_of_the_first_version_is_read_as_it_was_written():
    """Its stored text and hash stay; the view of its job says nothing that it did not say then."""
    data = '{"kind":"claimed","version":1,"worker":"w","lease_until":"2026-11-21T09:01:00.000000+00:00"}'
    first = sealed(None, SUBMITTED)
    fields = {"job_id": "j", "seq": 1, "attempt": 1, "data": data, "recorded_at": NOW, "actor": "w"}
    digest = event_hash(**fields, flow_run_id=None, prev_hash=first.hash)
    event = Event(**fields, kind="claimed", prev_hash=first.hash, hash=digest)
    found = check_history("j", [first.model_dump(mode="json"), event.model_dump(mode="json")])
    assert found.fault is None
    job = fold([first, event])
    assert job is not None
    assert (job.worker, job.holder) == ("w", None)
    assert not {"holder", "handed_on", "lease_seconds"} & set(job.model_dump())


@pytest.mark.parametrize(
    ("until", "renewed", "lease"),
    [
        (60, None, Lease.GOOD),
        (-1, None, Lease.OVER),
        (-1, 60, Lease.GOOD),
        (60, -1, Lease.OVER),
        (7260, None, Lease.TOO_FAR),
        (7260, 60, Lease.GOOD),
        (60, 7260, Lease.TOO_FAR),
        (119, None, Lease.GOOD),
        (121, None, Lease.TOO_FAR),
    ],
)
def test_a_lease_is_over_when_it_has_run_out_and_never_far_ahead(until: int, renewed: int | None, lease: Lease):
    """What a heartbeat said last counts; a lease of a minute that lies two hours ahead comes from a wrong clock."""
    job = job_after(SUBMITTED, CLAIMED.model_copy(update={"lease_until": NOW + timedelta(seconds=until)}))
    assert judged(job, None if renewed is None else NOW + timedelta(seconds=renewed), NOW) is lease


@pytest.mark.parametrize(
    ("seconds", "due"), [(-1, True), (0, True), (1, False), (600, False), (601, True), (7200, True)]
)
def test_no_pause_is_longer_than_the_longest(seconds: int, due: bool):  # noqa: FBT001 - a case
    """A job that is to wait for two hours was told so by a clock that was wrong."""
    assert is_due(NOW + timedelta(seconds=seconds), NOW) is due
    assert is_due(None, NOW)
