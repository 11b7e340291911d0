"""Ends the attempts whose lease ran out."""

import random
from collections.abc import Sequence

from models import clock
from models.facts import Fact, LeaseExpired
from models.job import Job
from models.policy import SILENT, ending
from storage import failpoints
from tasks.services import Services


def expire_leases(services: Services, *job_ids: str) -> list[Job]:
    """End every attempt whose worker fell silent: its job is tried again, or ends in ERROR after the last one.

    Args:
        job_ids: look at these jobs only; without any, at all.
    """
    if not services.wall.is_trusted(services.settings.lease_seconds):
        return []

    def decide(job: Job) -> Sequence[Fact]:
        assert job.worker is not None  # noqa: S101 - a running job has both
        assert job.lease_until is not None  # noqa: S101
        expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        jitter = random.random()  # noqa: S311 - spreads retries, protects nothing
        return expired, ending(job, SILENT, services.retries, now=clock.now(), jitter=jitter)

    expired = services.log.expire(decide, services.worker, services.claims.holders(), job_ids or None)
    if expired:
        failpoints.point("reconcile.appended")
    return expired
