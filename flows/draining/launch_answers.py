"""What Prefect is told of launched runs, once their jobs are in the log: of several at once, beside the drain."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed, Pending

from flows.draining.launch_intake import Taken
from flows.prefect_api.names import end_state, name_run
from flows.prefect_api.waiting_runs import set_pending
from models.job import FINAL, Job, State
from models.names import job_id_for
from storage.log.pauses import pauses
from tasks.services import Services

_LOG = logging.getLogger("quledger.launches")

CHUNK = 10
"""So many runs are set to Pending with one request, which Prefect works off one by one."""

PENDING_AT_ONCE, OTHERS_AT_ONCE = 4, 2
"""So many requests of either kind go to Prefect at once: its database has one writer, whose turns all share."""

FRESH_SECONDS = 2.0
"""For how long a run is taken to be as it was when it was listed."""

UNTOLD_SECONDS = 1.0
"""So long a job that is about to begin waits until Prefect was told of its run, which saves a request."""

MAX_KNOWN = 1000
"""So many waiting runs are remembered, so that they need not be read again when they begin."""

Call = Callable[..., Coroutine[Any, Any, None]]


class LaunchAnswers:
    """Tells Prefect of launches.

    Attributes:
        untold: ids of the runs that are being taken, each with what says that it may begin.
    """

    def __init__(self, services: Services, client: PrefectClient) -> None:
        self._services, self._client = services, client
        self.untold: dict[str, asyncio.Event] = {}
        # Those of them that begin before that is said.
        self._begun: set[str] = set()
        # With the time (on the steady clock) until which it is taken to be so.
        self._known: dict[str, tuple[float, FlowRun]] = {}
        self._pending, self._others = asyncio.Semaphore(PENDING_AT_ONCE), asyncio.Semaphore(OTHERS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def expect(self, runs: Sequence[FlowRun]) -> None:
        """Keep the jobs of these runs from beginning until it is said what became of them."""
        self.untold |= {str(run.id): asyncio.Event() for run in runs}

    def release(self, runs: Iterable[FlowRun]) -> None:
        """Let the jobs of these runs begin."""
        for run in runs:
            if (told := self.untold.pop(str(run.id), None)) is not None:
                told.set()
            self._begun.discard(str(run.id))

    def tell(self, taken: Sequence[Taken], places: int) -> None:
        """Begin to tell Prefect what became of runs that were expected.

        Args:
            places: so many of those that are new may begin at once, and are not told to wait.
        """
        task = self._begin(self._tell, taken, places)
        task.add_done_callback(lambda _: self.release(each.run for each in taken))

    async def known(self, run_id: str) -> FlowRun | None:
        """Return a run that is about to begin as it stands, if that is known; it is not told to wait from here on.

        One of which Prefect is just being told is not waited for any longer than is worth it: Prefect lets no run that
        is Running become Pending.
        """
        if (told := self.untold.get(run_id)) is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), UNTOLD_SECONDS)
        if run_id in self.untold:
            self._begun.add(run_id)
        until, run = self._known.pop(run_id, (0.0, None))
        return run if time.monotonic() < until else None

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, run: FlowRun, seconds: float = float("inf")) -> None:
        run.parameters = {}  # they are in the log, and may be large
        self._known[str(run.id)] = time.monotonic() + seconds, run
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    async def _tell(self, taken: Sequence[Taken], places: int) -> None:
        waiting: list[tuple[FlowRun, Job]] = []
        others: list[Taken] = []
        for each in taken:
            job, key = each.job, str(each.run.id)
            if job is None or job.state is not State.QUEUED or job.flow_run_id != key:
                others.append(each)
            elif places > 0 and key not in self._known:
                # It may well begin in a moment; if it does not, it is told at the next look that it has to wait.
                places -= 1
                self._keep(each.run, FRESH_SECONDS)
                self.release([each.run])
            else:
                waiting.append((each.run, job))
        why = await asyncio.to_thread(pauses, self._services.log.engine) if waiting else {}
        calls = [_tried(self._others, self._end, each) for each in others]
        for message, some in _by_message(waiting, {name: str(pause) for name, pause in why.items()}).items():
            calls += [_tried(self._pending, self._wait, chunk, message) for chunk in _chunks(some)]
        await asyncio.gather(*calls)

    async def _wait(self, runs: Sequence[tuple[FlowRun, Job]], message: str) -> None:
        # Whoever else looks for scheduled runs leaves these alone from here on.
        accepted = await set_pending(self._client, [run.id for run, _ in runs], message)
        for run, _ in runs:
            self._known.pop(str(run.id), None)
            if run.id in accepted and str(run.id) not in self._begun:
                run.state = Pending(message=message)
                self._keep(run)
        # Another drain may have been so quick that the run had ended, and we have just undone that.
        states = await asyncio.to_thread(self._services.log.states, [job.job_id for _, job in runs])
        ended = [(run, job) for run, job in runs if run.id in accepted and states[job.job_id][0] in FINAL]
        self.release([run for run, _ in runs])
        for run, job in ended:
            now = await asyncio.to_thread(self._services.log.get, job.job_id)
            await self._client.set_flow_run_state(run.id, end_state(now), force=True)
        for run, job in runs:
            self._begin(self._name, run, job)

    async def _name(self, run: FlowRun, job: Job) -> None:
        # Only by its name it is known whose run it is, where the job's id follows from a key.
        can_wait = job.job_id == job_id_for("prefect", str(run.id))
        while can_wait and self.untold:
            await next(reversed(self.untold.values())).wait()
        # One that begins meanwhile gets its name from whoever runs it.
        if str(run.id) in self._known:
            await _tried(self._others, name_run, self._client, run, job)

    def _begin(self, call: Call, *arguments: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(_tried(contextlib.nullcontext(), call, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end(self, taken: Taken) -> None:
        run, job = taken.run, taken.job
        if job is None:
            if taken.refusal:
                await self._client.set_flow_run_state(run.id, Failed(message=taken.refusal), force=True)
        elif job.flow_run_id != str(run.id):
            message = f"this is job {job.job_id}, which was submitted before"
            await self._client.set_flow_run_state(run.id, Completed(message=message), force=True)
        elif job.state in FINAL:
            await name_run(self._client, run, job)
            await self._client.set_flow_run_state(run.id, end_state(job), force=True)
        # Otherwise another drain is about to begin it.


async def _tried(place: contextlib.AbstractAsyncContextManager[None], call: Call, *arguments: Any) -> None:
    """Make a call when there is a place; what fails is tried again at the next look, and keeps no other one from it."""
    async with place:
        try:
            await call(*arguments)
        except Exception as error:  # noqa: BLE001 - as it says
            _LOG.warning("launch_untold action=try_again: %s", type(error).__name__)


def _chunks(some: list[tuple[FlowRun, Job]]) -> list[list[tuple[FlowRun, Job]]]:
    return [some[start : start + CHUNK] for start in range(0, len(some), CHUNK)]


def _by_message(waiting: Sequence[tuple[FlowRun, Job]], pauses: dict[str, str]) -> dict[str, list[tuple[FlowRun, Job]]]:
    found: dict[str, list[tuple[FlowRun, Job]]] = {}
    for run, job in waiting:
        pause = pauses.get(job.backend)
        found.setdefault(f"waits: {pause}" if pause else "waits for its turn", []).append((run, job))
    return found
