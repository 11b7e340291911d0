"""Runs a flow in this process as a flow run that Prefect knows already.

Prefect offers no such call: its own runners start a Python process for each run, which takes seconds. What is used here
beyond its documented interface is in this module alone: the engine of async flows, and that it asks
`create_flow_run` for the run it is to be.
"""

import signal
import threading
from typing import Any

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import FlowRunCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.states import Pending, to_state_create


class _Engine(AsyncFlowRunEngine[Any, Any]):
    """Prefect's engine, given its run."""

    given: FlowRun

    async def create_flow_run(self, client: PrefectClient) -> FlowRun:
        """Return the run that there is, instead of a new one below the run that is under way here."""
        del client
        return self.given


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


async def new_run(
    client: PrefectClient, flow: Flow[Any, Any], name: str, parameters: dict[str, Any], tags: list[str]
) -> FlowRun:
    """Tell Prefect of a run that is about to begin here."""
    body = FlowRunCreate(
        flow_id=await _flow_id(client, flow.name),
        flow_version=flow.version,
        name=name,
        parameters=parameters,
        tags=tags,
        state=to_state_create(Pending()),
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
