"""The rows of tables of jobs, events and results, as commands and API write them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from deployments import parquet
from deployments.parquet import Row, What
from models.errors import NotAuthentic, ResultMissing
from models.event_view import data_for_users
from models.events import Event
from models.job import Job, State
from storage.log.past import histories_of
from tasks.jobs.results import result_document
from tasks.services import Services


def rows_of(
    services: Services, what: What, jobs: Sequence[Job], left_out: dict[str, str], *, whole: bool = True
) -> Iterator[Row]:
    """Yield the rows of some jobs.

    Args:
        left_out: gets the jobs whose results cannot be read, and why.
        whole: events with all that they hold; else as users see them.
    """
    if what == "jobs":
        yield from parquet.job_rows(jobs)
    elif what == "events":
        for events in histories_of(services.log.engine, [job.job_id for job in jobs]):
            rows = parquet.event_rows(events)
            yield from rows if whole else map(_for_users, events, rows)
    else:
        for job in jobs:
            yield from _results(services, job, left_out)


def _for_users(event: Event, row: Row) -> Row:
    hidden: dict[str, Any] = dict.fromkeys(("actor", "flow_run_id", "prev_hash", "hash"))
    return row | hidden | {"data": json.dumps(data_for_users(event))}


def _results(services: Services, job: Job, left_out: dict[str, str]) -> Iterator[Row]:
    if job.state is not State.DONE:
        return
    try:
        yield from parquet.result_rows(job, result_document(services, job.job_id))
    except (ResultMissing, NotAuthentic) as error:
        left_out[job.job_id] = str(error)
