"""One worker's hold on a job: the only way in which an attempt writes to the log."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta

from models import clock
from models.claims import holder_of
from models.errors import (
    AppendConflict,
    LogError,
    LogUnavailable,
    MirrorAhead,
    QuledgerError,
    StaleAttempt,
    StorageFull,
    UnknownJob,
)
from models.events import Event
from models.facts import Fact, Stage, Withdrawn
from models.job import FINAL, Job, Phase
from models.pauses import Paused
from models.policy import (
    INTERRUPTED,
    UNFINISHED,
    Outcome,
    Then,
    after_storage_error,
    ending,
    outcome_of,
    waiting_for_room_since,
)
from storage import failpoints
from storage.log.pauses import pauses
from storage.providers.protocol import StorageProvider
from tasks.jobs.claims import Claim
from tasks.sandbox.job_process import JobProcess
from tasks.services import Services

_LOG = logging.getLogger("quledger.attempt")

LOOK_SECONDS = 1.0
"""How often a worker looks whether its job was cancelled or lost."""

FIRST_PAUSE, MAX_PAUSE = 0.2, 2.0
"""How long a worker waits, in seconds, before it asks a log again that does not answer."""

_current: ContextVar["Attempt"] = ContextVar("attempt")


class Hold:
    """The hold on a claimed job: all that is appended in its attempt goes through here, whoever does the work.

    Attributes:
        job: as of the last event that is known here.
        token: shown with every append.
        worker: under whose name it is appended.
        number: of the attempt; with the token the fence of every append.
        holder: by what name the log knows the token.
        flow_run_id: of the flow run that works on it.
        good_until: by the steady clock; so long a log that does not answer is asked again.
    """

    def __init__(
        self, services: Services, claim: Claim, worker: str, *, patience: float, flow_run_id: str | None = None
    ) -> None:
        self.services, self.worker = services, worker
        self.job = claim.job
        self.token = claim.token
        self.holder = holder_of(claim.token)
        self.number = claim.job.attempt
        self.good_until = time.monotonic() + patience
        self.flow_run_id = flow_run_id
        # Kinds of what was appended without an answer, and behind which event: others may read the job anew meanwhile.
        self._doubtful: tuple[int, list[str]] | None = None

    @property
    def storage(self) -> StorageProvider:
        """The storage that holds the job's documents.

        Raises:
            StorageUnavailable: it cannot be used now.
        """
        return self.services.stores.of(self.job.storage)

    async def record(self, *facts: Fact) -> Job:
        """Append facts of this attempt; what others appended meanwhile is no obstacle unless it forbids them.

        Raises:
            StaleAttempt: the attempt is over.
            LogUnavailable: the log has not answered for as long as the lease lasts.
        """
        return await asyncio.to_thread(self.record_now, *facts)

    def record_now(self, *facts: Fact) -> Job:
        """Do what `record` does, in a thread that is there already."""
        return self._record(lambda _job: facts)

    async def fail(self, error: Exception, stage: Stage) -> str:
        """End the attempt as the rules say of an error that it met; return in words what the user may know of it.

        A log that does not answer gets to know nothing: the job is given back when it does.
        """
        outcome = outcome_of(error, stage)
        if outcome.logged:
            level = logging.ERROR if outcome.is_bug else logging.WARNING
            _LOG.log(level, "%s", outcome.logged, exc_info=error if outcome.is_bug else None)
        if outcome.then is Then.NOTHING:
            return outcome.message
        if isinstance(error, StorageFull):
            self.services.relay.found_full(self.job.storage, error)
        try:
            await asyncio.to_thread(self._end, outcome)
            if outcome.then is Then.FAIL:
                failpoints.point("failure.appended")
        except QuledgerError as second:
            _LOG.warning("failure_unrecorded action=give_back_later job_id=%s: %s", self.job.job_id, second)
        return outcome.message

    def _end(self, outcome: Outcome) -> None:
        if outcome.then in (Then.AWAIT_STORAGE, Then.AWAIT_ROOM):
            outcome = replace(outcome, then=self._after_storage_error(outcome.then))
        retries, jitter = self.services.retries, random.random()  # noqa: S311 - spreads retries, protects nothing
        self._record(lambda job: (ending(job, outcome, retries, now=clock.now(), jitter=jitter),))

    def _after_storage_error(self, then: Then) -> Then:
        answers = self.services.relay.answers(self.job.storage)
        since = None
        if answers and then is Then.AWAIT_ROOM:
            since = waiting_for_room_since(self.services.log.history(self.job.job_id))
        return after_storage_error(then, answers=answers, waiting_since=since, now=clock.now())

    def _record(self, facts: Callable[[Job], Sequence[Fact]]) -> Job:
        pause = FIRST_PAUSE
        tried: tuple[int, list[str]] | None = None
        while True:
            try:
                if self._doubtful and self._has_appended(*self._doubtful):
                    same, self._doubtful = self._doubtful == tried, None
                    if same or self.job.phase is not Phase.RUNNING:
                        return self.job
                wanted = facts(self.job)
                tried = self.job.seq, [fact.kind for fact in wanted]
                self.job = self.services.log.append(
                    self.job,
                    *wanted,
                    attempt=self.number,
                    actor=self.worker,
                    flow_run_id=self.flow_run_id,
                    token=self.token,
                )
            except AppendConflict:
                self.job = self.services.log.get(self.job.job_id)
                # Asked again above: with the newest events the append is refused or goes through.
            except LogUnavailable:
                # It may have been committed, and only the answer be lost.
                self._doubtful = tried or self._doubtful
                if time.monotonic() + pause > self.good_until or self.services.stopping.is_set():
                    raise
                time.sleep(pause)
                pause = min(MAX_PAUSE, 2 * pause)
            else:
                self._doubtful = None
                return self.job

    def is_in_doubt(self) -> bool:
        """Say whether an append has had no answer yet: who wrote what last is still to be found out."""
        return self._doubtful is not None

    def _has_appended(self, known: int, kinds: list[str]) -> bool:
        """Read the job anew; say whether such facts stand in the log behind event `known`, as written by us."""
        later = self.services.log.history(self.job.job_id)[known + 1 :]
        self.job = self.services.log.get(self.job.job_id)
        return [event.kind for event in later if self._is_ours(event)] == kinds

    def _is_ours(self, event: Event) -> bool:
        return (event.attempt, event.actor) == (self.number, self.worker) and event.kind != "refused"

    def check_now(self) -> None:
        """Make sure that the attempt is not over, and in our hands.

        Raises:
            StaleAttempt: it is not.
        """
        now = self.services.log.get(self.job.job_id)
        if now.attempt != self.number or now.phase is not Phase.RUNNING:
            msg = f"attempt {self.number} is over; the job is {now.state} in attempt {now.attempt}"
            raise StaleAttempt(msg)
        if now.holder != self.holder:
            msg = f"attempt {self.number} is in the hands of another worker"
            raise StaleAttempt(msg)

    async def take(self) -> bool:
        """Take the job document out of its queue; False ends the job here, for then somebody else has it.

        Raises:
            StorageError: it is not known who has it; the job has to wait.
        """
        if await asyncio.to_thread(self.services.relay.take, self.job):
            await self.mirror()
            return True
        await self.record(Withdrawn())
        return False

    async def mirror(self) -> None:
        """Bring the documents in the storage up to the log; if that fails now, `reconcile` does it later."""
        try:
            await asyncio.to_thread(self.services.relay.update, self.job.job_id)
        except MirrorAhead as error:
            _LOG.warning("mirror_ahead action=hold %s", error)
        except Exception as error:  # noqa: BLE001 - the job has ended, whatever becomes of its documents now
            _LOG.warning("mirror_behind action=reconcile_later job_id=%s: %s", self.job.job_id, type(error).__name__)


class Attempt(Hold):
    """A claimed job in the hands of this process, until it is final, given back or lost.

    Attributes:
        document: the job document; None where it was too large to be kept.
        seed: entropy of every choice that the user did not seed, once the compilation has drawn it.
        result: the result document, while the attempt that computed it is still under way.
    """

    def __init__(
        self, services: Services, claim: Claim, document: bytes | None, process: JobProcess, flow_run_id: str | None
    ) -> None:
        super().__init__(
            services, claim, services.worker, patience=services.settings.lease_seconds, flow_run_id=flow_run_id
        )
        self.document = document
        self.process = process
        self.seed = 0
        self.result: bytes | None = None
        self._is_cancelled = claim.job.cancel_requested

    @staticmethod
    def current() -> "Attempt":
        """Return the attempt of the flow run that is under way here."""
        return _current.get()

    def check_pause(self) -> None:
        """Make sure that the backend may begin with the program.

        Raises:
            Paused: it may not.
        """
        pause = pauses(self.services.log.engine).get(self.job.backend)
        if pause is not None and not pause.drain_down:
            raise Paused(pause)

    def is_cancelled(self) -> bool:
        """Say whether somebody wants the job cancelled; its process is being stopped."""
        return self._is_cancelled

    async def cancel(self) -> None:
        """Stop whatever the job is doing; the step that is under way, or the next one, records it."""
        self._is_cancelled = True
        await self.process.close()

    async def leave(self, *, interrupted: bool) -> None:
        """Leave nothing half done: an attempt that is not over is ended, and the mirror follows the log."""
        if self.job.phase is Phase.RUNNING:
            outcome = INTERRUPTED if interrupted else UNFINISHED
            claim = Claim(self.job, self.token)
            try:
                self.job = await asyncio.to_thread(
                    self.services.claims.end_attempt, claim, outcome, flow_run_id=self.flow_run_id
                )
            except (LogError, UnknownJob) as error:
                _LOG.warning("attempt_unsettled action=give_back_later job_id=%s: %s", self.job.job_id, error)
        else:
            self.services.claims.forget(self.token)
        await self.mirror()


@contextlib.asynccontextmanager
async def hold(services: Services, claim: Claim, flow_run_id: str | None) -> AsyncIterator[Attempt]:
    """Hold a claimed job while the block runs: its lease is kept alive, and the block is cancelled if it is lost."""
    job = claim.job
    document = await asyncio.to_thread(services.log.document, job.job_id)
    async with (
        services.sandbox.borrowed() as sandbox,
        sandbox.job(job.backend, document or b"", job_id=job.job_id, limits=services.limits) as process,
    ):
        attempt = Attempt(services, claim, document, process, flow_run_id)
        token = _current.set(attempt)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        keeper = asyncio.create_task(_keep_lease(attempt, task))
        interrupted = False
        try:
            yield attempt
        except asyncio.CancelledError:
            interrupted = True
            raise
        finally:
            keeper.cancel()
            _current.reset(token)
            # Shielded: a cancelled run must still say so in the log.
            await asyncio.shield(attempt.leave(interrupted=interrupted))
            if attempt.job.state in FINAL:
                claim.ended.set()


async def _keep_lease(attempt: Attempt, run: asyncio.Task[object]) -> None:
    """Prolong the lease, see whether somebody wants the job cancelled, and end the run when the job is lost."""
    lease = attempt.services.settings.lease_seconds
    job_id = attempt.job.job_id
    beat_at = time.monotonic() + lease / 3
    seen_lost = False
    while True:
        await asyncio.sleep(min(LOOK_SECONDS, lease / 3))
        if attempt.job.phase is not Phase.RUNNING:
            # It has just ended by our own hand; the run may say so to Prefect in peace.
            return
        try:
            if time.monotonic() >= beat_at:
                until, asked = clock.now() + timedelta(seconds=lease), time.monotonic()
                held = await asyncio.to_thread(
                    attempt.services.log.heartbeat, {job_id: attempt.number}, until, {job_id: attempt.token}
                )
                beat_at = time.monotonic() + lease / 3
                now = held.get(job_id)
                if now is not None:
                    attempt.good_until = asked + lease
            else:
                now = await asyncio.to_thread(attempt.services.log.get, job_id)
        except LogError as error:
            _LOG.warning("heartbeat_failed action=try_again job_id=%s: %s", job_id, error)
            continue
        except Exception as error:  # noqa: BLE001 - a job without a keeper would be lost to somebody else
            _LOG.warning("heartbeat_failed action=try_again job_id=%s: %s", job_id, type(error).__name__)
            continue
        if now is not None and now.cancel_requested and not attempt.is_cancelled():
            await attempt.cancel()
        is_lost = (now is None or now.holder != attempt.holder) and not attempt.is_in_doubt()
        if is_lost and seen_lost and attempt.job.phase is Phase.RUNNING:
            run.cancel()
            return
        # Seen once, it may be what this worker has just written itself, whose answer is on its way.
        seen_lost = is_lost
