"""Brings right what a crash left behind: leases that ran out, documents that do not follow the log."""

import asyncio

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.prefect_api.liveness import present
from flows.prefect_api.run_sync import cancel_as_in_prefect, crash_dead_runs
from tasks.jobs.leases import expire_leases
from tasks.services import current
from tasks.sweeping import sweep_leftovers


@flow(name="reconcile", persist_result=False)
async def reconcile() -> dict[str, int]:
    """Expire leases, relay what is not mirrored, end dead runs in Prefect; a second run finds nothing to do."""
    services = current()
    with present(services.settings.folder, str(flow_run.get_id())):
        await asyncio.to_thread(services.rollback.compare_all)
        expired = await asyncio.to_thread(expire_leases, services)
        relayed = await asyncio.to_thread(services.relay.update_all)
        await asyncio.to_thread(sweep_leftovers, services)
        crashed = await crash_dead_runs(services)
        async with get_client() as client:
            await cancel_as_in_prefect(services, client)
        await asyncio.to_thread(services.marks.end)
        held = await asyncio.to_thread(services.holds.count)
    done = {"expired": len(expired), "relayed": relayed.done, "failed": relayed.failed, "crashed": crashed}
    return done | ({"held": held} if held else {})
