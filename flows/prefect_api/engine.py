"""Runs flows and tasks in this process, as cheaply as Prefect's server lets them be run.

Prefect offers no call that begins a run which it knows already: its own runners start a Python process for each run,
which takes seconds. What is used here beyond its documented interface is in this module alone: the engines of async
flows and tasks, and what they ask the server for. What is left out is only what would be said or asked twice:

- A run that begins here at once is created as Running; it was never Pending.
- The engine reads its run once more before it begins; it gets the run that we have just been given.
- A task run is told of when it runs; that it was Pending a millisecond before is left out.
- The first heartbeat comes after the first interval: that a run has begun says its state.
- Nothing is kept of what flows and tasks return, so no file is named for it, and nobody is asked where
  that would be.
- Nobody watches whether a run of a deployment is suspended: Prefect does so with a thread, a connection and a blocked
  event loop for each run. A job that runs goes on; it can be cancelled, which is watched for all runs at once.
"""

import contextlib
import copy
import itertools
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

from prefect import Flow, Task, flow_engine
from prefect._flow_run_suspension import FlowRunSuspensionRequest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import FlowRunCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.events.worker import EventsWorker
from prefect.filesystems import NullFileSystem
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.logging.handlers import APILogWorker
from prefect.results import ResultStore
from prefect.states import Running, to_state_create
from prefect.task_engine import run_task_async
from prefect.utilities.callables import get_call_parameters


class _Engine(AsyncFlowRunEngine[Any, Any]):
    """Prefect's engine, given its run."""

    given: FlowRun

    async def create_flow_run(self, client: PrefectClient) -> FlowRun:
        """Return the given run, instead of creating one below the run that is under way here."""
        del client
        self._beats = itertools.count()
        return self.given

    async def begin_run(self) -> State[Any]:
        """Set the run to Running, unless it was created so."""
        run = self.given
        if run.state is not None and run.state.is_running():
            return run.state
        state = await super().begin_run()
        # As the server counts; nobody reads the run again.
        run.run_count += state.is_running()
        return state

    @contextlib.asynccontextmanager
    async def setup_run_context(self, client: PrefectClient | None = None) -> AsyncIterator[None]:
        """Enter the context of the run as it is known, without asking the server again."""
        knowing = copy.copy(client or self.client)
        knowing.read_flow_run = self._read  # type: ignore[method-assign]
        async with super().setup_run_context(knowing):
            yield

    @contextlib.contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[FlowRunSuspensionRequest]:
        """Yield the request to suspend the run, which is never made."""
        yield self._get_flow_run_suspension_request()

    async def _read(self, flow_run_id: UUID) -> FlowRun:
        assert flow_run_id == self.given.id  # noqa: S101 - it asks for its own run
        return self.given

    def _emit_flow_run_heartbeat(self, *template: Any) -> None:
        if next(self._beats):
            super()._emit_flow_run_heartbeat(*template)


def _store_of_nothing() -> ResultStore:
    # The type names only what can keep something.
    return ResultStore().model_copy(update={"result_storage": NullFileSystem()})


# Prefect would ask its server at each run where results are to be kept, and hold the event loop until it answers.
flow_engine.get_result_store = _store_of_nothing  # type: ignore[attr-defined]


def leave_sigterm_alone() -> None:
    """Keep Prefect's engines from handling SIGTERM, in a process where it is meant for all runs and not for one.

    Their handler raises wherever the main thread happens to be: in another run, or in the event loop.
    """
    flow_engine.capture_sigterm = contextlib.nullcontext  # type: ignore[attr-defined, assignment]


async def run_as(flow: Flow[Any, Any], run: FlowRun, parameters: dict[str, Any]) -> State[Any]:
    """Run a flow as this run and return the state in which it ended.

    Raises:
        prefect.exceptions.Abort: Prefect does not let the run begin.
    """
    engine = _Engine(flow=flow, parameters=parameters)
    engine.given = run
    ours = signal.getsignal(signal.SIGTERM)
    async with engine.start():
        # It has just taken SIGTERM for itself, to end this one run; here the signal is for the whole process.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)
        while engine.is_running():
            async with engine.run_context():
                _ = await engine.call_flow_fn()
    return engine.state


async def run_task(task: Task[Any, Any], *arguments: Any) -> State[Any]:
    """Run a task of the flow run that is under way here, and return the state in which it ended."""
    parameters = get_call_parameters(task.fn, arguments, {})
    run = await task.create_local_run(parameters=parameters)
    state = await run_task_async(task, task_run=run, parameters=parameters, return_type="state")
    assert isinstance(state, State)  # noqa: S101 - as it was asked for
    return state


async def new_run(  # noqa: PLR0913 - what a run is told with
    client: PrefectClient,
    flow: Flow[Any, Any],
    name: str,
    parameters: dict[str, Any],
    tags: list[str],
    *,
    deployment_id: UUID | None = None,
) -> FlowRun:
    """Tell Prefect of a run that begins here and now.

    Args:
        deployment_id: Prefect's UI lets only runs of a deployment be cancelled.
    """
    body = FlowRunCreate(
        flow_id=await _flow_id(client, flow.name),
        flow_version=flow.version,
        name=name,
        parameters=parameters,
        tags=tags,
        deployment_id=deployment_id,
        # The client asks again where an answer was lost: with the same key it is the same run.
        idempotency_key=str(uuid4()),
        state=to_state_create(Running()),
    )
    answer = await client.request("POST", "/flow_runs/", json=body.model_dump(mode="json"))
    return FlowRun.model_validate(answer.json())


_flow_ids: dict[tuple[str, str], Any] = {}


async def _flow_id(client: PrefectClient, name: str) -> Any:
    """Return Prefect's id of a flow; asked once for each server."""
    key = str(client.api_url), name
    if key not in _flow_ids:
        _flow_ids[key] = await client.create_flow_from_name(name)
    return _flow_ids[key]


FLUSH_SECONDS = 20.0
"""How long an ending process waits for Prefect to take the last logs and events."""


def flush_prefect() -> None:
    """Send what Prefect still holds back of logs and events, while its server is there to take it."""
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=FLUSH_SECONDS)
