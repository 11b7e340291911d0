"""Groups of jobs as commands and API show them."""

import dataclasses
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine

from models.clock import to_text
from models.groups import UnknownGroup
from models.job import State
from storage.log.event_log import EventLog
from storage.log.job_lists import GroupRow, Query, count_by_state, groups, page

MOST = 1000
"""Groups in a list, the ones last used first."""


class GroupSummary(NamedTuple):
    """What became of a group.

    Attributes:
        states: those that occur, with the number of jobs in each.
        parameters: the names of what was swept, of the newest job.
    """

    name: str
    states: dict[State, int]
    first: datetime
    last: datetime
    parameters: list[str]

    @property
    def jobs(self) -> int:
        """How many there are."""
        return sum(self.states.values())

    def value(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "group": self.name,
            "jobs": self.jobs,
            "states": {state.value: number for state, number in self.states.items()},
            "first_submitted_at": to_text(self.first),
            "last_submitted_at": to_text(self.last),
            "parameters": self.parameters,
        }


def summary_of(log: EventLog, name: str, query: Query | None = None, *, user: str = "") -> GroupSummary:
    """Return what became of a group.

    Args:
        query: whose jobs are counted, of this group; None for all.

    Raises:
        UnknownGroup: none of these jobs belongs to it.
    """
    query = query or Query(everything=True, with_hidden=True, group=name, user=user)
    newest = page(log.engine, query, limit=1).jobs
    if not newest:
        raise UnknownGroup(name)
    oldest = page(log.engine, dataclasses.replace(query, newest_first=not query.newest_first), limit=1).jobs or newest
    rows = log.submission(newest[0].job_id).parameters
    return GroupSummary(
        name,
        count_by_state(log.engine, query),
        oldest[0].submitted_at,
        newest[0].submitted_at,
        list(rows[0]) if rows else [],
    )


def list_groups(engine: Engine, query: Query | None = None) -> list[GroupRow]:
    """Return the groups, the one that was last used first; of all jobs, or of those of a query."""
    return groups(engine, query or Query(everything=True, with_hidden=True), MOST)
