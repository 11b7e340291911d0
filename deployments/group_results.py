"""Results of many jobs side by side, each with what was swept in it."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from flows.artifacts.outcomes import Counted, Outcomes, Value, outcomes_of
from models.errors import QuledgerError
from models.facts import Parameters
from models.groups import Cell, UnknownGroup
from models.job import Job, State
from storage.log.event_log import EventLog
from storage.log.job_lists import Query, page
from tasks.jobs.results import result_document
from tasks.services import Services

Table = Literal["means", "wires", "outcomes"]
"""A row for each experiment with the mean of each wire; for each level of each wire; for each outcome."""

MAX_EXPERIMENTS = 100_000
PAGE = 1000


class Measured(NamedTuple):
    """What one experiment of a job has measured.

    Attributes:
        found: None where there is no result (yet).
        trouble: why that of a job that is DONE cannot be shown; else None.
    """

    job: Job
    experiment: str
    parameters: Parameters
    found: Counted | Value | None
    trouble: QuledgerError | None = None


def jobs_of(log: EventLog, group: str, *, user: str = "") -> Iterator[Job]:
    """Yield all jobs of a group, the oldest first.

    Raises:
        UnknownGroup: there are none.
    """
    query, cursor = Query(everything=True, with_hidden=True, group=group, user=user, newest_first=False), ""
    while True:
        jobs, following = page(log.engine, query, limit=PAGE, cursor=cursor)
        if not jobs and not cursor:
            raise UnknownGroup(group)
        yield from jobs
        if following is None:
            return
        cursor = following


def read_outcomes(services: Services, job: Job) -> Outcomes:
    """Return what the result of a job says; see `tasks.jobs.results`."""
    return outcomes_of(result_document(services, job.job_id), MAX_EXPERIMENTS)


def measured(
    services: Services, jobs: Sequence[Job], read: Callable[[Services, Job], Outcomes] = read_outcomes
) -> Iterator[Measured]:
    """Yield what the experiments of jobs have measured, in the order of the jobs; results are read one by one."""
    parameters = {job_id: fact.parameters for job_id, fact in services.log.submissions([job.job_id for job in jobs])}
    for job in jobs:
        yield from _of_job(job, parameters.get(job.job_id, ()), functools.partial(read, services, job))


def _of_job(job: Job, rows: Sequence[Parameters], read: Callable[[], Outcomes]) -> Iterator[Measured]:
    trouble: QuledgerError | None = None
    if job.state is State.DONE:
        try:
            outcomes = read()
        except QuledgerError as error:
            trouble = error
        else:
            for place, (name, found) in enumerate(outcomes.items()):
                yield Measured(job, name, _row(rows, place), found)
            return
    for place in range(max(1, len(rows))):
        yield Measured(job, f"experiment_{place}" if len(rows) > 1 else "", _row(rows, place), None, trouble)


def _row(rows: Sequence[Parameters], place: int) -> Parameters:
    """Return the parameters of an experiment: its own, or those of the whole job."""
    return rows[0] if len(rows) == 1 else rows[place] if place < len(rows) else {}


def parameter_names(found: Iterable[Measured]) -> list[str]:
    """Return the names of all parameters, in the order in which they first occur."""
    return list(dict.fromkeys(name for each in found for name in each.parameters))


def varied(found: Sequence[Measured]) -> dict[str, list[Cell]]:
    """Return the parameters that differ between jobs and are numbers wherever they occur, with their values."""
    values: dict[str, list[Cell]] = {
        name: [each.parameters[name] for each in found if name in each.parameters] for name in parameter_names(found)
    }
    return {name: cells for name, cells in values.items() if len(set(cells)) > 1 and all(map(is_number, cells))}


def is_number(cell: Any) -> bool:
    """Return whether a cell can be a place on an axis."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)
