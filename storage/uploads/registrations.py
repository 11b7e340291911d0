"""Ids that were given out for jobs to come, and their inputs: for a day, and shared by all servers of one log."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, update

from models import clock
from models.clock import to_text
from models.errors import InputError, UnknownJob
from models.names import is_job_id, new_job_id
from models.words import count_that
from storage.log.database import reading, writing
from storage.uploads.tables import RegistrationRow

KEPT = timedelta(days=1)
"""After that a registration is as if it had never been."""

MAX_OPEN = 1000
"""Registrations that a user may have at once."""

MAX_BYTES = 500_000_000
"""Bytes of uploads of a user that are kept at once."""

_TABLE: Any = RegistrationRow.__table__  # type: ignore[attr-defined]
_OF_JOB = _TABLE.c.job_id == bindparam("id")
_FOUND = select(_TABLE).where(_OF_JOB)
_USED = select(func.count(), func.coalesce(func.sum(_TABLE.c.size), 0)).where(_TABLE.c.user == bindparam("who"))
_FILL = update(_TABLE).where(_OF_JOB, _TABLE.c.content.is_(None))
_REMOVE = delete(_TABLE).where(_OF_JOB)
# Two servers that do this at once do not wait for each other: what one has locked is left to it.
_OLD = select(_TABLE.c.job_id).where(_TABLE.c.registered_at <= bindparam("before")).with_for_update(skip_locked=True)
_REMOVE_OLD = delete(_TABLE).where(_TABLE.c.job_id.in_(_OLD))


class TooManyRegistered(InputError):
    """A user has too many jobs, or too much of their inputs, that were never submitted."""

    def __init__(self, count: int, used: int) -> None:
        super().__init__(
            f"{count_that(count, 'job', 'was', 'were')} registered and not submitted, with {used / 1e6:.1f} MB of"
            f" inputs; submit them, or wait until they are a day old"
        )


class UploadedBefore(InputError):
    """A job's input came once; another one is not taken."""

    def __init__(self) -> None:
        super().__init__("the input of this job was uploaded before; register another job")


class Registration(NamedTuple):
    """A job that was registered; `content` is its input, None before that was uploaded."""

    job_id: str
    user: str
    registered_at: datetime
    content: bytes | None


class Registrations:
    """The registrations in one database; safe to use from several threads and processes at once."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = clock.now) -> None:
        self.engine = engine
        self._now = now

    def register(self, user: str) -> str:
        """Give a user the id of a job to come. What is old is removed by the way.

        Raises:
            TooManyRegistered: he has too many that he never submitted.
        """
        job_id, now = new_job_id(), self._now()
        row = {"job_id": job_id, "user": user, "registered_at": to_text(now), "size": 0}
        with writing(self.engine) as connection:
            connection.execute(_REMOVE_OLD, {"before": to_text(now - KEPT)})
            count, used = _used(connection, user)
            if count >= MAX_OPEN:
                raise TooManyRegistered(count, used)
            connection.execute(insert(_TABLE), row)
        return job_id

    def get(self, job_id: str) -> Registration:
        """Return a registration.

        Raises:
            UnknownJob: there is none.
        """
        row = None
        if is_job_id(job_id):
            with reading(self.engine) as connection:
                row = connection.execute(_FOUND, {"id": job_id}).mappings().one_or_none()
        if row is None or row["registered_at"] <= to_text(self._now() - KEPT):
            raise UnknownJob(job_id)
        return Registration(job_id, row["user"], datetime.fromisoformat(row["registered_at"]), row["content"])

    def fill(self, job_id: str, content: bytes) -> None:
        """Keep the input of a job; the same one again changes nothing.

        Raises:
            UnknownJob: it was not registered, or is no registration any more.
            UploadedBefore: it has another input.
            TooManyRegistered: its user keeps too much here already.
        """
        found = self.get(job_id)
        with writing(self.engine) as connection:
            count, used = _used(connection, found.user)
            if found.content is None and used + len(content) > MAX_BYTES:
                raise TooManyRegistered(count, used)
            values = {"content": content, "size": len(content)}
            if connection.execute(_FILL.values(**values), {"id": job_id}).rowcount:
                return
        if self.get(job_id).content != content:
            raise UploadedBefore

    def remove(self, job_id: str) -> None:
        """Forget a registration: it became a job."""
        with writing(self.engine) as connection:
            connection.execute(_REMOVE, {"id": job_id})


def _used(connection: Connection, user: str) -> tuple[int, int]:
    """Return how many registrations a user has, and how many bytes their inputs."""
    count, used = connection.execute(_USED, {"who": user}).one()
    return count, int(used)
