"""Jobs that people launch through Prefect's form or API: a drain takes them into the log, and runs them warm.

Each such job has its flow run already. Where no drain is at hand, a worker of the work pool runs the same flow.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from uuid import UUID, uuid4

from httpx import codes
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows.draining.launch_answers import LaunchAnswers
from flows.draining.launch_intake import take_in
from flows.prefect_api.names import CLAIMED_JOBS, FLOWS, JOBS, tags_of
from flows.prefect_api.run_lists import DueRuns, of_deployments, readable
from flows.prefect_api.unreadable_runs import Filters
from models.job import Job, State
from tasks.services import Services

_LOG = logging.getLogger("quledger.launches")

AT_ONCE = 50
"""So many launches are taken into the log in one transaction."""

PAGES = 4
"""So often one look goes on at once where there is more."""

MAX_UNTOLD = 200
"""No more are looked for while Prefect has still to be told of so many."""

LOOK_OVER = 200
"""So many of the newest runs are looked at to see whether Prefect can give them back."""

TO_BEGIN = (StateType.SCHEDULED, StateType.PENDING)

SEARCH_SECONDS = 20.0
"""How often it is asked whether the deployment has come to be, while there is none."""


class PrefectSubmissions:
    """The scheduled runs of the deployment `run-job`."""

    def __init__(self, services: Services, client: PrefectClient) -> None:
        self._services, self._client = services, client
        self._due = DueRuns(client)
        self._deployment_id: UUID | None = None
        self._search_at = time.monotonic()
        self._answers = LaunchAnswers(services, client)

    async def poll(self, places: int, wake: Callable[[], None]) -> None:
        """Take the launched jobs that are due into the log, and begin to tell Prefect of them.

        Args:
            places: so many of those that are new may begin at once, and are not told to wait.
            wake: called when jobs have come into the log.
        """
        deployment_id = await self.deployment()
        for _ in range(PAGES):
            if deployment_id is None or len(self._answers.untold) > MAX_UNTOLD:
                return
            untold = [UUID(run_id) for run_id in self._answers.untold]
            runs = await self._due.list([deployment_id], AT_ONCE, without=untold)
            new = [run for run in runs if str(run.id) not in self._answers.untold]
            if not new:
                return
            self._answers.expect(new)
            try:
                taken = await asyncio.to_thread(take_in, self._services, new)
            except BaseException:
                self._answers.release(new)
                raise
            self._answers.tell(taken, places)
            if any(each.job is not None and each.job.state is State.QUEUED for each in taken):
                wake()
            if len(runs) < AT_ONCE or not any(each.job is not None or each.refusal for each in taken):
                return
            places = 0

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
        if (run := await self._answers.known(job.flow_run_id)) is not None:
            return run
        try:
            return await self._client.read_flow_run(UUID(job.flow_run_id))
        except ObjectNotFound:
            return None
        except PrefectHTTPStatusError as error:
            if error.response.status_code != codes.INTERNAL_SERVER_ERROR:
                raise
            return None  # somebody has changed it so that it cannot be given back

    async def close(self) -> None:
        """Leave the rest to the next drain, which finds it as this one has."""
        await self._answers.close()

    async def deployment(self) -> UUID | None:
        """Return Prefect's id of the deployment; None while there is none."""
        if self._deployment_id is not None or time.monotonic() < self._search_at:
            return self._deployment_id
        try:
            self._deployment_id = (await self._client.read_deployment_by_name(JOBS)).id
        except ObjectNotFound:
            self._search_at = time.monotonic() + SEARCH_SECONDS
        return self._deployment_id


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
