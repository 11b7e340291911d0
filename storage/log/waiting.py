"""What waits, what is under way and how long jobs took of late, as a forecast asks for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, select, text

from models import clock
from models.durations import Ran
from models.job import Job, Phase
from models.service_order import Head, Lane, Under
from models.warming import Warming
from storage.log.database import reading
from storage.log.tables import ENDS_A_RUN, OPEN, EventRow, HeldRow, JobRow, LeaseRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_LEASES: Any = LeaseRow.__table__  # type: ignore[attr-defined]

MOST = 10_000
"""So many waiting jobs are looked at; of more, those that come first of each user, and those that came first of all."""

RUNS = 1000
"""So many of the newest runs say how long jobs take."""

_WAITS = _JOB.c.phase == Phase.WAITING.value
# Asked once: to ask for each row costs more than all the rest.
_HELD = select(HeldRow.__table__.c.job_id).limit(MOST)  # type: ignore[attr-defined]
_COUNTS = select(_JOB.c.backend, _JOB.c.user, func.count()).where(_WAITS)
_COUNTS = _COUNTS.group_by(_JOB.c.backend, _JOB.c.user)
_COLUMNS = (_JOB.c.backend, _JOB.c.user, _JOB.c.priority, _JOB.c.received_at, _JOB.c.job_id)
# In the order of the index, which holds all of it.
_IN_ORDER = (_JOB.c.backend, _JOB.c.user, _JOB.c.priority.desc(), _JOB.c.received_at, _JOB.c.job_id)
_ALL = select(*_COLUMNS).where(_WAITS).order_by(*_IN_ORDER)
_NTH = func.row_number().over(partition_by=(_JOB.c.backend, _JOB.c.user), order_by=_IN_ORDER[2:]).label("nth")
_RANKED = select(*_COLUMNS, _NTH).where(_WAITS).subquery()
_FIRST = (
    select(*(_RANKED.c[column.name] for column in _COLUMNS))
    .where(_RANKED.c.nth <= bindparam("each"))
    .order_by(_RANKED.c.nth, _RANKED.c.received_at)
    .limit(MOST // 2)
)
_OLDEST = select(*_COLUMNS).where(OPEN, _WAITS).order_by(_JOB.c.submitted_at).limit(MOST // 2)
_OWN_BEFORE = (
    select(func.count())
    .select_from(_JOB)
    .where(
        _WAITS,
        _JOB.c.backend == bindparam("backend"),
        _JOB.c.user == bindparam("user"),
        text("(priority > :priority OR (priority = :priority AND (received_at, job_id) < (:received_at, :job_id)))"),
    )
)
_RUNNING = select(_JOB.c.fold).where(_JOB.c.phase == Phase.RUNNING.value)
_CLAIMED = (
    select(_EVENT.c.job_id, _EVENT.c.recorded_at, _EVENT.c.actor)
    .where(_EVENT.c.job_id.in_(bindparam("job_ids", expanding=True)), _EVENT.c.kind == "claimed")
    .order_by(_EVENT.c.job_id, _EVENT.c.seq)
)
_ENDS = (
    select(_EVENT.c.job_id, _EVENT.c.attempt, _EVENT.c.recorded_at)
    .where(ENDS_A_RUN)
    .order_by(_EVENT.c.recorded_at.desc())
    .limit(RUNS)
    .subquery()
)
_RUNS = (
    select(_JOB.c.backend, _JOB.c.user, _JOB.c.fold, _EVENT.c.recorded_at, _ENDS.c.recorded_at, _EVENT.c.actor)
    .select_from(_ENDS.join(_JOB, _JOB.c.job_id == _ENDS.c.job_id).join(_EVENT, _EVENT.c.job_id == _ENDS.c.job_id))
    .where(_EVENT.c.attempt == _ENDS.c.attempt, _EVENT.c.kind == "claimed")
)
_OLDER = select(func.count()).select_from(_JOB).where(_WAITS, text("(received_at, job_id) < (:received_at, :job_id)"))
_LEASE = select(_LEASES.c.lease_until).where(
    _LEASES.c.job_id == bindparam("job_id"), _LEASES.c.attempt == bindparam("attempt")
)


class Running(NamedTuple):
    """A job under way: since when, and who claimed it."""

    job: Job
    since: datetime
    worker: str


class Stand(NamedTuple):
    """How the queues stand.

    Attributes:
        counts: how many jobs wait, of each user at each backend; with those that are held.
        queues: the jobs themselves, in the order that each user wants; of very many the first ones.
        running: jobs that are under way.
        runs: the newest runs that have ended.
    """

    counts: Mapping[Lane, int]
    queues: Mapping[Lane, list[Head]]
    running: list[Running]
    runs: list[Ran]

    @property
    def is_whole(self) -> bool:
        """Whether all that waits was looked at."""
        return sum(self.counts.values()) <= MOST

    def under(self, now: datetime, warming: Warming) -> list[Under]:
        """Return what is under way, in the words of a forecast."""
        return [
            Under(
                job.backend,
                job.user,
                max(0.0, (now - since).total_seconds()),
                warming.cost(worker, job.backend, since.timestamp()),
            )
            for job, since, worker in self.running
        ]


def stand(engine: Engine) -> Stand:
    """Return how the queues stand."""
    with reading(engine) as connection:
        counts = {(backend, user): number for backend, user, number in connection.execute(_COUNTS)}
        total = sum(counts.values())
        if total <= MOST:
            rows = [tuple(row) for row in connection.execute(_ALL)]
        else:
            found = {tuple(row) for row in connection.execute(_FIRST, {"each": _each(counts)})}
            found |= {tuple(row) for row in connection.execute(_OLDEST)}
            rows = sorted(found, key=lambda row: (-row[2], row[3], row[4]))
        held = set(connection.scalars(_HELD))
        queues: dict[Lane, list[Head]] = {}
        for backend, user, _, received_at, job_id in rows:
            if job_id not in held:
                queues.setdefault((backend, user), []).append(Head(received_at, job_id))
        return Stand(counts, queues, _running(connection), _runs(connection))


def own_before(engine: Engine, job: Job) -> int:
    """Return how many jobs its user wants to be served before a job, at its backend."""
    asked = job.model_dump(include={"backend", "user", "priority", "job_id"})
    with reading(engine) as connection:
        found = connection.execute(_OWN_BEFORE, asked | {"received_at": clock.to_text(job.received_at)})
        return found.scalar() or 0


def older(engine: Engine, job: Job) -> int:
    """Return how many waiting jobs were received before a job, whosever they are."""
    asked = {"received_at": clock.to_text(job.received_at), "job_id": job.job_id}
    with reading(engine) as connection:
        return connection.execute(_OLDER, asked).scalar() or 0


def lease_until(engine: Engine, job: Job) -> datetime | None:
    """Return until when the attempt under way is its worker's, as the last heartbeat says; None where none is."""
    with reading(engine) as connection:
        renewed = connection.execute(_LEASE, {"job_id": job.job_id, "attempt": job.attempt}).scalar()
    return datetime.fromisoformat(renewed) if renewed else job.lease_until


