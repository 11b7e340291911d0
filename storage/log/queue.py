"""Whose turn it is: the order in which waiting jobs are claimed (`models.claims.fairest`).

Each user's queue at a backend has a head: the first job by priority, then by the time it was received. A row of `queue`
says before which place in line no head of its user lies. Triggers lower it whenever a job comes to wait; a claim looks
at the first rows alone, raises each that says too little, and takes the first that says just what is. So it costs the
same however many users and jobs wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, bindparam, delete, func, select, text, update

from models import clock
from models.claims import Waiting, fairest
from models.job import Job, Phase
from models.retry import LONGEST
from storage.log.dialects import dialect_of
from storage.log.rows import GET_JOB, find_job
from storage.log.tables import NOBODY_DUE, NOT_HELD, JobRow, QueueRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_QUEUE: Any = QueueRow.__table__  # type: ignore[attr-defined]

# A job that somebody else is just writing to is not waited for.
LOCK_WAITING = GET_JOB.where(_JOB.c.phase == Phase.WAITING.value, NOT_HELD).with_for_update(skip_locked=True)

_IS_DUE_AGAIN = text("again_at <> '' AND (again_at <= :now OR again_at > :beyond)")
_ANYBODY = select(_QUEUE.c.user).where(
    _QUEUE.c.backend.in_(bindparam("backends", expanding=True)), _QUEUE.c.received_at < NOBODY_DUE
)
# Rows that somebody else holds are left to the next claim, here and below.
_ASLEEP = (
    select(_QUEUE.c.backend, _QUEUE.c.storage, _QUEUE.c.user).where(_IS_DUE_AGAIN).with_for_update(skip_locked=True)
)
_AWAKE = {"received_at": "", "job_id": "", "again_at": ""}

# The first row of each storage; and the first of those that lie so far ahead that a wrong clock must have written them.
_FIRST = text("""
    WITH RECURSIVE lane(storage) AS (
        SELECT min(storage) FROM queue WHERE backend = :backend
        UNION ALL
        SELECT (SELECT min(storage) FROM queue WHERE backend = :backend AND storage > lane.storage)
        FROM lane WHERE lane.storage IS NOT NULL
    )
    SELECT lane.storage, coalesce(
        (SELECT "user" FROM queue WHERE backend = :backend AND storage = lane.storage
            AND received_at > :beyond AND received_at < '~' AND "user" NOT IN :without
            ORDER BY received_at, job_id LIMIT 1),
        (SELECT "user" FROM queue WHERE backend = :backend AND storage = lane.storage
            AND received_at < '~' AND "user" NOT IN :without
            ORDER BY received_at, job_id LIMIT 1)
    ) FROM lane WHERE lane.storage IS NOT NULL
""").bindparams(bindparam("without", expanding=True, type_=String()))
_OF = (_QUEUE.c.backend == bindparam("_backend")) & (_QUEUE.c.storage == bindparam("_storage"))
_OF_USER = _OF & (_QUEUE.c.user == bindparam("_user"))
_ROW = select(_QUEUE.c.received_at, _QUEUE.c.job_id).where(_OF_USER)
_PUT_ROW = update(_QUEUE).where(_OF_USER)
_DROP_ROW = delete(_QUEUE).where(_OF_USER)
_USERS_AMONG = select(_QUEUE.c.storage, _QUEUE.c.user).where(
    _QUEUE.c.backend == bindparam("_backend"), _QUEUE.c.user.in_(bindparam("users", expanding=True))
)
_WAITING = select(_JOB.c.received_at, _JOB.c.job_id).where(
    _JOB.c.phase == Phase.WAITING.value,
    _JOB.c.backend == bindparam("_backend"),
    _JOB.c.user == bindparam("_user"),
    _JOB.c.storage == bindparam("_storage"),
)
# As `models.retry.is_due` says.
_HEAD = (
    _WAITING.where(text("(not_before <= :now OR not_before > :beyond)"), NOT_HELD)
    .order_by(_JOB.c.priority.desc(), _JOB.c.received_at, _JOB.c.job_id)
    .limit(1)
)
_AGAIN_AT = _WAITING.with_only_columns(func.min(_JOB.c.not_before)).where(
    text("not_before <> '' AND not_before > :now AND not_before <= :beyond")
)
_RUNNING_BY_BACKEND = (
    select(_JOB.c.backend, func.count()).where(_JOB.c.phase == Phase.RUNNING.value, NOT_HELD).group_by(_JOB.c.backend)
)
_RUNNING_BY_USER = (
    select(_JOB.c.user, func.count()).where(_JOB.c.phase == Phase.RUNNING.value, NOT_HELD).group_by(_JOB.c.user)
)


class _Lane(NamedTuple):
    """One user's queue."""

    backend: str
    storage: str
    user: str

    @property
    def key(self) -> dict[str, str]:
        """What tells its row."""
        return {f"_{name}": value for name, value in self._asdict().items()}


