"""The rows that repeat the events of a job, compared with them."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from models.errors import echo
from models.job import Job
from storage import layout
from storage.log.histories import Row, row_of
from storage.log.rows import job_row


class Record(NamedTuple):
    """What the database holds of one job: its events, its row of the view, its cursor of the mirror."""

    job_id: str
    rows: list[Row]
    view: Row | None
    cursor: Row | None


def record_of(connection: Connection, job_id: str, rows: list[Row]) -> Record:
    """Return a job's events together with its other rows."""
    return Record(job_id, rows, row_of(connection, "job", job_id), row_of(connection, "mirror", job_id))


def view_faults(job: Job, record: Record) -> Iterator[str]:
    """Yield what is wrong with the rows that repeat the job's events."""
    if record.view is None:
        yield "`job` has no row"
    elif record.view != (expected := job_row(job)):
        wrong = ", ".join(name for name, value in expected.items() if record.view.get(name) != value)
        yield f"`job` differs from the events in {wrong}"
    cursor = record.cursor
    if cursor is None:
        yield "`mirror` has no row"
        return
    at_end = cursor["seq"] == job.seq and layout.may_lie_at(job, cursor["place"])
    possible = cursor["seq"] in range(-1, job.seq + 1) and cursor["place"] in ("", *layout.places(job))
    if not (possible if cursor["behind"] else at_end):
        yield "`mirror` says what cannot be: " + ", ".join(f"{name} {echo(cursor[name])}" for name in ("seq", "place"))
