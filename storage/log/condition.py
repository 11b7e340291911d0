"""What the log's database is asked about itself: whether it takes a row, its clock, drains, how far mirrors lag."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from models import clock
from models.errors import LogUnavailable
from models.health import Sign
from storage.log.database import reading, writing
from storage.log.tables import NOT_HELD, EventRow, JobRow, MirrorRow
from storage.log.upkeep_tables import DrainRow, ProbeRow

_DRAIN: Any = DrainRow.__table__  # type: ignore[attr-defined]
_PROBE: Any = ProbeRow.__table__  # type: ignore[attr-defined]
_MIRROR: Any = MirrorRow.__table__  # type: ignore[attr-defined]
_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]

LOOKED_AT = 5000
"""Of so many mirrors that are behind the oldest event is looked for."""

KEPT = timedelta(days=1)
"""So long the last sign of life of a drain is kept that ended without a word."""

_LATE = (
    select(_MIRROR.c.job_id, _MIRROR.c.seq)
    .where(text("behind"), text("NOT EXISTS (SELECT 1 FROM held WHERE held.job_id = mirror.job_id)"))
    .limit(LOOKED_AT)
    .subquery()
)
_LAG = select(func.count(), func.min(_EVENT.c.recorded_at)).select_from(
    _LATE.join(_EVENT, (_EVENT.c.job_id == _LATE.c.job_id) & (_EVENT.c.seq == _LATE.c.seq + 1))
)
_OLDEST = select(_JOB.c.backend, func.min(_JOB.c.received_at)).where(_JOB.c.phase == "waiting", NOT_HELD)
_OLDEST = _OLDEST.group_by(_JOB.c.backend)
_NEWEST = (
    select(_JOB.c.job_id, _JOB.c.backend)
    .where(_JOB.c.submitted_at >= bindparam("since"), _JOB.c.state == "DONE")
    .order_by(_JOB.c.submitted_at.desc(), _JOB.c.job_id.desc())
    .limit(bindparam("limit"))
    .subquery()
)
_STEPS = (
    select(_NEWEST.c.backend, _EVENT.c.job_id, _EVENT.c.kind, _EVENT.c.recorded_at)
    .select_from(_NEWEST.join(_EVENT, _EVENT.c.job_id == _NEWEST.c.job_id))
    .order_by(_EVENT.c.job_id, _EVENT.c.seq)
)


class Lag(NamedTuple):
    """Jobs whose mirrors wait for events, at most `LOOKED_AT`, and when the oldest of these events was recorded."""

    behind: int
    oldest: datetime | None


def write_and_read(engine: Engine) -> None:
    """Make sure that the database takes a row and gives it back; the log is not touched.

    Raises:
        LogUnavailable: it does not.
    """
    now = clock.to_text(clock.now())
    with writing(engine) as connection:
        if not connection.execute(update(_PROBE).values(written_at=now)).rowcount:
            with suppress(IntegrityError), connection.begin_nested():
                connection.execute(insert(_PROBE).values(name="health", written_at=now))
    with reading(engine) as connection:
        found = connection.execute(select(_PROBE.c.written_at)).scalar()
    if found is None or found < now:  # another one may have written since
        raise LogUnavailable("the event log cannot be used: a row that was just written is not there")


def server_time(engine: Engine) -> datetime | None:
    """Return the time by the database's own clock; None where it is a file, which has none."""
    if engine.dialect.name != "postgresql":
        return None
    with reading(engine) as connection:
        told: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return told.astimezone(UTC)


def lag(engine: Engine) -> Lag:
    """Return how far the mirrors of all jobs are behind."""
    with reading(engine) as connection:
        behind, oldest = connection.execute(_LAG).one()
    return Lag(behind, datetime.fromisoformat(oldest) if oldest else None)


def oldest_waiting(engine: Engine) -> dict[str, datetime]:
    """Return when the job was received that waits longest for each backend; backends without one are left out."""
    with reading(engine) as connection:
        rows = connection.execute(_OLDEST).all()
    return {backend: datetime.fromisoformat(received) for backend, received in rows}


def step_times(engine: Engine, since: datetime, limit: int) -> list[tuple[str, str, str, datetime]]:
    """Return backend, job, kind and time of each event of the newest jobs that are DONE, job by job and in order."""
    with reading(engine) as connection:
        rows = connection.execute(_STEPS, {"since": clock.to_text(since), "limit": limit}).all()
    return [(backend, job_id, kind, datetime.fromisoformat(at)) for backend, job_id, kind, at in rows]


def put_sign(  # noqa: PLR0913 - what a sign of life says
    engine: Engine, worker: str, began_at: datetime, every: float, backends: Sequence[str], prefect: str
) -> None:
    """Give a sign of life of a drain; those that others gave more than a day ago are forgotten."""
    now = clock.now()
    row = {
        "began_at": clock.to_text(began_at),
        "seen_at": clock.to_text(now),
        "every": every,
        "backends": json.dumps(list(backends)),
        "prefect": prefect[:500],
    }
    with writing(engine) as connection:
        if not connection.execute(update(_DRAIN).where(_DRAIN.c.worker == worker).values(row)).rowcount:
            connection.execute(insert(_DRAIN).values(row | {"worker": worker}))
            connection.execute(delete(_DRAIN).where(_DRAIN.c.seen_at < clock.to_text(now - KEPT)))


def remove_sign(engine: Engine, worker: str, began_at: datetime) -> None:
    """Take the sign of a drain away that ends in good order; that of a later one of the same process stays."""
    mine = (_DRAIN.c.worker == worker) & (_DRAIN.c.began_at == clock.to_text(began_at))
    with writing(engine) as connection:
        connection.execute(delete(_DRAIN).where(mine))


def signs(engine: Engine) -> list[tuple[Sign, str]]:
    """Return the last sign of life of each drain, the oldest drain first, and the Prefect API that it uses."""
    with reading(engine) as connection:
        return _signs(connection)


def _signs(connection: Connection) -> list[tuple[Sign, str]]:
    rows = connection.execute(select(_DRAIN).order_by(_DRAIN.c.began_at, _DRAIN.c.worker)).mappings()
    return [
        (
            Sign(
                worker=row["worker"],
                began_at=datetime.fromisoformat(row["began_at"]),
                seen_at=datetime.fromisoformat(row["seen_at"]),
                every=row["every"],
                backends=tuple(json.loads(row["backends"])),
            ),
            row["prefect"],
        )
        for row in rows
    ]
