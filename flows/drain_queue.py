"""Takes jobs from the inbox, claims them in fair order and runs each as a flow run of its own."""

import asyncio
import contextlib
from functools import partial
from typing import Annotated

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts.backend_pages import BackendPages
from flows.draining.handover import Handover
from flows.draining.inbox_poller import InboxPoller
from flows.draining.maintenance import Maintenance
from flows.draining.periodic import run_periodically
from flows.draining.prefect_submissions import PrefectSubmissions
from flows.draining.scheduler import Scheduler
from flows.draining.signs import SECONDS as SIGN_SECONDS
from flows.draining.signs import Signs
from flows.prefect_api.liveness import present
from flows.prefect_api.run_sync import cancel_as_in_prefect, crash_dead_runs
from flows.telling.teller import Teller
from models.errors import LogError
from models.storable import LINE, WHOLE_NUMBER
from tasks.backends import registry
from tasks.jobs.leases import expire_leases
from tasks.services import current

SUBMISSION_SECONDS = 0.4
"""How often it looks for jobs that were launched through Prefect."""

CANCEL_SECONDS = 2.0
"""How often it looks for runs that were cancelled in Prefect."""

DEAD_SECONDS = 30.0
"""How often it looks for runs whose attempts are over, though Prefect does not know."""

CHECK_SECONDS = 15.0
"""How often it is seen whether Prefect can give back the runs that it has."""

OWED_SECONDS = 1.0
"""How often it tries to give back what it could not tell the log of."""

TELL_SECONDS = 2.0
"""How often it looks whether somebody is to be told something."""

PAGES_SECONDS = 15.0
"""How often the pages of the backends are renewed."""

LOOKS_A_LEASE = 4
"""So often during a lease it looks whether one ran out: a job of a worker that died waits a quarter longer at most."""


@flow(name="drain-queue", persist_result=False)
async def drain_queue(
    backends: list[Annotated[str, Field(max_length=100, json_schema_extra=dict(LINE))]] | None = None,
    concurrency: Annotated[int, Field(json_schema_extra=dict(WHOLE_NUMBER))] | None = None,
    until_empty: bool = True,  # noqa: FBT001, FBT002 - a switch in Prefect's form
    time_budget: Annotated[float, Field(json_schema_extra=dict(WHOLE_NUMBER))] | None = None,
) -> dict[str, int]:
    """Serve the queues of the backends.

    Args:
        backends: display names; all that are installed by default.
        concurrency: how many jobs run at once; by default as the settings say.
        until_empty: end when no job is left; else go on until the time is up.
        time_budget: seconds after which no more job is claimed.

    Returns:
        How many jobs ended in each state.

    Raises:
        UnknownBackend: one of the names has no backend.
        BadSetting: one of the names is a plug-in that does not fit. Unasked, such a plug-in is left out.
    """
    services = current()
    names = await asyncio.to_thread(registry.usable) if backends is None else backends
    for name in names:
        # In a thread, as above: what it imports takes seconds, in which the loop goes on.
        await asyncio.to_thread(registry.load, name)
    run_id, home = str(flow_run.get_id()), services.settings.folder
    async with get_client() as client:
        pages = BackendPages(services, client, names, run_id)
        submissions = PrefectSubmissions(services, client)
        poller = InboxPoller(services, names)
        teller = Teller(services)
        maintenance, signs = Maintenance(services, names), Signs(services, names, str(client.api_url))
        scheduler = Scheduler(services, client, poller, submissions, concurrency or services.settings.concurrency)

        async def tell() -> None:
            with contextlib.suppress(LogError):
                await asyncio.to_thread(teller.tell)

        async def take_submissions() -> None:
            await submissions.poll(scheduler.free(), scheduler.wake)

        async def give_back_owed() -> None:
            # While the log does not answer it is asked again and again: whatever it says first is that it is back.
            with contextlib.suppress(LogError):
                if await asyncio.to_thread(services.claims.give_back_owed):
                    scheduler.wake()

        async def give_back_expired() -> None:
            with contextlib.suppress(LogError):
                if await asyncio.to_thread(expire_leases, services):
                    scheduler.wake()

        with present(home, run_id):
            await maintenance.begin(patient=Handover.current() is not None)
            await crash_dead_runs(services)
            async with (
                services.sandbox.borrowed() as sandbox,
                run_periodically("pages", pages.write, PAGES_SECONDS),
                run_periodically("housekeeping", maintenance.run, services.settings.publish_seconds),
                run_periodically("mirror", maintenance.catch_up, services.settings.publish_seconds, at_once=True),
                run_periodically("launches", take_submissions, SUBMISSION_SECONDS),
                run_periodically("cancellations", partial(cancel_as_in_prefect, services, client), CANCEL_SECONDS),
                run_periodically("looking_over", submissions.check_prefect, CHECK_SECONDS),
                run_periodically("dead runs", partial(crash_dead_runs, services), DEAD_SECONDS),
                run_periodically("debts", give_back_owed, OWED_SECONDS),
                run_periodically("leases", give_back_expired, services.settings.lease_seconds / LOOKS_A_LEASE),
                run_periodically("notices", tell, TELL_SECONDS, at_once=True),
                run_periodically("signs_of_life", signs.give, SIGN_SECONDS, at_once=True),
            ):
                # One that goes on for long is ready for its first job before that comes.
                warming = [] if until_empty else [asyncio.create_task(sandbox.fork_servers.get())]
                try:
                    counts = await scheduler.run(until_empty=until_empty, time_budget=time_budget)
                finally:
                    await submissions.close()
                    await asyncio.gather(*warming, return_exceptions=True)
            if not scheduler.leaves_jobs():  # otherwise the next drain begins with what is left to do
                await maintenance.end(poller)
                await tell()
                await signs.end()
        if not scheduler.leaves_jobs():
            await pages.write()
        return counts
