"""Whole histories out of the event table, one job after the other, however many there are."""

import contextlib
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from storage.log.dialects import dialect_of
from storage.log.tables import EventRow

EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]

# Read through the key, a part at a time: sorting would copy the whole table first.
_ALL = select(EVENT).order_by(EVENT.c.job_id, EVENT.c.seq).execution_options(yield_per=500)

_ONE = select(EVENT).where(EVENT.c.job_id == bindparam("job_id")).order_by(EVENT.c.seq)

Row = dict[str, Any]


def tolerate_corruption(connection: Connection) -> contextlib.AbstractContextManager[None]:
    """Let an audit read what is broken, and take its time."""
    return dialect_of(connection).tolerate_corruption(connection)


def histories(connection: Connection) -> Iterator[tuple[str, list[Row]]]:
    """Yield each job's id and its events as they are stored, in order; only one job is in memory at a time."""
    found = connection.execute(_ALL)
    for job_id, rows in groupby(found.mappings(), key=lambda row: row["job_id"]):
        yield job_id, [dict(row) for row in rows]


def history_of(connection: Connection, job_id: str) -> list[Row]:
    """Return the events of one job as they are stored, in order."""
    return [dict(row) for row in connection.execute(_ONE, {"job_id": job_id}).mappings()]


def row_of(connection: Connection, table: str, job_id: str) -> Row | None:
    """Return the job's row in `job` or `mirror`, None where there is none."""
    found = connection.execute(text(f"SELECT * FROM {table} WHERE job_id = :job_id"), {"job_id": job_id})  # noqa: S608 - our own names
    row = found.mappings().one_or_none()
    return None if row is None else dict(row)