def with_capacity(connection: Connection, backends: Sequence[str], most: Mapping[str, int] | None) -> Sequence[str]:
    """Return those of the backends that may run one more job."""
    if not most:
        return backends
    running = {backend: count for backend, count in connection.execute(_RUNNING_BY_BACKEND)}  # noqa: C416
    return [name for name in backends if name not in most or running.get(name, 0) < most[name]]


def may_have_next(
    connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None
) -> bool:
    """Say whether a look at the queues may be worth while; nothing is written for it."""
    anybody = _ANYBODY if storages is None else _ANYBODY.where(_QUEUE.c.storage.in_(storages))
    if connection.execute(anybody.limit(1), {"backends": list(backends)}).first() is not None:
        return True
    return connection.execute(select(_QUEUE.c.user).where(_IS_DUE_AGAIN).limit(1), _times(now)).first() is not None


def next_job(
    connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None
) -> Job | None:
    """Return the job whose turn it is, its row locked; None where nothing may be claimed now.

    Only one claim at a time may do this.
    """
    queues = _Queues(connection, backends, now, storages)
    running = {user: count for user, count in connection.execute(_RUNNING_BY_USER)}  # noqa: C416
    without = set(running)
    while (head := queues.first(without)) is not None:
        job = find_job(connection, head.job_id, LOCK_WAITING)
        if job is not None:
            return job
        without.add(head.user)
    heads = queues.heads(running)
    while (head := fairest(heads, running)) is not None:
        job = find_job(connection, head.job_id, LOCK_WAITING)
        if job is not None:
            return job
        heads.remove(head)
    return None


def _times(now: datetime) -> dict[str, str]:
    return {"now": clock.to_text(now), "beyond": clock.to_text(now + timedelta(seconds=LONGEST))}


class _Queues:
    """The queues of all users at some backends, in some storages, within a transaction."""

    def __init__(
        self, connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None
    ) -> None:
        self._connection = connection
        self._backends = backends
        self._storages = storages
        self._times = _times(now)
        asleep = [_Lane(*row) for row in connection.execute(_ASLEEP, self._times)]
        if asleep:
            connection.execute(_PUT_ROW, [lane.key | _AWAKE for lane in asleep])

    def first(self, without: set[str]) -> Waiting | None:
        """Return the head that is first in line, of all users but these."""
        while lanes := list(self._first_lanes(without)):
            lane = lanes[0] if len(lanes) == 1 else min(lanes, key=self._known_place)
            # Held first, so that the next statement sees every job that has lowered it.
            row = dialect_of(self._connection).lock_soon(self._connection, _ROW, lane.key)
            if row is None:
                without.add(lane.user)  # his jobs are just coming in
            elif (head := self._settled_head(lane, tuple(row))) is not None:
                return Waiting(lane.user, *head)
        return None

    def heads(self, users: Mapping[str, int]) -> list[Waiting]:
        """Return the heads of the queues of these users."""
        found = []
        for backend in self._backends if users else ():
            asked = {"_backend": backend, "users": list(users)}
            for storage, user in self._connection.execute(_USERS_AMONG, asked).all():
                if self._storages is None or storage in self._storages:
                    head = self._head(_Lane(backend, storage, user))
                    found += [Waiting(user, *self._in_line(head))] if head is not None else []
        return found

    def _first_lanes(self, without: set[str]) -> Iterator[_Lane]:
        for backend in self._backends:
            asked = {"backend": backend, "without": list(without)} | self._times
            for storage, user in self._connection.execute(_FIRST, asked).all():
                if user is not None and (self._storages is None or storage in self._storages):
                    yield _Lane(backend, storage, user)

    def _known_place(self, lane: _Lane) -> tuple[str, str]:
        received_at, job_id = self._connection.execute(_ROW, lane.key).one()
        return self._in_line((received_at, job_id))

    def _in_line(self, place: tuple[str, str]) -> tuple[str, str]:
        """Return a place in line; one that a clock has written which was far ahead is the first."""
        received_at, job_id = place
        return ("" if received_at > self._times["beyond"] else received_at, job_id)

    def _head(self, lane: _Lane) -> tuple[str, str] | None:
        row = self._connection.execute(_HEAD, lane.key | self._times).one_or_none()
        return None if row is None else (row[0], row[1])

    def _settled_head(self, lane: _Lane, known: tuple[str, str]) -> tuple[str, str] | None:
        """Return the head of a queue if its row, which is held, says just that; else see to it that it does."""
        head = self._head(lane)
        if head == known:
            return head
        if head is None and self._connection.execute(_WAITING.limit(1), lane.key).first() is None:
            self._connection.execute(_DROP_ROW, lane.key)
        else:
            again_at = self._connection.execute(_AGAIN_AT, lane.key | self._times).scalar() or ""
            received_at, job_id = head or (NOBODY_DUE, "")
            row = {"received_at": received_at, "job_id": job_id, "again_at": again_at}
            self._connection.execute(_PUT_ROW, lane.key | row)
        return None
