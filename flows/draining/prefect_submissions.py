"""Jobs that people launch through Prefect's form or API: a drain takes them into the log, and runs them warm.

Each such job has its flow run already. Where no drain is at hand, a worker of the work pool runs the same flow.
"""

import asyncio
import logging
import time
from uuid import UUID, uuid4

from httpx import codes
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Completed, Failed, Pending

from flows.prefect_api.names import CLAIMED_JOBS, FLOWS, JOBS, end_state, name_run, tags_of
from flows.prefect_api.run_lists import DueRuns, of_deployments, readable
from flows.prefect_api.unreadable_runs import Filters
from flows.run_job import submit_request, untaken
from models.errors import AppendConflict, InputError, LogUnavailable, NotRevivable, StorageError
from models.job import FINAL, Job, State
from models.names import check_job_id
from models.requests import JobRequest
from storage.log.pauses import pauses
from tasks.jobs.submission import revive
from tasks.services import Services

_LOG = logging.getLogger("quledger.launches")

AT_ONCE = 50
LOOK_OVER = 200
"""So many of the newest runs are looked at to see whether Prefect can give them back."""

TO_BEGIN = (StateType.SCHEDULED, StateType.PENDING)
CANCELS = (StateType.CANCELLED, StateType.CANCELLING)
FRESH_SECONDS = 2.0
"""For how long a run is taken to be as it was when it was taken; who cancels it meanwhile is heard a moment later."""

SEARCH_SECONDS = 20.0
"""How often it is asked whether the deployment has come to be, while there is none."""


