"""Whole histories out of the event table, one job after the other, however many there are."""

import contextlib
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select, text

from models.tables import EventRow

EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]

_ALL = select(EVENT).order_by(EVENT.c.job_id, EVENT.c.seq)

Row = dict[str, Any]


@contextlib.contextmanager
def lenient(connection: Connection) -> Iterator[None]:
    """Read text that is not UTF-8 any more, so that a broken byte is found and named, not stumbled over."""
    raw: Any = connection.connection.dbapi_connection
    raw.text_factory = lambda stored: stored.decode("utf-8", "replace")
    try:
        yield
    finally:
        raw.text_factory = str


def histories(connection: Connection) -> Iterator[tuple[str, list[Row]]]:
    """Yield each job's id and its events as they are stored, in order; only one job is in memory at a time."""
    # Read through the key: sorting would copy the whole table first.
    found = connection.execution_options(yield_per=500).execute(_ALL)
    for job_id, rows in groupby(found.mappings(), key=lambda row: row["job_id"]):
        yield job_id, [dict(row) for row in rows]


def row_of(connection: Connection, table: str, job_id: str) -> Row | None:
    """Return the job's row in `job` or `mirror`, None where there is none."""
    found = connection.execute(text(f"SELECT * FROM {table} WHERE job_id = :job_id"), {"job_id": job_id})  # noqa: S608 - our own names
    row = found.mappings().one_or_none()
    return None if row is None else dict(row)
