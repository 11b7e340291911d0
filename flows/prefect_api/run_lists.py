"""Lists of Prefect's runs, also where Prefect fails on some of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectHTTPStatusError

from flows.prefect_api.unreadable_runs import Filters, clear
from models import clock

NOTED_SECONDS = 20.0
"""So long Prefect need not be told again that a deployment is served; it forgets that after a minute."""

_NEXT_FIRST = FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC.value


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


class DueRuns:
    """Lists the scheduled runs that are due, for one process that begins them.

    The call that Prefect has for it also notes that somebody serves these deployments, so that they are *Ready*. That
    is true for a minute, and costs its server more than the list does; in between it is asked for the list alone.
    """

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._noted_at: dict[UUID, float] = {}

    async def list(
        self, deployments: list[UUID], limit: int, *, later: bool = False, without: Sequence[UUID] = ()
    ) -> list[FlowRun]:
        """Return the scheduled runs of these deployments that are due now.

        Args:
            later: return those due later too.
            without: runs that are left out of a list alone.
        """
        filters = of_deployments(deployments, StateType.SCHEDULED)
        before = None if later else clock.now()
        # By the steady clock, taken before it is asked.
        now = time.monotonic()
        is_noted = all(now < self._noted_at.get(each, float("-inf")) + NOTED_SECONDS for each in deployments)

        async def ask() -> list[FlowRun]:
            return list(
                await self._client.get_scheduled_flow_runs_for_deployments(
                    deployments, scheduled_before=before, limit=limit
                )
            )

        async def ask_for_the_list() -> list[FlowRun]:
            body = of_deployments(deployments, StateType.SCHEDULED) | {"limit": limit, "sort": _NEXT_FIRST}
            if before is not None:
                body["flow_runs"]["next_scheduled_start_time"] = {"before_": before.isoformat()}
            if without:
                body["flow_runs"]["id"] = {"not_any_": [str(each) for each in without]}
            answer = await self._client.request("POST", "/flow_runs/filter", json=body)
            return FlowRun.model_validate_list(answer.json())

        found = await readable(self._client, ask_for_the_list if is_noted else ask, filters)
        if not is_noted:
            self._noted_at |= dict.fromkeys(deployments, now)
        return found


def of_deployments(deployments: list[UUID], *states: str) -> Filters:
    """Return filters for the runs of these deployments, in one of these states if any are named."""
    filters: Filters = {"deployments": {"id": {"any_": [str(each) for each in deployments]}}}
    return filters | ({"flow_runs": {"state": {"type": {"any_": list(states)}}}} if states else {})
