"""What flows/prefect_api/engine.py assumes of Prefect's engines, which Prefect does not document."""

import asyncio
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow, flow_engine, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Failed, Suspended
from prefect.utilities.engine import capture_sigterm

from flows.prefect_api.engine import leave_sigterm_alone, new_run, run_as, run_task
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@task
async def good(name: str) -> State[Any]:
    """End in a state of its own."""
    return Completed(message=f"well done, {name}")


@task
async def bad() -> State[Any]:
    """End in a state of its own."""
    return Failed(message="no")


@flow(name="warm", persist_result=False)
async def warm(name: str) -> State[Any]:
    """Run two tasks and return what became of them, and which run this is."""
    states = [await run_task(good, name), await run_task(bad)]
    return Completed(message=f"{flow_run.get_id()} {[state.message for state in states]}")


def test_sigterm_stays_with_the_process(monkeypatch: pytest.MonkeyPatch, prefect_api: str):
    """Prefect's engine takes SIGTERM for a run; where we have told it not to, the handler stays as it was."""
    seen: list[object] = []

    @flow(name="signals", persist_result=False)
    async def signals() -> None:
        seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        asyncio.run(signals())
        monkeypatch.setattr(flow_engine, "capture_sigterm", capture_sigterm)
        leave_sigterm_alone()
        asyncio.run(signals())
    assert (seen[0] != before, seen[1]) == (True, before)


async def run_warm() -> tuple[str, State[Any], list[str]]:
    """Run the flow; return the run's id, its end, and every request that was answered meanwhile."""
    asked: list[str] = []

    async def note(response: httpx.Response) -> None:
        # A busy server says 503, or hangs up, and Prefect's client asks again: that is no request of ours.
        if not response.is_server_error:
            asked.append(f"{response.request.method} {response.request.url.path.split('/api')[1]}")

    @flow(name="outer", persist_result=False)
    async def outer() -> tuple[str, State[Any], list[str]]:
        async with get_client() as client:
            first = await new_run(client, warm, "first", {"name": "you"}, ["tag"])
            await run_as(warm, first, {"name": "you"})
            client._client.event_hooks["response"].append(note)
            run = await new_run(client, warm, "second", {"name": "you"}, ["tag"])
            state = await run_as(warm, run, {"name": "you"})
            client._client.event_hooks["response"].remove(note)
            return str(run.id), state, [line.replace(str(run.id), "ID") for line in asked]

    found: tuple[str, State[Any], list[str]] = await outer()
    return found


def test_a_warm_run_asks_the_server_twice(prefect_api: str):
    """A run is created as Running and ends: two requests; its task runs are recorded with their states and names."""
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        run_id, state, asked = asyncio.run(run_warm())
        assert asked == ["POST /flow_runs/", "POST /flow_runs/ID/set_state"]
        assert state.message == f"{run_id} ['well done, you', 'no']"

        def states() -> dict[str, str]:
            body = {"task_runs": {"flow_run_id": {"any_": [run_id]}}}
            tasks = httpx.post(f"{prefect_api}/task_runs/filter", json=body, timeout=60).json()
            return {each["name"].rsplit("-", 1)[0]: each["state_type"] for each in tasks}

        until(lambda: states() == {"good": "COMPLETED", "bad": "FAILED"}, told=states)
        run = httpx.get(f"{prefect_api}/flow_runs/{run_id}").json()
        assert (run["name"], run["tags"], run["run_count"], run["state_type"]) == ("second", ["tag"], 1, "COMPLETED")
        assert run["start_time"] is not None
        assert run["end_time"] is not None


@flow(name="suspended", persist_result=False)
async def suspended() -> State[Any]:
    """Be suspended by somebody else in the midst of it, and go on."""
    assert not [thread.name for thread in threading.enumerate() if "observer_thread" in thread.name]
    async with get_client() as client:
        await client.set_flow_run_state(UUID(flow_run.get_id()), Suspended(timeout_seconds=600), force=True)
    return await run_task(good, "you")


def test_a_run_that_somebody_suspends_goes_on(prefect_api: str):
    """Nobody watches over a run of a deployment for a suspension; its end is accepted all the same."""

    async def run() -> FlowRun:
        async with get_client() as client:
            flow_id = await client.create_flow(suspended)
            deployment = await client.create_deployment(flow_id, "by-hand")
            new = await new_run(client, suspended, "third", {}, [], deployment_id=deployment)
            await run_as(suspended, new, {})
            return await client.read_flow_run(new.id)

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        ended = asyncio.run(run())
    assert (ended.state_name, ended.state.message if ended.state else None) == ("Completed", "All states completed.")


def test_the_first_heartbeat_comes_after_the_first_interval(prefect_api: str, monkeypatch: pytest.MonkeyPatch):
    """That a run has begun says its state; from then on it is heard of in each interval."""
    interval = timedelta(seconds=1)
    monkeypatch.setattr(flow_engine, "MINIMUM_HEARTBEAT_INTERVAL", interval.seconds)
    monkeypatch.setattr(AsyncFlowRunEngine, "heartbeat_seconds", interval.seconds)

    async def run() -> list[timedelta]:
        heard: list[Event] = []

        @flow(name="beating", persist_result=False)
        async def beating() -> None:
            async with asyncio.timeout(60):
                heard.extend([await anext(heartbeats), await anext(heartbeats)])

        async with get_client() as client:
            new = await new_run(client, beating, "fourth", {}, [])
            of_the_run = EventFilter(
                event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
                resource=EventResourceFilter(id=[f"prefect.flow-run.{new.id}"]),
            )
            async with get_events_subscriber(filter=of_the_run) as heartbeats:
                began = datetime.now(UTC)
                assert (await run_as(beating, new, {})).is_completed()
        return [event.occurred - began for event in heard]

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        first, second = asyncio.run(run())
    assert first >= interval
    assert second >= 2 * interval
