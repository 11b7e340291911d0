"""Engines outside that fell silent: seen here, since a laboratory whose devices are all outside needs no drain."""

import asyncio
import logging

from models.errors import QuledgerError
from models.job import RUNNING
from storage.log import job_lists
from storage.log.job_lists import MAX_PAGE, Query
from tasks.backends import registry
from tasks.jobs.leases import expire_leases
from tasks.services import Services

_LOG = logging.getLogger("quledger.api")

LOOK_SECONDS = 15.0


async def watch_leases(services: Services) -> None:
    """Give back, until it is cancelled, the jobs of engines outside whose leases have run out."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await asyncio.to_thread(give_back, services)
        except QuledgerError as error:
            _LOG.warning("leases_unseen action=try_again: %s", error)


def give_back(services: Services) -> int:
    """Give back the jobs of engines outside whose leases have run out; return how many."""
    ended = []
    for name in filter(registry.served_outside, registry.names()):
        query = Query(everything=True, backend=name, states=RUNNING)
        running = [job.job_id for job in job_lists.page(services.log.engine, query, limit=MAX_PAGE).jobs]
        if running:
            ended += expire_leases(services, *running)
    return len(ended)
