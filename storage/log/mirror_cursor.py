"""How far the mirror of each job has come. An append marks its job as behind, in the same transaction."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, func, select, text, update

from storage.log.database import reading, writing
from storage.log.tables import JobRow, MirrorRow

_MIRROR: Any = MirrorRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]

# Held first, so that the next statement sees the job's events as of now: on PostgreSQL a statement that waits for
# a row goes on with what the other tables held before, and would take back what an append has just said.
_HOLD = select(_MIRROR.c.seq).where(_MIRROR.c.job_id == bindparam("job_id")).with_for_update()
# Behind again if the log has moved on meanwhile: a late relay may have written what is no longer the newest.
_ADVANCE = (
    update(_MIRROR)
    .where(_MIRROR.c.job_id == bindparam("_job_id"))
    .values(
        seq=bindparam("_seq"),
        place=bindparam("_place"),
        behind=text("(SELECT job.seq FROM job WHERE job.job_id = mirror.job_id) > :_seq"),
    )
)
_BEHIND = (
    select(_MIRROR.c.job_id, func.coalesce(_JOB.c.storage, ""))
    .select_from(_MIRROR.outerjoin(_JOB, _JOB.c.job_id == _MIRROR.c.job_id))
    .where(text("behind"), text("NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = mirror.job_id)"))
    .where(_MIRROR.c.job_id > bindparam("after"))
    .order_by(_MIRROR.c.job_id)
)
_COUNT_BEHIND = select(func.count()).select_from(_MIRROR).where(text("behind"))
_PLACE = update(_MIRROR).where(_MIRROR.c.job_id == bindparam("_job_id")).values(place=bindparam("_place"))
_PLACE_IF = _PLACE.where(_MIRROR.c.place == bindparam("_known"))
_GET = select(_MIRROR.c.seq, _MIRROR.c.place).where(_MIRROR.c.job_id == bindparam("job_id"))


_BEGIN_ANEW = (
    update(_MIRROR)
    .where(_MIRROR.c.job_id.in_(select(_JOB.c.job_id).where(_JOB.c.storage.in_(bindparam("names", expanding=True)))))
    .values(seq=-1, place="", behind=True)
)


class Position(NamedTuple):
    """The last event that was mirrored, and where the job document lies (empty: not known)."""

    seq: int
    place: str


class MirrorCursor:
    """The cursor of every job, in the log's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def position(self, job_id: str) -> Position:
        """Return how far the mirror of a job has come."""
        with reading(self._engine) as connection:
            row = connection.execute(_GET, {"job_id": job_id}).one_or_none()
        return Position(-1, "") if row is None else Position(*row)

    def advance(self, job_id: str, seq: int, place: str) -> None:
        """Record that the events up to `seq` are mirrored."""
        with writing(self._engine) as connection:
            connection.execute(_HOLD, {"job_id": job_id})
            connection.execute(_ADVANCE, {"_job_id": job_id, "_seq": seq, "_place": place})

    def put_place(self, job_id: str, place: str, known: str | None = None) -> None:
        """Record where the job document lies, and nothing else.

        Args:
            known: where it lay before; if somebody has recorded another place meanwhile, that one stays. None for any.
        """
        with writing(self._engine) as connection:
            if known is None:
                connection.execute(_PLACE, {"_job_id": job_id, "_place": place})
            else:
                connection.execute(_PLACE_IF, {"_job_id": job_id, "_place": place, "_known": known})

    def begin_anew(self, names: Collection[str]) -> None:
        """Have all documents of the jobs of these storages written again.

        Args:
            names: as jobs know them; the first one of the settings has the empty name too.
        """
        with writing(self._engine) as connection:
            connection.execute(_BEGIN_ANEW, {"names": list(names)})

    def behind(self, after: str = "", limit: int | None = None) -> list[tuple[str, str]]:
        """Return the id and the name of the storage of each job that is not held and whose mirror waits for events.

        Args:
            after: only of jobs behind this id, in the order of their ids.
            limit: of so many jobs at most.
        """
        with reading(self._engine) as connection:
            found = connection.execute(_BEHIND.limit(limit), {"after": after})
            return [(job_id, storage) for job_id, storage in found]

    def count_behind(self) -> int:
        """Return how many mirrors wait for events."""
        with reading(self._engine) as connection:
            return connection.execute(_COUNT_BEHIND).scalar() or 0
