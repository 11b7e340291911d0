"""What the engines of devices outside may ask of this laboratory; the policy is asked here as in `calls.py`."""

import asyncio
import contextlib
import hashlib
import time
from datetime import datetime

from deployments.api.calls import Calls
from models import clock
from models.backend import BackendConfig
from models.claims import Waiting, in_fair_order
from models.clock import to_text
from models.errors import (
    Fault,
    InputError,
    JobRejected,
    SandboxError,
    SigningError,
    StorageError,
    UnknownBackend,
    UnknownJob,
)
from models.events import Event
from models.identity.access import Act, Caller, Thing, why_not
from models.identity.errors import NotPermitted, NotSignedIn
from models.identity.facts import DeviceReported
from models.identity.streams import device_stream
from models.job import RUNNING, Job, State
from models.names import is_job_id
from models.retry import is_due
from storage.log import job_lists
from storage.log.job_lists import Query
from storage.log.pauses import pauses
from storage.uploads.engine_files import EngineFiles
from tasks.backends import registry
from tasks.backends.qubits import published
from tasks.jobs import engines
from tasks.jobs.attempt import Hold
from tasks.jobs.checking import Verdict
from tasks.jobs.engines import Engine
from tasks.services import Services

HAND_OUT_SECONDS = 4.0
"""So long jobs are claimed for one who lists them; an engine waits ten seconds for its answer."""

MAX_LOOKED_AT = 1000
"""So many of the jobs that wait for a device are put in their fair order."""


class NotNow(InputError):
    """What is asked cannot be done with the job as it stands; the text says why."""


