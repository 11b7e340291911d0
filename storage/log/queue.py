"""Whose turn it is: the order in which waiting jobs are claimed (`models.claims.fairest`).

Each user's queue at a backend has a head: the first job by priority, then by the time it was received. The queue has a
lane for each storage; a row of `queue` says before which place in line no head of its lane lies. Triggers lower it
whenever a job comes to wait; a claim looks at the first rows alone, raises each that says too little, and takes the
first that says just what is. So it costs the same however many users and jobs wait.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, bindparam, delete, func, select, text, update

from models import clock
from models.claims import Waiting, fairest
from models.job import Job, Phase
from models.retry import LONGEST
from storage.log.dialects import dialect_of
from storage.log.rows import GET_JOB, find_job
from storage.log.tables import NOBODY_DUE, NOT_HELD, NOT_PAUSED, JobRow, QueueRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_QUEUE: Any = QueueRow.__table__  # type: ignore[attr-defined]

# A job that somebody else is just writing to is not waited for.
LOCK_WAITING = GET_JOB.where(_JOB.c.phase == Phase.WAITING.value, NOT_HELD).with_for_update(skip_locked=True)

_IS_DUE_AGAIN = text("again_at <> '' AND (again_at <= :now OR again_at > :beyond)")
_ANYBODY = select(_QUEUE.c.user).where(
    _QUEUE.c.backend.in_(bindparam("backends", expanding=True)), _QUEUE.c.received_at < NOBODY_DUE, NOT_PAUSED
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
_TRY_ROW = _ROW.with_for_update(skip_locked=True)
_PUT_ROW = update(_QUEUE).where(_OF_USER)
_DROP_ROW = delete(_QUEUE).where(_OF_USER)
_LANES_OF = select(_QUEUE.c.storage, _QUEUE.c.user, _QUEUE.c.received_at).where(
    _QUEUE.c.backend == bindparam("_backend"),
    _QUEUE.c.storage.in_(bindparam("storages", expanding=True)),
    _QUEUE.c.user.in_(bindparam("users", expanding=True)),
)
_WAITING = select(_JOB.c.priority, _JOB.c.received_at, _JOB.c.job_id).where(
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


class _Head(NamedTuple):
    """The first job of a lane."""

    priority: int
    received_at: str
    job_id: str

    @property
    def place(self) -> tuple[str, str]:
        """Where in line it is, as a row of `queue` says it."""
        return self.received_at, self.job_id

    @property
    def in_queue(self) -> tuple[int, str, str]:
        """Its place among the jobs of its user."""
        return -self.priority, self.received_at, self.job_id


class _Lane(NamedTuple):
    """What of one user's queue lies in one storage."""

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
    if connection.execute(anybody.limit(1), {"backends": list(backends), **_times(now)}).first() is not None:
        return True
    return connection.execute(select(_QUEUE.c.user).where(_IS_DUE_AGAIN).limit(1), _times(now)).first() is not None


MOST_RAISED = 200
"""Rows that one look raises, so that others can write meanwhile where very many say too little, as after a rollback."""


class Next(NamedTuple):
    """What a look at the queues has found.

    Attributes:
        job: whose turn it is; None where nothing may be claimed now.
        settled: False where more rows say too little than one look raises: the next one, in a transaction of its own,
            goes on with them.
    """

    job: Job | None
    settled: bool = True


