"""Takes jobs from the inbox, claims them in fair order and runs each as a flow run of its own."""

import asyncio
import contextlib
import logging
import time
from typing import Annotated

from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts.backend_pages import BackendPages
from flows.draining.handover import Handover
from flows.draining.inbox_poller import InboxPoller
from flows.draining.periodic import MAX_PAUSE, retry_twice, run_periodically
from flows.draining.prefect_submissions import CANCELS, TO_BEGIN, PrefectSubmissions, dispatch, tags_of
from flows.draining.unserved import unserved
from flows.prefect_api.engine import new_run, run_as
from flows.prefect_api.liveness import present
from flows.prefect_api.run_sync import cancel_as_in_prefect, crash_dead_runs
from flows.publish_backends import publish
from flows.run_job import run_attempt
from models.errors import LogError, QuledgerError, UnknownJob
from models.job import FINAL, Job
from models.storable import LINE, WHOLE_NUMBER
from storage import failpoints
from tasks.backends import registry
from tasks.jobs.claims import Claim
from tasks.jobs.leases import expire_leases
from tasks.jobs.releases import claim, claim_for_pool, give_back_owed, release, release_all
from tasks.jobs.submission import cancel
from tasks.services import Services, current
from tasks.sweeping import HALVES_SECONDS, SECONDS, sweep_leftovers, sweep_storages

_LOG = logging.getLogger("quledger.drain")

LAUNCH_SECONDS = 0.4
"""How often a drain looks for jobs that were launched through Prefect."""

LOOK_OVER_SECONDS = 15.0
"""How often it is seen whether Prefect can give back the runs that it has."""

GRACE_SECONDS = 5.0
"""How long a drain that is told to stop lets its jobs run on."""

LOOK_PAUSE = 10
"""After a look at the inbox that found nothing the pause is so many times as long, up to `MAX_PAUSE`."""

DOWN_PAUSE = 5.0
"""The same while a storage is down."""

PAGES_SECONDS = 15.0
"""How often the pages of the backends are renewed."""

LOG_PAUSE = 0.5
"""How long it waits before it claims again, when the log did not answer."""

OWED_SECONDS = 1.0
"""How often it tries to give back what it could not tell the log of."""

DEAD_SECONDS = 30.0
"""How often it looks for runs whose attempts are over, though Prefect does not know."""

CANCEL_SECONDS = 2.0
"""How often it looks for runs that were cancelled in Prefect."""


@flow(name="drain-queue", persist_result=False)
async def drain_queue(
    backends: list[Annotated[str, Field(max_length=100, json_schema_extra=dict(LINE))]] | None = None,
    concurrency: Annotated[int, Field(json_schema_extra=dict(WHOLE_NUMBER))] | None = None,
    until_empty: bool = True,  # noqa: FBT001, FBT002 - a switch in Prefect's form
    time_budget: Annotated[float, Field(json_schema_extra=dict(WHOLE_NUMBER))] | None = None,
) -> dict[str, int]:
    """Serve the queues of the backends.

    Args:
        backends: display names; all that are installed by default.
        concurrency: how many jobs run at once; by default as the settings say.
        until_empty: end when no job is left; else go on until the time is up.
        time_budget: seconds after which no more job is claimed.

    Returns:
        How many jobs ended in each state.

    Raises:
        UnknownBackend: one of the names has no backend.
        BadSetting: one of the names is a plug-in that does not fit. Unasked, such a plug-in is left out.
    """
    services = current()
    names = registry.usable() if backends is None else backends
    for name in names:
        # In a thread: what it imports takes seconds, in which the loop goes on.
        await asyncio.to_thread(registry.load, name)
    run_id = str(flow_run.get_id())
    async with get_client() as client:
        pages = BackendPages(services, client, names, run_id)
        drain = _Drain(services, client, names, concurrency or services.settings.concurrency)
        with present(services.settings.folder, run_id):
            async with run_periodically("pages", pages.write, PAGES_SECONDS):
                counts = await drain.all(until_empty=until_empty, time_budget=time_budget)
        if not drain.goes_on():
            await pages.write()
        return counts


