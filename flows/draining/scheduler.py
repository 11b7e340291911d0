"""Claims jobs in fair order and runs each as a flow run of its own; `models/policy.py` says what is done next."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from dataclasses import replace

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType

from flows.draining.handover import Handover, JobsUnderWay
from flows.draining.inbox_poller import InboxPoller
from flows.draining.prefect_submissions import TO_BEGIN, PrefectSubmissions, dispatch
from flows.prefect_api.engine import new_run, run_as
from flows.prefect_api.names import tags_of
from flows.prefect_api.run_sync import was_revived_since
from flows.prefect_api.waiting_runs import CANCELS
from flows.run_job import run_attempt
from models.errors import LogError, NotCancellable
from models.job import FINAL, Job, Phase
from models.policy import Do, DrainState, Rest, claim_pause, next_action, poll_pause, room
from storage import failpoints
from storage.log.pauses import pauses
from tasks.backends import registry
from tasks.jobs.claims import Claim
from tasks.jobs.submission import cancel
from tasks.services import Services

_LOG = logging.getLogger("quledger.drain")

LOG_PAUSE = 0.5
"""How long it waits before it claims again, in seconds, when the log did not answer."""


class Scheduler:
    """Serves the queues for one drain: it owns the jobs under way and all that decides what is done next."""

    def __init__(
        self,
        services: Services,
        client: PrefectClient,
        poller: InboxPoller,
        submissions: PrefectSubmissions,
        concurrency: int,
    ) -> None:
        self._services, self._client = services, client
        self._poller, self._submissions = poller, submissions
        elsewhere = services.settings.dispatch
        self._served = [name for name in poller.backends if not registry.served_outside(name)]
        self._handed_on = [name for name in self._served if elsewhere.get(name) == "deployment"]
        self._run_here = [name for name in self._served if name not in self._handed_on]
        self._concurrency = concurrency
        self._handover = Handover.current()
        self._jobs = JobsUnderWay() if self._handover is None else self._handover.jobs
        self._counts: Counter[str] = Counter()
        self._failures_in_a_row = 0
        self._woken = asyncio.Event()
        self._state = DrainState(room=concurrency, rest_seconds=services.settings.poll_seconds, until_empty=True)

    async def run(self, *, until_empty: bool, time_budget: float | None) -> dict[str, int]:
        """Serve until nothing is left to do or the time is up, and wait for what is under way.

        Returns:
            How many jobs ended in each state.
        """
        end_at = float("inf") if time_budget is None else time.monotonic() + time_budget
        self._state = replace(self._state, until_empty=until_empty, end_at=end_at)
        self._begin_round()
        leaves_jobs = False
        try:
            await self._claim_known()
            while (action := self._next_action()) is not Do.FINISH:
                await self._do(action)
            leaves_jobs = self.leaves_jobs()
        except asyncio.CancelledError:
            if self._handover is None:
                # Whoever waits for a log that does not answer stops waiting: the process ends with its drain.
                self._services.stopping.set()
            raise
        finally:
            await self._poller.close()
            if not leaves_jobs:
                await self._stop_jobs()
        return dict(sorted(self._counts.items()))

    def wake(self) -> None:
        """Say that there may be something to claim."""
        self._woken.set()

    def free(self) -> int:
        """Return how many more jobs may begin now."""
        return max(self._room(), 0)

    def leaves_jobs(self) -> bool:
        """Say whether the process goes on with what is under way, so that the next drain need not wait for it."""
        return self._handover is not None and not self._services.stopping.is_set()

    def _next_action(self) -> Do | Rest:
        now = time.monotonic()
        stopping = self._services.stopping.is_set()
        if stopping and self._state.stopping_since is None:
            self._state = replace(self._state, stopping_since=now)
        state = replace(
            self._state,
            running=len(self._jobs),
            room=self._room(),
            is_over=stopping or (self._handover is not None and self._handover.wanted.is_set()),
            leaves_jobs=self.leaves_jobs(),
        )
        return next_action(state, now)

    def _room(self) -> int:
        return room(self._concurrency, running=len(self._jobs), at_work=len(self._jobs.awaited()))

    async def _do(self, action: Do | Rest) -> None:
        match action:
            case Do.POLL:
                await self._poll()
            case Do.HAND_ON:
                await self._hand_on()
            case Do.CLAIM:
                await self._claim()
            case Do.VERIFY:
                self._state = replace(self._state, is_empty=await self._is_empty())
            case Rest(until):
                await self._rest(until)
                self._begin_round()

    def _begin_round(self) -> None:
        """Take it that there may be something to do again."""
        self._state = replace(
            self._state, has_polled=False, may_hand_on=bool(self._handed_on), may_claim=True, is_empty=None
        )

    async def _poll(self) -> None:
        """Take new jobs from the inboxes."""
        self._begin_round()
        began = time.monotonic()
        taken, unsettled, left = await self._poller.poll()
        pause = poll_pause(
            time.monotonic() - began,
            found=taken + left > 0,
            is_down=bool(self._poller.down),
            least=self._services.settings.poll_seconds,
        )
        self._state = replace(self._state, has_polled=True, unsettled=unsettled, poll_at=time.monotonic() + pause)

    async def _claim(self) -> None:
        """Claim the job whose turn it is, and begin it."""
        claims, usable = self._services.claims, self._poller.usable()
        try:
            claimed = await asyncio.to_thread(claims.claim, self._run_here, storages=usable)
        except LogError as error:
            self._claim_later(error)
            return
        if claimed is None:
            self._state = replace(self._state, may_claim=False)
            return
        failpoints.point("claim.appended")
        run, name = self._run(claimed), claimed.job.job_id
        task = asyncio.create_task(run, name=name) if self._handover is None else self._handover.begin(run, name)
        self._jobs.add(task, claimed.ended)

    async def _claim_known(self) -> None:
        """Claim what is in the log already, which need not wait for the first look at the inboxes."""
        for _ in range(self._concurrency):
            action = self._next_action()
            if action is Do.POLL and self._state.may_claim and self._room() > 0:
                await self._claim()

    async def _hand_on(self) -> None:
        """Claim a job of a backend that is run elsewhere, and hand it to the workers of the pool."""
        claims, usable = self._services.claims, self._poller.usable()
        try:
            claimed = await asyncio.to_thread(claims.claim_for_pool, self._handed_on, storages=usable)
            if claimed is None:
                self._state = replace(self._state, may_hand_on=False)
                return
            try:
                await dispatch(self._client, claimed.job)
            except asyncio.CancelledError:
                claims.owe(claimed.token)
                raise
            except Exception as error:  # noqa: BLE001 - a job that cannot be handed on now waits again
                _LOG.warning("dispatch_failed action=retry job_id=%s: %s", claimed.job.job_id, type(error).__name__)
                await asyncio.to_thread(claims.end_attempt, claimed)
                self._back_off(came_through=False)
            else:
                # Whoever begins it takes it over; if nobody does, its lease runs out.
                claims.forget(claimed.token)
        except LogError as error:
            self._claim_later(error)

    def _claim_later(self, error: LogError) -> None:
        _LOG.warning("claim_failed action=try_again: %s", error)
        self._state = replace(self._state, claim_at=max(self._state.claim_at, time.monotonic() + LOG_PAUSE))

    def _back_off(self, *, came_through: bool) -> None:
        """Pause the claims while attempts fail in a row: storage or Prefect may be down, and jobs can wait."""
        self._failures_in_a_row = 0 if came_through else self._failures_in_a_row + 1
        if pause := claim_pause(self._failures_in_a_row, self._services.settings.retry_seconds):
            self._state = replace(self._state, claim_at=time.monotonic() + pause)

    async def _run(self, claimed: Claim) -> None:
        """Run one claimed job to the end of its attempt, and learn from it whether to go on."""
        job = await self._services.claims.run_to_end(claimed, self._run_flow(claimed.job))
        if job is None:
            return
        if job.state in FINAL:
            self._back_off(came_through=True)
            self._counts[job.state.value] += 1
            self._services.on_final(job)
        elif not await self._waits_for_operator(job) and not await self._poller.check_storage(job.storage):
            self._back_off(came_through=False)

    async def _waits_for_operator(self, job: Job) -> bool:
        """Say whether no storage is to blame: the backend is paused, or the log knows less than the mirror."""
        try:
            if job.backend in await asyncio.to_thread(pauses, self._services.log.engine):
                return True
            return bool(await asyncio.to_thread(self._services.holds.why, job.job_id))
        except LogError:
            return True  # it is the log that does not answer

    async def _run_flow(self, job: Job) -> None:
        """Run an attempt as the flow run that submitted its job, or as a new one."""
        parameters = {"job_id": job.job_id, "attempt": job.attempt}
        try:
            run = await self._submissions.run_of(job)
            if run is not None and run.state is not None and run.state.type in CANCELS:
                if await asyncio.to_thread(was_revived_since, self._services, job, run):
                    run = None
                else:
                    await self._cancel(job)
                    return
            if run is None or run.state is None or run.state.type not in TO_BEGIN:
                deployment = await self._submissions.deployment()
                run = await new_run(
                    self._client, run_attempt, job.job_id, parameters, tags_of(job), deployment_id=deployment
                )
            state = await run_as(run_attempt, run, parameters)
            if state.type is StateType.CANCELLING:  # Prefect has not let it begin
                await self._cancel(job)
        except Exception as error:  # noqa: BLE001 - one run that Prefect cannot begin must not end the drain
            _LOG.warning("run_broke action=retry job_id=%s: %s", job.job_id, type(error).__name__)

    async def _cancel(self, job: Job) -> None:
        with contextlib.suppress(NotCancellable):
            await asyncio.to_thread(
                cancel, self._services, job.job_id, by="prefect", reason="cancelled in Prefect before it began"
            )

    async def _is_empty(self) -> bool:
        """Say whether no job waits or runs, in whoever's hands: a dead worker's job comes back when its lease ends.

        What waits for a backend that is paused is not waited for.
        """
        try:
            paused = await asyncio.to_thread(pauses, self._services.log.engine)
            counts = await asyncio.to_thread(self._services.log.counts, storages=self._poller.awaited())
        except LogError:
            return False
        phases = [counts.get(name, {}).keys() - ({Phase.WAITING} if name in paused else set()) for name in self._served]
        return not any(phases)

    async def _rest(self, until: float) -> None:
        """Wait until then, or until a job ends, one was launched, or the next drain is here."""
        calls = [self._woken, *self._jobs.awaited()]
        if self._handover is not None and not self._handover.wanted.is_set():
            calls.append(self._handover.wanted)
        waiting = [asyncio.create_task(call.wait()) for call in calls]
        try:
            seconds = max(until - time.monotonic(), 0.0)
            await asyncio.wait([*self._jobs.tasks(), *waiting], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        self._woken.clear()

    async def _stop_jobs(self) -> None:
        """Cancel what is under way, which gives its jobs back, and what was claimed and not begun."""
        await self._jobs.stop()
        await asyncio.to_thread(self._services.claims.give_back_all, begun=False)
