"""What callers ask about groups of jobs."""

from typing import Any

from deployments.api.lists import affordable, seen_by
from deployments.api.results import Results
from deployments.group_results import MAX_EXPERIMENTS, Measured, measured
from deployments.groups import GroupSummary, list_groups, summary_of
from flows.artifacts.outcomes import Outcomes, outcomes_of
from models.clock import to_text
from models.errors import InputError
from models.groups import UnknownGroup
from models.identity.access import PROVEN_SOURCE, Act, Caller, Thing, why_not
from models.identity.errors import NotPermitted
from models.job import Job
from storage.log.job_lists import Query, cursor_behind, page
from tasks.services import Services

MAX_WHOLE = 1000
"""Jobs of a group that are read at once."""


class Groups:
    """The calls about groups, of which a caller sees the jobs that are his to see; they block."""

    def __init__(self, services: Services, results: Results) -> None:
        self._services, self._results = services, results

    def all(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the groups, the one that was last used first."""
        _permit(caller, Act.SEE)
        return [
            {"group": row.name, "jobs": row.jobs, "last_submitted_at": to_text(row.last)}
            for row in list_groups(self._services.log.engine, seen_by(caller, Query()))
        ]

    def summary(self, caller: Caller, name: str) -> GroupSummary:
        """Return what became of a group.

        Raises:
            UnknownGroup: the caller may see no job of it.
        """
        _permit(caller, Act.SEE)
        return summary_of(self._services.log, name, seen_by(caller, Query(group=name)))

    def results(self, caller: Caller, name: str, limit: int, cursor: str) -> tuple[list[Measured], str | None]:
        """Return the results of some of its jobs, the oldest first, and the cursor of what follows.

        Raises:
            UnknownGroup: the caller may see no job of it.
            BadCursor: the cursor is none of this list.
        """
        _permit(caller, Act.EXPORT)
        query = seen_by(caller, Query(group=name, newest_first=False))
        found = page(self._services.log.engine, query, limit=limit, cursor=cursor)
        if not found.jobs and not cursor:
            raise UnknownGroup(name)
        jobs = affordable(found.jobs)
        following = found.next_cursor if len(jobs) == len(found.jobs) else cursor_behind(query, jobs[-1])
        return list(measured(self._services, jobs, self._read)), following

    def whole(self, caller: Caller, name: str) -> list[Measured]:
        """Return the results of all its jobs, the oldest first.

        Raises:
            UnknownGroup: the caller may see no job of it.
            InputError: it has more than `MAX_WHOLE` jobs, or too large results.
        """
        found, following = self.results(caller, name, MAX_WHOLE, "")
        if following is not None:
            raise InputError(
                f"the group has more than {MAX_WHOLE} jobs, or large results; ask for its results in parts"
            )
        return found

    def _read(self, _services: Services, job: Job) -> Outcomes:
        return self._results.of(job, lambda document: outcomes_of(document, MAX_EXPERIMENTS))


def _permit(caller: Caller, act: Act) -> None:
    if why := why_not(caller, act, Thing.job(caller.user, PROVEN_SOURCE, "")):
        raise NotPermitted(why)
