"""Which results and payloads are older than they are kept; the log keeps what was handed in and what became of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, and_, bindparam, delete, func, or_, select

from models import clock
from models.job import Job, State
from storage.log.database import reading, writing
from storage.log.tables import NOT_HELD, JobRow, PayloadRow

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_PAYLOAD: Any = PayloadRow.__table__  # type: ignore[attr-defined]

BATCH = 500

_OLD = (
    select(_JOB.c.submitted_at, _JOB.c.job_id, _JOB.c.fold)
    .where(
        _JOB.c.state == State.DONE.value,
        _JOB.c.submitted_at < bindparam("before"),
        or_(
            _JOB.c.submitted_at > bindparam("after"),
            and_(_JOB.c.submitted_at == bindparam("after"), _JOB.c.job_id > bindparam("after_id")),
        ),
        NOT_HELD,
    )
    .order_by(_JOB.c.submitted_at, _JOB.c.job_id)
    .limit(BATCH)
)


class Sum(NamedTuple):
    """How many documents there are, and their bytes."""

    number: int
    bytes: int


def done_before(engine: Engine, before: datetime) -> Iterator[Job]:
    """Yield the jobs that were DONE before a moment and whose result was not removed, batch by batch."""
    place = {"after": "", "after_id": "", "before": clock.to_text(before)}
    while True:
        with reading(engine) as connection:
            rows = connection.execute(_OLD, place).all()
        for _, _, fold in rows:
            job = Job.model_validate_json(fold)
            if not job.is_result_removed and job.updated_at < before:
                yield job
        if len(rows) < BATCH:
            return
        place |= {"after": rows[-1].submitted_at, "after_id": rows[-1].job_id}


def payloads_before(engine: Engine, before: datetime) -> Sum:
    """Return how many payloads were stored before a moment."""
    query = select(func.count(), func.coalesce(func.sum(_PAYLOAD.c.size), 0)).where(_is_before(before))
    with reading(engine) as connection:
        number, size = connection.execute(query).one()
    return Sum(number, int(size))


def remove_payloads(engine: Engine, before: datetime) -> int:
    """Remove the payloads that were stored before a moment; the jobs that were made from them have their copies."""
    with writing(engine) as connection:
        removed: int = connection.execute(delete(_PAYLOAD).where(_is_before(before))).rowcount
    return removed


def _is_before(before: datetime) -> Any:
    return _PAYLOAD.c.created_at < clock.to_text(before)
