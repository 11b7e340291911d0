"""What follows an attempt that did not come through: another one after a pause, or the end."""

from datetime import datetime, timedelta
from typing import NamedTuple

from models.errors import Blame, Fault
from models.facts import Cancelled, Fact, Failed, Retried, Stage
from models.job import Job

MAX_DOUBLINGS = 30
"""No pause is doubled more often, however many attempts have failed."""

LONGEST = 600.0
"""No pause is longer, in seconds."""

KEPT_FAULTS = 50
"""The most faults that an event keeps; the rest are counted."""


class RetryPolicy(NamedTuple):
    """How often and how patiently a job is tried; `first_pause` in seconds."""

    max_attempts: int
    first_pause: float


def failure(stage: Stage, blame: Blame, faults: tuple[Fault, ...], more: int = 0) -> Failed:
    """Return the end of a job in ERROR, with a bounded number of its faults; `more` were only counted."""
    return Failed(stage=stage, blame=blame, faults=faults[:KEPT_FAULTS], fault_count=len(faults) + more)


def after_attempt(  # noqa: PLR0913 - the rule weighs that many things
    job: Job,
    reason: str,
    stage: Stage,
    policy: RetryPolicy,
    *,
    now: datetime,
    jitter: float,
    run_again: bool = False,
) -> Retried | Failed:
    """Return what follows a failed attempt that was not the user's fault.

    Args:
        reason: one sentence that a user may read.
        jitter: random number in [0, 1); spreads the pauses so that many jobs do not come back at once.
        run_again: do not use what the attempt has staged.
    """
    failures = job.failures + 1
    if failures >= policy.max_attempts:
        last = Fault(message=f"gave up after {failures} failed attempts; the last one: {reason}", code="runtime")
        return failure(stage, "infrastructure", (last,))
    pause = min(LONGEST, doubled(policy.first_pause, job.failures)) * (0.5 + 0.5 * jitter)
    return Retried(
        reason=reason,
        after_seconds=round(pause, 3),
        not_before=now + timedelta(seconds=pause),
        run_again=run_again,
    )


def doubled(first: float, times: int) -> float:
    """Return a pause in seconds that was doubled so many times."""
    return first * 2.0 ** min(times, MAX_DOUBLINGS)


def is_due(not_before: datetime | None, now: datetime) -> bool:
    """Return whether a waiting job may be claimed; a pause that is too long was written by a clock that was wrong."""
    return not_before is None or not now < not_before <= now + timedelta(seconds=LONGEST)


def unless_cancelled(job: Job, fact: Fact) -> Fact:
    """Return what really ends the attempt: a job that somebody wants cancelled is not tried again."""
    return Cancelled() if job.cancel_requested else fact


def given_back(reason: str, now: datetime, pause: float = 0.0) -> Retried:
    """Return what ends an attempt through nothing that the job can help: nothing is counted.

    Args:
        pause: seconds until the next attempt may begin; 0 where the worker was stopped in good order.
    """
    pause = min(LONGEST, pause)
    return Retried(
        reason=reason, after_seconds=round(pause, 3), not_before=now + timedelta(seconds=pause), counted=False
    )
