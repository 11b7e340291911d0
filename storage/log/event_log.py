"""The append-only event log. It alone writes events, and the view of jobs in the same transaction.

Every append is fenced: it names the seq that it follows and the attempt that it belongs to, and shows the token of that
attempt's holder. The unique key (job_id, seq) lets exactly one writer win; `models.job` has the last word.

Whoever decides about a job holds its row first (`FOR UPDATE`; SQLite has one writer anyway and leaves it out).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from models import clock
from models.claims import Lease, Waiting, fairest, holder_of, judge_lease, lease_length
from models.errors import AppendConflict, IdempotencyConflict, LogBroken, NotAllowed, StaleAttempt, UnknownJob
from models.events import GENESIS, Event, seal
from models.facts import Claimed, Fact, HandedOver, Refused, Submitted
from models.job import TRANSITIONS, Job, Phase, State, apply, not_the_holder, why_not
from models.names import is_job_id
from models.retry import LONGEST, is_due
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.tables import EventRow, JobRow, LeaseRow, MirrorRow

_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_LEASE: Any = LeaseRow.__table__  # type: ignore[attr-defined]
_MIRROR: Any = MirrorRow.__table__  # type: ignore[attr-defined]

_ADD_EVENT = insert(_EVENT)
_ADD_JOB = insert(_JOB)
_ADD_CURSOR = insert(_MIRROR)
_PUT_JOB = update(_JOB).where(_JOB.c.job_id == bindparam("_job_id"), _JOB.c.seq == bindparam("_seq"))
_PUT_BEHIND = update(_MIRROR).where(_MIRROR.c.job_id == bindparam("_job_id"))
_NOT_HELD = text("NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = job.job_id)")
"""A job of which the mirror knows more than the log is left alone."""
_GET_JOB = select(_JOB.c.fold).where(_JOB.c.job_id == bindparam("job_id"))
_HOLD_JOB = _GET_JOB.with_for_update()
# A job that somebody else is just writing to is not waited for.
_HOLD_WAITING = _GET_JOB.where(_JOB.c.phase == Phase.WAITING.value, _NOT_HELD).with_for_update(skip_locked=True)
_HOLD_RUNNING = (
    select(_JOB.c.job_id)
    .where(_JOB.c.job_id.in_(bindparam("job_ids", expanding=True)), _JOB.c.phase == Phase.RUNNING.value)
    .order_by(_JOB.c.job_id)
    .with_for_update(skip_locked=True)
)
_GET_EVENTS = select(_EVENT).where(_EVENT.c.job_id == bindparam("job_id")).order_by(_EVENT.c.seq)

# The head of each user's queue at a backend: two index steps for each user, however long the queues are.
_HEADS_OF = """
    WITH RECURSIVE waiting(name) AS (
        SELECT min("user") FROM job WHERE phase = 'waiting' AND backend = :backend
        UNION ALL
        SELECT (SELECT min("user") FROM job WHERE phase = 'waiting' AND backend = :backend AND "user" > waiting.name)
        FROM waiting WHERE waiting.name IS NOT NULL
    )
    SELECT (
        SELECT head.job_id FROM job AS head
        WHERE head.phase = 'waiting' AND head.backend = :backend AND head."user" = waiting.name
            AND (head.not_before <= :now OR head.not_before > :beyond) {}
            AND NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = head.job_id)
        ORDER BY head.priority DESC, head.received_at, head.job_id LIMIT 1
    ) FROM waiting WHERE waiting.name IS NOT NULL
