"""The calls about many jobs at once; they block."""

import itertools
from typing import NamedTuple

from deployments.api.lists import own, seen_by, thing_of
from models.bulk import BulkAct
from models.identity.access import Act, Caller, why_not
from models.identity.errors import NotPermitted
from storage.log.job_lists import Query
from tasks.jobs import bulk
from tasks.jobs.bulk import Done
from tasks.services import Services

_NEEDED: dict[BulkAct, Act] = {"cancel": Act.CANCEL, "retry": Act.RETRY}


class Part(NamedTuple):
    """What was done, or would be, and whether there are more jobs than that."""

    done: Done
    more: bool


class Bulk:
    """Something is done with all jobs of a list with which the caller may do it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def find(self, caller: Caller, act: BulkAct, query: Query, limit: int) -> Part:
        """Return with which jobs it would be done; nothing is.

        Raises:
            InputError: the list was narrowed by nothing, or to states that it is not for.
            NotPermitted: the caller may do it with no job.
        """
        needed = _NEEDED[act]
        if why := why_not(caller, needed, own(caller)):
            raise NotPermitted(why)
        bulk.check_narrow(query)
        found = bulk.matching(
            self._services, act, seen_by(caller, query), lambda job: not why_not(caller, needed, thing_of(job))
        )
        jobs = list(itertools.islice(found, limit + 1))
        return Part(Done(jobs[:limit], {}), len(jobs) > limit)

    def do(self, caller: Caller, act: BulkAct, query: Query, limit: int, reason: str = "") -> Part:
        """Do it with them; else as `find`."""
        (jobs, _), more = self.find(caller, act, query, limit)
        return Part(bulk.do_all(self._services, act, iter(jobs), by=caller.user, reason=reason), more)
