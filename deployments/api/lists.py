"""Which jobs a caller may list, and what the policy is asked about them."""

import dataclasses
from collections.abc import Sequence

from models.identity.access import PROVEN_SOURCE, Caller, Thing
from models.job import Job
from storage.log.job_lists import Query

MAX_READ = 50_000_000
"""Bytes of documents or results that are read for one answer; those of a single job may be more."""


def affordable(jobs: Sequence[Job], *, of_documents: bool = False) -> list[Job]:
    """Return the first of some jobs, so many that what they hold can be read for one answer; one at least."""
    read = taken = 0
    for job in jobs:
        read += job.document_bytes if of_documents else job.uploaded.bytes if job.uploaded else 0
        if taken and read > MAX_READ:
            break
        taken += 1
    return list(jobs[:taken])


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