"""
_HEADS = text(_HEADS_OF.format(""))
_HEADS_IN = text(_HEADS_OF.format("AND head.storage IN :storages")).bindparams(bindparam("storages", expanding=True))
_GET_WAITING = select(_JOB.c.user, _JOB.c.priority, _JOB.c.received_at, _JOB.c.job_id).where(
    _JOB.c.job_id.in_(bindparam("job_ids", expanding=True))
)
_LEASES = (
    select(_JOB.c.fold, _LEASE.c.lease_until)
    .select_from(_JOB.outerjoin(_LEASE, (_LEASE.c.job_id == _JOB.c.job_id) & (_LEASE.c.attempt == _JOB.c.attempt)))
    .where(_JOB.c.phase == Phase.RUNNING.value, _NOT_HELD)
)
_RUNNING_BY_BACKEND = (
    select(_JOB.c.backend, func.count()).where(_JOB.c.phase == Phase.RUNNING.value, _NOT_HELD).group_by(_JOB.c.backend)
)
_RUNNING_BY_USER = (
    select(_JOB.c.user, func.count()).where(_JOB.c.phase == Phase.RUNNING.value, _NOT_HELD).group_by(_JOB.c.user)
)
_RUNNING_JOBS = select(_JOB.c.fold).where(_JOB.c.phase == Phase.RUNNING.value)


class Known(NamedTuple):
    """What the inbox asks about a job that it meets again."""

    backend: str
    storage: str
    state: State


class EventLog:
    """The log in one database; safe to use from several threads and processes at once."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = clock.now) -> None:
        self.engine = engine
        self._now = now

    def submit(self, job_id: str, fact: Submitted, actor: str, *, flow_run_id: str | None = None) -> tuple[Job, bool]:
        """Begin a job, once: a second submission of the same document under the same id changes nothing.

        Returns:
            The job, and whether this call began it.

        Raises:
            IdempotencyConflict: the id belongs to a job with another document.
        """
        try:
            job, begun = self._begin(job_id, fact, actor, flow_run_id)
        except AppendConflict:
            # Somebody else has begun it in the same moment, and is through with it now.
            job, begun = self._begin(job_id, fact, actor, flow_run_id)
        if begun:
            return job, True
        if job.document_sha256 != fact.document_sha256 or job.backend != fact.backend:
            msg = f"job {job_id} exists with another document; use another idempotency key"
            raise IdempotencyConflict(msg)
        return job, False

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
            token: of the holder of the attempt; None where the facts are nobody's in particular.

        Raises:
            AppendConflict: the log has moved on; read the job again and decide again.
            StaleAttempt: the attempt is over, or in the hands of another worker; the refusal is in the log.
            NotAllowed: the state machine has no such transition.
        """
        with writing(self.engine) as connection:
            current = _get(connection, job.job_id, _HOLD_JOB)
            late = why_not(current, facts[0], attempt) if _is_late(current, facts[0], attempt) else None
            late = late or not_the_holder(current, facts[0], None if token is None else holder_of(token))
            if late is None:
                if current.seq != job.seq:
                    msg = f"job {job.job_id} is at event {current.seq}, not {job.seq}"
                    raise AppendConflict(msg)
                for fact in facts:
                    reason = why_not(current, fact, attempt)
                    if reason is not None:
                        raise NotAllowed(reason)
                    current = self._write(
                        connection, current, fact, attempt=attempt, actor=actor, flow_run_id=flow_run_id
                    )
                return current
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
            if not _heads(connection, backends, asked, storages):
                return None
        with writing(self.engine) as connection:
            # One claim after another: who is next depends on what everybody else runs.
            dialect_of(connection).in_turn(connection, Turn.CLAIM)
            job = _next(connection, _free(connection, backends, most), asked, storages)
            if job is None:
                return None
            return self._claim(connection, job, worker, asked, lease_until, token, handed_on=handed_on)

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
            job = _find(connection, job_id, _HOLD_WAITING)
            if job is None or not is_due(job.not_before, asked):
                return None
            if not _free(connection, [job.backend], most):
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
        """Give a job that was claimed for another process to `worker`, which has begun it; None where it is not to be had.

        Asked again by the same worker, whose answer was lost, it gives the job again.
        """
        asked = self._now()
        with writing(self.engine) as connection:
            job = _find(connection, job_id, _HOLD_JOB)
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
            connection.execute(delete(_LEASE).where(_LEASE.c.job_id == job_id))
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
                job = _find(connection, job_id, _HOLD_JOB)
                if job is None or job.attempt != attempt or job.phase is not Phase.RUNNING:
                    continue
                token = tokens.get(job_id) if tokens else None
                if job.holder is not None and (token is None or holder_of(token) != job.holder):
                    continue
                held[job_id] = job
                _set_lease(connection, job_id, attempt, lease_until)
        return held

    def expire(self, decide: Callable[[Job], Sequence[Fact]], actor: str, held: Collection[str] = ()) -> list[Job]:
        """End every attempt whose lease has run out: append what `decide` says of its job.

        A lease that lies further ahead than any that is given now was written by a clock that was wrong: it is cut.

        Args:
            held: holders in this process: whoever asks is alive, so what it holds itself was only late.

        Returns:
            The jobs as they stand after it.
        """
        with reading(self.engine) as connection:
            silent = _silent(connection, _LEASES, self._now(), held)
        if not silent:
            return []
        with writing(self.engine) as connection:
            after = []
            still = connection.scalars(_HOLD_RUNNING, {"job_ids": [job.job_id for job, _ in silent]}).all()
            now = self._now()
            # Looked at again, now that no heartbeat can come between.
            for job, lease in _silent(connection, _LEASES.where(_JOB.c.job_id.in_(still)), now, held):
                if lease is Lease.TOO_FAR:
                    _set_lease(connection, job.job_id, job.attempt, now + lease_length(job))
                    continue
                changed = job
                for fact in decide(job):
                    reason = why_not(changed, fact, job.attempt)
                    if reason is not None:
                        raise NotAllowed(reason)
                    changed = self._write(connection, changed, fact, attempt=job.attempt, actor=actor)
                after.append(changed)
            return after

    def running(self, holders: Collection[str]) -> list[Job]:
        """Return the running jobs that are in the hands of these holders."""
        with reading(self.engine) as connection:
            folds = connection.scalars(_RUNNING_JOBS).all()
        return [job for job in map(Job.model_validate_json, folds) if job.holder in holders]

    def get(self, job_id: str) -> Job:
        """Return the job.

        Raises:
            UnknownJob: there is none.
        """
        if not is_job_id(job_id):
            raise UnknownJob(job_id)
        with reading(self.engine) as connection:
            return _get(connection, job_id)

    def known(self, job_ids: Iterable[str]) -> dict[str, Known]:
        """Return what is known of those of the ids that have a job."""
        wanted = list(job_ids)
        found: dict[str, Known] = {}
        columns = select(_JOB.c.job_id, _JOB.c.backend, _JOB.c.storage, _JOB.c.state)
        with reading(self.engine) as connection:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                for job_id, backend, storage, state in connection.execute(columns.where(_JOB.c.job_id.in_(part))):
                    found[job_id] = Known(backend, storage, State(state))
        return found

    def history(self, job_id: str) -> list[Event]:
        """Return all events of the job, first to last; empty where there is none."""
        if not is_job_id(job_id):
            return []
        with reading(self.engine) as connection:
            return [_event(row) for row in connection.execute(_GET_EVENTS, {"job_id": job_id})]

    def submission(self, job_id: str) -> Submitted:
        """Return the fact that began the job.

        Raises:
            UnknownJob: there is none.
        """
        query = select(_EVENT).where(_EVENT.c.job_id == job_id, _EVENT.c.seq == 0)
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownJob(job_id)
        fact = _event(row).fact
        if not isinstance(fact, Submitted):
            msg = f"the history of job {job_id} does not begin with its submission"
            raise LogBroken(msg)
        return fact

    def jobs(self, *, backend: str = "", user: str = "", state: str = "", limit: int = 50) -> list[Job]:
        """Return the newest jobs first, of one backend, user or state where that is asked."""
        query = select(_JOB.c.fold).order_by(_JOB.c.submitted_at.desc(), _JOB.c.job_id.desc()).limit(limit)
        for column, value in ((_JOB.c.backend, backend), (_JOB.c.user, user), (_JOB.c.state, state)):
            if value:
                query = query.where(column == value)
        with reading(self.engine) as connection:
            return [Job.model_validate_json(fold) for fold in connection.scalars(query)]

    def counts(self, *, storages: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
        """Return how many jobs wait and run, by backend and phase; those that are held do neither.

        Args:
            storages: names of the storages whose jobs are counted; None for all.
        """
        open_phases = _JOB.c.phase.in_([Phase.WAITING.value, Phase.RUNNING.value])
        query = select(_JOB.c.backend, _JOB.c.phase, func.count()).where(open_phases, _NOT_HELD)
        query = query.group_by("backend", "phase")
        if storages is not None:
            query = query.where(_JOB.c.storage.in_(storages))
        counts: dict[str, dict[str, int]] = {}
        with reading(self.engine) as connection:
            for backend, phase, number in connection.execute(query):
                counts.setdefault(backend, {})[phase] = number
        return counts

    def open_by_storage(self) -> dict[str, int]:
        """Return how many jobs have not ended and are not held, by the name of their storage as they know it."""
        open_phases = _JOB.c.phase.in_([Phase.WAITING.value, Phase.RUNNING.value])
        query = select(_JOB.c.storage, func.count()).where(open_phases, _NOT_HELD).group_by(_JOB.c.storage)
        with reading(self.engine) as connection:
            return {storage: number for storage, number in connection.execute(query)}  # noqa: C416 - rows are no pairs

    def recent(self, since: datetime) -> dict[str, dict[str, int]]:
        """Return how many of the jobs submitted since then are in each state, by backend."""
        query = select(_JOB.c.backend, _JOB.c.state, func.count()).where(_JOB.c.submitted_at >= clock.to_text(since))
        counts: dict[str, dict[str, int]] = {}
        with reading(self.engine) as connection:
            for backend, state, number in connection.execute(query.group_by("backend", "state")):
                counts.setdefault(backend, {})[state] = number
        return counts

    def _begin(self, job_id: str, fact: Submitted, actor: str, flow_run_id: str | None) -> tuple[Job, bool]:
        with writing(self.engine) as connection:
            job = _find(connection, job_id)
            if job is not None:
                return job, False
            after = self._write(connection, None, fact, job_id=job_id, attempt=0, actor=actor, flow_run_id=flow_run_id)
            return after, True

    def _write(  # noqa: PLR0913 - an event has that many fields
        self,
        connection: Connection,
        job: Job | None,
        fact: Fact,
        *,
        attempt: int,
        actor: str,
        job_id: str = "",
        flow_run_id: str | None = None,
    ) -> Job:
        """Insert one event and rewrite the view; the caller has asked whether it may follow."""
        event = seal(
            fact,
            job_id=job.job_id if job else job_id,
            seq=job.seq + 1 if job else 0,
            attempt=attempt,
            recorded_at=self._now(),
            actor=actor,
            flow_run_id=flow_run_id,
            prev_hash=job.last_hash if job else GENESIS,
        )
        after = apply(job, event)
        try:
            row = job_row(after)
            if job is None:
                # The job before its event: in this order every writer comes upon the tables.
                connection.execute(_ADD_JOB, row)
            connection.execute(_ADD_EVENT, event_row(event))
            if job is None:
                connection.execute(_ADD_CURSOR, {"job_id": after.job_id, "seq": -1, "place": "", "behind": True})
            else:
                changed = connection.execute(_PUT_JOB, row | {"_job_id": after.job_id, "_seq": job.seq})
                if changed.rowcount != 1:
                    msg = f"job {after.job_id} was changed by another writer"
                    raise AppendConflict(msg)
                connection.execute(_PUT_BEHIND, {"_job_id": after.job_id, "behind": True})
        except IntegrityError:
            msg = f"job {after.job_id} was changed by another writer"
            raise AppendConflict(msg) from None
        return after


def event_row(event: Event) -> dict[str, Any]:
    """Return the event as a row of the table."""
    return event.model_dump() | {"recorded_at": clock.to_text(event.recorded_at)}


def job_row(job: Job) -> dict[str, Any]:
    """Return the job as a row of the view."""
    return {
        "job_id": job.job_id,
        "backend": job.backend,
        "user": job.user,
        "project": job.project,
        "phase": job.phase.value,
        "state": job.state.value,
        "priority": job.priority,
        "received_at": clock.to_text(job.received_at),
        "submitted_at": clock.to_text(job.submitted_at),
        "not_before": clock.to_text(job.not_before) if job.not_before else "",
        "attempt": job.attempt,
        "seq": job.seq,
        "fold": job.model_dump_json(),
        "storage": job.storage,
    }


def _event(row: Any) -> Event:
    return Event.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it


def _find(connection: Connection, job_id: str, query: Any = _GET_JOB) -> Job | None:
    fold = connection.execute(query, {"job_id": job_id}).scalar()
    try:
        return None if fold is None else Job.model_validate_json(fold)
    except ValidationError:
        msg = f"the view of job {job_id} is damaged; run `quledger verify`"
        raise LogBroken(msg) from None


def _get(connection: Connection, job_id: str, query: Any = _GET_JOB) -> Job:
    job = _find(connection, job_id, query)
    if job is None:
        raise UnknownJob(job_id)
    return job


def _free(connection: Connection, backends: Sequence[str], most: Mapping[str, int] | None) -> Sequence[str]:
    """Return those of the backends that may run one more job."""
    if not most:
        return backends
    running = {backend: count for backend, count in connection.execute(_RUNNING_BY_BACKEND)}  # noqa: C416
    return [name for name in backends if name not in most or running.get(name, 0) < most[name]]


def _next(connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None) -> Job | None:
    """Return the job whose turn it is, held; None where nothing may be claimed now."""
    running = {user: count for user, count in connection.execute(_RUNNING_BY_USER)}  # noqa: C416
    job_ids = _heads(connection, backends, now, storages)
    heads = [Waiting(*row) for row in connection.execute(_GET_WAITING, {"job_ids": job_ids})]
    while (head := fairest(heads, running)) is not None:
        job = _find(connection, head.job_id, _HOLD_WAITING)
        if job is not None:
            return job
        heads.remove(head)
    return None


def _heads(connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None) -> list[str]:
    """Return the ids of the first waiting job of each user and backend."""
    query, more = (_HEADS, {}) if storages is None else (_HEADS_IN, {"storages": list(storages)})
    # As `models.retry.is_due` says.
    times = {"now": clock.to_text(now), "beyond": clock.to_text(now + timedelta(seconds=LONGEST))}
    found = (connection.scalars(query, {"backend": backend} | times | more) for backend in backends)
    return [job_id for heads in found for job_id in heads if job_id is not None]


def _silent(connection: Connection, leases: Any, now: datetime, held: Collection[str]) -> list[tuple[Job, Lease]]:
    """Return the running jobs whose lease is not as it should be, but for those in these hands."""
    found: list[tuple[Job, Lease]] = []
    for fold, heartbeat in connection.execute(leases):
        job = Job.model_validate_json(fold)
        lease = judge_lease(job, datetime.fromisoformat(heartbeat) if heartbeat else None, now)
        if lease is not Lease.GOOD and (job.holder is None or job.holder not in held):
            found.append((job, lease))
    return found


def _set_lease(connection: Connection, job_id: str, attempt: int, until: datetime) -> None:
    row = {"attempt": attempt, "lease_until": clock.to_text(until)}
    done = connection.execute(update(_LEASE).where(_LEASE.c.job_id == job_id).values(**row))
    if done.rowcount == 0:
        connection.execute(insert(_LEASE).values(job_id=job_id, **row))


def _seconds(lease: timedelta) -> float:
    return round(max(0.0, lease.total_seconds()), 3)


def _is_late(job: Job, fact: Fact, attempt: int) -> bool:
    """Say whether a forbidden fact comes from a worker that no longer holds the job."""
    row = TRANSITIONS.get(fact.kind)
    return row is not None and row.of_attempt and (attempt < job.attempt or job.phase is not Phase.RUNNING)
