"""How much room the database takes, and how many jobs come of late."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select, text

from models import clock
from models.growth import RECENT_DAYS
from models.job import Job
from storage.log.database import reading
from storage.log.sqlite import file_size
from storage.log.tables import JobRow, PayloadRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_PAYLOAD: Any = PayloadRow.__table__  # type: ignore[attr-defined]
_NEWEST_DONE = select(_JOB.c.fold).where(text("ended <> ''")).order_by(_JOB.c.submitted_at.desc(), _JOB.c.job_id.desc())


class Sizes(NamedTuple):
    """What the database says of itself; sizes in bytes, as in `models.growth.Growth`."""

    database: int
    payloads: int
    jobs: int
    recent_jobs: int
    days: float


def sizes(engine: Engine, now: datetime) -> Sizes:
    """Return how much room a database takes.

    Raises:
        LogUnavailable: it does not answer.
    """
    since = clock.to_text(now - timedelta(days=RECENT_DAYS))
    with reading(engine) as connection:
        payloads = connection.scalar(select(func.coalesce(func.sum(_PAYLOAD.c.size), 0))) or 0
        # Through the index of the newest jobs, which holds all that is asked.
        jobs = connection.scalar(select(func.count(_JOB.c.submitted_at))) or 0
        recent = connection.scalar(select(func.count()).where(_JOB.c.submitted_at >= since)) or 0
        first = connection.scalar(select(func.min(_JOB.c.submitted_at)))
        if engine.dialect.name == "postgresql":
            database = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        else:
            database = _of_files(Path(str(engine.url.database)))
    age = (now - datetime.fromisoformat(first)).total_seconds() / 86400 if first else float(RECENT_DAYS)
    return Sizes(database, int(payloads), jobs, recent, min(float(RECENT_DAYS), max(age, 1.0)))


def newest_ended(engine: Engine, most: int) -> list[Job]:
    """Return the newest jobs that have ended."""
    with reading(engine) as connection:
        return [Job.model_validate_json(fold) for fold in connection.scalars(_NEWEST_DONE.limit(most))]


def _of_files(path: Path) -> int:
    files = (path.with_name(path.name + end) for end in ("", "-wal", "-shm"))
    return sum(file_size(file) or 0 for file in files)
