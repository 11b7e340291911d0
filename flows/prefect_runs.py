"""Prefect's view of runs that died: Prefect itself keeps them Running for ever."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.objects import State as PrefectState
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed

from flows.presence import forget, has_died
from flows.run_job import NAME, end_state
from models import clock
from models.errors import JobHeld, NotCancellable, UnknownJob
from models.job import FINAL, Phase
from tasks.services import Services
from tasks.submission import cancel

_LOG = logging.getLogger("quledger.prefect")

PAGE = 200
OTHERS = ("drain-queue", "reconcile")
"""Flows that show on this machine that they are under way."""

_UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


async def crash_dead_runs(services: Services) -> int:
    """Put right each run that Prefect believes to be under way and whose attempt the log knows to be over.

    The last run of a job that has ended gets the state of the job, any other is Crashed.

    Returns:
        How many there were; 0 where Prefect does not answer.
    """
    count = 0
    try:
        async with get_client() as client:
            for run in await _runs(client, _UNDER_WAY, OTHERS):
                if has_died(services.settings.folder, str(run.id)):
                    await client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
                    forget(services.settings.folder, str(run.id))
                    count += 1
            for run in await _runs(client, _UNDER_WAY):
                state = await asyncio.to_thread(_overdue, services, run)
                if state is not None:
                    await client.set_flow_run_state(run.id, state, force=True)
                    count += 1
            for run in await _recent(client, [StateType.CRASHED]):
                state = await asyncio.to_thread(_stopped_late, services, run)
                if state is not None:
                    await client.set_flow_run_state(run.id, state, force=True)
                    count += 1
    except Exception as error:  # noqa: BLE001 - Prefect only displays: what it shows may be put right later
        _LOG.warning("prefect_unavailable action=later: %s", type(error).__name__)
    return count


async def cancel_as_in_prefect(services: Services, client: PrefectClient) -> None:
    """Cancel each job whose run somebody cancels in Prefect, or has cancelled within a day."""
    for run in await _recent(client, [StateType.CANCELLING, StateType.CANCELLED]):
        try:
            await asyncio.to_thread(cancel, services, run.name, by="prefect", reason="cancelled in Prefect")
        except (UnknownJob, NotCancellable, JobHeld):
            continue  # of another laboratory; or it was quicker, and its run will say so


async def _recent(client: PrefectClient, kinds: list[StateType]) -> list[FlowRun]:
    """Return the newest runs of jobs that are in such a state, of those that were to start within a day."""
    recent = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)),
        expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"after_": clock.now() - timedelta(days=1)}),
    )
    ours = FlowFilter(name=FlowFilterName(any_=[NAME]))
    newest = FlowRunSort.EXPECTED_START_TIME_DESC
    return await client.read_flow_runs(flow_filter=ours, flow_run_filter=recent, sort=newest, limit=PAGE)


async def _runs(client: PrefectClient, kinds: list[StateType], names: Sequence[str] = (NAME,)) -> list[FlowRun]:
    runs: list[FlowRun] = []
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)))
    flows = FlowFilter(name=FlowFilterName(any_=list(names)))
    while True:
        page = await client.read_flow_runs(flow_filter=flows, flow_run_filter=states, limit=PAGE, offset=len(runs))
        runs += page
        if len(page) < PAGE:
            return runs


def _overdue(services: Services, run: FlowRun) -> PrefectState | None:
    """Return the state that a run should have ended in a while ago; None for one that may well be under way."""
    try:
        job = services.log.get(run.name)
    except UnknownJob:
        return None  # of another laboratory, or not taken into the log yet
    # A run that has just ended may not have told Prefect yet.
    if clock.now() - job.updated_at < timedelta(seconds=services.settings.lease_seconds):
        return None
    is_last = job.flow_run_id == str(run.id)
    if job.state in FINAL:
        return end_state(job) if is_last else _dead()
    attempt = (run.parameters or {}).get("attempt", 1)
    waits = is_last and job.phase is Phase.WAITING and job.attempt == 0
    runs = job.phase is Phase.RUNNING and job.attempt == attempt
    return None if waits or runs else _dead()


def _stopped_late(services: Services, run: FlowRun) -> PrefectState | None:
    """Return the state of a job that its run had ended when the run itself was stopped; None where it had not."""
    try:
        job = services.log.get(run.name)
    except UnknownJob:
        return None
    return end_state(job) if job.state in FINAL and job.flow_run_id == str(run.id) else None


def _dead() -> PrefectState:
    return Crashed(message="the attempt is over: its worker fell silent or was stopped")
