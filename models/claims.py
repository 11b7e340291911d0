"""Rules of a claim: whose turn it is, the token of its holder, and when its lease has run out.

The token is a secret of one process: a worker draws one for each claim and shows it with every write of that attempt.
Histories are mirrored for everybody to read, so an event holds the token's SHA-256 alone: it says who holds the job,
and lets nobody pretend to. A lease is judged by stored times, which a clock that was wrong may have written.
"""

import hashlib
import secrets
from collections import Counter, deque
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from models.job import Job

TOKEN_BYTES = 32

UNTOLD_LEASE_SECONDS = 1800.0
"""The length of a lease if its claim does not say."""

MIN_LEASE_SECONDS = 1.0

MAX_LEASE_LENGTHS = 2
"""A lease that ends later than this many times its length from now was written by a clock that was wrong."""


class Waiting(NamedTuple):
    """The job at the head of one user's queue."""

    user: str
    received_at: str
    job_id: str


def fairest(heads: list[Waiting], running: dict[str, int]) -> Waiting | None:
    """Return the job to serve next: of the user with the fewest running jobs, then the one that was received first.

    Priorities order the jobs of one user; between users they say nothing, or each would give the highest.

    Args:
        heads: the first waiting job of each user and backend, by the user's priorities.
        running: running jobs per user; a user without one may be missing.
    """
    return min(
        heads,
        key=lambda head: (running.get(head.user, 0), head.received_at, head.job_id),
        default=None,
    )


def in_fair_order(waiting: list[Waiting], running: dict[str, int]) -> list[Waiting]:
    """Return waiting jobs in the order in which they would be claimed if none of them ended meanwhile.

    Args:
        waiting: each user's in the order of his queue.
        running: as for `fairest`.
    """
    queues: dict[str, deque[Waiting]] = {}
    for each in waiting:
        queues.setdefault(each.user, deque()).append(each)
    counts = Counter(running)
    found = []
    while (head := fairest([queue[0] for queue in queues.values() if queue], counts)) is not None:
        found.append(queues[head.user].popleft())
        counts[head.user] += 1
    return found


def new_token() -> str:
    """Return a token that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def holder_of(token: str) -> str:
    """Return the holder that the log names for a token: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


class Lease(Enum):
    """How a lease stands."""

    GOOD = "good"
    OVER = "over"
    TOO_FAR = "too far ahead to be true"


def lease_length(job: Job) -> timedelta:
    """Return the length of a lease of this attempt."""
    return timedelta(
        seconds=max(MIN_LEASE_SECONDS, UNTOLD_LEASE_SECONDS if job.lease_seconds is None else job.lease_seconds)
    )


def judge_lease(job: Job, renewed: datetime | None, now: datetime) -> Lease:
    """Judge the lease of a running attempt.

    Args:
        renewed: the end of the lease as last set, by a heartbeat or because it was too far ahead; None if never set.
        now: the time by the caller's clock.
    """
    until = renewed or job.lease_until
    if until is None or until < now:
        return Lease.OVER
    return Lease.TOO_FAR if until > now + MAX_LEASE_LENGTHS * lease_length(job) else Lease.GOOD
