"""Lists of Prefect's runs, also where Prefect fails on some of them."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError

from flows.prefect_api.unreadable_runs import Filters, clear
from models import clock


async def readable(
    client: PrefectClient, ask: Callable[[], Awaitable[list[FlowRun]]], filters: Filters
) -> list[FlowRun]:
    """Return a list of runs; if Prefect fails on some of them, clear those away first.

    Args:
        ask: asks Prefect for the list.
        filters: choose at least the runs in that list.
    """
    try:
        return await ask()
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
            raise
    # Another process may do the same at the same time, so how many this finds does not matter.
    await asyncio.to_thread(clear, str(client.api_url), filters)
    return await ask()


async def due(client: PrefectClient, deployments: list[UUID], limit: int, *, later: bool = False) -> list[FlowRun]:
    """Return the scheduled runs of these deployments that are due now; with `later`, those due later too."""

    async def ask() -> list[FlowRun]:
        before = None if later else clock.now()
        found = await client.get_scheduled_flow_runs_for_deployments(deployments, scheduled_before=before, limit=limit)
        return list(found)

    return await readable(client, ask, of_deployments(deployments, "SCHEDULED"))


def of_deployments(deployments: list[UUID], *states: str) -> Filters:
    """Return filters for the runs of these deployments, in one of these states if any are named."""
    filters: Filters = {"deployments": {"id": {"any_": [str(each) for each in deployments]}}}
    return filters | ({"flow_runs": {"state": {"type": {"any_": list(states)}}}} if states else {})
