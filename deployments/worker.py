"""A warm worker: one process that takes the scheduled runs of all deployments and runs them at once.

A worker of Prefect's own starts a Python process for each run, which takes seconds; this one has imported everything.
Both may serve one pool: whoever sets a run to Pending first has it.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import threading
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import Failed, Pending
from prefect.utilities.callables import get_parameter_defaults

from deployments.logs import speak
from deployments.prefect_server import PrefectUnavailable
from flows.drain_queue import drain_queue
from flows.launches import DEPLOYMENT
from flows.prefect_runs import crash_dead_runs
from flows.publish_backends import publish_backends
from flows.reconcile import reconcile
from flows.run_job import run_job
from flows.verify import verify
from flows.waiting import repeating
from flows.warm import leave_sigterm_alone, run_as
from models import clock
from models.settings import Settings
from tasks.releases import release_all
from tasks.services import Services, use

_LOG = logging.getLogger("quledger.worker")

DRAIN = f"{drain_queue.name}/{drain_queue.name}"
FLOWS: dict[str, Flow[Any, Any]] = {
    DEPLOYMENT: run_job,
    **{f"{flow.name}/{flow.name}": flow for flow in (drain_queue, reconcile, verify, publish_backends)},
}
"""Deployment -> the flow that it runs."""

POLL_SECONDS = 1.0
STOP_SECONDS = 15.0
AT_ONCE = 20


class Worker:
    """Runs what is scheduled, until it is told to stop."""

    def __init__(self, services: Services, client: PrefectClient) -> None:
        self._services, self._client = services, client
        self._deployments: dict[UUID, str] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Take and run until `stop` is set; then what is under way is given back."""
        self._deployments = await self._find(stop)
        await crash_dead_runs(self._services)
        await self._begin_draining()
        async with repeating("scheduled_runs", self._take_due, POLL_SECONDS):
            await stop.wait()
        self._services.stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _find(self, stop: asyncio.Event) -> dict[UUID, str]:
        """Return the deployments; they may be registered while we wait."""
        found: dict[UUID, str] = {}
        while len(found) < len(FLOWS) and not stop.is_set():
            for name in FLOWS.keys() - set(found.values()):
                with contextlib.suppress(ObjectNotFound):
                    found[(await self._client.read_deployment_by_name(name)).id] = name
            if len(found) < len(FLOWS):
                await asyncio.sleep(POLL_SECONDS)
        return found

    async def _begin_draining(self) -> None:
        """Begin a drain now that lasts until the next scheduled one: no job waits for the clock."""
        if not self._deployments:
            return
        drain = next(key for key, name in self._deployments.items() if name == DRAIN)
        now = clock.now()
        waiting = await self._client.get_scheduled_flow_runs_for_deployments([drain], limit=AT_ONCE)
        starts = [run.next_scheduled_start_time for run in waiting if run.next_scheduled_start_time]
        if any(start <= now for start in starts):
            return  # one is due, and will be taken like any other
        budget = min((start.timestamp() - now.timestamp() for start in starts), default=None)
        parameters = {} if budget is None else {"time_budget": max(1.0, budget - 1)}
        await self._client.create_flow_run_from_deployment(drain, parameters={"until_empty": False} | parameters)

    async def _take_due(self) -> None:
        # Jobs are taken by the drain, in their fair order; only where none runs here they are taken as they come.
        ours = [
            key for key, name in self._deployments.items() if name != DEPLOYMENT or DRAIN not in self._tasks.values()
        ]
        due = await self._client.get_scheduled_flow_runs_for_deployments(
            ours, scheduled_before=clock.now(), limit=AT_ONCE
        )
        for run in due:
            name = self._deployments.get(run.deployment_id) if run.deployment_id else None
            if name is None:
                continue
            state = await self._pending(run)
            if state is None:
                continue  # somebody else has it, or it has to wait for its turn
            run.state = state
            task = asyncio.create_task(self._run(FLOWS[name], run))
            self._tasks[task] = name
            task.add_done_callback(self._tasks.pop)

    async def _pending(self, run: FlowRun) -> State[Any] | None:
        """Set a run to Pending; return that state, None if the run is not ours."""
        # Where an answer is lost, the client asks again, and is told no: by this message we know our own state.
        message = f"taken by {self._services.worker}"
        answer: OrchestrationResult[Any] = await self._client.set_flow_run_state(run.id, Pending(message=message))
        if answer.status is SetStateStatus.ACCEPT:
            return answer.state if answer.state is not None and answer.state.is_pending() else None
        state = (await self._client.read_flow_run(run.id)).state
        return state if state is not None and state.is_pending() and state.message == message else None

    async def _run(self, flow: Flow[Any, Any], run: FlowRun) -> None:
        try:
            parameters = flow.validate_parameters(get_parameter_defaults(flow.fn) | run.parameters)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is the launcher's to put right
            await self._client.set_flow_run_state(run.id, Failed(message=str(error)[:2000]), force=True)
            return
        try:
            await run_as(flow, run, parameters)
        except Exception as error:  # noqa: BLE001 - one run must not end the others
            _LOG.warning("run_broke action=none run=%s: %s", run.id, type(error).__name__)


async def serve(services: Services, *, with_parent: bool) -> None:
    """Serve until SIGTERM or Ctrl-C comes, or standard input ends if that is the parent's sign."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if with_parent:
        threading.Thread(target=_end_with_parent, args=(loop, stop), daemon=True).start()
    async with get_client() as client:
        await Worker(services, client).run(stop)


def _end_with_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    with contextlib.suppress(RuntimeError):  # it has ended already
        loop.call_soon_threadsafe(stop.set)


def work(services: Services, *, with_parent: bool = False) -> None:
    """Serve the deployments of the server that `PREFECT_API_URL` names.

    Raises:
        PrefectUnavailable: it stopped answering before it was known what there is to serve.
    """
    from deployments.drain import flush_prefect  # noqa: PLC0415 - not needed before the end

    leave_sigterm_alone()
    try:
        asyncio.run(serve(services, with_parent=with_parent))
    except httpx.HTTPError as error:
        msg = f"Prefect stopped answering ({type(error).__name__}); start the worker again when it is back"
        raise PrefectUnavailable(msg) from None
    finally:
        release_all(services)
        flush_prefect()


def main() -> None:
    """Serve for a parent that holds our standard input open, as `quledger up` does."""
    services = Services(Settings.read())
    services.open()
    use(services)
    speak()
    work(services, with_parent=True)


if __name__ == "__main__":
    main()
