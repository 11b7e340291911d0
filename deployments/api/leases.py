"""Jobs of devices outside that no engine brings on: seen here, since a laboratory of such devices needs no drain."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from models.errors import SigningError, StorageError
from models.job import RUNNING, Job, State
from storage.log import job_lists
from storage.log.job_lists import MAX_PAGE, Query
from tasks.backends.qubits import published
from tasks.jobs.attempt import Hold
from tasks.jobs.checking import Checked
from tasks.jobs.engines import PATIENCE, begin
from tasks.jobs.leases import expire_leases
from tasks.services import Services

_LOG = logging.getLogger("quledger.api")

LOOK_SECONDS = 15.0


async def watch_leases(services: Services) -> None:
    """Give back what silent engines have, and upload what could not be before, until it is cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await asyncio.to_thread(services.claims.give_back_owed)
            await asyncio.to_thread(give_back, services)
            await upload_staged(services)
        except Exception as error:  # noqa: BLE001 - nobody else looks after these jobs
            _LOG.warning("leases_unseen action=try_again: %s", error)


def give_back(services: Services) -> int:
    """Give back the jobs of engines outside whose leases have run out; return how many."""
    running = [job.job_id for job in _jobs(services, RUNNING)]
    return len(expire_leases(services, *running)) if running else 0


async def upload_staged(services: Services) -> int:
    """Bring jobs to their end that have run, and whose results wait for their storage; return how many ended."""
    ended = 0
    for job in await asyncio.to_thread(_jobs, services, {State.QUEUED}):
        if job.executed is None:
            continue
        claim = await asyncio.to_thread(services.claims.claim_job, job.job_id)
        if claim is None:
            continue
        held = Hold(services, claim, services.worker, patience=PATIENCE)
        await services.claims.run_to_end(claim, _upload(held))
        await held.mirror()
        ended += held.job.state is State.DONE
    return ended


async def _upload(held: Hold) -> None:
    with contextlib.suppress(StorageError, SigningError):  # it waits on
        await begin(held, Checked(0, 0, None))


def _jobs(services: Services, states: Iterable[State]) -> list[Job]:
    """Return jobs of devices outside, the oldest first."""
    found: list[Job] = []
    for name in filter(published.is_outside, published.names()):
        query = Query(everything=True, backend=name, states=frozenset(states), newest_first=False)
        found += job_lists.page(services.log.engine, query, limit=MAX_PAGE).jobs
    return found
