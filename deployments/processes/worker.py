"""A warm worker: one process that takes the scheduled runs of all deployments and runs them at once.

A worker of Prefect's own starts a Python process for each run, which takes seconds; this one has imported everything.
Both may serve one pool: whoever sets a run to Pending first has it.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import AsyncClientContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Failed, Pending
from prefect.utilities.callables import get_parameter_defaults

from deployments.deploy import POOL
from deployments.processes.parent import end_with_parent
from deployments.processes.prefect_server import PrefectUnavailable
from deployments.processes.stop_signals import stop_signals
from flows.drain_queue import drain_queue
from flows.draining.handover import Handover
from flows.draining.launch_intake import take_in
from flows.draining.periodic import run_periodically
from flows.health import health
from flows.prefect_api.engine import flush_prefect, leave_sigterm_alone, run_as
from flows.prefect_api.names import CLAIMED_JOBS, JOBS
from flows.prefect_api.run_lists import DueRuns
from flows.prefect_api.run_sync import crash_dead_runs, is_under_way
from flows.publish_backends import publish_backends
from flows.reconcile import reconcile
from flows.run_job import run_attempt, run_job
from flows.verify import verify
from models import clock
from models.errors import MAX_MESSAGE, printable
from tasks.services import Services
from tasks.watchdog import watched

_LOG = logging.getLogger("quledger.worker")

DRAIN = f"{drain_queue.name}/{drain_queue.name}"
FLOWS: dict[str, Flow[Any, Any]] = {
    JOBS: run_job,
    **{f"{flow.name}/{flow.name}": flow for flow in (drain_queue, reconcile, verify, publish_backends, health)},
}
"""Deployment -> the flow that it runs."""

POLL_SECONDS = 1.0
BEAT_SECONDS = 30.0
STOP_SECONDS = 15.0
MAX_RUNS = 20
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

OVERTIME_SECONDS = 60.0
"""So much longer a scheduled drain may serve here: it ends when the next one is due, and that may be late."""

RESTART_SECONDS = (2.0, 60.0)
"""The first and the longest pause before a drain is begun again that has ended and that none follows."""

SOON_SECONDS = 10.0
"""A drain that is scheduled to begin so soon is waited for."""


class Worker:
    """Runs what is scheduled, until it is told to stop."""

    def __init__(self, services: Services, client: PrefectClient) -> None:
        self._services, self._client = services, client
        self._due = DueRuns(client)
        self._flows = FLOWS if services.settings.dispatch else FLOWS | {CLAIMED_JOBS: run_attempt}
        self._deployments: dict[UUID, str] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._handover = Handover()
        # On the steady clock; none has ended here yet.
        self._drain_began, self._pause = 0.0, RESTART_SECONDS[0]
        self._drain_ended: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Take and run what is due until `stop` is set; then give back what is under way."""
        self._deployments = await self._find_deployments(stop)
        await crash_dead_runs(self._services)
        self._handover.use()
        async with self._services.sandbox.borrowed():
            await self._begin_draining()
            await self._send_heartbeat()
            async with (
                run_periodically("scheduled_runs", self._take_due, POLL_SECONDS),
                run_periodically("heartbeat", self._send_heartbeat, BEAT_SECONDS),
            ):
                await stop.wait()
            self._services.stopping.set()
            self._handover.wanted.set()  # a drain that rests is woken
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._handover.close(0.0)

    async def _send_heartbeat(self) -> None:
        """Show in Prefect that the work pool is served, and its queue where all that it may hold is run here."""
        with contextlib.suppress(ObjectNotFound):  # there need not be a work pool
            await self._client.send_worker_heartbeat(POOL, socket.gethostname(), BEAT_SECONDS)
            if CLAIMED_JOBS in self._flows:
                # Whoever asks a queue for runs serves it; runs are asked for by their deployments.
                await self._client.get_scheduled_flow_runs_for_work_pool(POOL, scheduled_before=LONG_AGO)

    async def _find_deployments(self, stop: asyncio.Event) -> dict[UUID, str]:
        """Return the deployments, waiting until all are registered."""
        found: dict[UUID, str] = {}
        while len(found) < len(self._flows) and not stop.is_set():
            for name in self._flows.keys() - set(found.values()):
                with contextlib.suppress(ObjectNotFound):
                    found[(await self._client.read_deployment_by_name(name)).id] = name
            if len(found) < len(self._flows):
                await asyncio.sleep(POLL_SECONDS)
        return found

    async def _begin_draining(self) -> None:
        """Begin a drain now that lasts until the next scheduled one: no job waits for the clock."""
        if not self._deployments:
            return
        drain = next(key for key, name in self._deployments.items() if name == DRAIN)
        now = clock.now()
        waiting = await self._due.list([drain], MAX_RUNS, later=True)
        starts = [run.next_scheduled_start_time for run in waiting if run.next_scheduled_start_time]
        if any(start <= now + timedelta(seconds=SOON_SECONDS) for start in starts):
            return  # one is due, and will be taken like any other
        budget = min((start.timestamp() - now.timestamp() for start in starts), default=None)
        parameters = {} if budget is None else {"time_budget": budget + OVERTIME_SECONDS}
        await self._client.create_flow_run_from_deployment(drain, parameters={"until_empty": False} | parameters)

    async def _keep_draining(self) -> None:
        """Begin a drain again if one has ended and none follows: it failed, or the next one was not scheduled."""
        if self._drain_ended is None or DRAIN in self._tasks.values():
            return
        if time.monotonic() < self._drain_ended + self._pause:
            return
        self._drain_ended, self._pause = time.monotonic(), min(2 * self._pause, RESTART_SECONDS[1])
        drain = next(key for key, name in self._deployments.items() if name == DRAIN)
        deployment = await self._client.read_deployment(drain)
        if deployment.paused or not any(schedule.active for schedule in deployment.schedules):
            return  # somebody wants no more of them
        if not await is_under_way(self._client, drain):
            await self._begin_draining()

    async def _take_due(self) -> None:
        # Jobs are taken by the drain, in their fair order; only where none runs here they are taken as they come.
        ours = [key for key, name in self._deployments.items() if name != JOBS or DRAIN not in self._tasks.values()]
        for run in await self._without_missed(await self._due.list(ours, MAX_RUNS)):
            name = self._deployments.get(run.deployment_id) if run.deployment_id else None
            if name is None or (name == CLAIMED_JOBS and not self._has_room()):
                continue
            try:
                if name == JOBS and not await self._hand_in(run):
                    continue
                if name == DRAIN and run.auto_scheduled:
                    await self._end_drain()
                state = await self._claim(run)
            except Exception as error:  # noqa: BLE001 - one run must not keep the others from being taken
                _LOG.warning("run_untaken action=try_again run=%s: %s", run.id, type(error).__name__)
                continue
            if state is None:
                continue  # somebody else has it, or it has to wait for its turn
            run.state = state
            task = asyncio.create_task(self._run(self._flows[name], run))
            self._tasks[task] = name
            task.add_done_callback(self._done)
        await self._keep_draining()

    async def _hand_in(self, run: FlowRun) -> bool:
        """Append the job of a launched run to the log before Prefect hears that somebody has it: no kill loses it then.

        Returns:
            Whether it is known what becomes of it; otherwise the log is to be asked again.
        """
        (taken,) = await asyncio.to_thread(take_in, self._services, [run])
        return taken.job is not None or bool(taken.refusal)

    def _has_room(self) -> bool:
        """Return whether one more job may run in this process: what others hand on shares its places with the drain."""
        handed_on = [task for task, name in self._tasks.items() if name == CLAIMED_JOBS]
        return len(handed_on) + len(self._handover.jobs.awaited()) < self._services.settings.concurrency

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._tasks.pop(task) == DRAIN:
            now = time.monotonic()
            if now > self._drain_began + RESTART_SECONDS[1]:
                self._pause = RESTART_SECONDS[0]
            self._drain_ended = now
            self._handover.wanted.clear()

    async def _without_missed(self, due: list[FlowRun]) -> list[FlowRun]:
        """Return the runs to take; of those of one schedule that were missed while no worker ran, only the last one."""
        last: dict[object, FlowRun] = {}
        found = []
        for run in sorted(due, key=_start, reverse=True):
            schedule = run.created_by and run.created_by.id
            # Whoever schedules jobs wants each of them.
            ours = run.deployment_id is not None and self._deployments.get(run.deployment_id) != JOBS
            if run.auto_scheduled and ours and last.setdefault((run.deployment_id, schedule), run) is not run:
                over: State[Any] = Cancelled(message="missed: a later run of the same schedule is due")
                await self._client.set_flow_run_state(run.id, over, force=True)
            else:
                found.append(run)
        return found[::-1]

    async def _end_drain(self) -> None:
        """End the drain that serves here, as the next one is due: its place has to be free; its jobs go on."""
        serving = [task for task, name in self._tasks.items() if name == DRAIN]
        if serving:
            self._handover.wanted.set()
            await asyncio.wait(serving, timeout=STOP_SECONDS)

    async def _claim(self, run: FlowRun) -> State[Any] | None:
        """Claim a run by setting it to Pending; return that state, or None if somebody else has it."""
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
            message = printable(str(error).replace("\n", " "), MAX_MESSAGE)
            await self._client.set_flow_run_state(run.id, Failed(message=message), force=True)
            return
        if flow is drain_queue:
            self._drain_began = time.monotonic()
            if run.auto_scheduled and parameters.get("time_budget") is not None:
                parameters["time_budget"] += OVERTIME_SECONDS
        try:
            await run_as(flow, run, parameters)
        except Exception as error:  # noqa: BLE001 - one run must not end the others
            _LOG.warning("run_broke action=none run=%s: %s", run.id, type(error).__name__)


