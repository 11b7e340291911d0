"""Ends the attempts whose lease ran out."""

import random
from collections.abc import Sequence

from models import clock
from models.facts import Fact, LeaseExpired
from models.job import Job
from models.retry import after_attempt, unless_cancelled
from storage import failpoints
from tasks.services import Services


def expire_leases(services: Services) -> list[Job]:
    """End every attempt whose worker fell silent: its job is tried again, or ends in ERROR after the last one."""
    if not services.wall.is_trusted(services.settings.lease_seconds):
        return []

    def decide(job: Job) -> Sequence[Fact]:
        assert job.worker is not None  # noqa: S101 - a running job has both
        assert job.lease_until is not None  # noqa: S101
        expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        reason = "the worker that had it fell silent"
        jitter = random.random()  # noqa: S311 - spreads retries, protects nothing
        after = after_attempt(job, reason, "lease", services.retries, now=clock.now(), jitter=jitter)
        return expired, unless_cancelled(job, after)

    expired = services.log.expire(decide, services.worker, services.claims.holders())
    if expired:
        failpoints.point("reconcile.appended")
    return expired
