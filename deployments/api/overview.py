"""What operators ask: all users and projects, and what works and what does not."""

from collections import Counter
from datetime import timedelta
from typing import NamedTuple

from models import clock
from models.errors import LogError
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


class Check(NamedTuple):
    """Whether a part of the laboratory answers; `text` says what is wrong."""

    name: str
    ok: bool
    text: str = ""


class Queue(NamedTuple):
    """The jobs of a backend: now, and those that were handed in within the last hour."""

    name: str
    waiting: int
    running: int
    recent: int
    failed: int


class Overview:
    """The calls of operators; they block."""

    def __init__(self, services: Services, directory: Directory) -> None:
        self._services, self._directory = services, directory

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

    def health(self, caller: Caller) -> tuple[list[Check], list[Queue]]:
        """Return what answers, the log first, and the queues.

        Raises:
            NotPermitted: the caller is no operator.
        """
        _permit(caller)
        checks, queues = [], []
        try:
            queues = self._queues()
            checks.append(Check("event log", ok=True))
        except LogError:
            checks.append(Check("event log", ok=False, text="it does not answer; the log of the server says why"))
        stores = self._services.stores
        troubles = stores.troubles(stores.names)
        for name in stores.names:
            said, is_well = f"storage {name}" if name else "storage", name not in troubles
            checks.append(Check(said, ok=is_well, text="" if is_well else "`quledger storages` says what is wrong"))
        return checks, queues

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