class PrefectSubmissions:
    """The scheduled runs of the deployment `run-job`."""

    def __init__(self, services: Services, client: PrefectClient) -> None:
        self._services, self._client = services, client
        self._due = DueRuns(client)
        self._deployment_id: UUID | None = None
        self._search_at = time.monotonic()
        self._taking: dict[str, asyncio.Event] = {}
        # Runs as they were when they were taken, with the time (on the steady clock): most begin at once.
        self._fresh: dict[str, tuple[float, FlowRun]] = {}

    async def poll(self) -> int:
        """Take every launched job that is due into the log; return how many runs were seen."""
        deployment_id = await self.deployment()
        if deployment_id is None:
            return 0
        runs = await self._due.list([deployment_id], AT_ONCE)
        self._fresh = {key: kept for key, kept in self._fresh.items() if time.monotonic() < kept[0] + FRESH_SECONDS}
        for run in runs:
            self._taking[str(run.id)] = taken = asyncio.Event()
            try:
                await self._take(run)
            except Exception as error:  # noqa: BLE001 - one launch must not keep the others from being taken
                _LOG.warning("launch_untaken action=try_again run=%s: %s", run.id, type(error).__name__)
            finally:
                taken.set()
                del self._taking[str(run.id)]
        return len(runs)

    async def check_prefect(self) -> None:
        """Look at the newest runs of all our flows: one that cannot be given back spoils the lists of people too."""
        deployment_id = await self.deployment()
        if deployment_id is not None:
            await self._look_over(of_deployments([deployment_id]))
        ours = {"flows": {"name": {"any_": list(FLOWS)}}}
        # Schedules make more runs ahead than one list holds, so those are asked for by themselves.
        for which in ("any_", "not_any_"):
            await self._look_over(ours | {"flow_runs": {"state": {"type": {which: [StateType.SCHEDULED.value]}}}})

    async def _look_over(self, filters: Filters) -> None:
        filters = filters | {"sort": FlowRunSort.EXPECTED_START_TIME_DESC.value}

        async def ask() -> list[FlowRun]:
            await self._client.request("POST", "/flow_runs/filter", json=filters | {"limit": LOOK_OVER})
            return []

        await readable(self._client, ask, filters)

    async def run_of(self, job: Job) -> FlowRun | None:
        """Return the run that submitted a job; None where it came through another door, or Prefect has forgotten it."""
        if job.source != "prefect" or job.flow_run_id is None:
            return None
        if job.flow_run_id in self._taking:
            # It may be claimed before it is told to wait, and must not be told so when it runs.
            await self._taking[job.flow_run_id].wait()
        taken_at, run = self._fresh.pop(job.flow_run_id, (float("-inf"), None))
        if run is not None and time.monotonic() < taken_at + FRESH_SECONDS:
            return run
        try:
            return await self._client.read_flow_run(UUID(job.flow_run_id))
        except ObjectNotFound:
            return None
        except PrefectHTTPStatusError as error:
            if error.response.status_code != codes.INTERNAL_SERVER_ERROR:
                raise
            return None  # somebody has changed it so that it cannot be given back

    async def deployment(self) -> UUID | None:
        """Return Prefect's id of the deployment; None while there is none."""
        if self._deployment_id is not None or time.monotonic() < self._search_at:
            return self._deployment_id
        try:
            self._deployment_id = (await self._client.read_deployment_by_name(JOBS)).id
        except ObjectNotFound:
            self._search_at = time.monotonic() + SEARCH_SECONDS
        return self._deployment_id

    async def _take(self, run: FlowRun) -> None:
        try:
            job = await asyncio.to_thread(self._submitted, run)
        except (AppendConflict, LogUnavailable, StorageError):
            raise  # no fault of the launch, which waits
        except Exception as error:  # noqa: BLE001 - a launch that cannot be taken, for whatever reason, is ended
            message = str(error) if isinstance(error, InputError) else untaken(error)
            await self._client.set_flow_run_state(run.id, Failed(message=message), force=True)
            return
        if job.flow_run_id != str(run.id):
            message = f"this is job {job.job_id}, which was submitted before"
            await self._client.set_flow_run_state(run.id, Completed(message=message), force=True)
        elif job.state is State.QUEUED and run.name != job.job_id:
            # It may well begin in a moment; if it does not, it is told at the next look that it has to wait.
            await name_run(self._client, run, job)
            self._fresh[str(run.id)] = time.monotonic(), run
        elif job.state is State.QUEUED:
            self._fresh.pop(str(run.id), None)
            # Whoever else looks for scheduled runs leaves this one alone from here on.
            await self._client.set_flow_run_state(run.id, Pending(message=await self._why_waiting(job)))
            job = await asyncio.to_thread(self._services.log.get, job.job_id)
            if job.state in FINAL:
                # Another drain was so quick that the run had ended, and we have just undone that.
                await self._client.set_flow_run_state(run.id, end_state(job), force=True)
        elif job.state in FINAL:
            await name_run(self._client, run, job)
            await self._client.set_flow_run_state(run.id, end_state(job), force=True)
        # Otherwise another drain is about to begin it.

    async def _why_waiting(self, job: Job) -> str:
        pause = (await asyncio.to_thread(pauses, self._services.log.engine)).get(job.backend)
        return f"job {job.job_id} waits: {pause}" if pause else f"job {job.job_id} waits for its turn"

    def _submitted(self, run: FlowRun) -> Job:
        """Return the job of a run, which is in the log from now on.

        Raises:
            InputError: says what is wrong with what was launched.
        """
        parameters = run.parameters or {}
        if "job_id" in parameters:
            # Somebody has begun a run again that a drain had made.
            job = self._services.log.get(check_job_id(str(parameters["job_id"])))
        else:
            job = submit_request(self._services, JobRequest.read(parameters.get("job", {})), str(run.id))
        if job.state is not State.ERROR or job.flow_run_id != str(run.id):
            return job
        try:
            # Somebody has begun the run again; a job that failed through no fault of its own is given another chance.
            return revive(self._services, job.job_id)
        except NotRevivable:
            return job


async def dispatch(client: PrefectClient, job: Job) -> None:
    """Schedule a run of the deployment that runs a claimed job in a process of its own.

    Raises:
        ObjectNotFound: there is no such deployment; `prefect deploy --all` makes it.
    """
    deployment = await client.read_deployment_by_name(CLAIMED_JOBS)
    await client.create_flow_run_from_deployment(
        deployment.id,
        name=job.job_id,
        parameters={"job_id": job.job_id, "attempt": job.attempt},
        tags=tags_of(job),
        # For the client alone, which asks again where an answer is lost:
        # a log that was restored may count an attempt anew.
        idempotency_key=str(uuid4()),
    )
