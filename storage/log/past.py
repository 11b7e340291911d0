"""Jobs as they stood at a time, read from their events."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Engine, bindparam, select

from models.errors import InputError
from models.events import Event
from models.job import Job
from models.past import NotYet, job_at
from storage.log.database import reading
from storage.log.histories import EVENT
from storage.log.job_lists import Page, Query, page
from storage.log.rows import event_of

_OF_JOBS = (
    select(EVENT)
    .where(EVENT.c.job_id.in_(bindparam("job_ids", expanding=True)))
    .order_by(EVENT.c.job_id, EVENT.c.seq)
    .execution_options(yield_per=500)
)

BATCH = 100
"""Histories that are read at once."""


def histories_of(engine: Engine, job_ids: Sequence[str]) -> Iterator[list[Event]]:
    """Yield the events of each of the jobs, in the order of their ids within each batch."""
    with reading(engine) as connection:
        for start in range(0, len(job_ids), BATCH):
            rows = connection.execute(_OF_JOBS, {"job_ids": list(job_ids[start : start + BATCH])})
            for _, events in groupby(map(event_of, rows), key=lambda event: event.job_id):
                yield list(events)


def jobs_at(engine: Engine, job_ids: Sequence[str], at: datetime) -> dict[str, Job]:
    """Return those of the jobs that had been handed in, as they stood."""
    found = (job_at(events, at) for events in histories_of(engine, job_ids))
    return {job.job_id: job for job in found if job is not None}


def one_at(engine: Engine, job_id: str, at: datetime) -> Job:
    """Return a job as it stood.

    Raises:
        NotYet: it had not been handed in.
    """
    job = jobs_at(engine, [job_id], at).get(job_id)
    if job is None:
        raise NotYet(job_id, at)
    return job


def handed_in_by(query: Query, at: datetime) -> Query:
    """Return a query for those of its jobs that had been handed in by a time.

    Raises:
        InputError: it asks for what may have been otherwise then.
    """
    if query.states or query.labels:
        raise InputError("a list of a time goes with neither state nor label: an index holds them as they are now")
    ends = at + timedelta(microseconds=1)
    return replace(query, until=ends if query.until is None else min(query.until, ends))


def page_at(engine: Engine, query: Query, at: datetime, *, limit: int, cursor: str = "") -> Page:
    """Return one page of the jobs that had been handed in by a time, as they stood; else as `job_lists.page`.

    Args:
        query: which ones; what it asks of them is as of now, but for the time.

    Raises:
        InputError: it asks for what may have been otherwise then.
    """
    found = page(engine, handed_in_by(query, at), limit=limit, cursor=cursor)
    ids = [job.job_id for job in found.jobs]
    then = jobs_at(engine, ids, at)
    return Page([then[job_id] for job_id in ids if job_id in then], found.next_cursor)