def next_job(connection: Connection, backends: Sequence[str], now: datetime, storages: Sequence[str] | None) -> Next:
    """Look for the job whose turn it is, and lock its row.

    Only one claim at a time may do this.
    """
    queues = _Queues(connection, backends, now, storages)
    running = {user: count for user, count in connection.execute(_RUNNING_BY_USER)}  # noqa: C416
    without = set(running)
    while (head := queues.first(without)) is not None:
        job = find_job(connection, head.job_id, LOCK_WAITING)
        if job is not None:
            return Next(job)
        without.add(head.user)
    if not queues.settled:
        return Next(None, settled=False)
    heads = queues.heads(running)
    while (head := fairest(heads, running)) is not None:
        job = find_job(connection, head.job_id, LOCK_WAITING)
        if job is not None:
            return Next(job)
        heads.remove(head)
    return Next(None)


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
        # The storages that the queues at each backend have lanes for.
        self._lanes: dict[str, list[str]] = {}
        self._raised = 0
        asleep = [_Lane(*row) for row in connection.execute(_ASLEEP, self._times)]
        if asleep:
            connection.execute(_PUT_ROW, [lane.key | _AWAKE for lane in asleep])

    @property
    def settled(self) -> bool:
        """Whether no more rows were raised than one look may raise."""
        return self._raised < MOST_RAISED

    def first(self, without: set[str]) -> Waiting | None:
        """Return the head that is first in line, of all users but these; None also where it is not settled."""
        # Heads of users of whom a job that comes later in line has a higher priority, in another lane.
        later: dict[str, Waiting] = {}
        while self.settled and (lanes := list(self._first_lanes(without | later.keys()))):
            lane = lanes[0] if len(lanes) == 1 and not later else min(lanes, key=self._known_place)
            if any(head[1:] <= self._known_place(lane) for head in later.values()):
                break
            # Held first, so that the next statement sees every job that has lowered it.
            row = dialect_of(self._connection).lock_soon(self._connection, _ROW, lane.key)
            if row is None:
                without.add(lane.user)  # his jobs are just coming in
            elif (head := self._settled_head(lane, tuple(row))) is not None:
                if len(self._lanes[lane.backend]) == 1:
                    return self._in_line(lane.user, head)
                first = fairest(self.heads([lane.user]), {})
                if first is None:
                    without.add(lane.user)  # what he had has just been cancelled
                elif first.job_id == head.job_id:
                    return first
                else:
                    later[lane.user] = first
        return fairest(list(later.values()), {}) if self.settled else None

    def heads(self, users: Collection[str]) -> list[Waiting]:
        """Return the heads of the queues of these users."""
        found: list[Waiting] = []
        for backend, storages in self._lanes.items() if users else ():
            asked = {"_backend": backend, "storages": storages, "users": list(users)}
            heads: dict[str, _Head] = {}
            for storage, user, received_at in self._connection.execute(_LANES_OF, asked).all():
                lane = _Lane(backend, storage, user)
                head = self._head(lane)
                if head is not None:
                    heads[user] = min(heads.get(user, head), head, key=lambda each: each.in_queue)
                elif received_at < NOBODY_DUE and (row := self._connection.execute(_TRY_ROW, lane.key).one_or_none()):
                    self._settled_head(lane, tuple(row))  # or everybody who is idle would look again and again
            found += [self._in_line(user, head) for user, head in heads.items()]
        return found

    def _first_lanes(self, without: Collection[str]) -> Iterator[_Lane]:
        for backend in self._backends:
            asked = {"backend": backend, "without": list(without)} | self._times
            found = [
                (storage, user)
                for storage, user in self._connection.execute(_FIRST, asked).all()
                if self._storages is None or storage in self._storages
            ]
            self._lanes[backend] = [storage for storage, _ in found]
            yield from (_Lane(backend, storage, user) for storage, user in found if user is not None)

    def _known_place(self, lane: _Lane) -> tuple[str, str]:
        received_at, job_id = self._connection.execute(_ROW, lane.key).one()
        return self._on_time(received_at), job_id

    def _in_line(self, user: str, head: _Head) -> Waiting:
        return Waiting(user, self._on_time(head.received_at), head.job_id)

    def _on_time(self, received_at: str) -> str:
        """Return what is before all else for a time that a clock has written which was far ahead."""
        return f"!{received_at}" if received_at > self._times["beyond"] else received_at

    def _head(self, lane: _Lane) -> _Head | None:
        row = self._connection.execute(_HEAD, lane.key | self._times).one_or_none()
        return None if row is None else _Head(*row)

    def _settled_head(self, lane: _Lane, known: tuple[str, str]) -> _Head | None:
        """Return the head of a lane if its row, which is held, says just that; else see to it that it does."""
        head = self._head(lane)
        if head is not None and head.place == known:
            return head
        self._raised += 1
        if head is None and self._connection.execute(_WAITING.limit(1), lane.key).first() is None:
            self._connection.execute(_DROP_ROW, lane.key)
        else:
            again_at = self._connection.execute(_AGAIN_AT, lane.key | self._times).scalar() or ""
            received_at, job_id = head.place if head is not None else (NOBODY_DUE, "")
            row = {"received_at": received_at, "job_id": job_id, "again_at": again_at}
            self._connection.execute(_PUT_ROW, lane.key | row)
        return None
