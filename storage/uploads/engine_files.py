"""The files that an engine outside has brought of a job under way, until it says what became of the job."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, bindparam, delete, select, text

from models import clock
from models.clock import to_text
from storage.log.database import reading, writing
from storage.uploads.tables import EngineFileRow

KEPT = timedelta(days=1)
"""So long a file is kept at least whose job never came to an end."""

_TABLE: Any = EngineFileRow.__table__  # type: ignore[attr-defined]
_OF_JOB = _TABLE.c.job_id == bindparam("id")
_OF_ATTEMPT = _OF_JOB & (_TABLE.c.attempt == bindparam("of"))
_FOUND = select(_TABLE.c.item, _TABLE.c.content).where(_OF_ATTEMPT)
_REMOVE_ONE = delete(_TABLE).where(_OF_ATTEMPT, _TABLE.c.item == bindparam("which"))
# One statement, since several servers may be brought the same file at once.
_PUT = text(
    "INSERT INTO engine_file (job_id, attempt, item, uploaded_at, content)"
    " VALUES (:job_id, :attempt, :item, :uploaded_at, :content)"
    " ON CONFLICT (job_id, attempt, item)"
    " DO UPDATE SET uploaded_at = excluded.uploaded_at, content = excluded.content"
)
_REMOVE = delete(_TABLE).where(_OF_JOB)
_OLD = (
    select(_TABLE.c.job_id, _TABLE.c.attempt, _TABLE.c.item)
    .where(_TABLE.c.uploaded_at <= bindparam("before"))
    .with_for_update(skip_locked=True)
)


class EngineFiles:
    """The files in one database; safe to use from several threads and processes at once."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = clock.now) -> None:
        self._engine, self._now = engine, now

    def put(self, job_id: str, attempt: int, item: str, content: bytes) -> None:
        """Keep a file of an attempt, in place of one that came before; what is old is removed by the way."""
        now = self._now()
        row = {"job_id": job_id, "attempt": attempt, "item": item, "uploaded_at": to_text(now), "content": content}
        with writing(self._engine) as connection:
            for old in connection.execute(_OLD, {"before": to_text(now - KEPT)}).all():
                connection.execute(_REMOVE_ONE, dict(zip(("id", "of", "which"), old, strict=True)))
            connection.execute(_PUT, row)

    def of(self, job_id: str, attempt: int) -> dict[str, bytes]:
        """Return the files of an attempt, by what they are."""
        with reading(self._engine) as connection:
            return dict(connection.execute(_FOUND, {"id": job_id, "of": attempt}).all())

    def remove(self, job_id: str) -> None:
        """Forget the files of a job, of all its attempts: it has ended."""
        with writing(self._engine) as connection:
            connection.execute(_REMOVE, {"id": job_id})
