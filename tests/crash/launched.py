"""Runs of the deployment `run-job` at a real Prefect server, and drains in this process that take them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any
from unittest import mock
from uuid import UUID

import httpx

from models.job import Job
from models.names import job_id_for
from storage.audit.verify import Verifier
from tasks.services import Services
from tests.crash.drains import Drains
from tests.waiting import until

UI_CANCEL = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
"""What Prefect's UI sends for *Cancel*."""

Body = dict[str, Any]


class Launches:
    """The deployment, what is launched with it, and drains that end with the last of so many jobs.

    Attributes:
        sent: the path of each request that was sent to Prefect from this process, with its method.
    """

    def __init__(self, services: Services, drains: Drains, api: str) -> None:
        self.services, self._drains = services, drains
        self.client = httpx.Client(base_url=api, timeout=60)
        flow = self.ask("POST", "/flows/", {"name": "run-job"})["id"]
        self.deployment = self.ask("POST", "/deployments/", {"name": "run-job", "flow_id": flow})["id"]
        self.sent: list[str] = []

    def close(self) -> None:
        """Leave no deployment for others to ask for runs of."""
        self.client.delete(f"/deployments/{self.deployment}")
        self.client.close()

    def ask(self, method: str, path: str, body: Body | None = None) -> Any:
        """Ask Prefect's API."""
        answer = self.client.request(method, path, json=body).raise_for_status()
        return answer.json() if answer.content else None

    def launch(self, **job: Any) -> str:
        """Launch a job as the form does; return the id of its run."""
        body = {"parameters": {"job": {"shots": 10} | job}}
        run_id: str = self.ask("POST", f"/deployments/{self.deployment}/create_flow_run", body)["id"]
        return run_id

    def set_state(self, run_id: str, body: Body) -> None:
        """Set the state of a run as people do; with no body the run is deleted."""
        if body:
            self.ask("POST", f"/flow_runs/{run_id}/set_state", body)
        else:
            self.ask("DELETE", f"/flow_runs/{run_id}")

    def state(self, run_id: str) -> str:
        """Return the type of the state in which a run is."""
        found: str = self.ask("GET", f"/flow_runs/{run_id}")["state_type"]
        return found

    def job(self, run_id: str) -> Job:
        """Return the job of a launched run."""
        return self.services.log.get(job_id_for("prefect", run_id))

    def kinds(self, run_id: str) -> list[str]:
        """Return what happened to the job of a launched run."""
        return [event.kind for event in self.services.log.history(self.job(run_id).job_id)]

    def taken(self, run_id: str) -> Job:
        """Take a launched run into the log and do nothing more, as a drain that is killed then; return the job."""
        from prefect.client.schemas.objects import FlowRun  # noqa: PLC0415 - Prefect takes seconds to import

        from flows.draining.launch_intake import take_in  # noqa: PLC0415 - as above

        (taken,) = take_in(self.services, [FlowRun.model_validate(self.ask("GET", f"/flow_runs/{run_id}"))])
        assert taken.job is not None
        return taken.job

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something as a drain does."""
        self._drains.run(work)

    def findings(self) -> list[str]:
        """Return what differs between log, views and storage."""
        return [str(each) for each in Verifier(self.services.log.engine, self.services.stores).all()]

    def drain(self, ends: int, *, concurrency: int = 2) -> None:
        """Drain in this process until so many jobs have ended."""
        from flows.drain_queue import drain_queue  # noqa: PLC0415 - Prefect takes seconds to import

        left = [ends]

        def count(_job: Job) -> None:
            left[0] -= 1
            if not left[0]:
                self.services.stopping.set()

        self.services.stopping.clear()
        object.__setattr__(self.services, "on_final", count)
        self._drains.run(
            drain_queue(backends=["singlequdit"], concurrency=concurrency, until_empty=False, time_budget=60)
        )

    @contextlib.contextmanager
    def before_setting(self, states: str, act: Callable[[str], None]) -> Iterator[None]:
        """Act with the id of each run, once, right before this process sets it to one of these states."""
        from prefect.client.orchestration import PrefectClient  # noqa: PLC0415 - as above

        real: Callable[..., Awaitable[Any]] = PrefectClient.set_flow_run_state
        done: set[str] = set()

        async def set_state(client: PrefectClient, run_id: UUID, state: Any, *more: Any, **named: Any) -> Any:
            if state.type.value in states.split() and str(run_id) not in done:
                done.add(str(run_id))
                act(str(run_id))
            return await real(client, run_id, state, *more, **named)

        with mock.patch.object(PrefectClient, "set_flow_run_state", set_state):
            yield

    @contextlib.contextmanager
    def states_told_when(self, is_so: Callable[[str], bool]) -> Iterator[None]:
        """Let this process learn in which states a run was only when it is so of that run."""
        from prefect.client.orchestration import PrefectClient  # noqa: PLC0415 - as above

        real: Callable[..., Awaitable[Any]] = PrefectClient.read_flow_run_states

        async def read(client: PrefectClient, run_id: UUID) -> Any:
            await asyncio.to_thread(until, lambda: is_so(str(run_id)))
            return await real(client, run_id)

        with mock.patch.object(PrefectClient, "read_flow_run_states", read):
            yield

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note in `sent` what is sent to Prefect from this process."""
        real = httpx.AsyncHTTPTransport.handle_async_request

        async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            self.sent.append(f"{request.method} {request.url.path}")
            return await real(transport, request)

        with mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle):
            yield
