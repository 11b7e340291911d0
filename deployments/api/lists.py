"""Which jobs a caller may list, and what the policy is asked about them."""

import dataclasses

from models.identity.access import PROVEN_SOURCE, Caller, Thing
from models.job import Job
from storage.log.job_lists import Query


def seen_by(caller: Caller, query: Query) -> Query:
    """Return a query for those of its jobs that the caller may see."""
    if caller.role == "operator":
        return dataclasses.replace(query, everything=True, with_hidden=True)
    return dataclasses.replace(
        query,
        everything=False,
        owner=caller.user,
        names=tuple(sorted(caller.names)),
        projects=tuple(sorted(caller.projects)),
        with_hidden=False,
    )


def own(caller: Caller) -> Thing:
    """Return a job that the caller hands in, for himself."""
    return Thing.job(caller.user, PROVEN_SOURCE, "")


def thing_of(job: Job) -> Thing:
    """Return a job as the policy asks for it."""
    return Thing.job(job.user, job.source, job.project, is_hidden=job.is_hidden, backend=job.backend)
