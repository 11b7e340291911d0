"""Prefect's view of runs that died: Prefect itself keeps them Running for ever."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.objects import State as PrefectState
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Crashed

from flows.prefect_api.liveness import forget, is_orphaned
from flows.prefect_api.names import JOB, end_state
from flows.prefect_api.run_lists import readable
from flows.prefect_api.unreadable_runs import Filters
from models import clock
from models.cancelling import RunEnd, run_end
from models.errors import InputError, JobHeld, LogError, NotCancellable, UnknownJob
from models.events import REOPENS
from models.job import FINAL, Job, Phase
from models.names import job_id_for, job_id_of_key, one_spelling
from models.requests import JobRequest
from tasks.jobs.submission import cancel
from tasks.services import Services

_LOG = logging.getLogger("quledger.prefect")

PAGE = 200
OTHERS = ("drain-queue", "reconcile")
"""Flows whose runs hold a lock on this machine while they are under way."""

_UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_TO_END = [StateType.RUNNING, StateType.PENDING, StateType.PAUSED]
"""What somebody has cancelled is none of these: `cancel_as_in_prefect` sees to it."""


async def crash_dead_runs(services: Services) -> int:
    """End in Prefect each run that it believes to be under way and whose attempt is over by the log.

    The last run of a job that has ended gets the state of the job, any other is Crashed.

    Returns:
        How many there were; 0 where Prefect does not answer.
    """
    count = 0
    try:
        async with get_client() as client:
            for run in await _runs(client, _UNDER_WAY, OTHERS):
                if is_orphaned(services.settings.folder, str(run.id)):
                    await client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
                    forget(services.settings.folder, str(run.id))
                    count += 1
            for run in await _runs(client, _TO_END):
                state = await asyncio.to_thread(_overdue, services, run)
                if state is not None:
                    # Not forced: who has cancelled it since it was listed is heard.
                    answer = await client.set_flow_run_state(run.id, state)
                    count += answer.status is SetStateStatus.ACCEPT
            for run in await _recent(client, [StateType.CRASHED]):
                state = await asyncio.to_thread(_stopped_late, services, run)
                if state is not None:
                    await client.set_flow_run_state(run.id, state, force=True)
                    count += 1
    except Exception as error:  # noqa: BLE001 - Prefect only displays: what it shows may be put right later
        _LOG.warning("prefect_unavailable action=later: %s", type(error).__name__)
    return count


async def is_under_way(client: PrefectClient, deployment_id: UUID) -> bool:
    """Return whether Prefect knows a run of this deployment that is about to begin, runs or is being stopped."""
    states = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)),
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]),
    )
    return bool(await client.read_flow_runs(flow_run_filter=states, limit=1))


async def cancel_as_in_prefect(services: Services, client: PrefectClient) -> None:
    """Cancel each job whose run was cancelled in Prefect within a day, and end runs that are *Cancelling*.

    Prefect lets no run that is *Cancelling* end in any other state: one whose job ended first would stay so for ever.
    """
    cancelling = await _runs(client, [StateType.CANCELLING])
    for run in [*cancelling, *await _recent(client, [StateType.CANCELLED])]:
        try:
            state = await asyncio.to_thread(_cancelled, services, run)
        except LogError as error:
            _LOG.warning("cancel_failed action=try_again run=%s: %s", run.name, error)
            continue
        if state is not None:
            await client.set_flow_run_state(run.id, state, force=True)


def _cancelled(services: Services, run: FlowRun) -> PrefectState | None:
    """Cancel the job of a run, if it still can be; return the state that the run gets, or None if it gets none yet."""
    cancelling = run.state_type is StateType.CANCELLING
    job = _job_of(services, run)
    if job is None:
        # Of another laboratory, unless it was launched here and never begun, or its key was that of an earlier launch.
        launched = cancelling and "job" in (run.parameters or {})
        if launched and (run.start_time is None or _job_of_key(services, run) is not None):
            return Cancelled(message="it was cancelled before it began")
        return None
    if job.state not in FINAL and not was_revived_since(services, job, run):
        try:
            job = cancel(services, job.job_id, by="prefect", reason="cancelled in Prefect")
        except JobHeld:
            return None  # until the log has been restored
        except NotCancellable:
            job = services.log.get(job.job_id)
    attempt = (run.parameters or {}).get("attempt")
    match run_end(job, is_last=job.flow_run_id == str(run.id), attempt=attempt, cancelling=cancelling):
        case RunEnd.AS_THE_JOB:
            return end_state(job)
        case RunEnd.CANCELLED:
            return Cancelled(message="the attempt is over")
        case RunEnd.NOT_YET:
            return None


def _job_of(services: Services, run: FlowRun) -> Job | None:
    """Return the job of a run: by its name, or, while it has none yet, by its own id or the key of its launch."""
    for job_id in (run.name, job_id_for("prefect", str(run.id))):
        with contextlib.suppress(UnknownJob):
            return services.log.get(job_id)
    job = _job_of_key(services, run)
    # Another launch with the same key may have begun it.
    return job if job and services.log.history(job.job_id)[0].flow_run_id == str(run.id) else None


def _job_of_key(services: Services, run: FlowRun) -> Job | None:
    """Return the job to which the key leads that a run was launched with."""
    launched = (run.parameters or {}).get("job")
    if not isinstance(launched, dict) or not launched.get("key"):
        return None
    with contextlib.suppress(InputError, UnknownJob):
        asked = JobRequest.read(launched)
        user, project = one_spelling(asked.user), one_spelling(asked.project)
        return services.log.get(job_id_of_key(asked.backend, user, project, asked.key or "", 0))
    return None


def was_revived_since(services: Services, job: Job, run: FlowRun) -> bool:
    """Return whether an operator gave the job another chance after its run was cancelled."""
    if run.state is None or job.attempt == 0:
        return False
    revived = [event.recorded_at for event in services.log.history(job.job_id) if event.kind in REOPENS]
    return bool(revived) and revived[-1] > run.state.timestamp


async def _recent(client: PrefectClient, kinds: list[StateType]) -> list[FlowRun]:
    """Return the newest runs of jobs in one of these states that were expected to start within the last day."""
    recent = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)),
        expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"after_": clock.now() - timedelta(days=1)}),
    )
    ours = FlowFilter(name=FlowFilterName(any_=[JOB]))
    newest = FlowRunSort.EXPECTED_START_TIME_DESC

    async def ask() -> list[FlowRun]:
        return await client.read_flow_runs(flow_filter=ours, flow_run_filter=recent, sort=newest, limit=PAGE)

    return await readable(client, ask, _filters(ours, recent) | {"sort": newest.value})


def _filters(flows: FlowFilter, runs: FlowRunFilter) -> Filters:
    return {"flows": flows.model_dump(mode="json"), "flow_runs": runs.model_dump(mode="json")}


async def _runs(client: PrefectClient, kinds: list[StateType], names: Sequence[str] = (JOB,)) -> list[FlowRun]:
    runs: list[FlowRun] = []
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)))
    flows = FlowFilter(name=FlowFilterName(any_=list(names)))

    async def ask() -> list[FlowRun]:
        return await client.read_flow_runs(flow_filter=flows, flow_run_filter=states, limit=PAGE, offset=len(runs))

    while True:
        page = await readable(client, ask, _filters(flows, states))
        runs += page
        if len(page) < PAGE:
            return runs


def _overdue(services: Services, run: FlowRun) -> PrefectState | None:
    """Return the state in which a run should have ended by now; None if it may be under way."""
    own = _job_of(services, run)
    job = own or _job_of_key(services, run)
    if job is None:
        return None  # of another laboratory, or not taken into the log yet
    # A run that has just ended may not have told Prefect yet.
    # (A time far ahead was written by a clock that was wrong.)
    if abs(clock.now() - job.updated_at) < timedelta(seconds=services.settings.lease_seconds):
        return None
    if own is None:  # it follows the job of an earlier launch
        return end_state(job) if job.state in FINAL else None
    is_last = job.flow_run_id == str(run.id)
    if job.state in FINAL:
        return end_state(job) if is_last else _crashed()
    attempt = (run.parameters or {}).get("attempt", 1)
    waits = is_last and job.phase is Phase.WAITING and job.attempt == 0
    runs = job.phase is Phase.RUNNING and job.attempt == attempt
    return None if waits or runs else _crashed()


def _stopped_late(services: Services, run: FlowRun) -> PrefectState | None:
    """Return the end state of a job whose run ended the job and was then stopped itself; None for other runs."""
    job = _job_of(services, run)
    if job is None:
        return None
    return end_state(job) if job.state in FINAL and job.flow_run_id == str(run.id) else None


def _crashed() -> PrefectState:
    return Crashed(message="the attempt is over: its worker fell silent or was stopped")