def _each(counts: Mapping[Lane, int]) -> int:
    """Return how many jobs of each lane are looked at, so that all together are about as many as may be."""
    each = 1
    while sum(min(number, 2 * each) for number in counts.values()) <= MOST // 2:
        each *= 2
    return each


def _running(connection: Connection) -> list[Running]:
    jobs = [Job.model_validate_json(fold) for fold in connection.scalars(_RUNNING)]
    ids = {"job_ids": [job.job_id for job in jobs]}
    # Of several claims of a job the last one counts.
    rows = connection.execute(_CLAIMED, ids).all() if jobs else []
    claims = {job_id: (datetime.fromisoformat(at), worker) for job_id, at, worker in rows}
    return [Running(job, *claims.get(job.job_id, (job.updated_at, ""))) for job in jobs]


def _runs(connection: Connection) -> list[Ran]:
    found = []
    for backend, user, fold, claimed_at, ended_at, worker in connection.execute(_RUNS):
        job = Job.model_validate_json(fold)
        began, ended = datetime.fromisoformat(claimed_at), datetime.fromisoformat(ended_at)
        waited = (began - job.received_at).total_seconds()
        seconds = max(0.0, (ended - began).total_seconds())
        found.append(Ran(backend, user, job.document_bytes, waited, began.timestamp(), seconds, worker))
    return found
