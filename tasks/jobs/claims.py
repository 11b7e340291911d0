"""What this process has claimed: jobs are claimed here, and their attempts are ended here.

Whatever a claim, an append or the end of an attempt comes to, its token is kept until it is known that the job is in
other hands: so what nobody works on any more is given back as soon as the log answers, by nobody but its holder.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from models import clock
from models.claims import holder_of, new_token
from models.errors import AppendConflict, LogError, StaleAttempt, UnknownJob
from models.job import FOR_THE_POOL, Job, Phase
from models.policy import INTERRUPTED, Outcome, Then, ending
from models.retry import RetryPolicy
from models.settings import Settings
from storage.log.event_log import EventLog

_LOG = logging.getLogger("quledger.claims")

KEPT_SECONDS = 60.0
"""How long a token is kept at least whose claim was not answered: the server may still be about to commit it."""


@dataclass(frozen=True)
class Claim:
    """A job as it was claimed.

    Attributes:
        token: lets its holder write.
        ended: set when the job has come to its end in the hands of this process.
    """

    job: Job
    token: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class _Held:
    token: str
    claim: Claim | None = None
    begun: bool = False
    owed_since: float | None = None


class Claims:
    """The claims of one process; safe to use from several threads."""

    def __init__(self, log: EventLog, worker: str, settings: Settings) -> None:
        self._log, self._worker, self._settings = log, worker, settings
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        # Held by whoever ends an attempt from outside, so that no two do it at once.
        self._ending = threading.RLock()

    def claim(self, backends: Sequence[str], *, storages: Sequence[str] | None = None) -> Claim | None:
        """Claim the job whose turn it is. Noted in this thread: whoever waits for it may be cancelled.

        Args:
            storages: names of the storages whose jobs may run; None for all.
        """
        most = self._settings.most_at_once
        return self._claimed(
            lambda until, token: self._log.claim(backends, self._worker, until, most, storages=storages, token=token)
        )

    def claim_for_pool(self, backends: Sequence[str], *, storages: Sequence[str] | None = None) -> Claim | None:
        """Claim the job whose turn it is for a process that is still to start; if it never does, the lease runs out."""
        most = dict.fromkeys(backends, self._settings.concurrency) | self._settings.most_at_once
        worker = f"{self._worker}{FOR_THE_POOL}"
        return self._claimed(
            lambda until, token: self._log.claim(
                backends, worker, until, most, storages=storages, token=token, handed_on=True
            ),
            begun=True,
        )

    def claim_job(self, job_id: str) -> Claim | None:
        """Claim this job if it is its turn."""
        most = self._settings.most_at_once
        return self._claimed(lambda until, token: self._log.claim_job(job_id, self._worker, until, most, token=token))

    def begin(self, job_id: str, attempt: int) -> Claim | None:
        """Return the claim of an attempt to whoever begins it, which is one: it was made here, or for another process.

        Returns:
            None where somebody else has the attempt, or it is over.
        """
        with self._lock:
            for held in self._held.values():
                if held.claim is not None and (held.claim.job.job_id, held.claim.job.attempt) == (job_id, attempt):
                    if held.begun or held.owed_since is not None:
                        break
                    self._held[held.token] = replace(held, begun=True)
                    return held.claim
        return self._claimed(
            lambda until, token: self._log.take_over(job_id, attempt, self._worker, until, token), begun=True
        )

    def _claimed(self, make: Callable[..., Job | None], *, begun: bool = False) -> Claim | None:
        """Claim in the given way, with a new token.

        Args:
            make: gets until when the lease lasts, and the token; returns the job if there is one to be had.
        """
        token = new_token()
        with self._lock:
            self._held[token] = _Held(token)
        try:
            job = make(clock.now() + timedelta(seconds=self._settings.lease_seconds), token)
        except BaseException:
            # It may have been made, and only the answer be lost.
            self.owe(token)
            raise
        if job is None:
            self.forget(token)
            return None
        claim = Claim(job, token)
        with self._lock:
            self._held[token] = _Held(token, claim, begun=begun)
        return claim

    def owe(self, token: str) -> None:
        """Say that nobody works on it any more, and that the log is still to hear of it."""
        with self._lock:
            held = self._held.get(token, _Held(token))
            if held.owed_since is None:
                self._held[token] = replace(held, owed_since=time.monotonic())

    def forget(self, token: str) -> None:
        """Say that the log knows of it: the job has ended, was given back, or is in other hands."""
        with self._lock:
            self._held.pop(token, None)

    async def run_to_end(self, claim: Claim, run: Awaitable[object]) -> Job | None:
        """Wait for what runs a claimed job, and see to it that the attempt is over then, or owed.

        Returns:
            The job as it stands then; None where the log does not say.
        """
        try:
            await run
        except BaseException:
            # Stopped, at whatever step: it is given back with all that is owed.
            self.owe(claim.token)
            raise
        try:
            return await asyncio.to_thread(self.end_attempt, claim)
        except (LogError, UnknownJob) as error:
            _LOG.warning("attempt_unsettled action=give_back_later job_id=%s: %s", claim.job.job_id, error)
            return None

    def end_attempt(self, claim: Claim, outcome: Outcome = INTERRUPTED, *, flow_run_id: str | None = None) -> Job:
        """End the attempt if it is still under way in our hands; return the job as it stands then.

        Raises:
            LogUnavailable: it is owed, and given back when the log answers.
            UnknownJob: the log knows no such job any more.
        """
        self.owe(claim.token)
        job_id, holder = claim.job.job_id, holder_of(claim.token)
        retries = RetryPolicy(self._settings.max_attempts, self._settings.retry_seconds)
        ended = False
        with self._ending:
            while True:
                try:
                    job = self._log.get(job_id)
                except UnknownJob:
                    self.forget(claim.token)
                    raise
                if job.phase is not Phase.RUNNING or job.holder != holder:
                    self.forget(claim.token)
                    if outcome.then is not Then.RELEASE and not ended:
                        _LOG.warning("attempt_lost action=none job_id=%s state=%s", job_id, job.state)
                    return job
                jitter = random.random()  # noqa: S311 - spreads retries, protects nothing
                fact = ending(job, outcome, retries, now=clock.now(), jitter=jitter)
                with contextlib.suppress(AppendConflict, StaleAttempt):
                    self._log.append(
                        job,
                        fact,
                        attempt=job.attempt,
                        actor=self._worker,
                        flow_run_id=flow_run_id,
                        token=claim.token,
                    )
                    ended = True

    def give_back_owed(self) -> int:
        """Give back what nobody here works on any more, though the log was not told; return how many jobs that were.

        Raises:
            LogUnavailable: the log still does not answer.
        """
        owed = self.owed()
        if not owed:
            return 0
        found = self._log.running(owed.keys())
        for job in found:
            # No warning: whoever could not tell the log has said so, and being stopped is no fault.
            _LOG.info("job_owed action=give_back job_id=%s attempt=%d", job.job_id, job.attempt)
            with contextlib.suppress(UnknownJob):
                self.end_attempt(Claim(job, owed[job.holder or ""]))
        for holder in owed.keys() - {job.holder for job in found}:
            if self._is_certain(owed[holder]):
                self.forget(owed[holder])
        return len(found)

    def give_back_all(self, *, begun: bool = True) -> None:
        """Give back whatever was claimed here and has not come to an end; what the log is not told now is owed.

        Args:
            begun: also what is being worked on, because the process ends.
        """
        with self._lock:
            tokens = [
                held.token for held in self._held.values() if held.claim is not None and (begun or not held.begun)
            ]
        for token in tokens:
            self.owe(token)
        with contextlib.suppress(LogError):
            self.give_back_owed()

    def owed(self) -> dict[str, str]:
        """Return the tokens that are owed back, by their holder's name in the log."""
        with self._lock:
            return {holder_of(held.token): held.token for held in self._held.values() if held.owed_since is not None}

    def _is_certain(self, token: str) -> bool:
        """Say whether the log's word that it knows no such holder can be taken: no claim may still be on its way."""
        with self._lock:
            held = self._held.get(token)
            if held is None or held.owed_since is None or held.claim is not None:
                return True
            return time.monotonic() > held.owed_since + KEPT_SECONDS

    def holders(self) -> set[str]:
        """Return by what names the log knows those that are at work here."""
        with self._lock:
            return {holder_of(held.token) for held in self._held.values() if held.owed_since is None}
