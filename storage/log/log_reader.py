"""Reads the event log: single jobs and their histories, lists and counts."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, func, select

from models import clock
from models.errors import LogBroken, UnknownJob
from models.events import Event, document_of
from models.facts import Submitted
from models.job import Job, Phase, State
from models.names import MAX_NAMED, id_meant, is_job_id
from storage.log.database import reading
from storage.log.job_lists import MAX_PAGE, Query, page
from storage.log.rows import event_of, get_job
from storage.log.tables import NOT_HELD, OPEN, EventRow, JobRow

_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]

_GET_EVENTS = select(_EVENT).where(_EVENT.c.job_id == bindparam("job_id")).order_by(_EVENT.c.seq)
_RUNNING_JOBS = select(_JOB.c.fold).where(_JOB.c.phase == Phase.RUNNING.value)
_OPEN = _JOB.c.phase.in_([Phase.WAITING.value, Phase.RUNNING.value])

NO_LABELS: Mapping[str, str] = {}

BATCH, FEW = 500, 50
"""Ids that one statement names; fewer where it reads documents."""


class Known(NamedTuple):
    """What the inbox asks about a job that it meets again."""

    backend: str
    storage: str
    state: State


class LogReader:
    """The log in one database, read only; safe to use from several threads at once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def running(self, holders: Collection[str]) -> list[Job]:
        """Return the running jobs that have one of these holders."""
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
            return get_job(connection, job_id)

    def id_of(self, text: str) -> str:
        """Return the id of the job that is meant by an id, or by the beginning of one that no other job's id has.

        Raises:
            UnknownJob: no id begins so; a beginning has at least four characters.
            BadName: several ids do.
        """
        if not is_job_id(text):
            raise UnknownJob(text)
        # In the order of their bytes, and "~" comes after all that an id may hold.
        query = select(_JOB.c.job_id).where(_JOB.c.job_id >= text, _JOB.c.job_id < f"{text}~").order_by(_JOB.c.job_id)
        with reading(self.engine) as connection:
            found = connection.scalars(query.limit(MAX_NAMED + 1)).all()
        job_id = id_meant(text, found)
        if job_id is None:
            raise UnknownJob(text)
        return job_id

    def known(self, job_ids: Iterable[str]) -> dict[str, Known]:
        """Return what is known of those of the ids that have a job."""
        wanted = list(job_ids)
        found: dict[str, Known] = {}
        columns = select(_JOB.c.job_id, _JOB.c.backend, _JOB.c.storage, _JOB.c.state)
        with reading(self.engine) as connection:
            for start in range(0, len(wanted), BATCH):
                part = wanted[start : start + BATCH]
                for job_id, backend, storage, state in connection.execute(columns.where(_JOB.c.job_id.in_(part))):
                    found[job_id] = Known(backend, storage, State(state))
        return found

    def history(self, job_id: str) -> list[Event]:
        """Return all events of the job, first to last; empty where there is none."""
        if not is_job_id(job_id):
            return []
        with reading(self.engine) as connection:
            return [event_of(row) for row in connection.execute(_GET_EVENTS, {"job_id": job_id})]

    def history_after(self, job_id: str, seq: int) -> list[Event]:
        """Return the events of the job that came after this one, first to last."""
        query = _GET_EVENTS.where(_EVENT.c.seq > seq)
        with reading(self.engine) as connection:
            return [event_of(row) for row in connection.execute(query, {"job_id": job_id})]

    def states(self, job_ids: Collection[str]) -> dict[str, tuple[State, int]]:
        """Return the state of each of these jobs that there are, and the number of its last event."""
        query = select(_JOB.c.job_id, _JOB.c.state, _JOB.c.seq).where(_JOB.c.job_id.in_(list(job_ids)))
        with reading(self.engine) as connection:
            return {job_id: (State(state), seq) for job_id, state, seq in connection.execute(query)}

    def last_events(self, job_ids: Collection[str]) -> dict[str, int]:
        """Return the number of the last event of each of these jobs that there are."""
        wanted = list(job_ids)
        found: dict[str, int] = {}
        for start in range(0, len(wanted), BATCH):
            found |= {job_id: seq for job_id, (_, seq) in self.states(wanted[start : start + BATCH]).items()}
        return found

    def in_sight(self, most: int) -> dict[str, int]:
        """Return the numbers of the last events of the newest jobs, and of the oldest that have not ended.

        Args:
            most: so many of the newest, of those that run, and of those that wait.
        """
        newest = (_JOB.c.submitted_at.desc(), _JOB.c.job_id.desc())
        parts = [select(_JOB.c.job_id, _JOB.c.seq).order_by(*newest).limit(most)]
        for phase in (Phase.RUNNING, Phase.WAITING):
            oldest = select(_JOB.c.job_id, _JOB.c.seq).where(OPEN, _JOB.c.phase == phase.value)
            parts.append(oldest.order_by(_JOB.c.submitted_at, _JOB.c.job_id).limit(most))
        with reading(self.engine) as connection:
            return {job_id: seq for part in parts for job_id, seq in connection.execute(part)}

    def submissions(self, job_ids: Collection[str]) -> Iterator[tuple[str, Submitted]]:
        """Yield the facts that began these jobs, each with the job's id, in no order."""
        wanted = list(job_ids)
        for start in range(0, len(wanted), FEW):
            query = select(_EVENT).where(_EVENT.c.job_id.in_(wanted[start : start + FEW]), _EVENT.c.seq == 0)
            with reading(self.engine) as connection:
                events = [event_of(row) for row in connection.execute(query)]
            for event in events:
                if isinstance(fact := event.fact, Submitted):
                    yield event.job_id, fact

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
        fact = event_of(row).fact
        if not isinstance(fact, Submitted):
            msg = f"the history of job {job_id} does not begin with its submission"
            raise LogBroken(msg)
        return fact

    def document(self, job_id: str) -> bytes | None:
        """Return the newest document of the job; None if it was too large to be kept.

        Raises:
            UnknownJob: there is none.
        """
        kinds = _EVENT.c.kind.in_(["submitted", "replaced"])
        query = select(_EVENT).where(_EVENT.c.job_id == job_id, kinds).order_by(_EVENT.c.seq.desc()).limit(1)
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownJob(job_id)
        return document_of([event_of(row)])

    def jobs(  # noqa: PLR0913 - what a list may be narrowed to
        self,
        *,
        backend: str = "",
        user: str = "",
        state: str = "",
        group: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        limit: int = 50,
    ) -> list[Job]:
        """Return the newest jobs first, of one backend, user, state or group, or with labels, where that is asked."""
        query = Query(
            everything=True,
            with_hidden=True,
            backend=backend,
            user=user,
            states=frozenset({State(state)} if state else ()),
            group=group,
            labels=tuple(labels.items()),
        )
        found: list[Job] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < limit:
            jobs, cursor = page(self.engine, query, limit=min(limit - len(found), MAX_PAGE), cursor=cursor)
            found += jobs
        return found

    def counts(self, *, storages: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
        """Return how many jobs wait and run, by backend and phase; those that are held do neither.

        Args:
            storages: names of the storages whose jobs are counted; None for all.
        """
        query = select(_JOB.c.backend, _JOB.c.phase, func.count()).where(_OPEN, NOT_HELD)
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
        query = select(_JOB.c.storage, func.count()).where(_OPEN, NOT_HELD).group_by(_JOB.c.storage)
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
