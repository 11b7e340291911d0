"""When a lease has run out: a rule about stored times, which a clock that was wrong may have written."""

from datetime import datetime, timedelta
from enum import Enum

from models.job import Job

UNKNOWN_SECONDS = 1800.0
"""For how long a lease is taken to have been given at most where its claim does not say."""

LEAST_SECONDS = 1.0

TIMES = 2
"""A lease that lies further ahead than so many times its length was written by a clock that was wrong."""


class Lease(Enum):
    """How a lease stands."""

    GOOD = "good"
    OVER = "over"
    TOO_FAR = "too far ahead to be true"


def length(job: Job) -> timedelta:
    """Return how long a lease of this attempt is."""
    return timedelta(seconds=max(LEAST_SECONDS, UNKNOWN_SECONDS if job.lease_seconds is None else job.lease_seconds))


def judged(job: Job, renewed: datetime | None, now: datetime) -> Lease:
    """Judge the lease of a running attempt.

    Args:
        renewed: until when a heartbeat, or whoever found the lease too far ahead, has set it; None where nobody has.
        now: by the clock of whoever judges.
    """
    until = renewed or job.lease_until
    if until is None or until < now:
        return Lease.OVER
    return Lease.TOO_FAR if until > now + TIMES * length(job) else Lease.GOOD