class Engines:
    """The engines of one laboratory; what is no coroutine blocks."""

    def __init__(self, services: Services, calls: Calls) -> None:
        self._services, self._calls, self._log = services, calls, services.log
        self.files = EngineFiles(services.log.engine)

    def engine(self, caller: Caller) -> Engine:
        """Return the engine whose token was shown.

        Raises:
            NotSignedIn: it is the token of a user.
            NotPermitted: the jobs of this backend are run here, or its description cannot be used.
        """
        if not caller.device:
            raise NotSignedIn("unknown")
        if why := registry.why_run_here(caller.device):
            raise NotPermitted(why)
        return Engine(self._services, caller.device, caller.token_id)

    def device(self, caller: Caller, name: str) -> Engine:
        """Return the engine of the device of this name; else as `engine`.

        Raises:
            UnknownBackend: the caller serves another one.
        """
        engine = self.engine(caller)
        if name != engine.device:
            raise UnknownBackend(name, [engine.device])
        return engine

    def job(self, caller: Caller, job_id: str) -> Job:
        """Return a job of the caller's device.

        Raises:
            UnknownJob: it is none.
        """
        self.engine(caller)
        if not is_job_id(job_id):
            raise UnknownJob(job_id)
        job = self._log.get(job_id)
        if why_not(caller, Act.SERVE, Thing.job(job.user, job.source, job.project, backend=job.backend)):
            raise UnknownJob(job_id)
        return job

    def history(self, job: Job) -> list[Event]:
        """Return the events of a job, all but the first."""
        return self._log.history_after(job.job_id, 0)

    def document(self, job: Job) -> bytes | None:
        """Return the document of a job; None where it was too large to be kept."""
        return self._log.document(job.job_id)

    def waiting(self, engine: Engine, since: datetime | None, limit: int) -> list[Job]:
        """Return the jobs that may be claimed now, in the order of their turns; of a device that is paused none."""
        now = clock.now()
        if engine.device in pauses(self._log.engine, now):
            return []
        found = {job.job_id: job for job in self.listed(engine, [State.QUEUED], since, MAX_LOOKED_AT)}
        # One whose result is staged has run: it is not to run again.
        jobs = [job for job in found.values() if is_due(job.not_before, now) and job.executed is None]
        jobs.sort(key=lambda job: (-job.priority, job.received_at, job.job_id))
        running: dict[str, int] = {}
        for job in self.listed(engine, list(RUNNING), None, MAX_LOOKED_AT):
            running[job.user] = running.get(job.user, 0) + 1
        queue = [Waiting(job.user, to_text(job.received_at), job.job_id) for job in jobs]
        return [found[each.job_id] for each in in_fair_order(queue, running)[:limit]]

    def listed(self, engine: Engine, states: list[State], since: datetime | None, limit: int) -> list[Job]:
        """Return jobs of a device, the oldest first."""
        query = Query(everything=True, backend=engine.device, states=frozenset(states), since=since, newest_first=False)
        return job_lists.page(self._log.engine, query, limit=limit).jobs

    async def claim(self, engine: Engine, job: Job) -> Job | None:
        """Claim a job whose document is in order, for an engine; None where it cannot be had.

        Returns:
            The job as it stands then: one whose document has faults, or that has run before, has ended.

        Raises:
            NotNow: the document could not be checked.
            StorageError: the job waits for its storage.
        """
        verdict = await self._verdict(job)
        if isinstance(verdict, SandboxError):
            raise NotNow("the document of the job could not be checked now; ask again")
        held = await asyncio.to_thread(engine.claim, job.job_id)
        if held is None:
            return None
        await engines.begin(held, verdict)
        if held.job.state is not State.VALIDATED:
            await held.mirror()
        return held.job

    async def hand_out(self, engine: Engine, limit: int) -> list[Job]:
        """Claim the jobs whose turn it is, as many as can be checked in a few seconds; return those that can run."""
        # One is checked before any is claimed: where that takes long, because nothing is warm, nobody may still wait
        # for the answer, and what was claimed for him would be held up.
        known = {job.job_id: await self._verdict(job) for job in await asyncio.to_thread(self.waiting, engine, None, 1)}
        found: list[Job] = []
        enough_at = time.monotonic() + HAND_OUT_SECONDS
        while len(found) < limit and time.monotonic() < enough_at:
            held = await asyncio.to_thread(engine.claim_next)
            if held is None:
                break
            job = held.job
            with contextlib.suppress(StorageError, SigningError):  # it waits
                await engines.begin(held, known.get(job.job_id) or await self._verdict(job))
            if held.job.state is State.VALIDATED:
                found.append(held.job)
            else:
                await held.mirror()
        return found

    async def go_on(self, held: Hold) -> None:
        """Check a job that was claimed, and bring it to where it can run, where that was not done yet."""
        if held.job.state is State.CLAIMED:
            await engines.begin(held, await self._verdict(held.job))

    async def _verdict(self, job: Job) -> Verdict:
        document = await asyncio.to_thread(self._log.document, job.job_id)
        if document is None:
            return JobRejected(
                Fault(message=f"the document has {job.document_bytes / 1e6:.1f} MB, too much to be kept")
            )
        return await self._calls.verdict(job.backend, document)

    async def held(self, engine: Engine, job: Job) -> Hold:
        """Return the hold on a job that the engine has, its lease prolonged.

        Raises:
            NotNow: the engine does not have it.
        """
        if not (engine.has(job) and await asyncio.to_thread(engine.beat, job)):
            raise NotNow("this engine does not have the job: it was never claimed, or its lease has run out")
        return engine.hold(job)

    async def ended(self, held: Hold) -> None:
        """Leave nothing behind of an attempt that is over."""
        await asyncio.to_thread(self.files.remove, held.job.job_id)
        await held.mirror()

    def report(self, engine: Engine, fact: DeviceReported) -> None:
        """Keep what an engine says of its device."""
        self._services.directory.append(device_stream(engine.device), fact, actor=engine.worker)


def config_of(name: str) -> BackendConfig:
    """Return what a device publishes."""
    return BackendConfig.model_validate(registry.load(name).config, from_attributes=True)


def config_sha256(config: BackendConfig) -> str:
    """Return the hash of a configuration, as it stands in `executed`."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()


def is_handed_out_on_list(engine: Engine) -> bool:
    """Return whether jobs are claimed by being listed."""
    return published.is_handed_out_on_list(engine.device)
