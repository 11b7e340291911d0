"""The append-only event log. It alone writes events, and the view of jobs in the same transaction.

Every append is fenced: it names the seq that it follows and the attempt that it belongs to, and shows the token of that
attempt's holder. The unique key (job_id, seq) lets exactly one writer win; `models.job` has the last word.

Whoever decides about a job holds its row first (`FOR UPDATE`; SQLite has one writer anyway and leaves it out).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from models import clock
from models.claims import Lease, holder_of, lease_length
from models.errors import AppendConflict, InputError, NotAllowed, StaleAttempt
from models.facts import Claimed, Fact, HandedOver, Refused, Submitted
from models.job import TRANSITIONS, Job, Phase, not_the_holder, why_not
from models.retry import is_due
from models.submissions import Begun
from storage.log import leases, pauses, queue
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.log_reader import LogReader
from storage.log.rows import LOCK_JOB, find_job, get_job, write_event
from storage.log.submissions import Entry, begin_all


class EventLog(LogReader):
    """The log in one database; safe to use from several threads and processes at once."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = clock.now) -> None:
        super().__init__(engine)
        self._now = now

    def submit(self, job_id: str, fact: Submitted, actor: str, *, flow_run_id: str | None = None) -> Begun:
        """Begin a job, once: a second submission of the same document under the same id changes nothing.

        Raises:
            IdempotencyConflict: the id belongs to a job with another document.
        """
        entry = Entry(fact, job_id, flow_run_id)
        (answer,) = begin_all(self.engine, [entry], actor, self._now, refuse_held=False)
        if isinstance(answer, InputError):
            raise answer
        return answer

    def append(
        self,
        job: Job,
        *facts: Fact,
        attempt: int,
        actor: str,
        flow_run_id: str | None = None,
        token: str | None = None,
    ) -> Job:
        """Append facts, all or none, after the last event that `job` knows.

        Args:
            token: of the holder of the attempt; None for facts that need no holder.

        Raises:
            AppendConflict: the log has moved on; read the job again and decide again.
            StaleAttempt: the attempt is over, or in the hands of another worker; the refusal is in the log.
            NotAllowed: the state machine has no such transition.
        """
        with writing(self.engine) as connection:
            current = get_job(connection, job.job_id, LOCK_JOB)
            late = why_not(current, facts[0], attempt) if _is_late(current, facts[0], attempt) else None
            late = late or not_the_holder(current, facts[0], None if token is None else holder_of(token))
            if late is None:
                if current.seq != job.seq:
                    msg = f"job {job.job_id} is at event {current.seq}, not {job.seq}"
                    raise AppendConflict(msg)
                return self._write_all(
                    connection, current, facts, attempt=attempt, actor=actor, flow_run_id=flow_run_id
                )
            refused = Refused(refused_kind=facts[0].kind, refused_attempt=attempt, worker=actor, reason=late)
            self._write(connection, current, refused, attempt=current.attempt, actor=actor, flow_run_id=flow_run_id)
        raise StaleAttempt(late)

    def claim(  # noqa: PLR0913 - what a claim asks and says
        self,
        backends: Sequence[str],
        worker: str,
        lease_until: datetime,
        most: Mapping[str, int] | None = None,
        *,
        storages: Sequence[str] | None = None,
        token: str | None = None,
        handed_on: bool = False,
    ) -> Job | None:
        """Give the job whose turn it is to `worker`; None where nothing may be claimed now.

        Args:
            most: how many jobs of a backend may run at once, whoever runs them; no limit for one that is missing.
            storages: names of the storages whose jobs may run; None for all.
            token: of whoever may write from then on; without one, whoever names the attempt may.
            handed_on: the job is claimed for another process, which takes it over.
        """
        asked = self._now()
        with reading(self.engine) as connection:
            # A glance without the write lock: an idle drain must not hold up those who write.
            if not queue.may_have_next(connection, backends, asked, storages):
                return None
        settled = False
        while not settled:
            with writing(self.engine) as connection:
                # One claim after another: who is next depends on what everybody else runs.
                dialect_of(connection).in_turn(connection, Turn.CLAIM)
                served = pauses.not_paused(connection, backends, asked)
                free = queue.with_capacity(connection, served, most)
                job, settled = queue.next_job(connection, free, asked, storages)
                if job is not None:
                    return self._claim(connection, job, worker, asked, lease_until, token, handed_on=handed_on)
        return None

    def claim_job(
        self,
        job_id: str,
        worker: str,
        lease_until: datetime,
        most: Mapping[str, int] | None = None,
        *,
        token: str | None = None,
    ) -> Job | None:
        """Give this one job to `worker`, whoever's turn it is; None where it may not be claimed now."""
        asked = self._now()
        with writing(self.engine) as connection:
            dialect_of(connection).in_turn(connection, Turn.CLAIM)
            job = find_job(connection, job_id, queue.LOCK_WAITING)
            if job is None or not is_due(job.not_before, asked):
                return None
            served = pauses.not_paused(connection, [job.backend], asked)
            if not queue.with_capacity(connection, served, most):
                return None
            return self._claim(connection, job, worker, asked, lease_until, token)

    def _claim(  # noqa: PLR0913 - what a claim says
        self,
        connection: Connection,
        job: Job,
        worker: str,
        asked: datetime,
        lease_until: datetime,
        token: str | None,
        *,
        handed_on: bool = False,
    ) -> Job:
        fact = Claimed(
            worker=worker,
            # A lease begins when the lock was had, however long that took.
            lease_until=lease_until + (self._now() - asked),
            lease_seconds=_seconds(lease_until - asked),
            holder=None if token is None else holder_of(token),
            handed_on=handed_on,
        )
        return self._write(connection, job, fact, attempt=job.attempt + 1, actor=worker)

    def take_over(self, job_id: str, attempt: int, worker: str, lease_until: datetime, token: str) -> Job | None:
        """Give a job that was claimed for another process to `worker`, which has begun it; None where that cannot be.

        Asked again by the same worker, whose answer was lost, it gives the job again.
        """
        asked = self._now()
        with writing(self.engine) as connection:
            job = find_job(connection, job_id, LOCK_JOB)
            if job is None or job.phase is not Phase.RUNNING or job.attempt != attempt:
                return None
            holder = holder_of(token)
            if job.holder == holder:
                return job
            fact = HandedOver(
                worker=worker,
                lease_until=lease_until + (self._now() - asked),
                lease_seconds=_seconds(lease_until - asked),
                holder=holder,
            )
            if why_not(job, fact, attempt) is not None:
                return None
            after = self._write(connection, job, fact, attempt=attempt, actor=worker)
            leases.remove(connection, job_id)
            return after

    def heartbeat(
        self, attempts: dict[str, int], lease_until: datetime, tokens: Mapping[str, str] | None = None
    ) -> dict[str, Job]:
        """Prolong the leases of running attempts.

        Args:
            attempts: job id -> attempt.
            tokens: job id -> token of the attempt's holder; nobody else prolongs a lease.

        Returns:
            The jobs whose attempt is still the current one; the others are lost to their worker.
        """
        held: dict[str, Job] = {}
        asked = self._now()
        with writing(self.engine) as connection:
            lease_until += self._now() - asked
            # In the order of their ids, as everybody who holds several jobs: no two wait for each other.
            for job_id, attempt in sorted(attempts.items()):
                job = find_job(connection, job_id, LOCK_JOB)
                if job is None or job.attempt != attempt or job.phase is not Phase.RUNNING:
                    continue
                token = tokens.get(job_id) if tokens else None
                if job.holder is not None and (token is None or holder_of(token) != job.holder):
                    continue
                held[job_id] = job
                leases.put(connection, job_id, attempt, lease_until)
        return held

    def expire(
        self,
        decide: Callable[[Job], Sequence[Fact]],
        actor: str,
        held: Collection[str] = (),
        job_ids: Collection[str] | None = None,
    ) -> list[Job]:
        """End every attempt whose lease has run out: append what `decide` says of its job.

        A lease that lies further ahead than any that is given now was written by a clock that was wrong: it is cut.

        Args:
            held: holders in this process: whoever asks is alive, so what it holds itself was only late.
            job_ids: look at these jobs only; None for all.

        Returns:
            The jobs as they stand after it.
        """
        with reading(self.engine) as connection:
            suspects = [job.job_id for job, _ in leases.overdue(connection, self._now(), held, job_ids)]
        if not suspects:
            return []
        with writing(self.engine) as connection:
            # What waits again is entered into the queues of several users, as a claim looks at them.
            dialect_of(connection).in_turn(connection, Turn.CLAIM)
            after = []
            still = leases.lock_running(connection, suspects)
            now = self._now()
            # Looked at again, now that no heartbeat can come between.
            for job, lease in leases.overdue(connection, now, held, still):
                if lease is Lease.TOO_FAR:
                    leases.put(connection, job.job_id, job.attempt, now + lease_length(job))
                else:
                    after.append(self._write_all(connection, job, decide(job), attempt=job.attempt, actor=actor))
            return after

    def _write_all(self, connection: Connection, job: Job, facts: Sequence[Fact], *, attempt: int, **by: Any) -> Job:
        """Append facts to a job whose row is locked.

        Raises:
            NotAllowed: the state machine has no such transition.
        """
        for fact in facts:
            reason = why_not(job, fact, attempt)
            if reason is not None:
                raise NotAllowed(reason)
            job = self._write(connection, job, fact, attempt=attempt, **by)
        return job

    def _write(self, connection: Connection, job: Job, fact: Fact, **about: Any) -> Job:
        return write_event(connection, job, fact, recorded_at=self._now(), **about)


def _seconds(lease: timedelta) -> float:
    return round(max(0.0, lease.total_seconds()), 3)


def _is_late(job: Job, fact: Fact, attempt: int) -> bool:
    """Say whether a forbidden fact comes from a worker that no longer holds the job."""
    row = TRANSITIONS.get(fact.kind)
    return row is not None and row.of_attempt and (attempt < job.attempt or job.phase is not Phase.RUNNING)
