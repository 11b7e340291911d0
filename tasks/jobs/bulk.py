"""Something is done with all jobs of a list, one after the other: what one of them says holds up no other."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

from models.bulk import BulkAct, applies, states_for
from models.errors import InputError, LogUnavailable, QuledgerError
from models.job import Job
from storage.log import job_lists
from storage.log.job_lists import MAX_PAGE, Query
from tasks.jobs import submission
from tasks.services import Services

NARROWING = ("backend", "user", "project", "states", "since", "until", "group", "labels")


class Done(NamedTuple):
    """What became of it: the jobs as they stand now, and why the others stand as they did, by id."""

    jobs: list[Job]
    failed: dict[str, str]


def check_narrow(query: Query) -> None:
    """Make sure that a list was narrowed by somebody.

    Raises:
        InputError: it is that of all jobs.
    """
    if not any(getattr(query, name) for name in NARROWING):
        raise InputError("say which jobs: by backend, state, user, project, group, label, since or until")


def matching(
    services: Services, act: BulkAct, query: Query, may: Callable[[Job], bool] = lambda _job: True
) -> Iterator[Job]:
    """Yield the jobs of a list for which there is something to do, oldest first, also while it is done.

    Args:
        may: says whether whoever asks may do it with a job.

    Raises:
        InputError: it is for jobs in none of the states that are asked for.
    """
    query = dataclasses.replace(query, states=states_for(act, query.states), with_hidden=False, newest_first=False)
    cursor: str | None = ""
    while cursor is not None:
        page = job_lists.page(services.log.engine, query, limit=MAX_PAGE, cursor=cursor)
        yield from (job for job in page.jobs if applies(act, job) and may(job))
        cursor = page.next_cursor


def do(services: Services, act: BulkAct, job: Job, *, by: str, reason: str = "") -> Job:
    """Do it with one job, and return how it stands then."""
    if act == "cancel":
        return submission.cancel(services, job.job_id, by=by, reason=reason)
    return submission.revive(services, job.job_id, by=by)


def do_all(services: Services, act: BulkAct, jobs: Iterator[Job], *, by: str, reason: str = "") -> Done:
    """Do it with jobs.

    Raises:
        LogUnavailable: the log does not answer; what was done until then is done.
    """
    done = Done([], {})
    for job in jobs:
        try:
            done.jobs.append(do(services, act, job, by=by, reason=reason))
        except LogUnavailable:
            raise
        except QuledgerError as error:
            done.failed[job.job_id] = str(error)
    return done
