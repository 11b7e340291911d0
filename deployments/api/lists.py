"""Which jobs a caller may list."""

import dataclasses

from models.identity.access import Caller
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
