"""Brings right what a crash left behind: leases that ran out, documents that do not follow the log."""

import asyncio
import random
from collections.abc import Sequence

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.prefect_runs import cancel_as_in_prefect, crash_dead_runs
from flows.presence import present
from models import clock
from models.events import Fact, LeaseExpired
from models.job import Job
from models.retry import after_attempt, unless_cancelled
from storage import crash
from tasks.services import Services, current


def expire_leases(services: Services) -> list[Job]:
    """End every attempt whose worker fell silent: its job is tried again, or ends in ERROR after the last one."""

    def decide(job: Job) -> Sequence[Fact]:
        assert job.worker is not None  # noqa: S101 - a running job has both
        assert job.lease_until is not None  # noqa: S101
        expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
        reason = "the worker that had it fell silent"
        jitter = random.random()  # noqa: S311 - spreads retries, protects nothing
        after = after_attempt(job, reason, "lease", services.retries, now=clock.now(), jitter=jitter)
        return expired, unless_cancelled(job, after)

    expired = services.log.expire(decide, services.worker)
    if expired:
        crash.point("reconcile.appended")
    return expired


@flow(name="reconcile", persist_result=False)
async def reconcile() -> dict[str, int]:
    """Expire leases, relay what is not mirrored, end dead runs in Prefect; a second run finds nothing to do."""
    services = current()
    with present(services.settings.folder, str(flow_run.get_id())):
        expired = await asyncio.to_thread(expire_leases, services)
        relayed = await asyncio.to_thread(services.mirror.relay_all)
        crashed = await crash_dead_runs(services)
        async with get_client() as client:
            await cancel_as_in_prefect(services, client)
    return {"expired": len(expired), "relayed": relayed.done, "failed": relayed.failed, "crashed": crashed}
