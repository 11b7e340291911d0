"""Prefect's view of runs that died: Prefect itself keeps them Running for ever."""

import asyncio
import logging
from datetime import timedelta

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

from flows.run_job import run_job
from models import clock
from models.errors import UnknownJob
from models.job import Phase
from tasks.services import Services

_LOG = logging.getLogger("quledger.prefect")

PAGE = 200
_UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


async def crash_dead_runs(services: Services) -> int:
    """Set each run to Crashed that Prefect believes to be under way and whose attempt the log knows to be over.

    Returns:
        How many there were; 0 where Prefect does not answer.
    """
    try:
        async with get_client() as client:
            dead = [run for run in await _under_way(client) if await asyncio.to_thread(_is_over, services, run)]
            for run in dead:
                message = "the attempt is over: its worker fell silent or was stopped"
                await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    except Exception as error:  # noqa: BLE001 - Prefect only displays: what it shows may be put right later
        _LOG.warning("prefect_unavailable action=later: %s", type(error).__name__)
        return 0
    return len(dead)


async def _under_way(client: PrefectClient) -> list[FlowRun]:
    runs: list[FlowRun] = []
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)))
    flows = FlowFilter(name=FlowFilterName(any_=[run_job.name]))
    while True:
        page = await client.read_flow_runs(flow_filter=flows, flow_run_filter=states, limit=PAGE, offset=len(runs))
        runs += page
        if len(page) < PAGE:
            return runs


def _is_over(services: Services, run: FlowRun) -> bool:
    """Say whether the attempt of a run has been over for a while; a run of another laboratory is left alone."""
    parameters = run.parameters or {}
    try:
        job = services.log.get(str(parameters.get("job_id")))
    except UnknownJob:
        return False
    # A run that has just ended may not have told Prefect yet.
    if clock.now() - job.updated_at < timedelta(seconds=services.settings.lease_seconds):
        return False
    return job.attempt > parameters.get("attempt", 0) or job.phase is not Phase.RUNNING
