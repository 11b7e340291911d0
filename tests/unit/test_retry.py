"""What follows an attempt that did not come through, and when a lease has run out."""

from datetime import datetime, timedelta

import pytest

from models.claims import Lease, judge_lease, lease_length
from models.errors import Fault
from models.facts import Cancelled, Failed, Retried
from models.job import Job
from models.retry import RetryPolicy, after_attempt, failure, given_back, is_due, unless_cancelled
from tests.unit.histories import CANCEL_REQUESTED, CLAIMED, DONE, LATER, NOW, RETRIED, SUBMITTED, job_after

POLICY = RetryPolicy(max_attempts=20, first_pause=2.0)


def failed_before(times: int) -> Job:
    """Return a running job of which so many attempts have failed."""
    return job_after(SUBMITTED, CLAIMED, *(RETRIED, CLAIMED) * times)


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    [
        (0, 0.0, 1.0),
        (0, 0.5, 1.5),
        (1, 0.5, 3.0),
        (2, 0.0, 4.0),
        (8, 0.0, 256.0),
        (9, 0.0, 300.0),
        (18, 0.5, 450.0),
    ],
)
def test_each_pause_is_twice_the_last_one_up_to_ten_minutes(failures: int, jitter: float, seconds: float):
    """Chance takes away up to half of a pause; else they would be 2, 4, 8 ... seconds, and never more than 600."""
    fact = after_attempt(failed_before(failures), "storm", "upload", POLICY, now=NOW, jitter=jitter)
    assert fact == Retried(
        reason="storm",
        after_seconds=seconds,
        not_before=NOW + timedelta(seconds=seconds),
        counted=True,
        run_again=False,
    )


def test_any_number_of_failures_has_a_pause():
    """Doubled a thousand times, a pause would be too large a number, and no lease would ever run out any more."""
    job = failed_before(0).model_copy(update={"failures": 1_100})
    policy = RetryPolicy(max_attempts=2_000, first_pause=1e6)
    fact = after_attempt(job, "storm", "upload", policy, now=NOW, jitter=0)
    assert isinstance(fact, Retried)
    assert fact.after_seconds == 300.0


def test_a_retry_says_whether_the_staged_result_is_of_use():
    """Where it is lost the job runs again."""
    fact = after_attempt(failed_before(0), "lost", "upload", POLICY, now=NOW, jitter=0, run_again=True)
    assert fact == Retried(reason="lost", after_seconds=1.0, not_before=NOW + timedelta(seconds=1), run_again=True)


def test_a_pause_is_told_to_the_millisecond_and_kept_exactly():
    """What people read is rounded."""
    policy = RetryPolicy(max_attempts=2, first_pause=2.46913)
    fact = after_attempt(failed_before(0), "storm", "upload", policy, now=NOW, jitter=0)
    assert isinstance(fact, Retried)
    assert (fact.after_seconds, fact.not_before) == (1.235, NOW + timedelta(seconds=1.234565))
    back = given_back("storm", NOW, 1.234565)
    assert (back.after_seconds, back.not_before) == (1.235, NOW + timedelta(seconds=1.234565))


def test_the_last_attempt_ends_the_job():
    """Three attempts are three: the third failure ends it, and says what the last one met."""
    policy = RetryPolicy(max_attempts=3, first_pause=2.0)
    assert isinstance(after_attempt(failed_before(1), "storm", "upload", policy, now=NOW, jitter=0), Retried)
    said = Fault(message="gave up after 3 failed attempts; the last one: storm", code="runtime")
    end = Failed(stage="upload", blame="infrastructure", faults=(said,), fault_count=1)
    assert after_attempt(failed_before(2), "storm", "upload", policy, now=NOW, jitter=0) == end


def test_an_event_keeps_fifty_faults_and_counts_all():
    """Those that were only counted before count too."""
    faults = tuple(Fault(message=f"m{number}") for number in range(51))
    end = failure("validation", "user", faults, more=9)
    assert end == Failed(stage="validation", blame="user", faults=faults[:50], fault_count=60)
    assert failure("execution", "backend", faults[:2]).fault_count == 2


@pytest.mark.parametrize(("pause", "seconds"), [(0.0, 0.0), (7.0, 7.0), (600.0, 600.0), (601.0, 600.0)])
def test_an_attempt_that_is_given_back_is_not_counted(pause: float, seconds: float):
    """The job waits as long as it is told, ten minutes at most, and keeps its attempts."""
    assert given_back("stopped", NOW, pause) == Retried(
        reason="stopped", after_seconds=seconds, not_before=NOW + timedelta(seconds=seconds), counted=False
    )
    assert given_back("stopped", NOW) == given_back("stopped", NOW, 0.0)


def test_a_job_that_somebody_wants_cancelled_is_not_tried_again():
    """Its attempt ends in the cancellation."""
    assert unless_cancelled(job_after(*DONE[:2]), RETRIED) == RETRIED
    assert unless_cancelled(job_after(*DONE[:2], CANCEL_REQUESTED), RETRIED) == Cancelled()


@pytest.mark.parametrize(
    ("seconds", "due"), [(-1, True), (0, True), (0.001, False), (600, False), (600.001, True), (7200, True)]
)
def test_a_job_is_due_when_its_pause_is_over(seconds: float, due: bool):  # noqa: FBT001 - a case
    """A pause of more than ten minutes was written by a clock that was wrong."""
    assert is_due(NOW + timedelta(seconds=seconds), NOW) is due
    assert is_due(None, NOW)


@pytest.mark.parametrize(("seconds", "right"), [(None, 1800), (0.5, 1), (1.5, 1.5), (60, 60)])
def test_how_long_a_lease_is(seconds: float | None, right: float):
    """As its claim says, a second at least; half an hour where the claim does not say."""
    job = job_after(SUBMITTED, CLAIMED.model_copy(update={"lease_seconds": seconds}))
    assert lease_length(job) == timedelta(seconds=right)


@pytest.mark.parametrize(
    ("until", "renewed", "lease"),
    [
        (0, None, Lease.GOOD),
        (-0.001, None, Lease.OVER),
        (120, None, Lease.GOOD),
        (120.001, None, Lease.TOO_FAR),
        (-60, 0, Lease.GOOD),
        (60, -0.001, Lease.OVER),
        (60, 120.001, Lease.TOO_FAR),
    ],
)
def test_a_lease_is_good_up_to_its_end_and_up_to_twice_its_length(until: float, renewed: float | None, lease: Lease):
    """A renewal counts more than the claim; a lease of a minute does not end in more than two."""
    claimed = CLAIMED.model_copy(update={"lease_until": NOW + timedelta(seconds=until)})
    renewal: datetime | None = None if renewed is None else NOW + timedelta(seconds=renewed)
    assert judge_lease(job_after(SUBMITTED, claimed), renewal, NOW) is lease


def test_a_job_that_nobody_claimed_has_no_lease():
    """Where nobody has the job, none is good."""
    assert judge_lease(job_after(SUBMITTED), None, NOW) is Lease.OVER
    assert judge_lease(job_after(SUBMITTED, CLAIMED), None, LATER) is Lease.GOOD
