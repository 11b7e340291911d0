"""Whether a lease has run out, judged by stored times, which a clock that was wrong may have written."""

from datetime import datetime, timedelta
from enum import Enum

from models.job import Job

UNKNOWN_SECONDS = 1800.0
"""The length of a lease whose claim does not tell it."""

LEAST_SECONDS = 1.0

TIMES = 2
"""A lease that ends later than this many times its length from now was written by a clock that was wrong."""


class Lease(Enum):
    """How a lease stands."""

    GOOD = "good"
    OVER = "over"
    TOO_FAR = "too far ahead to be true"


def length(job: Job) -> timedelta:
    """Return the length of a lease of this attempt."""
    return timedelta(seconds=max(LEAST_SECONDS, UNKNOWN_SECONDS if job.lease_seconds is None else job.lease_seconds))


def judged(job: Job, renewed: datetime | None, now: datetime) -> Lease:
    """Judge the lease of a running attempt.

    Args:
        renewed: the end of the lease as last set, by a heartbeat or because it was too far ahead; None if never set.
        now: by the clock of whoever judges.
    """
    until = renewed or job.lease_until
    if until is None or until < now:
        return Lease.OVER
    return Lease.TOO_FAR if until > now + TIMES * length(job) else Lease.GOOD