class _Drain:
    """One run of `drain_queue`."""

    def __init__(self, services: Services, client: PrefectClient, names: list[str], concurrency: int) -> None:
        self._services = services
        self._client = client
        self._submissions = PrefectSubmissions(services, client)
        self._inbox_poller = InboxPoller(services, names)
        self._names = names
        elsewhere = services.settings.dispatch
        self._handed_on = [name for name in names if elsewhere.get(name) == "deployment"]
        self._run_here = [name for name in names if name not in self._handed_on]
        self._concurrency = concurrency
        self._handover = Handover.current()
        self._running: set[asyncio.Task[None]] = set() if self._handover is None else self._handover.jobs
        self._counts: dict[str, int] = {}
        # While attempts fail in a row no job is claimed, and each one makes the pause longer.
        self._broken_in_a_row = 0
        self._claim_from = 0.0
        self._woken = asyncio.Event()
        self._leftovers_from = self._sweep_from = 0.0

    async def all(self, *, until_empty: bool, time_budget: float | None) -> dict[str, int]:
        """Keep house, watch Prefect and serve the queues until there is nothing left to do."""
        # Before anything is appended: a log that was set back has to stay a part of its mirror.
        await asyncio.to_thread(self._services.rollback.compare_all)
        # Once in the open: whoever starts a drain on a storage that does not answer is told so at once.
        await asyncio.to_thread(self.run_maintenance)
        await crash_dead_runs(self._services)
        async with (
            self._services.sandbox.borrowed() as sandbox,
            run_periodically("housekeeping", self._run_maintenance_aside, self._services.settings.publish_seconds),
            run_periodically("launches", self._take_launched, LAUNCH_SECONDS),
            run_periodically("cancellations", self._cancel_as_in_prefect, CANCEL_SECONDS),
            run_periodically("looking_over", self._submissions.check_prefect, LOOK_OVER_SECONDS),
            run_periodically("dead runs", self._crash_dead_runs, DEAD_SECONDS),
            run_periodically("debts", self._give_back_owed, OWED_SECONDS),
        ):
            # One that goes on for long is ready for its first job before that comes.
            warming = [] if until_empty else [asyncio.create_task(sandbox.server())]
            try:
                counts = await self.run(until_empty=until_empty, time_budget=time_budget)
            finally:
                await asyncio.gather(*warming, return_exceptions=True)
        if self.goes_on():
            return counts  # the next drain begins with what is left to do
        reasons = await asyncio.to_thread(unserved, self._services, self._inbox_poller)
        if reasons:
            self._services.on_unserved(reasons)
            with contextlib.suppress(QuledgerError):  # what is left out may be why it fails
                await asyncio.to_thread(self.run_maintenance)
        else:
            await retry_twice(self.run_maintenance)
        await asyncio.to_thread(self._services.marks.end)
        await asyncio.to_thread(sweep_leftovers, self._services)
        if self._sweep_from == 0:
            await asyncio.to_thread(sweep_storages, self._services)
        return counts

    async def _run_maintenance_aside(self) -> None:
        await asyncio.to_thread(self.run_maintenance)
        if time.monotonic() >= self._leftovers_from:
            self._leftovers_from = time.monotonic() + SECONDS
            await asyncio.to_thread(sweep_leftovers, self._services)
        if time.monotonic() >= self._sweep_from:
            self._sweep_from = time.monotonic() + HALVES_SECONDS
            await asyncio.to_thread(sweep_storages, self._services)

    async def _take_launched(self) -> None:
        if await self._submissions.poll():
            self._woken.set()

    async def _cancel_as_in_prefect(self) -> None:
        await cancel_as_in_prefect(self._services, self._client)

    async def _crash_dead_runs(self) -> None:
        await crash_dead_runs(self._services)

    async def _give_back_owed(self) -> None:
        # While the log does not answer it is asked again and again: whatever it says first is that it is back.
        with contextlib.suppress(LogError):
            if await asyncio.to_thread(give_back_owed, self._services):
                self._woken.set()

    def run_maintenance(self) -> None:
        """Renew the published configurations, and bring right what a crash left behind."""
        self._services.marks.compare()
        expire_leases(self._services)
        try:
            publish(self._services, self._names)
        finally:
            # A backend that cannot sign keeps no document of another one back.
            self._services.mirror.relay_all()

    async def run(self, *, until_empty: bool, time_budget: float | None) -> dict[str, int]:
        """Claim and run until the queue is empty or the time is up; then wait for what is under way."""
        goes_on = False
        try:
            await self._serve(until_empty=until_empty, time_budget=time_budget)
            goes_on = self.goes_on()
        except asyncio.CancelledError:
            if self._handover is None:
                # Whoever waits for a log that does not answer stops waiting: the process ends with its drain.
                self._services.stopping.set()
            raise
        finally:
            await self._inbox_poller.close()
            if not goes_on:
                # Stopped: what is under way is cancelled, which gives its jobs back.
                for task in self._running:
                    task.cancel()
                await asyncio.gather(*self._running, return_exceptions=True)
                await asyncio.to_thread(release_all, self._services, begun=False)
        return dict(sorted(self._counts.items()))

    async def _serve(self, *, until_empty: bool, time_budget: float | None) -> None:
        end = time.monotonic() + (time_budget if time_budget is not None else float("inf"))
        next_look = 0.0
        unsettled = 0
        while (now := time.monotonic()) < end and not self._is_over():
            if fresh := now >= next_look:
                taken, unsettled = await self._inbox_poller.poll()
                # A storage that takes its time to list is asked less often, but while there is something to take.
                pause = (time.monotonic() - now) * (1 if taken else LOOK_PAUSE)
                # One that does not answer takes its time too, and jobs wait for it to come back.
                longest = DOWN_PAUSE if self._inbox_poller.down else MAX_PAUSE
                next_look = time.monotonic() + max(self._services.settings.poll_seconds, min(pause, longest))
            await self._fill()
            if until_empty and not self._running and not unsettled and await self._nothing_is_left():
                if fresh:
                    break
                # Only a look that found nothing, with nothing running, shows that nothing is left.
                next_look = 0.0
                continue
            await self._rest(min(next_look, end) - time.monotonic())
        if self.goes_on():
            return
        # Told to stop, it gives back what does not end soon.
        while self._running and (not self._services.stopping.is_set() or time.monotonic() < now + GRACE_SECONDS):
            await self._rest(self._services.settings.poll_seconds)

    def _is_over(self) -> bool:
        """Say whether nothing more is to be claimed: the process is to end, or the next drain is here."""
        return self._services.stopping.is_set() or (self._handover is not None and self._handover.wanted.is_set())

    def goes_on(self) -> bool:
        """Say whether the process goes on with what is under way, so that the next drain need not wait for it."""
        return self._handover is not None and not self._services.stopping.is_set()

    async def _fill(self) -> None:
        """Claim and start jobs while there is room for them."""
        try:
            await self._hand_on()
            while len(self._running) < self._concurrency and time.monotonic() >= self._claim_from:
                usable = self._inbox_poller.usable()
                claimed = await asyncio.to_thread(claim, self._services, self._run_here, storages=usable)
                if claimed is None:
                    return
                failpoints.point("claim.appended")
                task = self._begun(claimed)
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        except LogError as error:
            _LOG.warning("claim_failed action=try_again: %s", error)
            self._claim_from = max(self._claim_from, time.monotonic() + LOG_PAUSE)

    def _begun(self, claimed: Claim) -> asyncio.Task[None]:
        run, name = self._run(claimed), claimed.job.job_id
        return asyncio.create_task(run, name=name) if self._handover is None else self._handover.begin(run, name)

    async def _hand_on(self) -> None:
        """Hand jobs of backends that are run elsewhere to the workers of the pool."""
        while self._handed_on and time.monotonic() >= self._claim_from:
            usable = self._inbox_poller.usable()
            claimed = await asyncio.to_thread(claim_for_pool, self._services, self._handed_on, storages=usable)
            if claimed is None:
                return
            try:
                await dispatch(self._client, claimed.job)
            except asyncio.CancelledError:
                self._services.claims.owe(claimed.token)
                raise
            except Exception as error:  # noqa: BLE001 - a job that cannot be handed on now waits again
                _LOG.warning("dispatch_failed action=retry job_id=%s: %s", claimed.job.job_id, type(error).__name__)
                await asyncio.to_thread(release, self._services, claimed)
                self._back_off(came_through=False)
            else:
                # Whoever begins it takes it over; if nobody does, its lease runs out.
                self._services.claims.forget(claimed.token)

    async def _run(self, claimed: Claim) -> None:
        """Run one claimed job as a flow run, and see to it that its attempt is over afterwards."""
        try:
            await self._run_attempt(claimed.job)
        except asyncio.CancelledError:
            # Stopped, at whatever step: it is given back with all that is owed.
            self._services.claims.owe(claimed.token)
            raise
        try:
            after = await asyncio.to_thread(release, self._services, claimed)
            held = await asyncio.to_thread(self._services.holds.why, after.job_id)
        except (LogError, UnknownJob) as error:
            _LOG.warning("attempt_unsettled action=give_back_later job_id=%s: %s", claimed.job.job_id, error)
            return
        if held:
            return  # nothing is wrong with the storage: the log knows less of this job than its mirror
        if after.state in FINAL or not await self._inbox_poller.check_storage(after.storage):
            self._back_off(came_through=after.state in FINAL)
        if after.state in FINAL:
            self._counts[after.state.value] = self._counts.get(after.state.value, 0) + 1
            self._services.on_final(after)

    async def _run_attempt(self, job: Job) -> None:
        parameters = {"job_id": job.job_id, "attempt": job.attempt}
        try:
            run = await self._submissions.run_of(job)
            if run is not None and run.state is not None and run.state.type in CANCELS:
                await asyncio.to_thread(cancel, self._services, job.job_id, by="prefect")
            else:
                if run is None or run.state is None or run.state.type not in TO_BEGIN:
                    run = await new_run(
                        self._client,
                        run_attempt,
                        job.job_id,
                        parameters,
                        tags_of(job),
                        deployment_id=await self._submissions.deployment(),
                    )
                await run_as(run_attempt, run, parameters)
        except Exception as error:  # noqa: BLE001 - one run that Prefect cannot begin must not end the drain
            _LOG.warning("run_broke action=retry job_id=%s: %s", job.job_id, type(error).__name__)

    def _back_off(self, *, came_through: bool) -> None:
        """Pause the claims while attempts fail in a row: storage or Prefect may be down, and jobs can wait."""
        self._broken_in_a_row = 0 if came_through else self._broken_in_a_row + 1
        if self._broken_in_a_row:
            pause = self._services.settings.retry_seconds * 2.0 ** min(self._broken_in_a_row, 10) / 4
            self._claim_from = time.monotonic() + min(MAX_PAUSE, pause)

    async def _nothing_is_left(self) -> bool:
        """Say whether no job waits or runs, in whose hands ever: a dead worker's job comes back when its lease ends."""
        try:
            counts = await asyncio.to_thread(self._services.log.counts, storages=self._inbox_poller.awaited())
        except LogError:
            return False
        return not any(counts.get(name) for name in self._names)

    async def _rest(self, seconds: float) -> None:
        """Wait until a job ends or one was launched, but no longer than that."""
        waiting = [asyncio.create_task(self._woken.wait())]
        if self._handover is not None:
            waiting.append(asyncio.create_task(self._handover.wanted.wait()))
        try:
            waited_for = [*self._running, *waiting]
            await asyncio.wait(waited_for, timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        self._woken.clear()