async def serve(services: Services, *, with_parent: bool) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP comes, or standard input ends if that is the parent's sign."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, *stop_signals()):
        loop.add_signal_handler(number, stop.set)
    if with_parent:
        # However it ends: what is under way shall not wait for its lease.
        end_with_parent(partial(_set_in, loop, stop), last=services.claims.give_back_all)
    # One client for all that runs here, whichever run needed it first.
    async with (
        watched(services.settings.folder, services.settings.standstill_seconds),
        # The worker has one sandbox for as long as it lives; its runs borrow it.
        services.sandbox.borrowed(),
        AsyncClientContext.get_or_create() as context,
    ):
        await Worker(services, context.client).run(stop)


def _start(run: FlowRun) -> datetime:
    return run.expected_start_time or clock.now()


def _set_in(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # it has ended already
        loop.call_soon_threadsafe(stop.set)


def work(services: Services, *, with_parent: bool = False) -> None:
    """Serve the deployments of the server that `PREFECT_API_URL` names.

    Raises:
        PrefectUnavailable: it stopped answering before it was known what there is to serve.
    """
    leave_sigterm_alone()
    try:
        asyncio.run(serve(services, with_parent=with_parent))
    except httpx.HTTPError as error:
        msg = f"Prefect stopped answering ({type(error).__name__}); start the worker again when it is back"
        raise PrefectUnavailable(msg) from None
    finally:
        services.claims.give_back_all()
        flush_prefect()
