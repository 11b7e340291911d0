"""What operators ask: all users and projects, and what works and what does not."""

from collections import Counter
from datetime import timedelta
from typing import NamedTuple

from deployments.api.checkups import Checkups
from models import clock
from models.errors import LogError
from models.health import Health
from models.identity.access import LABORATORY, Act, Caller, why_not
from models.identity.errors import NotPermitted
from models.identity.people import Person, Project
from models.identity.streams import parts
from models.job import Phase, State
from storage.identity.directory import Directory
from tasks.backends import registry
from tasks.services import Services

HOUR = timedelta(hours=1)


class People(NamedTuple):
    """All users and projects by name, and how many tokens of each user are good."""

    users: list[Person]
    projects: list[Project]
    good_tokens: dict[str, int]


class Queue(NamedTuple):
    """The jobs of a backend: now, and those that were handed in within the last hour."""

    name: str
    waiting: int
    running: int
    recent: int
    failed: int


class Overview:
    """The calls of operators; they block."""

    def __init__(self, services: Services, directory: Directory, checkups: Checkups) -> None:
        self._services, self._directory, self._checkups = services, directory, checkups

    def people(self, caller: Caller) -> People:
        """Return all users and projects.

        Raises:
            NotPermitted: the caller is no operator.
        """
        _permit(caller)
        now, good = clock.now(), Counter[str]()
        for listed in self._directory.tokens():
            kind, name = parts(listed.token.stream)
            if kind == "user" and listed.token.state(now) == "good":
                good[name] += 1
        return People(self._directory.users(), self._directory.projects(), dict(good))

    def health(self, caller: Caller) -> tuple[Health, list[Queue]]:
        """Return how all parts are, and the queues; without the log there are none.

        Raises:
            NotPermitted: the caller is no operator.
        """
        _permit(caller)
        try:
            queues = self._queues()
        except LogError:
            queues = []
        return self._checkups.latest(), queues

    def _queues(self) -> list[Queue]:
        counts, recent = self._services.log.counts(), self._services.log.recent(clock.now() - HOUR)
        names = sorted({*registry.usable(), *counts, *recent})
        return [
            Queue(
                name,
                counts.get(name, {}).get(Phase.WAITING, 0),
                counts.get(name, {}).get(Phase.RUNNING, 0),
                sum(recent.get(name, {}).values()),
                recent.get(name, {}).get(State.ERROR, 0),
            )
            for name in names
        ]


def _permit(caller: Caller) -> None:
    if why := why_not(caller, Act.SEE, LABORATORY):
        raise NotPermitted(why)
